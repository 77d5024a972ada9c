/* Handles in any order of release; closing while others call; callbacks and destroy functions exactly once. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <stdatomic.h>

/* --- Every order ------------------------------------------------------------------------------------------------- */

enum { MANAGER, REQUEST, TOKEN, CALL, CONFIG, HANDLES };

static void handles_may_be_released_in_every_order_with_a_call_pending(void) {
    int order[HANDLES] = {0, 1, 2, 3, 4}, counts[HANDLES] = {0};
    struct tally tally;
    unsigned orders = 0;
    reset();
    pay88_config *template = fresh_config();
    pay88_manager *kept = NULL;
    OK(pay88_manager_new(template, &kept, &error));
    tally_init(&tally);
    for (int i = 0; i < HANDLES;) {
        /* One order: new handles of the same manager, a call under way, and all released. */
        pay88_manager *manager = NULL;
        pay88_token *token = NULL;
        pay88_call *call = NULL;
        pay88_config *config = pay88_config_new();
        OK(pay88_manager_new(template, &manager, &error));
        CHECK(pay88_manager_id(manager) == pay88_manager_id(kept));
        OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
        pay88_request *request = request_of("GET", "/api/echo", NULL);
        OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, &call, &error));
        for (int k = 0; k < HANDLES; k++)
            switch (order[k]) {
            case MANAGER: pay88_manager_release(manager); break;
            case REQUEST: pay88_request_release(request); break;
            case TOKEN: pay88_token_release(token); break;
            case CALL: pay88_call_release(call); break;
            case CONFIG: pay88_config_release(config); break;
            }
        orders++;
        /* The next permutation (Heap's algorithm). */
        while (i < HANDLES && counts[i] >= i)
            counts[i++] = 0;
        if (i < HANDLES) {
            int with = i % 2 ? counts[i] : 0, swap = order[with];
            order[with] = order[i];
            order[i] = swap;
            counts[i]++;
            i = 0;
        }
    }
    CHECK(orders == 120);
    tally_wait(&tally, orders, 30000);
    CHECK(tally.called == orders && tally.ok == orders);
    pay88_config_release(template);
    pay88_manager_release(kept);
}

static void what_was_read_from_a_manager_outlives_it(void) {
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    pay88_token *token = NULL, *other = NULL;
    pay88_response *response = NULL;
    pay88_stats *stats = NULL;
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
    OK(pay88_manager_stats(manager, &stats, &error));
    other = pay88_token_retain(token);
    pay88_manager_close(manager);
    pay88_manager_release(manager);
    pay88_request_release(request);
    pay88_str before = pay88_token_access_token(token);
    char *copy = malloc(before.len);
    CHECK(copy != NULL && before.len > 20);
    memcpy(copy, before.data, before.len);
    pay88_token_release(token);
    CHECK(memcmp(pay88_token_access_token(other).data, copy, before.len) == 0);
    free(copy);
    pay88_token_release(other);
    CHECK(pay88_response_status(response) == 200);
    pay88_response_release(response);
    CHECK(pay88_stats_value(stats, "calls", 5) == 1);
    pay88_stats_release(stats);
}

/* --- Close ------------------------------------------------------------------------------------------------------- */

#define CALLERS 16

static atomic_int refused;

static void *calls_until_closed(void *manager) {
    pay88_request *request = request_of("GET", "/api/echo", NULL);
    for (;;) {
        pay88_error *error = NULL;
        pay88_token *token = NULL;
        pay88_response *response = NULL;
        pay88_status status = pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error);
        if (status == PAY88_OK)
            status = pay88_manager_send(manager, request, NULL, NULL, &response, &error);
        pay88_token_release(token);
        pay88_response_release(response);
        CHECK(status == PAY88_OK || status == PAY88_CANCELED || status == PAY88_CONFIG_INVALID);
        pay88_error_release(error);
        if (status == PAY88_CONFIG_INVALID)
            break;
    }
    pay88_request_release(request);
    atomic_fetch_add(&refused, 1);
    return NULL;
}

