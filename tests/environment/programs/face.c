/* The steps of ../README.md in C: `face IN OUT`, two descriptors, so that the standard streams may be closed. */
#define _DEFAULT_SOURCE
#include <pay88.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 2000
#define CHARGE \
    "{\"flow\":\"PAYIN\",\"method_code\":\"CARDS\",\"method_category\":\"CARD\",\"amount\":50000,\"currency\":\"COP\"," \
    "\"country\":\"COL\",\"description\":\"Order 1001\",\"customer_id\":\"customer-1\"," \
    "\"notification_url\":\"https://example.com/notify\",\"return_url\":\"https://example.com/return\"}"

static pay88_manager *managers[MOST];
static size_t count;
static pay88_events *events;
static int out;

static void put(const char *text, size_t len) {
    while (len > 0) {
        ssize_t written = write(out, text, len);
        if (written < 0 && errno != EINTR)
            _exit(3);
        if (written > 0) {
            text += written;
            len -= (size_t)written;
        }
    }
}

/* As a JSON text; messages hold neither quotes of other kinds nor control characters. */
static void put_field(const char *name, pay88_str text) {
    put(",\"", 2);
    put(name, strlen(name));
    put("\":\"", 3);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            put("\\", 1);
        put(text.data + i, 1);
    }
    put("\"", 1);
}

static void answer(pay88_status status, pay88_error *error, unsigned long long result) {
    static const char *const OUTCOMES[] = {"not_sent", "unknown", "answered"};
    char line[100];
    if (status == PAY88_OK) {
        put(line, (size_t)snprintf(line, sizeof line, "{\"ok\":%llu}\n", result));
        return;
    }
    pay88_str name = pay88_error_name(error);
    put(line, (size_t)snprintf(line, sizeof line, "{\"code\":\"%.*s\",\"outcome\":\"%s\"", PAY88_STR(name),
                               OUTCOMES[pay88_error_outcome(error)]));
    put_field("message", pay88_error_message(error));
    put_field("hint", pay88_error_hint(error));
    put("}\n", 2);
    pay88_error_release(error);
}

static void build(char *options) {
    pay88_error *error = NULL;
    pay88_status status = PAY88_OK;
    pay88_config *config = pay88_config_new();
    for (char *option = strtok(options, " "); option != NULL && status == PAY88_OK; option = strtok(NULL, " ")) {
        char *value = strchr(option, '=');
        if (strcmp(option, "without_environment") == 0) {
            pay88_config_release(config);
            config = pay88_config_new_without_environment();
        } else
            status = pay88_config_set(config, option, (size_t)(value - option), value + 1, strlen(value + 1), &error);
    }
    if (status == PAY88_OK)
        status = pay88_manager_new(config, &managers[count], &error);
    answer(status, error, status == PAY88_OK ? pay88_manager_id(managers[count++]) : 0);
    pay88_config_release(config);
}

static void degraded(void) {
    pay88_event *event = NULL;
    while (pay88_events_next(events, 10000, &event, NULL) == PAY88_OK && event != NULL) {
        pay88_str json = pay88_event_json(event), name = pay88_event_name(event);
        const char *reason = strstr(json.data, "\"reason\":");
        if (name.len == 14 && memcmp(name.data, "share_degraded", 14) == 0 && reason != NULL) {
            put("{\"ok\":", 6);
            put(reason + 9, strcspn(reason + 9, "}"));
            put("}\n", 2);
            pay88_event_release(event);
            return;
        }
        pay88_event_release(event);
    }
    put("{\"ok\":null}\n", 12);
}

static void take(char *line) {
    pay88_error *error = NULL;
    size_t number = strlen(line) > 6 ? (size_t)atoi(line + 6) : 0;
    if (strncmp(line, "new", 3) == 0) {
        build(line + 3);
    } else if (strcmp(line, "listen") == 0) {
        pay88_status status = pay88_events_open(1000, &events, &error);
        answer(status, error, 0);
    } else if (strncmp(line, "open", 4) == 0) {
        int fd = open("/dev/null", O_RDONLY);
        if (fd < 0)
            put("{\"code\":\"of_the_system\"}\n", 25);
        else
            answer(PAY88_OK, NULL, 0);
        close(fd);
    } else if (strncmp(line, "degraded", 8) == 0) {
        degraded();
    } else if (strncmp(line, "token", 5) == 0) {
        pay88_token *token = NULL;
        pay88_status status = pay88_manager_get_token(managers[number], 0, NULL, NULL, &token, &error);
        answer(status, error, status == PAY88_OK ? pay88_token_expires_in(token) : 0);
        pay88_token_release(token);
    } else {
        pay88_request *request = NULL;
        pay88_response *response = NULL;
        pay88_status status = pay88_request_new("POST", 4, "/api/transactions/charges", 25, &request, &error);
        if (status == PAY88_OK)
            status = pay88_request_set_body(request, (const uint8_t *)CHARGE, strlen(CHARGE), &error);
        if (status == PAY88_OK)
            status = pay88_manager_send(managers[number], request, NULL, NULL, &response, &error);
        answer(status, error, status == PAY88_OK ? pay88_response_status(response) : 0);
        pay88_response_release(response);
        pay88_request_release(request);
    }
}

int main(int argc, char **argv) {
    char *line = NULL;
    size_t size = 0;
    FILE *steps = argc == 3 ? fdopen(atoi(argv[1]), "r") : NULL;
    if (steps == NULL)
        return 2;
    out = atoi(argv[2]);
    while (getline(&line, &size, steps) > 0) {
        line[strcspn(line, "\n")] = 0;
        take(line);
    }
    pay88_events_release(events);
    return 0;
}
