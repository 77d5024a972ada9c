/* What every function says when all is well, and what errors, events and statistics tell. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <time.h>

static void the_library_is_the_one_of_the_header(void) {
    CHECK(pay88_abi_version() == PAY88_ABI_VERSION);
    CHECK(pay88_abi_version() >> 16 == 1);
    CHECK(isdigit((unsigned char)pay88_version()[0]) && strchr(pay88_version(), '.') != NULL);
}

static void the_tables_are_whole(void) {
    int has_key = 0, has_timeout = 0, has_issued = 0;
    for (size_t i = 0; i < pay88_option_count(); i++) {
        CHECK(pay88_option_name(i).len && pay88_option_kind(i).len && pay88_option_default(i).len);
        CHECK(pay88_option_summary(i).len);
        has_key |= is(pay88_option_name(i), "api_key") && is(pay88_option_kind(i), "secret");
        has_timeout |= is(pay88_option_name(i), "timeout") && is(pay88_option_default(i), "30");
    }
    CHECK(has_key && has_timeout);
    pay88_status last = PAY88_OK;
    for (size_t i = 0; i < pay88_status_count(); i++) {
        pay88_status status = pay88_status_at(i);
        CHECK(status > last);
        CHECK(pay88_status_name((int)status).len && pay88_status_summary((int)status).len);
        last = status;
    }
    CHECK(is(pay88_status_name(PAY88_RATE_LIMITED), "rate_limited") && is(pay88_status_name(0), "ok"));
    CHECK(is(pay88_outcome_name(PAY88_OUTCOME_NOT_SENT), "not_sent"));
    CHECK(is(pay88_outcome_name(PAY88_OUTCOME_UNKNOWN), "unknown"));
    CHECK(is(pay88_outcome_name(PAY88_OUTCOME_ANSWERED), "answered"));
    for (size_t i = 0; i < pay88_event_kind_count(); i++) {
        CHECK(pay88_event_kind_name(i).len && pay88_event_kind_summary(i).len);
        has_issued |= is(pay88_event_kind_name(i), "token_issued");
    }
    CHECK(has_issued);
}

static void a_token_is_cached_and_seen(void) {
    reset();
    pay88_manager *manager = fresh_manager();
    pay88_token *token = (pay88_token *)1, *again = NULL;
    OK(pay88_manager_peek_token(manager, &token, &error));
    CHECK(token == NULL);
    const uint64_t *word = pay88_manager_generation_word(manager);
    pay88_current current = {1, 1, 1, 1};
    CHECK(word != NULL && pay88_manager_current(manager) == 0);
    CHECK(pay88_manager_current_until(manager, &current) == 0);
    CHECK(current.generation == 0 && current.word == 0 && current.monotonic_until == 0 && current.realtime_until == 0);
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    CHECK(pay88_manager_current(manager) == 1 && pay88_manager_current_until(manager, &current) == 1);
    CHECK(current.generation == 1 && __atomic_load_n(word, __ATOMIC_ACQUIRE) == current.word);
    struct timespec now;
    uint64_t left = pay88_token_valid_for_ms(token) * 1000000;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    CHECK(current.realtime_until - (uint64_t)now.tv_sec * 1000000000 <= left + 2000000000);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    /* It is renewed before it ends. */
    CHECK(current.monotonic_until - (uint64_t)now.tv_sec * 1000000000 <= left - 1000000000);
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &again, &error));
    CHECK(pay88_token_generation(token) == 1 && pay88_token_generation(again) == 1);
    CHECK(pay88_token_expires_in(token) == 60);
    CHECK(pay88_token_valid_for_ms(token) > (slow() > 1 ? 20000 : 40000) && pay88_token_valid_for_ms(token) <= 50000);
    CHECK(pay88_token_access_token(token).len > 20 && pay88_token_session_id(token).len > 5);
    CHECK(memcmp(pay88_token_session_id(token).data, "sess_", 5) == 0);
    pay88_token_release(again);
    OK(pay88_manager_peek_token(manager, &again, &error));
    CHECK(again != NULL && pay88_token_generation(again) == 1);
    CHECK(counter("tokens_requested") == 1);

    /* Dropping it, and then only the one that was meant. */
    bool dropped = false;
    OK(pay88_manager_invalidate(manager, NULL, &dropped, &error));
    CHECK(dropped);
    CHECK(__atomic_load_n(word, __ATOMIC_ACQUIRE) != current.word);
    CHECK(pay88_manager_current(manager) == 0 && pay88_manager_current_until(manager, &current) == 0);
    CHECK(current.word == 0);
    OK(pay88_manager_invalidate(manager, token, &dropped, &error));
    CHECK(!dropped);
    pay88_token_release(again);
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &again, &error));
    CHECK(pay88_token_generation(again) == 2);
    OK(pay88_manager_invalidate(manager, token, &dropped, &error));
    CHECK(!dropped);
    EXPECT(PAY88_RATE_LIMITED, pay88_manager_invalidate(manager, again, &dropped, &error));
    pay88_token_release(token);

    /* Another manager's token of the same generation is none of this one's. */
    pay88_manager *other = fresh_manager();
    OK(pay88_manager_get_token(other, 0, NULL, NULL, &token, &error));
    pay88_token_release(token);
    OK(pay88_manager_invalidate(other, NULL, &dropped, &error));
    CHECK(dropped);
    OK(pay88_manager_get_token(other, 0, NULL, NULL, &token, &error));
    CHECK(pay88_token_generation(token) == pay88_token_generation(again));
    OK(pay88_manager_invalidate(manager, token, &dropped, &error));
    CHECK(!dropped);
    pay88_manager_release(other);
    pay88_token_release(token);
    pay88_token_release(again);
    pay88_manager_release(manager);
}