static void closing_ends_the_calls_of_all_threads(void) {
    pthread_t callers[CALLERS];
    struct tally pending;
    reset();
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    tally_init(&pending);
    for (int i = 0; i < CALLERS; i++)
        CHECK(pthread_create(&callers[i], NULL, calls_until_closed, manager) == 0);
    sleep_ms(200 * slow());
    fault("{\"on\":{\"path\":\"/api/transactions/charges\"},\"times\":null,\"action\":\"stall\"}");
    for (int i = 0; i < 100; i++)
        OK(pay88_manager_send_async(manager, request, tally_response, &pending, tally_destroy, NULL, &error));
    sleep_ms(300 * slow());
    unsigned long closed = millis();
    CHECK(!pay88_manager_is_closed(manager));
    pay88_manager_close(manager);
    pay88_manager_close(manager);
    CHECK(pay88_manager_is_closed(manager));
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    tally_wait(&pending, 100, 10000);
    /* The calls that stall would take 30 s. */
    CHECK(millis() - closed < 10000 * slow());
    CHECK(atomic_load(&refused) == CALLERS);
    CHECK(pending.called == 100 && pending.ok == 0 && pending.status == PAY88_CANCELED);
    /* Those that had been sent say so. */
    CHECK(pending.outcome != PAY88_OUTCOME_ANSWERED);

    /* The handle stays valid, and what can be read from it too. */
    pay88_stats *stats = NULL;
    OK(pay88_manager_stats(manager, &stats, &error));
    pay88_stats_release(stats);
    pay88_token *token = NULL;
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_peek_token(manager, &token, &error));
    CHECK(token == NULL && pay88_manager_id(manager) != 0);
    pay88_request_release(request);
    pay88_manager_release(manager);
}

/* --- Callbacks --------------------------------------------------------------------------------------------------- */

struct own {
    struct tally tally;
    pay88_call *call;
    pthread_t starter;
};

static void ends_its_own_call(void *user_data, pay88_status status, pay88_token *token, pay88_error *error) {
    struct own *own = user_data;
    CHECK(own->call != NULL);
    CHECK(!pthread_equal(pthread_self(), own->starter));
    pay88_call_cancel(own->call);
    pay88_call_release(own->call);
    tally_token(&own->tally, status, token, error);
}

static void destroys_own(void *user_data) { tally_destroy(&((struct own *)user_data)->tally); }

static void a_call_may_be_canceled_and_released_by_its_own_callback(void) {
    struct own own;
    pay88_manager *manager = fresh_manager();
    for (int i = 0; i < 200; i++) {
        tally_init(&own.tally);
        own.call = NULL;
        own.starter = pthread_self();
        OK(pay88_manager_get_token_async(manager, 0, ends_its_own_call, &own, destroys_own, &own.call, &error));
        tally_wait(&own.tally, 1, 10000);
        CHECK(own.tally.called == 1 && own.tally.ok == 1);
    }
    pay88_manager_release(manager);
}

static void a_canceled_call_calls_back_once(void) {
    struct tally tally;
    reset();
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    tally_init(&tally);
    for (unsigned i = 0; i < 300; i++) {
        pay88_call *call = NULL;
        OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, &call, &error));
        if (i % 3 == 1)
            sleep_ms(i % 5);
        pay88_call_cancel(call);
        pay88_call_cancel(call);
        pay88_call_release(call);
    }
    tally_wait(&tally, 300, 20000);
    CHECK(tally.called == 300);
    CHECK(tally.ok == 300 || tally.status == PAY88_CANCELED);
    CHECK(counter("charges_created") <= 300);
    pay88_request_release(request);
    pay88_manager_release(manager);
}

static void a_call_that_cannot_start_gives_its_data_back_at_once(void) {
    struct tally tally;
    pay88_call *call = NULL;
    pay88_manager *manager = fresh_manager();
    pay88_request *request = request_of("GET", "//evil.example/", NULL);
    tally_init(&tally);
    EXPECT(PAY88_REFUSED, pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, &call, &error));
    CHECK(tally.destroyed == 1 && tally.called == 0 && call == NULL);
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_get_token_async(manager, 0, NULL, &tally, tally_destroy, &call, &error));
    CHECK(tally.destroyed == 2 && tally.called == 0 && call == NULL);
    pay88_manager_close(manager);
    EXPECT(PAY88_CONFIG_INVALID,
           pay88_manager_get_token_async(manager, 0, tally_token, &tally, tally_destroy, &call, &error));
    CHECK(tally.destroyed == 3 && tally.called == 0 && call == NULL);
    pay88_request_release(request);
    pay88_manager_release(manager);
}

static void a_closed_handle_holds_no_option_of_its_manager(void) {
    pay88_config *config = fresh_config();
    pay88_manager *closed = NULL, *manager = NULL;
    OK(pay88_manager_new(config, &closed, &error));
    set(config, "tokens_per_hour", "99");
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_new(config, &manager, &error));
    pay88_manager_close(closed);
    OK(pay88_manager_new(config, &manager, &error));
    CHECK(pay88_manager_id(manager) != pay88_manager_id(closed));
    pay88_manager_release(closed);
    pay88_manager_release(manager);
    pay88_config_release(config);
}

int main(void) {
    handles_may_be_released_in_every_order_with_a_call_pending();
    what_was_read_from_a_manager_outlives_it();
    closing_ends_the_calls_of_all_threads();
    a_call_may_be_canceled_and_released_by_its_own_callback();
    a_canceled_call_calls_back_once();
    a_call_that_cannot_start_gives_its_data_back_at_once();
    a_closed_handle_holds_no_option_of_its_manager();
    return 0;
}
