/* A thread that is canceled inside of the library ends after the call, at its next cancellation point. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <time.h>

#define STALLS "{\"on\":{\"path\":\"/api/stalls\"},\"times\":null,\"action\":{\"delay\":{\"seconds\":0.7}}}"

static pay88_config *config;
static pay88_manager *manager;
static pay88_events *events;

static pay88_request *slow_request(void) { return request_of("GET", "/api/stalls", NULL); }

/* --- Canceled in the middle of a call that waits --------------------------------------------------------------------- */

static pay88_status waits_for_token(void) {
    pay88_token *token = NULL;
    pay88_status status = pay88_manager_get_token(manager, 0, NULL, NULL, &token, NULL);
    pay88_token_release(token);
    return status;
}

static pay88_status waits_for_answer(void) {
    pay88_request *request = slow_request();
    pay88_response *response = NULL;
    pay88_status status = pay88_manager_send(manager, request, NULL, NULL, &response, NULL);
    pay88_response_release(response);
    pay88_request_release(request);
    return status;
}

static int goes_on(void *data) { return *(int *)data; }

static pay88_status waits_with_interrupt(void) {
    int stop = 0;
    pay88_request *request = slow_request();
    pay88_response *response = NULL;
    pay88_status status = pay88_manager_send(manager, request, goes_on, &stop, &response, NULL);
    pay88_response_release(response);
    pay88_request_release(request);
    return status;
}

static pay88_status waits_for_event(void) {
    pay88_event *event = NULL;
    pay88_status status = pay88_events_next(events, 700, &event, NULL);
    pay88_event_release(event);
    return status;
}

struct waiting {
    const char *name;
    pay88_status (*wait)(void);
    /* What the sandbox counts when it waits. */
    const char *counted;
};

static const struct waiting WAITING[] = {
    {"get_token", waits_for_token, "tokens_requested"},
    {"send", waits_for_answer, "calls"},
    {"send with an interrupt", waits_with_interrupt, "calls"},
    {"events_next", waits_for_event, NULL},
};

static int returned, cleaned_up, went_on;
static unsigned long ended;

static void clean_up(void *data) {
    (void)data;
    cleaned_up = 1;
}

static void *call_and_end(void *data) {
    const struct waiting *waiting = data;
    pthread_cleanup_push(clean_up, NULL);
    returned = waiting->wait() == PAY88_OK;
    ended = millis();
    pthread_testcancel();
    went_on = 1;
    pthread_cleanup_pop(0);
    return NULL;
}

/* Whether it was canceled in time. A machine that stands still as long as the call takes is too late. */
static int canceled_in(const struct waiting *waiting) {
    pthread_t thread;
    void *result = NULL;
    returned = cleaned_up = went_on = 0;
    long before = waiting->counted != NULL ? counter(waiting->counted) : 0;
    unsigned long begun = millis();
    CHECK(pthread_create(&thread, NULL, call_and_end, (void *)waiting) == 0);
    if (waiting->counted == NULL)
        sleep_ms(200);
    else
        while (counter(waiting->counted) == before)
            CHECK(millis() < begun + 20000ul * slow());
    CHECK(pthread_cancel(thread) == 0);
    unsigned long canceled = millis();
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(returned);
    if (ended <= canceled)
        return 0;
    CHECK(result == PTHREAD_CANCELED);
    CHECK(cleaned_up && !went_on);
    CHECK(millis() - begun >= 500);
    printf("  %s\n", waiting->name);
    return 1;
}

static void a_thread_canceled_in_a_call_ends_after_it(const struct waiting *waiting) {
    for (int tries = 1; !canceled_in(waiting); tries++) {
        CHECK(tries < 10);
        pay88_manager_release(manager);
        manager = fresh_manager();
    }
}

/* --- Canceled before: every function meets it, and none acts upon it -------------------------------------------------- */

static struct tally tally;