/* As the header says that a program keeps it. */
struct kept {
    pay88_current current;
    pay88_token *token;
};

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static pay88_token *use(pay88_manager *manager, struct kept *kept) {
    const uint64_t *word = pay88_manager_generation_word(manager);
    uint64_t number = kept->token ? pay88_token_generation(kept->token) : 0;
    if (kept->token && kept->current.generation == number && kept->current.word == __atomic_load_n(word, __ATOMIC_ACQUIRE) &&
        nanoseconds(CLOCK_MONOTONIC) < kept->current.monotonic_until &&
        nanoseconds(CLOCK_REALTIME) < kept->current.realtime_until)
        return kept->token;
    if (pay88_manager_current_until(manager, &kept->current) == number && kept->token)
        return kept->token;
    pay88_token_release(kept->token);
    kept->token = NULL;
    if (kept->current.generation)
        OK(pay88_manager_peek_token(manager, &kept->token, &error));
    if (kept->token == NULL)
        OK(pay88_manager_get_token(manager, 0, NULL, NULL, &kept->token, &error));
    return kept->token;
}

static void a_program_that_keeps_its_token_as_the_header_says_always_has_the_one_to_use(void) {
    reset();
    pay88_manager *manager = fresh_manager();
    struct kept kept = {0};
    bool dropped = false;
    /* None is there yet, and none is current: it is asked for. */
    pay88_token *first = use(manager, &kept);
    CHECK(first != NULL && pay88_token_generation(first) == 1);
    CHECK(use(manager, &kept) == first && use(manager, &kept) == first);
    CHECK(kept.current.generation == 1 && counter("tokens_requested") == 1);
    /* Dropped by another handle's call, say. */
    OK(pay88_manager_invalidate(manager, NULL, &dropped, &error));
    CHECK(dropped);
    CHECK(pay88_token_generation(use(manager, &kept)) == 2 && counter("tokens_requested") == 2);
    /* Given up by the program alone. */
    pay88_token_release(kept.token);
    kept.token = NULL;
    CHECK(pay88_token_generation(use(manager, &kept)) == 2 && counter("tokens_requested") == 2);
    pay88_token_release(kept.token);
    pay88_manager_release(manager);
}

