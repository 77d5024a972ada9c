/* How much stack a call needs: each function that does more than look runs on a thread that has so much.
 *
 *     stack KIB
 *
 * The header names what is enough; a build without optimisation needs more. The thread that runs out of it ends the program. */
#define _GNU_SOURCE
#include "support.h"

#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAINT 0xA5

static size_t size;
static pay88_manager *manager;

/* --- What is called ------------------------------------------------------------------------------------------------ */

static void get_token(void) {
    pay88_token *token = NULL;
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    pay88_token_release(token);
}

static int goes_on(void *data) { return data != NULL; }

static void send_request(pay88_request *request, int status) {
    pay88_response *response = NULL;
    OK(pay88_manager_send(manager, request, goes_on, NULL, &response, &error));
    CHECK(pay88_response_status(response) == status);
    pay88_response_release(response);
    pay88_request_release(request);
}

static void send_charge(void) { send_request(charge_request(), 200); }

static void send_and_receive_much(void) {
    static char body[200000];
    memset(body, ' ', sizeof body);
    memcpy(body, "{}", 2);
    pay88_request *request = request_of("POST", "/api/echo", NULL);
    OK(pay88_request_set_body(request, (const uint8_t *)body, sizeof body, &error));
    send_request(request, 200);
}

static void send_again_after_401_and_429(void) {
    fault("{\"on\":{\"path\":\"/api/echo\"},\"action\":{\"answer\":{\"status\":401}}}");
    fault("{\"on\":{\"path\":\"/api/echo\"},\"action\":{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"1\"]]}}}");
    send_request(request_of("GET", "/api/echo", NULL), 200);
}

static void fail_to_connect(void) {
    pay88_config *config = fresh_config();
    pay88_manager *impatient = NULL;
    pay88_token *token = NULL;
    pay88_response *response = NULL;
    pay88_request *request = charge_request();
    /* So that no connection is kept. */
    set(config, "idle_timeout", "0.01");
    OK(pay88_manager_new(config, &impatient, &error));
    OK(pay88_manager_get_token(impatient, 0, NULL, NULL, &token, &error));
    sleep_ms(50);
    fault("{\"on\":\"any\",\"times\":null,\"action\":\"alert_handshake\"}");
    EXPECT(PAY88_TLS_FAILED, pay88_manager_send(impatient, request, NULL, NULL, &response, &error));
    free(control("DELETE", "/faults", NULL));
    pay88_token_release(token);
    pay88_request_release(request);
    pay88_manager_release(impatient);
    pay88_config_release(config);
}

static struct tally tally;

static void begin_asynchronous_calls(void) {
    pay88_request *request = charge_request();
    OK(pay88_manager_get_token_async(manager, 0, tally_token, &tally, tally_destroy, NULL, &error));
    OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, NULL, &error));
    pay88_request_release(request);
    tally_wait(&tally, 2, 10000);
}

/* Reads the system's roots. */
static void build_and_do_the_rest(void) {
    bool dropped = false;
    pay88_config *config = pay88_config_new_without_environment();
    pay88_manager *other = NULL;
    pay88_stats *stats = NULL;
    pay88_events *events = NULL;
    pay88_event *event = NULL;
    set(config, "api_key", "sk_test_sandbox_of_stack");
    set(config, "merchant_id", "MCH-COL-STACK-1");
    OK(pay88_manager_new(config, &other, &error));
    OK(pay88_events_open(10, &events, &error));
    OK(pay88_events_next(events, 100, &event, &error));
    pay88_event_release(event);
    get_token();
    OK(pay88_manager_stats(manager, &stats, &error));
    CHECK(pay88_stats_json(stats).len > 0);
    OK(pay88_manager_invalidate(manager, NULL, &dropped, &error));
    CHECK(dropped);
    OK(pay88_manager_rotate(other, "sk_test_sandbox_of_stack_2", 26, 1, &error));
    pay88_stats_release(stats);
    pay88_events_release(events);
    pay88_manager_release(other);
    pay88_config_release(config);
}

/* The caller refreshes itself. */
static void get_token_without_threads(void) {
    struct rlimit limit, none;
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    send_charge();
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
}

struct what {
    const char *name;
    void (*call)(void);
    int fresh;
};

static const struct what WHAT[] = {
    {"a first token", get_token, 1},
    {"a first call, over a new connection", send_charge, 0},
    {"a call over a kept one", send_charge, 0},
    {"a long call and answer", send_and_receive_much, 0},
    {"a call that is sent again", send_again_after_401_and_429, 0},
    {"a handshake that fails", fail_to_connect, 1},
    {"asynchronous calls", begin_asynchronous_calls, 1},
    {"all the rest", build_and_do_the_rest, 1},
    {"a call where no thread can be had", get_token_without_threads, 1},
};

/* Root is not bound by the limit of threads. */
static void become_nobody(void) {
    if (getuid() != 0)
        return;
    struct passwd *nobody = getpwnam("nobody");
    CHECK(nobody != NULL);
    CHECK(setgroups(0, NULL) == 0 && setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0);
}

/* --- The thread ----------------------------------------------------------------------------------------------------- */

static void *run(void *data) {
    const struct what *what = data;
    what->call();
    return NULL;
}

/* A stack of its own above a page that cannot be used. */
static void on_a_small_stack(const struct what *what) {
    size_t guard = (size_t)sysconf(_SC_PAGESIZE), used = 0;
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *mapped = mmap(NULL, size + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED && mprotect(mapped, guard, PROT_NONE) == 0);
    memset(mapped + guard, PAINT, size);
    if (what->fresh) {
        pay88_manager_release(manager);
        manager = fresh_manager();
    }
    if (what->call == get_token_without_threads)
        become_nobody();
    printf("  %-36s", what->name);
    fflush(stdout);
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, mapped + guard, size) == 0);
    CHECK(pthread_create(&thread, &attributes, run, (void *)what) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
    while (used < size && mapped[guard + used] == PAINT)
        used++;
    munmap(mapped, size + guard);
    printf(" %4zu of %zu KiB\n", (size - used + 1023) / 1024, size / 1024);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    size = (size_t)atoi(argv[1]) * 1024;
    reset();
    tally_init(&tally);
    for (size_t i = 0; i < sizeof WHAT / sizeof *WHAT; i++)
        on_a_small_stack(&WHAT[i]);
    return 0;
}