static void *calls_all(void *data) {
    pay88_manager *own = NULL;
    pay88_token *token = NULL;
    pay88_stats *stats = NULL;
    pay88_event *event = NULL;
    pay88_response *response = NULL;
    pay88_call *call = NULL;
    pay88_completions *completions = NULL;
    pay88_completion taken[2];
    size_t count = 0;
    bool dropped = false;
    struct timespec now, end;
    int *done = data;
    CHECK(pthread_cancel(pthread_self()) == 0);
    pay88_config *other = pay88_config_new();
    pay88_request *request = slow_request();
    OK(pay88_manager_new(config, &own, &error));
    OK(pay88_manager_get_token(own, 0, NULL, NULL, &token, &error));
    pay88_token_release(token);
    /* The first call, with an event that waits: it writes to the descriptor. */
    CHECK(pay88_events_fd(events) > 2);
    OK(pay88_manager_send(own, request, NULL, NULL, &response, &error));
    pay88_response_release(response);
    OK(pay88_manager_send_async(own, request, tally_response, &tally, tally_destroy, &call, &error));
    pay88_call_cancel(call);
    pay88_call_release(call);
    OK(pay88_manager_get_token_async(own, 0, tally_token, &tally, tally_destroy, NULL, &error));
    OK(pay88_completions_open(&completions, &error));
    OK(pay88_manager_send_queued(own, request, 0, completions, 1, NULL, &error));
    OK(pay88_manager_get_token_queued(own, 0, completions, 2, NULL, &error));
    /* The token is used for a second, and its renewal begins in one of these. */
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 2;
    do {
        OK(pay88_manager_get_token(own, 0, NULL, NULL, &token, &error));
        pay88_token_release(token);
        pay88_manager_current(own);
        pay88_current current;
        pay88_manager_current_until(own, &current);
        pay88_manager_count_uses(own, 1);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
    OK(pay88_manager_peek_token(own, &token, &error));
    pay88_token_release(token);
    OK(pay88_manager_stats(own, &stats, &error));
    pay88_stats_release(stats);
    OK(pay88_manager_invalidate(own, NULL, &dropped, &error));
    OK(pay88_manager_rotate(own, "sk_test_sandbox_of_cancel", 25, 1, &error));
    OK(pay88_events_next(events, 0, &event, &error));
    pay88_event_release(event);
    /* To sleep would be a cancellation point. */
    for (unsigned long limit = millis() + 30000, came = 0; came < 2; came += count) {
        CHECK(millis() < limit);
        OK(pay88_completions_next(completions, taken, 2, &count, &error));
        for (size_t i = 0; i < count; i++) {
            pay88_token_release(taken[i].token);
            pay88_response_release(taken[i].response);
        }
    }
    pay88_completions_release(completions);
    pay88_manager_close(own);
    pay88_manager_release(own);
    pay88_request_release(request);
    pay88_config_release(other);
    pay88_config_release(config);
    pay88_events_release(events);
    *done = 1;
    pthread_testcancel();
    *done = 2;
    return NULL;
}

static void a_canceled_thread_may_call_everything_and_ends_after_it(void) {
    pthread_t thread;
    void *result = NULL;
    int done = 0;
    config = fresh_config();
    set(config, "tokens_per_minute", "1000");
    set(config, "tokens_per_hour", "10000");
    switches("{\"expires_in\":11,\"tokens_per_minute\":0,\"tokens_per_hour\":0}");
    tally_init(&tally);
    CHECK(pthread_create(&thread, NULL, calls_all, &done) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED && done == 1);
    tally_wait(&tally, 2, 10000);
    printf("  every function, with %ld tokens\n", counter("tokens_issued"));
    CHECK(counter("tokens_issued") >= 2);
}

int main(void) {
    OK(pay88_events_open(1000, &events, &error));
    reset();
    switches("{\"token_delay\":0.7}");
    manager = fresh_manager();
    fault(STALLS);
    a_thread_canceled_in_a_call_ends_after_it(&WAITING[0]);
    switches("{\"token_delay\":0}");
    a_thread_canceled_in_a_call_ends_after_it(&WAITING[1]);
    a_thread_canceled_in_a_call_ends_after_it(&WAITING[2]);
    for (pay88_event *event = NULL;; pay88_event_release(event)) {
        OK(pay88_events_next(events, 0, &event, &error));
        if (event == NULL)
            break;
    }
    a_thread_canceled_in_a_call_ends_after_it(&WAITING[3]);
    /* What the canceled calls held is as it was. */
    CHECK(waits_for_token() == PAY88_OK && waits_for_answer() == PAY88_OK);
    pay88_manager_release(manager);
    a_canceled_thread_may_call_everything_and_ends_after_it();
    return 0;
}