static void handles_of_the_same_credentials_share_a_manager(void) {
    pay88_manager *one = NULL, *two = NULL, *other = fresh_manager();
    pay88_config *config = fresh_config();
    OK(pay88_manager_new(config, &one, &error));
    set(config, "timeout", "2.5");
    OK(pay88_manager_new(config, &two, &error));
    CHECK(pay88_manager_id(one) == pay88_manager_id(two) && pay88_manager_id(one) != pay88_manager_id(other));
    CHECK(is(pay88_manager_merchant_id(one), "MCH-COL-TEST-12345"));
    CHECK(pay88_manager_timeout_ms(one) == 30000 && pay88_manager_timeout_ms(two) == 2500 && pay88_manager_timeout_ms(NULL) == 0);
    CHECK(is(pay88_manager_base_url(one), getenv("EIGHTY_EIGHT_PAY_BASE_URL")));
    pay88_manager_close(one);
    CHECK(pay88_manager_is_closed(one) && !pay88_manager_is_closed(two));
    set(config, "ca_bundle", "/nowhere/at/all.pem");
    pay88_manager *third = NULL;
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_new(config, &third, &error));
    CHECK(third == NULL);
    pay88_config_release(config);
    pay88_manager_release(one);
    pay88_manager_release(two);
    pay88_manager_release(other);
}

static void the_environment_may_be_left_out(void) {
    pay88_config *config = pay88_config_new_without_environment();
    pay88_manager *manager = NULL;
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_new(config, &manager, &error));
    pay88_config_release(config);
    config = pay88_config_new();
    OK(pay88_manager_new(config, &manager, &error));
    pay88_config_release(config);
    pay88_manager_release(manager);
}

static void set_variable(pay88_config *config, const char *name, const char *value) {
    OK(pay88_config_set_variable(config, name, strlen(name), value, strlen(value), &error));
}

static void an_environment_of_ones_own_takes_the_place_of_the_other(void) {
    pay88_config *config = pay88_config_new_without_environment();
    pay88_manager *manager = NULL;
    set_variable(config, "EIGHTY_EIGHT_PAY_API_KEY", "sk_test_sandbox_of_its_own");
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_new(config, &manager, &error));
    set_variable(config, "EIGHTY_EIGHT_PAY_MERCHANT_ID", "MCH-COL-OTHER-1");
    set_variable(config, "EIGHTY_EIGHT_PAY_SHARE", "process");
    set_variable(config, "PATH", "/bin");
    OK(pay88_manager_new(config, &manager, &error));
    CHECK(is(pay88_manager_merchant_id(manager), "MCH-COL-OTHER-1"));
    CHECK(is(pay88_manager_base_url(manager), "https://api-sandbox.88pay.io"));
    EXPECT(PAY88_CONFIG_INVALID, pay88_config_set_variable(config, "\xff", 1, "", 0, &error));
    /* Any bytes may be in an environment; those that matter are refused by their name. */
    set_variable(config, "A", "\xff");
    set_variable(config, "EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX", "shop \xff");
    pay88_manager *none = NULL;
    pay88_error *error = NULL;
    CHECK(pay88_manager_new(config, &none, &error) == PAY88_CONFIG_INVALID);
    CHECK(strstr(pay88_error_message(error).data, "EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX") != NULL);
    CHECK(none == NULL);
    pay88_error_release(error);
    EXPECT(PAY88_CONFIG_INVALID, pay88_config_set_variable(NULL, "A", 1, "", 0, &error));
    pay88_config_release(config);
    pay88_manager_release(manager);
}

