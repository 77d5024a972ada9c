/* The contenders that use libpay88, and the clock read that a token read is held against. */
#include "contender.h"

#include <pay88.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { THREADS = 8, AT_A_TIME = 32 };

static pay88_manager *manager;
static pay88_request *charge;
static size_t answer_bytes;

/* A macro, since the arguments of a function may be read in any order: the error is what the call has written. */
#define check(call, error) \
    do { \
        if ((call) != PAY88_OK) \
            fail(pay88_error_message(error).data); \
    } while (0)

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

/* A call with a long body or a long answer. */
struct call {
    const char *method, *body;
    char endpoint[64];
    size_t length, answer;
};

/* The call that a name such as `send-1000` or `fetch-1000` means, if it means one. */
static int call_named(const char *name, struct call *call) {
    unsigned long sent = length_of(name, "send-"), fetched = length_of(name, "fetch-");
    *call = (struct call){.method = "GET", .length = sent, .answer = fetched};
    snprintf(call->endpoint, sizeof call->endpoint, "/api/answers/%lu", fetched);
    if (sent > 0) {
        *call = (struct call){"POST", body_of(sent), "/api/send", sent, answer_bytes};
    }
    return sent > 0 || fetched > 0;
}

/* From now on charges are that call. */
static void call_instead(const struct call *call) {
    pay88_error *error = NULL;
    const char *endpoint = call->endpoint;
    pay88_request_release(charge);
    check(pay88_request_new(call->method, strlen(call->method), endpoint, strlen(endpoint), &charge, &error), error);
    if (call->body != NULL)
        check(pay88_request_set_body(charge, (const uint8_t *)call->body, call->length, &error), error);
    answer_bytes = call->answer;
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

/* The same with a queue of completions, which this thread waits for and from which it starts the next ones. */
static void charge_queued(unsigned long times) {
    static pay88_completions *completions;
    pay88_error *error = NULL;
    if (completions == NULL)
        check(pay88_completions_open(&completions, &error), error);
    unsigned long started = 0, finished = 0;
    while (finished < times) {
        for (; started < times && started - finished < AT_A_TIME; started++)
            check(pay88_manager_send_queued(manager, charge, 0, completions, started, NULL, &error), error);
        struct pollfd readable = {.fd = pay88_completions_fd(completions), .events = POLLIN};
        if (poll(&readable, 1, 30000) != 1)
            fail("no completion came");
        pay88_completion taken[AT_A_TIME];
        size_t count = 0;
        check(pay88_completions_next(completions, taken, AT_A_TIME, &count, &error), error);
        for (size_t i = 0; i < count; i++) {
            check(taken[i].status, taken[i].error);
            check_answer(taken[i].response);
        }
        finished += count;
    }
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

/* Tells how much more memory the process has at most, from making the request to the answer, when all else has been used once. */
static int tell_peak(const struct call *call) {
    charge_blocking(1);
    FILE *clear = fopen("/proc/self/clear_refs", "w");
    if (clear == NULL || fputs("5", clear) < 0 || fclose(clear) != 0)
        fail("the peak cannot be forgotten");
    size_t before = resident(), peak = 0;
    call_instead(call);
    charge_blocking(1);
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %zu kB", &peak) == 1)
            break;
    if (peak == 0)
        fail("/proc/self/status does not tell the peak");
    printf("%zu\n", peak * 1024 - before);
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
    if (strcmp(name, "queued") == 0)
        return serve(charge_queued);
    struct call call;
    if (call_named(name, &call)) {
        call_instead(&call);
        return serve(charge_blocking);
    }
    if (strncmp(name, "memory-", 7) == 0 && call_named(name + 7, &call))
        return tell_peak(&call);
    fail("there is no such contender");
}
