/* Scenario steps through pay88.h, on threads where several are at once; with the argument `async` tokens and calls come to
   callbacks, for which these threads wait. See ../README.md. */
#define _POSIX_C_SOURCE 200809L
#include <pay88.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FIELDS 300
#define MOST_MANAGERS 16

/* The scenario asks for something that is none, or there is no memory. */
static _Noreturn void give_up(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(2);
}

/* Text that grows. */
struct text {
    char *data;
    size_t len, size;
};

static void add_bytes(struct text *text, const char *data, size_t len) {
    if (text->len + len + 1 > text->size) {
        text->size = 2 * (text->len + len + 1);
        text->data = realloc(text->data, text->size);
        if (!text->data)
            give_up("no memory");
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = 0;
}

static void add(struct text *text, const char *format, ...) {
    char piece[200];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(piece, sizeof piece, format, values);
    va_end(values);
    if (len < 0 || (size_t)len >= sizeof piece)
        give_up("a piece is too long");
    add_bytes(text, piece, (size_t)len);
}

static void add_json(struct text *text, const char *data, size_t len) {
    add(text, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c == '"' || c == '\\')
            add(text, "\\%c", c);
        else if (c < 0x20)
            add(text, "\\u%04x", c);
        else
            add_bytes(text, data + i, 1);
    }
    add(text, "\"");
}

static void add_str(struct text *text, pay88_str str) { add_json(text, str.data, str.len); }

/* A step: its fields, decoded in place. */
struct step {
    struct field {
        char *name, *value;
        size_t name_len, value_len;
    } fields[MOST_FIELDS];
    size_t count;
};