static void whom_to_trust_is_no_business_of_an_environment_that_is_left_out(void) {
    const char *url = getenv("EIGHTY_EIGHT_PAY_BASE_URL"), *ca = getenv("EIGHTY_EIGHT_PAY_CA_BUNDLE");
    CHECK(url != NULL);
    /* Over plain http nobody is trusted. */
    if (strncmp(url, "http:", 5) == 0)
        return;
    CHECK(ca != NULL && setenv("SSL_CERT_FILE", ca, 1) == 0);
    pay88_config *config = pay88_config_new_without_environment();
    pay88_manager *manager = NULL;
    pay88_token *token = NULL;
    set(config, "api_key", "sk_test_sandbox_of_no_environment");
    set(config, "merchant_id", "MCH-COL-1");
    set(config, "base_url", url);
    set(config, "share", "process");
    pay88_error *error = NULL;
    pay88_status status = pay88_manager_new(config, &manager, &error);
    /* A machine without any certificate of its own is told at once. */
    if (status == PAY88_OK)
        status = pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error);
    CHECK(status == PAY88_TLS_FAILED || strstr(pay88_error_message(error).data, "no usable certificate") != NULL);
    CHECK(unsetenv("SSL_CERT_FILE") == 0);
    pay88_error_release(error);
    pay88_config_release(config);
    pay88_manager_release(manager);
}

static int contains(pay88_bytes text, const char *part) {
    size_t len = strlen(part);
    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.data + i, part, len) == 0)
            return 1;
    return 0;
}

static void a_request_arrives_as_it_was_made(void) {
    pay88_manager *manager = fresh_manager();
    pay88_request *request = request_of("PUT", "/api/echo?a=1", "{\"text\":\"caf\303\251\"}");
    pay88_response *response = NULL;
    OK(pay88_request_add_param(request, "b c", 3, "d&e", 3, &error));
    OK(pay88_request_add_header(request, "X-Test", 6, "yes", 3, &error));
    OK(pay88_request_set_timeout_ms(request, 20000, &error));
    OK(pay88_request_set_safe_to_repeat(request, 1, &error));
    /* The same request, twice. */
    for (int i = 0; i < 2; i++) {
        OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
        pay88_bytes body = pay88_response_body(response);
        CHECK(pay88_response_status(response) == 200);
        CHECK(contains(body, "/api/echo?a=1&b") && contains(body, "d%26e"));
        CHECK(contains(body, "\"x-test\":\"yes\"") && contains(body, "\"PUT\"") && contains(body, "caf\303\251"));
        CHECK(contains(body, "\"content-type\":\"application/json\""));
        CHECK(strlen((const char *)body.data) == body.len);
        pay88_bytes type = pay88_response_header(response, "CONTENT-TYPE", 12);
        CHECK(contains(type, "application/json"));
        CHECK(pay88_response_header(response, "x-none", 6).len == 0);
        int found = 0;
        for (size_t k = 0; k < pay88_response_header_count(response); k++)
            if (is(pay88_response_header_name(response, k), "content-type"))
                found += pay88_response_header_value(response, k).len == type.len;
        CHECK(found == 1);
        OK(pay88_response_error_for_status(response, &error));
        pay88_response_release(response);
    }
    pay88_request_release(request);
    pay88_manager_release(manager);
}

static void a_body_of_any_bytes_and_size_comes_and_goes_with_a_nul_behind_it(void) {
    pay88_manager *manager = fresh_manager();
    static const size_t sizes[] = {3000000, 65536, 65535, 1, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "/api/bytes/%zu", sizes[i]);
        pay88_request *request = request_of("GET", endpoint, NULL);
        pay88_response *response = NULL;
        OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
        pay88_bytes body = pay88_response_body(response);
        CHECK(body.len == sizes[i] && body.data != NULL && body.data[body.len] == 0);
        pay88_response_release(response);
        pay88_request_release(request);
    }
    pay88_manager_release(manager);
}

