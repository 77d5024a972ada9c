/* Makes three charges at once in a loop of libuv, and gives up what takes longer than ten seconds.
 * EIGHTY_EIGHT_PAY_API_KEY, EIGHTY_EIGHT_PAY_MERCHANT_ID and EIGHTY_EIGHT_PAY_BASE_URL are set.
 *
 *     cc libuv.c $(pkg-config --cflags --libs pay88 libuv) -Wl,-rpath,$(pkg-config --variable=libdir pay88) && ./a.out
 */
#include <pay88.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define CHARGES 3
#define AT_A_TIME 16
#define GIVE_UP_MS 30000

static pay88_manager *manager;
static pay88_completions *completions;
static uv_poll_t readable;
static uv_timer_t give_up;
static int pending, failures;

static int failed(const char *what, pay88_error *error) {
    fprintf(stderr, "%s: %s: %s\n  %s\n  outcome: %.*s\n", what, pay88_error_name(error).data,
            pay88_error_message(error).data, pay88_error_hint(error).data,
            PAY88_STR(pay88_outcome_name(pay88_error_outcome(error))));
    pay88_error_release(error);
    return 1;
}

/* Begins a charge, whose completion has the order's number. */
static int begin_charge(uint64_t order) {
    static const char endpoint[] = "/api/transactions/charges";
    char body[512];
    int length = snprintf(body, sizeof body,
                          "{\"flow\":\"PAYIN\",\"method_code\":\"CARDS\",\"method_category\":\"CARD\",\"amount\":50000,"
                          "\"currency\":\"COP\",\"country\":\"COL\",\"description\":\"Order %llu\",\"customer_id\":\"customer-1\","
                          "\"notification_url\":\"https://example.com/notify\",\"return_url\":\"https://example.com/return\"}",
                          (unsigned long long)order);
    pay88_error *error = NULL;
    pay88_request *request = NULL;
    pay88_status status = pay88_request_new("POST", 4, endpoint, strlen(endpoint), &request, &error);
    if (status == PAY88_OK)
        status = pay88_request_set_body(request, (const uint8_t *)body, (size_t)length, &error);
    if (status == PAY88_OK)
        status = pay88_manager_send_queued(manager, request, 0, completions, order, NULL, &error);
    pay88_request_release(request);
    return status == PAY88_OK ? 0 : failed("charge", error);
}

/* Says how a charge ended. */
static int end_charge(const pay88_completion *completion) {
    pay88_error *error = completion->error;
    if (completion->status == PAY88_OK) {
        pay88_bytes answer = pay88_response_body(completion->response);
        printf("order %llu: %u\n%.*s\n", (unsigned long long)completion->tag,
               (unsigned)pay88_response_status(completion->response), (int)answer.len, (const char *)answer.data);
        pay88_response_error_for_status(completion->response, &error);
    }
    pay88_response_release(completion->response);
    return error == NULL ? 0 : failed("charge", error);
}

/* Without handles in it the loop ends. */
static void stop(void) {
    uv_close((uv_handle_t *)&readable, NULL);
    uv_close((uv_handle_t *)&give_up, NULL);
}

static void on_readable(uv_poll_t *handle, int broken, int events) {
    pay88_completion taken[AT_A_TIME];
    pay88_error *error = NULL;
    size_t count = 0;
    (void)handle, (void)broken, (void)events;
    /* The rest, if there is more, makes libuv call this again. */
    if (pay88_completions_next(completions, taken, AT_A_TIME, &count, &error) != PAY88_OK) {
        failures += failed("completions", error);
        stop();
        return;
    }
    for (size_t i = 0; i < count; i++, pending--)
        failures += end_charge(&taken[i]);
    if (pending == 0)
        stop();
}

/* Every charge that is pending ends now, with an error that says whether it can have been made. */
static void on_give_up(uv_timer_t *timer) {
    (void)timer;
    pay88_manager_close(manager);
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    pay88_error *error = NULL;
    pay88_config *config = pay88_config_new();
    pay88_status status = pay88_manager_new(config, &manager, &error);
    pay88_config_release(config);
    if (status == PAY88_OK)
        status = pay88_completions_open(&completions, &error);
    if (status != PAY88_OK) {
        pay88_manager_release(manager);
        return failed("start", error);
    }
    uv_poll_init(loop, &readable, pay88_completions_fd(completions));
    uv_poll_start(&readable, UV_READABLE, on_readable);
    uv_timer_init(loop, &give_up);
    uv_timer_start(&give_up, on_give_up, GIVE_UP_MS, 0);

    for (uint64_t order = 1001; order < 1001 + CHARGES; order++) {
        if (begin_charge(order) == 0)
            pending++;
        else
            failures++;
    }
    if (pending == 0)
        stop();
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    pay88_completions_release(completions);
    pay88_manager_release(manager);
    return failures == 0 ? 0 : 1;
}
