/* Operations whose instructions count.py has callgrind count: `operations token` or `operations charge`, at a server that
 * the environment names (pay88 sandbox --exec). Each call of the function `batch` is counted by itself, so that neither the
 * start of the process nor the first connection is part of it. */
#include <pay88.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pay88_manager *manager;
static pay88_request *charge;

static void fail(pay88_error *error) {
    fprintf(stderr, "operations: %s\n", pay88_error_message(error).data);
    exit(1);
}

/* A macro, since the arguments of a function may be read in any order: the error is what the call has written. */
#define check(call, error) \
    do { \
        if ((call) != PAY88_OK) \
            fail(error); \
    } while (0)

static void token(void) {
    pay88_token *token = NULL;
    pay88_error *error = NULL;
    check(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error), error);
    pay88_token_release(token);
}

static void check_answer(pay88_response *response) {
    if (pay88_response_status(response) != 200) {
        fprintf(stderr, "operations: status %u\n", (unsigned)pay88_response_status(response));
        exit(1);
    }
    pay88_response_release(response);
}

static void charge_blocking(void) {
    pay88_response *response = NULL;
    pay88_error *error = NULL;
    check(pay88_manager_send(manager, charge, NULL, NULL, &response, &error), error);
    check_answer(response);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int answered;

static void on_answer(void *user_data, pay88_status status, pay88_response *response, pay88_error *error) {
    (void)user_data;
    check(status, error);
    check_answer(response);
    pthread_mutex_lock(&lock);
    answered = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void charge_asynchronously(void) {
    pay88_error *error = NULL;
    answered = 0;
    check(pay88_manager_send_async(manager, charge, on_answer, NULL, NULL, NULL, &error), error);
    pthread_mutex_lock(&lock);
    while (!answered)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static const struct {
    const char *name;
    void (*work)(void);
} operations[] = {
    {"token", token},
    {"charge", charge_blocking},
    {"asynchronous_charge", charge_asynchronously},
};

/* A function of its own in the compiled program, whatever the compiler thinks. */
__attribute__((noinline, noclone)) void batch(void (*operation)(void), int times) {
    for (; times > 0; times--)
        operation();
    __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    void (*operation)(void) = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].name, argv[1]) == 0)
            operation = operations[i].work;
    if (operation == NULL)
        return 2;
    int batches = atoi(argv[2]), times = atoi(argv[3]);

    static const char share[] = "process", endpoint[] = "/api/transactions/charges";
    static const char body[] =
        "{\"flow\":\"PAYIN\",\"method_code\":\"CARDS\",\"method_category\":\"CARD\",\"amount\":50000,\"currency\":\"COP\","
        "\"country\":\"COL\",\"description\":\"Order 10472\",\"customer_id\":\"cus_0193f5f2a4\","
        "\"notification_url\":\"https://shop.example/notify\",\"return_url\":\"https://shop.example/thanks\"}";
    pay88_error *error = NULL;
    pay88_config *config = pay88_config_new();
    check(pay88_config_set(config, "share", 5, share, strlen(share), &error), error);
    check(pay88_manager_new(config, &manager, &error), error);
    pay88_config_release(config);
    check(pay88_request_new("POST", 4, endpoint, strlen(endpoint), &charge, &error), error);
    check(pay88_request_set_body(charge, (const uint8_t *)body, strlen(body), &error), error);

    /* Whatever is done once is done by then: the token, the connection, the first use of each function. */
    for (int i = 0; i < 4; i++)
        operation();
    for (; batches > 0; batches--)
        batch(operation, times);
    pay88_request_release(charge);
    pay88_manager_release(manager);
    return 0;
}