static void an_error_says_what_is_known(void) {
    pay88_manager *manager = fresh_manager();
    pay88_request *request = request_of("GET", "/api/status/422", NULL);
    pay88_response *response = NULL;
    pay88_error *error = NULL;
    OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
    CHECK(pay88_response_status(response) == 422);
    CHECK(pay88_response_error_for_status(response, &error) == PAY88_HTTP_ERROR);
    CHECK(pay88_error_status(error) == PAY88_HTTP_ERROR && pay88_error_http_status(error) == 422);
    CHECK(is(pay88_error_name(error), "http_error") && pay88_error_outcome(error) == PAY88_OUTCOME_ANSWERED);
    CHECK(pay88_error_retry_after_ms(error) == -1 && pay88_error_attempt(error) == 0 && !pay88_error_retryable(error));
    CHECK(strlen(pay88_error_message(error).data) == pay88_error_message(error).len);
    CHECK(strlen(pay88_error_hint(error).data) == pay88_error_hint(error).len && pay88_error_hint(error).len > 0);
    const char *json = pay88_error_json(error).data;
    CHECK(strlen(json) == pay88_error_json(error).len && json == pay88_error_json(error).data && json[0] == '{');
    static const char *const PARTS[] = {"\"status\":402", "\"name\":\"http_error\"", "\"http_status\":422",
                                        "\"retry_after_ms\":null", "\"retryable\":false", "\"outcome\":\"answered\"",
                                        "\"attempt\":null", "\"message\":\"", "\"hint\":\""};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        CHECK(strstr(json, PARTS[i]) != NULL);
    pay88_error_release(error);
    pay88_response_release(response);
    pay88_request_release(request);

    /* Refused here, with the time to come back and the attempt. */
    pay88_manager *limited = fresh_manager();
    pay88_token *token = NULL;
    fault("{\"on\":\"token\",\"action\":{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"60\"]]}}}");
    CHECK(pay88_manager_get_token(limited, 0, NULL, NULL, &token, &error) == PAY88_RATE_LIMITED);
    CHECK(pay88_error_retry_after_ms(error) > (slow() > 1 ? 30000 : 50000) && pay88_error_retry_after_ms(error) <= 60000);
    CHECK(pay88_error_attempt(error) == 1 && pay88_error_retryable(error) && pay88_error_http_status(error) == 429);
    json = pay88_error_json(error).data;
    CHECK(strstr(json, "\"retry_after_ms\":") != NULL && strstr(json, "\"retry_after_ms\":null") == NULL);
    CHECK(strstr(json, "\"attempt\":1") != NULL && strstr(json, "\"retryable\":true") != NULL);
    pay88_error_release(error);
    pay88_manager_release(limited);
    pay88_manager_release(manager);
}

static void *stores_one(void *flag) {
    sleep_ms(150);
    atomic_store((atomic_int *)flag, 1);
    return NULL;
}

static void a_number_interrupts_a_call(void) {
    static atomic_int flag;
    pthread_t thread;
    pay88_manager *manager = fresh_manager();
    pay88_request *request = request_of("GET", "/api/flag", NULL);
    pay88_response *response = NULL;
    OK(pay88_manager_send(manager, request, pay88_interrupt_flag, &flag, &response, &error));
    pay88_response_release(response);
    response = NULL;
    fault("{\"on\":{\"path\":\"/api/flag\"},\"action\":\"stall_in_body\"}");
    unsigned long begun = millis();
    CHECK(pthread_create(&thread, NULL, stores_one, &flag) == 0);
    EXPECT(PAY88_CANCELED, pay88_manager_send(manager, request, pay88_interrupt_flag, &flag, &response, &error));
    CHECK(response == NULL && millis() - begun >= 150);
    CHECK(pthread_join(thread, NULL) == 0);
    /* Any other number than 0 does. */
    flag = -1;
    CHECK(pay88_interrupt_flag(&flag) == -1);
    flag = 0;
    CHECK(pay88_interrupt_flag(&flag) == 0);
    pay88_request_release(request);
    pay88_manager_release(manager);
}