static size_t decode(char *data) {
    char *out = data;
    for (char *in = data; *in; in++) {
        if (*in == '%' && in[1] && in[2]) {
            char hex[3] = {in[1], in[2], 0};
            *out++ = (char)strtol(hex, NULL, 16);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = 0;
    return (size_t)(out - data);
}

static void read_step(struct step *step, char *line) {
    char *rest = NULL;
    step->count = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *pair = strtok_r(line, "&", &rest); pair; pair = strtok_r(NULL, "&", &rest)) {
        char *equals = strchr(pair, '=');
        if (!equals || step->count == MOST_FIELDS)
            give_up("that is no step");
        *equals = 0;
        struct field *field = &step->fields[step->count++];
        field->name = pair;
        field->value = equals + 1;
        field->name_len = decode(field->name);
        field->value_len = decode(field->value);
    }
}

static const struct field *find(const struct step *step, const char *name) {
    for (size_t i = 0; i < step->count; i++)
        if (strcmp(step->fields[i].name, name) == 0)
            return &step->fields[i];
    return NULL;
}

static const struct field *need(const struct step *step, const char *name) {
    const struct field *field = find(step, name);
    if (!field)
        give_up("the step lacks a field");
    return field;
}

/* The rest of a name below a prefix, or NULL. */
static const char *below(const struct field *field, const char *prefix) {
    size_t len = strlen(prefix);
    return strncmp(field->name, prefix, len) == 0 ? field->name + len : NULL;
}

/* How long that rest is. */
static size_t len_below(const struct field *field, const char *rest) {
    return field->name_len - (size_t)(rest - field->name);
}

static uint64_t timeout_ms(const struct step *step) {
    const struct field *field = find(step, "timeout");
    return field ? (uint64_t)(atof(field->value) * 1000) : 0;
}

static int is_true(const struct step *step, const char *name) {
    const struct field *field = find(step, name);
    return field && strcmp(field->value, "true") == 0;
}

static void add_error(struct text *text, pay88_error *error) {
    add(text, "{\"error\":{\"code\":");
    add_str(text, pay88_error_name(error));
    add(text, ",\"message\":");
    add_str(text, pay88_error_message(error));
    add(text, ",\"hint\":");
    add_str(text, pay88_error_hint(error));
    add(text, ",\"outcome\":");
    add_str(text, pay88_outcome_name((int)pay88_error_outcome(error)));
    add(text, ",\"retryable\":%s", pay88_error_retryable(error) ? "true" : "false");
    if (pay88_error_http_status(error))
        add(text, ",\"http_status\":%u", pay88_error_http_status(error));
    else
        add(text, ",\"http_status\":null");
    if (pay88_error_retry_after_ms(error) >= 0)
        add(text, ",\"retry_after\":%.3f", (double)pay88_error_retry_after_ms(error) / 1000);
    else
        add(text, ",\"retry_after\":null");
    if (pay88_error_attempt(error))
        add(text, ",\"attempt\":%llu", (unsigned long long)pay88_error_attempt(error));
    else
        add(text, ",\"attempt\":null");
    add(text, "}}");
    pay88_error_release(error);
}

static void add_token(struct text *text, pay88_token *token) {
    if (!token) {
        add(text, "null");
        return;
    }
    add(text, "{\"access_token\":");
    add_str(text, pay88_token_access_token(token));
    add(text, ",\"session_id\":");
    add_str(text, pay88_token_session_id(token));
    add(text, ",\"expires_in\":%llu,\"valid_for\":%.3f}", (unsigned long long)pay88_token_expires_in(token),
        (double)pay88_token_valid_for_ms(token) / 1000);
    pay88_token_release(token);
}

static void add_response(struct text *text, pay88_response *response) {
    add(text, "{\"status\":%u,\"headers\":{", pay88_response_status(response));
    for (size_t i = 0; i < pay88_response_header_count(response); i++) {
        pay88_bytes value = pay88_response_header_value(response, i);
        add(text, i ? "," : "");
        add_str(text, pay88_response_header_name(response, i));
        add(text, ":");
        add_json(text, (const char *)value.data, value.len);
    }
    pay88_bytes body = pay88_response_body(response);
    add(text, "},\"body\":");
    add_json(text, (const char *)body.data, body.len);
    add(text, "}");
    pay88_response_release(response);
}

/* Each takes a step and adds what it gives, or fails with an error. */

static pay88_manager *managers[MOST_MANAGERS];
static size_t manager_count;

static pay88_status build(const struct step *step, struct text *given, pay88_error **error) {
    pay88_config *config = pay88_config_new();
    pay88_manager *manager = NULL;
    pay88_status status = PAY88_OK;
    for (size_t i = 0; i < step->count && status == PAY88_OK; i++) {
        const struct field *field = &step->fields[i];
        const char *name = below(field, "option.");
        if (name)
            status = pay88_config_set(config, name, len_below(field, name), field->value, field->value_len, error);
    }
    if (status == PAY88_OK)
        status = pay88_manager_new(config, &manager, error);
    pay88_config_release(config);
    if (status == PAY88_OK) {
        if (manager_count == MOST_MANAGERS)
            give_up("too many managers");
        managers[manager_count++] = manager;
        add(given, "%llu", (unsigned long long)pay88_manager_id(manager));
    }
    return status;
}

/* What a callback got. */
static int through_callbacks;

struct arrival {
    pthread_mutex_t lock;
    pthread_cond_t here;
    int done;
    pay88_status status;
    void *value;
    pay88_error *error;
};

static void arrive(struct arrival *arrival, pay88_status status, void *value, pay88_error *error) {
    pthread_mutex_lock(&arrival->lock);
    arrival->done = 1;
    arrival->status = status;
    arrival->value = value;
    arrival->error = error;
    pthread_cond_signal(&arrival->here);
    pthread_mutex_unlock(&arrival->lock);
}

static void token_arrives(void *data, pay88_status status, pay88_token *token, pay88_error *error) {
    arrive(data, status, token, error);
}

static void response_arrives(void *data, pay88_status status, pay88_response *response, pay88_error *error) {
    arrive(data, status, response, error);
}

/* Waits for what was started, unless that failed. */
static pay88_status await(struct arrival *arrival, pay88_status started, void **value, pay88_error **error) {
    pthread_mutex_lock(&arrival->lock);
    while (started == PAY88_OK && !arrival->done)
        pthread_cond_wait(&arrival->here, &arrival->lock);
    pthread_mutex_unlock(&arrival->lock);
    if (started != PAY88_OK)
        return started;
    *value = arrival->value;
    *error = arrival->error;
    return arrival->status;
}

#define AWAITED {.lock = PTHREAD_MUTEX_INITIALIZER, .here = PTHREAD_COND_INITIALIZER}

static pay88_status get_token(pay88_manager *manager, const struct step *step, struct text *given, pay88_error **error) {
    pay88_token *token = NULL;
    pay88_status status;
    if (through_callbacks) {
        struct arrival arrival = AWAITED;
        void *value = NULL;
        status = pay88_manager_get_token_async(manager, timeout_ms(step), token_arrives, &arrival, NULL, NULL, error);
        status = await(&arrival, status, &value, error);
        token = value;
    } else {
        status = pay88_manager_get_token(manager, timeout_ms(step), NULL, NULL, &token, error);
    }
    if (status == PAY88_OK)
        add_token(given, token);
    return status;
}

static pay88_status peek_token(pay88_manager *manager, const struct step *step, struct text *given, pay88_error **error) {
    (void)step;
    pay88_token *token = NULL;
    pay88_status status = pay88_manager_peek_token(manager, &token, error);
    if (status == PAY88_OK)
        add_token(given, token);
    return status;
}

static pay88_status fill(pay88_request *request, const struct step *step, pay88_error **error) {
    pay88_status status = pay88_request_set_timeout_ms(request, timeout_ms(step), error);
    if (status == PAY88_OK)
        status = pay88_request_set_safe_to_repeat(request, is_true(step, "safe_to_repeat"), error);
    for (size_t i = 0; i < step->count && status == PAY88_OK; i++) {
        const struct field *field = &step->fields[i];
        const char *header = below(field, "header."), *param = below(field, "param.");
        if (header)
            status = pay88_request_add_header(request, header, len_below(field, header), field->value, field->value_len,
                                              error);
        else if (param)
            status = pay88_request_add_param(request, param, len_below(field, param), field->value, field->value_len,
                                             error);
        else if (strcmp(field->name, "body") == 0)
            status = pay88_request_set_body(request, (const uint8_t *)field->value, field->value_len, error);
    }
    return status;
}

static pay88_status send_request(pay88_manager *manager, const struct step *step, struct text *given,
                                 pay88_error **error) {
    const struct field *method = need(step, "method"), *endpoint = need(step, "endpoint");
    pay88_request *request = NULL;
    pay88_response *response = NULL;
    pay88_status status = pay88_request_new(method->value, method->value_len, endpoint->value, endpoint->value_len,
                                            &request, error);
    if (status == PAY88_OK)
        status = fill(request, step, error);
    if (status == PAY88_OK && through_callbacks) {
        struct arrival arrival = AWAITED;
        void *value = NULL;
        status = pay88_manager_send_async(manager, request, response_arrives, &arrival, NULL, NULL, error);
        status = await(&arrival, status, &value, error);
        response = value;
    } else if (status == PAY88_OK) {
        status = pay88_manager_send(manager, request, NULL, NULL, &response, error);
    }
    pay88_request_release(request);
    if (status == PAY88_OK)
        add_response(given, response);
    return status;
}

static pay88_status invalidate(pay88_manager *manager, const struct step *step, struct text *given, pay88_error **error) {
    (void)step;
    bool dropped = false;
    pay88_status status = pay88_manager_invalidate(manager, NULL, &dropped, error);
    add(given, dropped ? "true" : "false");
    return status;
}

static pay88_status rotate(pay88_manager *manager, const struct step *step, struct text *given, pay88_error **error) {
    const struct field *key = need(step, "api_key");
    add(given, "null");
    return pay88_manager_rotate(manager, key->value, key->value_len, is_true(step, "keep_old"), error);
}

static pay88_status close_manager(pay88_manager *manager, const struct step *step, struct text *given,
                                  pay88_error **error) {
    (void)step, (void)error;
    pay88_manager_close(manager);
    add(given, "null");
    return PAY88_OK;
}

static pay88_status stats(pay88_manager *manager, const struct step *step, struct text *given, pay88_error **error) {
    (void)step;
    pay88_stats *stats = NULL;
    pay88_status status = pay88_manager_stats(manager, &stats, error);
    if (status == PAY88_OK) {
        pay88_str json = pay88_stats_json(stats);
        add_bytes(given, json.data, json.len);
        pay88_stats_release(stats);
    }
    return status;
}

static pay88_status take_events(pay88_events *queue, struct text *given, pay88_error **error) {
    static struct text so_far;
    pay88_event *event = NULL;
    pay88_status status;
    while ((status = pay88_events_next(queue, 0, &event, error)) == PAY88_OK && event) {
        pay88_str json = pay88_event_json(event);
        add(&so_far, so_far.len ? "," : "");
        add_bytes(&so_far, json.data, json.len);
        pay88_event_release(event);
        event = NULL;
    }
    add(given, "[");
    add_bytes(given, so_far.data ? so_far.data : "", so_far.len);
    add(given, "]");
    return status;
}

typedef pay88_status (*manager_step)(pay88_manager *, const struct step *, struct text *, pay88_error **);

static const struct {
    const char *name;
    manager_step run;
} STEPS[] = {
    {"get_token", get_token},   {"peek_token", peek_token}, {"request", send_request}, {"invalidate", invalidate},
    {"rotate", rotate},         {"close", close_manager},   {"stats", stats},
};

/* One of those that run at the same moment. */
struct runner {
    pthread_t thread;
    manager_step run;
    pay88_manager *manager;
    const struct step *step;
    pthread_barrier_t *start;
    struct text result;
};

/* Either of the two forms of a result. */
static void add_result(struct text *result, pay88_status status, struct text *given, pay88_error *error) {
    if (status == PAY88_OK) {
        add(result, "{\"ok\":");
        add_bytes(result, given->data, given->len);
        add(result, "}");
    } else {
        add_error(result, error);
    }
    free(given->data);
}

static void *run(void *data) {
    struct runner *runner = data;
    struct text given = {0};
    pay88_error *error = NULL;
    pthread_barrier_wait(runner->start);
    pay88_status status = runner->run(runner->manager, runner->step, &given, &error);
    add_result(&runner->result, status, &given, error);
    return NULL;
}

static void run_at_once(const struct step *step, struct text *results) {
    unsigned times = (unsigned)atoi(need(step, "at_once")->value);
    size_t number = (size_t)atoi(need(step, "manager")->value);
    manager_step chosen = NULL;
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++)
        if (strcmp(need(step, "do")->value, STEPS[i].name) == 0)
            chosen = STEPS[i].run;
    if (!chosen || number >= manager_count || times == 0)
        give_up("there is no such step or manager");
    struct runner *runners = calloc(times, sizeof *runners);
    pthread_barrier_t start;
    if (!runners || pthread_barrier_init(&start, NULL, times))
        give_up("no memory");
    for (unsigned i = 0; i < times; i++) {
        runners[i] = (struct runner){.run = chosen, .manager = managers[number], .step = step, .start = &start};
        if (pthread_create(&runners[i].thread, NULL, run, &runners[i]))
            give_up("no thread");
    }
    for (unsigned i = 0; i < times; i++) {
        pthread_join(runners[i].thread, NULL);
        add(results, i ? "," : "");
        add_bytes(results, runners[i].result.data, runners[i].result.len);
        free(runners[i].result.data);
    }
    pthread_barrier_destroy(&start);
    free(runners);
}

int main(int count, char **arguments) {
    static struct step step;
    through_callbacks = count > 1 && strcmp(arguments[1], "async") == 0;
    if (count > 1 && !through_callbacks)
        give_up("there is no such way");
    pay88_events *queue = NULL;
    if (pay88_events_open(10000, &queue, NULL) != PAY88_OK)
        give_up("no events");
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        struct text results = {0}, given = {0};
        pay88_error *error = NULL;
        read_step(&step, line);
        const char *name = need(&step, "do")->value;
        add(&results, "[");
        if (strcmp(name, "new") == 0) {
            pay88_status status = build(&step, &given, &error);
            add_result(&results, status, &given, error);
        } else if (strcmp(name, "events") == 0) {
            pay88_status status = take_events(queue, &given, &error);
            add_result(&results, status, &given, error);
        } else {
            run_at_once(&step, &results);
        }
        add(&results, "]");
        puts(results.data);
        fflush(stdout);
        free(results.data);
    }
    free(line);
    for (size_t i = 0; i < manager_count; i++)
        pay88_manager_release(managers[i]);
    pay88_events_release(queue);
    return 0;
}
