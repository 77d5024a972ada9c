#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MERCHANT "MCH-COL-TEST-12345"

_Noreturn void fail(const char *file, int line, const char *what, pay88_error *error) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    if (error)
        fprintf(stderr, "  %s: %s\n  %s\n", pay88_error_name(error).data, pay88_error_message(error).data,
                pay88_error_hint(error).data);
    /* Other threads may be busy: nothing is cleaned up. */
    fflush(NULL);
    _exit(1);
}

unsigned slow(void) {
    const char *text = getenv("PAY88_TEST_SLOW");
    return text ? (unsigned)atoi(text) : 1;
}

unsigned long millis(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms) {
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int is(pay88_str text, const char *wanted) {
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

static int control_socket(void) {
    const char *url = getenv("PAY88_SANDBOX_CONTROL");
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK(url != NULL);
    const char *port = strrchr(url, ':');
    CHECK(port != NULL);
    address.sin_port = htons((unsigned short)atoi(port + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        CHECK(errno == EINTR);
    return fd;
}

char *control(const char *method, const char *path, const char *body) {
    int fd = control_socket();
    size_t body_len = body ? strlen(body) : 0, size = body_len + 400, have = 0;
    char *text = malloc(size);
    CHECK(text != NULL);
    int len = snprintf(text, size, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       method, path, body_len, body ? body : "");
    for (int sent = 0; sent < len;) {
        ssize_t n = send(fd, text + sent, (size_t)(len - sent), MSG_NOSIGNAL);
        CHECK(n > 0 || errno == EINTR);
        sent += n > 0 ? (int)n : 0;
    }
    for (;;) {
        if (size - have < 2) {
            size *= 2;
            text = realloc(text, size);
            CHECK(text != NULL);
        }
        ssize_t n = recv(fd, text + have, size - have - 1, 0);
        if (n == 0)
            break;
        CHECK(n > 0 || errno == EINTR);
        have += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    text[have] = 0;
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "%s %s %s: %s\n", method, path, body ? body : "", text);
        exit(1);
    }
    char *end = strstr(text, "\r\n\r\n");
    CHECK(end != NULL);
    memmove(text, end + 4, strlen(end + 4) + 1);
    return text;
}

void fault(const char *json) { free(control("POST", "/faults", json)); }

void switches(const char *json) { free(control("POST", "/switches", json)); }

void reset(void) { free(control("POST", "/reset", NULL)); }

long counter(const char *name) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    char *counters = control("GET", "/counters", NULL);
    char *found = strstr(counters, quoted);
    CHECK(found != NULL);
    long value = atol(found + strlen(quoted));
    free(counters);
    return value;
}

void set(pay88_config *config, const char *name, const char *value) {
    OK(pay88_config_set(config, name, strlen(name), value, strlen(value), &error));
}

pay88_config *fresh_config(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned number;
    char key[64], body[200];
    pthread_mutex_lock(&lock);
    number++;
    snprintf(key, sizeof key, "sk_test_sandbox_%08x%08x", (unsigned)getpid(), number);
    pthread_mutex_unlock(&lock);
    snprintf(body, sizeof body, "{\"merchant_id\":\"%s\",\"key\":\"%s\"}", MERCHANT, key);
    free(control("POST", "/keys", body));
    pay88_config *config = pay88_config_new();
    CHECK(config != NULL);
    set(config, "api_key", key);
    set(config, "merchant_id", MERCHANT);
    return config;
}

pay88_manager *fresh_manager(void) {
    pay88_config *config = fresh_config();
    pay88_manager *manager = NULL;
    OK(pay88_manager_new(config, &manager, &error));
    pay88_config_release(config);
    return manager;
}

pay88_request *request_of(const char *method, const char *endpoint, const char *body) {
    pay88_request *request = NULL;
    OK(pay88_request_new(method, strlen(method), endpoint, strlen(endpoint), &request, &error));
    if (body)
        OK(pay88_request_set_body(request, (const uint8_t *)body, strlen(body), &error));
    return request;
}

pay88_request *charge_request(void) {
    return request_of("POST", "/api/transactions/charges",
                      "{\"flow\":\"PAYIN\",\"method_code\":\"CARDS\",\"method_category\":\"CARD\",\"amount\":50000,"
                      "\"currency\":\"COP\",\"country\":\"COL\",\"description\":\"Order 1001\","
                      "\"customer_id\":\"customer-1\",\"notification_url\":\"https://example.com/notify\","
                      "\"return_url\":\"https://example.com/return\"}");
}

void tally_init(struct tally *tally) {
    memset(tally, 0, sizeof *tally);
    pthread_mutex_init(&tally->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tally->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void tally_take(struct tally *tally, pay88_status status, pay88_error *error) {
    char message[sizeof tally->message];
    size_t len = 0;
    for (const char *c = pay88_error_message(error).data; *c && len < sizeof message - 1; c++)
        if (!isdigit((unsigned char)*c))
            message[len++] = *c;
    message[len] = 0;
    pthread_mutex_lock(&tally->lock);
    tally->called++;
    if (status == PAY88_OK) {
        CHECK(error == NULL);
        tally->ok++;
    } else {
        CHECK(error != NULL && pay88_error_status(error) == status);
        if (tally->called - tally->ok > 1 &&
            (tally->status != status || tally->attempt != pay88_error_attempt(error) ||
             tally->outcome != pay88_error_outcome(error) || strcmp(tally->message, message) != 0))
            tally->different++;
        tally->status = status;
        tally->outcome = pay88_error_outcome(error);
        tally->attempt = pay88_error_attempt(error);
        memcpy(tally->message, message, len + 1);
    }
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
    pay88_error_release(error);
}

void tally_token(void *tally, pay88_status status, pay88_token *token, pay88_error *error) {
    CHECK((status == PAY88_OK) == (token != NULL));
    CHECK(token == NULL || pay88_token_access_token(token).len > 0);
    tally_take(tally, status, error);
    pay88_token_release(token);
}

void tally_response(void *tally, pay88_status status, pay88_response *response, pay88_error *error) {
    CHECK((status == PAY88_OK) == (response != NULL));
    tally_take(tally, status, error);
    pay88_response_release(response);
}

void tally_destroy(void *user_data) {
    struct tally *tally = user_data;
    pthread_mutex_lock(&tally->lock);
    tally->destroyed++;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

void tally_wait(struct tally *tally, unsigned destroyed, unsigned ms) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    ms *= slow();
    end.tv_sec += ms / 1000;
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&tally->lock);
    while (tally->destroyed < destroyed)
        if (pthread_cond_timedwait(&tally->changed, &tally->lock, &end) == ETIMEDOUT)
            break;
    if (tally->destroyed != destroyed)
        fprintf(stderr, "%u destroyed and %u called, %u wanted\n", tally->destroyed, tally->called, destroyed);
    CHECK(tally->destroyed == destroyed);
    pthread_mutex_unlock(&tally->lock);
}