static void a_key_can_be_replaced(void) {
    static const char bad[] = "no_key", good[] = "sk_test_sandbox_0011223344556677";
    reset();
    free(control("POST", "/keys", "{\"merchant_id\":\"MCH-COL-TEST-12345\",\"key\":\"sk_test_sandbox_0011223344556677\"}"));
    pay88_manager *manager = fresh_manager();
    pay88_token *token = NULL;
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_rotate(manager, bad, strlen(bad), 0, &error));
    OK(pay88_manager_rotate(manager, good, strlen(good), 1, &error));
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    char *log = control("GET", "/log", NULL);
    CHECK(strstr(log, "6677") != NULL);
    free(log);
    pay88_token_release(token);
    pay88_manager_release(manager);
}

static void events_and_statistics_tell_what_happened(void) {
    pay88_events *events = NULL;
    pay88_event *event = (pay88_event *)1;
    pay88_stats *stats = NULL;
    pay88_token *token = NULL;
    OK(pay88_events_open(100, &events, &error));
    OK(pay88_events_next(events, 0, &event, &error));
    CHECK(event == NULL);
    unsigned long begun = millis();
    OK(pay88_events_next(events, 100, &event, &error));
    CHECK(event == NULL && millis() - begun >= 100);
    pay88_manager *manager = fresh_manager();
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    pay88_token_release(token);
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    struct pollfd readable = {.fd = pay88_events_fd(events), .events = POLLIN};
    CHECK(readable.fd >= 3 && pay88_events_fd(events) == readable.fd);
    CHECK(fcntl(readable.fd, F_GETFD) & FD_CLOEXEC && fcntl(readable.fd, F_GETFL) & O_NONBLOCK);
    CHECK(poll(&readable, 1, 20000) == 1);
    OK(pay88_events_next(events, 0, &event, &error));
    CHECK(event != NULL && is(pay88_event_name(event), "token_issued"));
    CHECK(pay88_event_manager_id(event) == pay88_manager_id(manager));
    CHECK(pay88_event_time(event) / 1000 + 100 > (unsigned long)time(NULL));
    CHECK(strstr(pay88_event_json(event).data, "\"generation\":1") != NULL);
    CHECK(pay88_event_json(event).len == strlen(pay88_event_json(event).data));
    pay88_event_release(event);
    /* Not of a renewal, which comes later. */
    CHECK(poll(&readable, 1, 0) == 0);
    pay88_events_release(events);
    CHECK(fcntl(readable.fd, F_GETFD) == -1);

    pay88_manager_count_uses(manager, 1000);
    OK(pay88_manager_stats(manager, &stats, &error));
    CHECK(pay88_stats_value(stats, "tokens_issued", 13) == 1 && pay88_stats_value(stats, "hits", 4) >= 1001);
    CHECK(pay88_stats_value(stats, "manager_id", 10) == (double)pay88_manager_id(manager));
    CHECK(pay88_stats_value(stats, "token_valid_for", 15) > (slow() > 1 ? 20 : 40));
    CHECK(pay88_stats_value(stats, "token_age", 9) >= 0 && pay88_stats_value(stats, "budget_split", 12) == 1);
    CHECK(isnan(pay88_stats_value(stats, "no_such", 7)));
    CHECK(strstr(pay88_stats_json(stats).data, "\"budget_left_hour\":99") != NULL);
    pay88_stats_release(stats);
    pay88_token_release(token);
    pay88_manager_release(manager);
}

int main(void) {
    the_library_is_the_one_of_the_header();
    the_tables_are_whole();
    a_token_is_cached_and_seen();
    a_program_that_keeps_its_token_as_the_header_says_always_has_the_one_to_use();
    handles_of_the_same_credentials_share_a_manager();
    the_environment_may_be_left_out();
    an_environment_of_ones_own_takes_the_place_of_the_other();
    whom_to_trust_is_no_business_of_an_environment_that_is_left_out();
    a_request_arrives_as_it_was_made();
    a_body_of_any_bytes_and_size_comes_and_goes_with_a_nul_behind_it();
    an_error_says_what_is_known();
    a_number_interrupts_a_call();
    a_key_can_be_replaced();
    events_and_statistics_tell_what_happened();
    return 0;
}
