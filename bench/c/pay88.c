/* The contenders that use libpay88, and the clock read that a token read is held against. */
#include "contender.h"

#include <pay88.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8, AT_A_TIME = 32 };

static pay88_manager *manager;
static pay88_request *charge;
static size_t answer_bytes;

static void check(pay88_status status, pay88_error *error) {
    if (status != PAY88_OK)
        fail(pay88_error_message(error).data);
}

static void set(pay88_config *config, const char *name, const char *value) {
    pay88_error *error = NULL;
    check(pay88_config_set(config, name, strlen(name), value, strlen(value), &error), error);
}

static void build_manager(void) {
    pay88_error *error = NULL;
    pay88_config *config = pay88_config_new_without_environment();
    set(config, "api_key", told("BENCH_API_KEY"));
    set(config, "merchant_id", told("BENCH_MERCHANT_ID"));
    set(config, "base_url", told("BENCH_BASE_URL"));
    set(config, "ca_bundle", told("BENCH_CA"));
    set(config, "share", told("BENCH_SHARE"));
    check(pay88_manager_new(config, &manager, &error), error);
    pay88_config_release(config);

    static const char endpoint[] = "/api/transactions/charges";
    const char *body = told("BENCH_BODY");
    check(pay88_request_new("POST", 4, endpoint, strlen(endpoint), &charge, &error), error);
    check(pay88_request_set_body(charge, (const uint8_t *)body, strlen(body), &error), error);
    answer_bytes = strtoul(told("BENCH_ANSWER_BYTES"), NULL, 10);
}

static void read_clock(unsigned long times) {
    struct timespec time;
    for (; times > 0; times--)
        clock_gettime(CLOCK_BOOTTIME, &time);
}

static void read_token(unsigned long times) {
    for (; times > 0; times--) {
        pay88_token *token = NULL;
        pay88_error *error = NULL;
        check(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error), error);
        pay88_token_release(token);
    }
}

/* One thread's share of some work. */
struct share {
    void (*work)(unsigned long);
    unsigned long times;
};

static void *do_share(void *share) {
    struct share *mine = share;
    mine->work(mine->times);
    return NULL;
}

static void on_threads(void (*work)(unsigned long), unsigned long times) {
    pthread_t threads[THREADS];
    struct share share = {work, times / THREADS};
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, do_share, &share) != 0)
            fail("no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void read_clock_on_threads(unsigned long times) {
    on_threads(read_clock, times);
}

static void read_token_on_threads(unsigned long times) {
    on_threads(read_token, times);
}

static void check_answer(pay88_response *response) {
    if (pay88_response_status(response) != 200 || pay88_response_body(response).len != answer_bytes)
        fail("another answer");
    pay88_response_release(response);
}

static void charge_blocking(unsigned long times) {
    for (; times > 0; times--) {
        pay88_response *response = NULL;
        pay88_error *error = NULL;
        check(pay88_manager_send(manager, charge, NULL, NULL, &response, &error), error);
        check_answer(response);
    }
}

/* Asynchronous charges: each callback starts the next until none is left, and the last one wakes the main thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;
static unsigned long to_start, to_finish;

static void start_charge(void);

static void on_answer(void *user_data, pay88_status status, pay88_response *response, pay88_error *error) {
    (void)user_data;
    check(status, error);
    check_answer(response);
    pthread_mutex_lock(&lock);
    int start = to_start > 0;
    if (start)
        to_start--;
    if (--to_finish == 0)
        pthread_cond_signal(&all_done);
    pthread_mutex_unlock(&lock);
    if (start)
        start_charge();
}

static void start_charge(void) {
    pay88_error *error = NULL;
    check(pay88_manager_send_async(manager, charge, on_answer, NULL, NULL, NULL, &error), error);
}

static void charge_asynchronously(unsigned long times) {
    unsigned long first = times < AT_A_TIME ? times : AT_A_TIME;
    pthread_mutex_lock(&lock);
    to_finish = times;
    to_start = times - first;
    pthread_mutex_unlock(&lock);
    for (; first > 0; first--)
        start_charge();
    pthread_mutex_lock(&lock);
    while (to_finish > 0)
        pthread_cond_wait(&all_done, &lock);
    pthread_mutex_unlock(&lock);
}

/* Tells the bytes that are resident after a charge and were not before the library was used. */
static size_t resident(void) {
    unsigned long total = 0, pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%lu %lu", &total, &pages) != 2)
        fail("/proc/self/statm cannot be read");
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int tell_memory(void) {
    size_t before = resident();
    build_manager();
    charge_blocking(1);
    printf("%zu\n", resident() - before);
    return 0;
}

int main(int argc, char **argv) {
    const char *name = argc == 2 ? argv[1] : "";
    if (strcmp(name, "clock") == 0)
        return serve(read_clock);
    if (strcmp(name, "clock-threads") == 0)
        return serve(read_clock_on_threads);
    if (strcmp(name, "memory") == 0)
        return tell_memory();
    build_manager();
    if (strcmp(name, "token") == 0)
        return serve(read_token);
    if (strcmp(name, "token-threads") == 0)
        return serve(read_token_on_threads);
    if (strcmp(name, "charge") == 0)
        return serve(charge_blocking);
    if (strcmp(name, "async") == 0)
        return serve(charge_asynchronously);
    fail("there is no such contender");
}
