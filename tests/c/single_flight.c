/* However many wait for a token, one is asked for; a failure is told to all alike; who gives up leaves the others alone. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

/* A slow machine has fewer, so that all come before the token does. */
#define MOST_THREADS 200
#define THREADS (MOST_THREADS / (slow() > 1 ? 4 : 1))
#define CALLS (5 * THREADS)
/* A caller who gives up may be that late on a busy machine, in milliseconds. The token comes later. */
#define LATE 4000

struct waiter {
    pay88_manager *manager;
    struct tally *tally;
    pthread_barrier_t *start;
};

static void *wait_for_token(void *data) {
    struct waiter *waiter = data;
    pay88_token *token = NULL;
    pay88_error *error = NULL;
    pthread_barrier_wait(waiter->start);
    pay88_status status = pay88_manager_get_token(waiter->manager, 60000, NULL, NULL, &token, &error);
    tally_token(waiter->tally, status, token, error);
    tally_destroy(waiter->tally);
    return NULL;
}

/* All at once at an empty cache: threads with one manager, asynchronous calls with another. Gives the token requests of
 * both. */
static long all_at_once(struct tally *threads, struct tally *calls) {
    static pthread_t ids[MOST_THREADS];
    pthread_barrier_t start;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    pthread_barrier_init(&start, NULL, THREADS);
    tally_init(threads);
    tally_init(calls);

    long before = counter("tokens_requested");
    pay88_manager *managers[] = {fresh_manager(), fresh_manager()};
    struct waiter waiter = {managers[0], threads, &start};
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_create(&ids[i], &small, wait_for_token, &waiter) == 0);
    for (unsigned i = 0; i < CALLS; i++)
        OK(pay88_manager_get_token_async(managers[1], 60000, tally_token, calls, tally_destroy, NULL, &error));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tally_wait(calls, CALLS, 60000);
    CHECK(threads->called == THREADS && calls->called == CALLS);
    pay88_manager_release(managers[0]);
    pay88_manager_release(managers[1]);
    pthread_barrier_destroy(&start);
    pthread_attr_destroy(&small);
    return counter("tokens_requested") - before;
}

static void one_token_serves_all_who_wait(void) {
    struct tally threads, calls;
    reset();
    switches("{\"token_delay\":0.5}");
    long requests = all_at_once(&threads, &calls);
    switches("{\"token_delay\":0}");
    CHECK(threads.ok == THREADS && calls.ok == CALLS);
    CHECK(requests == 2);
}

/* With so many requests for each manager. */
static void a_failure_is_told_to_all_alike(const char *action, pay88_status status, long wanted) {
    struct tally threads, calls;
    char json[200];
    reset();
    snprintf(json, sizeof json, "{\"on\":\"token\",\"times\":null,\"action\":%s}", action);
    fault(json);
    /* All are there before the answer is. Who comes much later than a failure asks for himself. */
    switches("{\"token_delay\":2}");
    unsigned long begun = millis();
    long requests = all_at_once(&threads, &calls);
    switches("{\"token_delay\":0}");
    printf("  %s: %.*s, %ld requests, %lu ms\n", action, PAY88_STR(pay88_status_name((int)threads.status)), requests,
           millis() - begun);
    CHECK(threads.ok == 0 && calls.ok == 0);
    CHECK(threads.status == status && calls.status == status);
    CHECK(threads.different == 0 && calls.different == 0);
    CHECK(threads.outcome == PAY88_OUTCOME_NOT_SENT && calls.outcome == PAY88_OUTCOME_NOT_SENT);
    CHECK(requests == 2 * wanted);
}

static int stop_at(void *data) { return millis() >= *(unsigned long *)data; }

static void *interrupted_waiter(void *manager) {
    unsigned long stop = millis() + 100;
    pay88_token *token = NULL;
    EXPECT(PAY88_CANCELED, pay88_manager_get_token(manager, 60000, stop_at, &stop, &token, &error));
    CHECK(token == NULL && millis() < stop + LATE);
    return NULL;
}

static void *impatient_waiter(void *manager) {
    unsigned long begun = millis();
    pay88_token *token = NULL;
    EXPECT(PAY88_TIMEOUT, pay88_manager_get_token(manager, 200, NULL, NULL, &token, &error));
    unsigned long took = millis() - begun;
    CHECK(token == NULL && took >= 200 && took < 200 + LATE);
    return NULL;
}

static void who_gives_up_leaves_the_others_served(void) {
    pthread_t others[20], interrupted, impatient;
    pthread_barrier_t start;
    struct tally served, canceled;
    pay88_call *call = NULL;
    reset();
    switches("{\"token_delay\":6}");
    tally_init(&served);
    tally_init(&canceled);
    pthread_barrier_init(&start, NULL, 20);
    pay88_manager *manager = fresh_manager();
    struct waiter waiter = {manager, &served, &start};
    /* The first to come is one that leaves, so that it is the refresh's initiator. */
    CHECK(pthread_create(&interrupted, NULL, interrupted_waiter, manager) == 0);
    sleep_ms(20);
    CHECK(pthread_create(&impatient, NULL, impatient_waiter, manager) == 0);
    for (int i = 0; i < 20; i++)
        CHECK(pthread_create(&others[i], NULL, wait_for_token, &waiter) == 0);
    OK(pay88_manager_get_token_async(manager, 0, tally_token, &canceled, tally_destroy, &call, &error));
    sleep_ms(50);
    pay88_call_cancel(call);
    pay88_call_release(call);
    tally_wait(&canceled, 1, LATE);
    CHECK(canceled.called == 1 && canceled.status == PAY88_CANCELED);
    CHECK(canceled.outcome == PAY88_OUTCOME_NOT_SENT);
    pthread_join(interrupted, NULL);
    pthread_join(impatient, NULL);
    CHECK(served.called == 0);
    for (int i = 0; i < 20; i++)
        pthread_join(others[i], NULL);
    switches("{\"token_delay\":0}");
    CHECK(served.ok == 20);
    CHECK(counter("tokens_requested") == 1);
    pthread_barrier_destroy(&start);
    pay88_manager_release(manager);
}

int main(void) {
    one_token_serves_all_who_wait();
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":401}}", PAY88_CREDENTIALS_REJECTED, 1);
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":403}}", PAY88_ACCESS_DENIED, 1);
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"60\"]]}}",
                                   PAY88_RATE_LIMITED, 1);
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":500}}", PAY88_BAD_RESPONSE, 1);
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":502}}", PAY88_BAD_RESPONSE, 2);
    a_failure_is_told_to_all_alike("{\"answer\":{\"status\":200,\"body\":\"garbage\"}}", PAY88_BAD_RESPONSE, 1);
    a_failure_is_told_to_all_alike("\"garbage\"", PAY88_BAD_RESPONSE, 1);
    a_failure_is_told_to_all_alike("\"cut_before_answer\"", PAY88_CONNECTION_FAILED, 2);
    a_failure_is_told_to_all_alike("\"stall_in_body\"", PAY88_TIMEOUT, 1);
    who_gives_up_leaves_the_others_served();
    return 0;
}
