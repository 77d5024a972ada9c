/* A fork at every place where the program's code runs inside of the library: what was under way goes on in the parent alone.
 *
 * On a thread of the library the child that returns waits for ever; on the caller's thread its call ends with PAY88_FORKED.
 * What the child does before it returns works. And a fork of another thread at the moment when a lock is being taken: the child
 * does not have it. */
#define _GNU_SOURCE
#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOW_NAME "forks.test"
#define CHARGES "/api/transactions/charges"

/* Of both processes. */
static struct {
    pid_t parent;
    atomic_int child;
    /* The code of the program that ran in the child after that which forked. */
    atomic_int ran_in_child;
    /* The calls that the child made before it returned. */
    atomic_int called_in_child;
    atomic_int callbacks, destroyed;
    /* The file of the lock that was being taken. */
    char lock[PATH_MAX];
} *both;

static pay88_manager *manager;
static int limited_to_no_threads;

enum where { IN_CALLBACK, IN_DESTROY, IN_INTERRUPT, IN_RESOLVER, IN_HANDLER };

struct place {
    const char *name;
    enum where where;
    /* Starts what runs the code that forks. */
    void (*begin)(const struct place *);
    /* The child makes calls before it returns. */
    int child_calls;
    /* What the sandbox counts when the call has come to this place; of the look-up, this program does. */
    const char *counted;
};

static const struct place *forking;
static long counted_before;
static atomic_int look_ups;

/* --- The child ----------------------------------------------------------------------------------------------------- */

/* It may block all signals, and nobody may be left to kill it. */
static void end_in(unsigned seconds) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value.tv_sec = seconds};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0);
}

static void balance_call(void) {
    pay88_request *request = request_of("POST", "/api/balance", "{}");
    pay88_response *response = NULL;
    OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
    pay88_response_release(response);
    pay88_request_release(request);
}

/* A blocking call and, where there are threads, an asynchronous one. */
static void call_in_child(void) {
    balance_call();
    if (!limited_to_no_threads) {
        static struct tally own;
        tally_init(&own);
        pay88_request *request = request_of("POST", "/api/balance", "{}");
        OK(pay88_manager_send_async(manager, request, tally_response, &own, tally_destroy, NULL, &error));
        pay88_request_release(request);
        tally_wait(&own, 1, 20000);
        CHECK(own.ok == 1);
    }
    both->called_in_child++;
}

static void fork_once(void) {
    if (both->child != 0)
        return;
    struct rlimit limit, before;
    CHECK(getrlimit(RLIMIT_NPROC, &before) == 0);
    limit = before;
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    CHECK(setrlimit(RLIMIT_NPROC, &before) == 0);
    if (child > 0) {
        both->child = child;
        return;
    }
    end_in(60 * slow());
    if (forking->child_calls)
        call_in_child();
}

static int is_child(void) { return getpid() != both->parent; }

/* What the program's code does wherever it is run. */
static void run_at(enum where where) {
    if (is_child())
        both->ran_in_child++;
    else if (forking != NULL && forking->where == where)
        fork_once();
}

/* --- The program's code -------------------------------------------------------------------------------------------- */

static void on_response(void *data, pay88_status status, pay88_response *response, pay88_error *error) {
    (void)data, (void)status;
    pay88_response_release(response);
    pay88_error_release(error);
    run_at(IN_CALLBACK);
    if (!is_child())
        both->callbacks++;
}

static void on_token(void *data, pay88_status status, pay88_token *token, pay88_error *error) {
    pay88_token_release(token);
    on_response(data, status, NULL, error);
}

static void on_destroy(void *data) {
    (void)data;
    run_at(IN_DESTROY);
    if (!is_child())
        both->destroyed++;
}

static long counted_at(const struct place *place) {
    return place->counted != NULL ? counter(place->counted) : look_ups;
}

/* Forks when the call has come to its place, and a little later, so that it waits there. */
static int on_interrupt(void *data) {
    unsigned long *there = data;
    if (is_child() || both->child != 0)
        return 0;
    if (*there == 0 && counted_at(forking) > counted_before)
        *there = millis();
    else if (*there != 0 && millis() > *there + 50)
        fork_once();
    return 0;
}

static void on_signal(int signal) {
    (void)signal;
    fork_once();
}

/* Sends the signal to the caller's thread when its call has come to its place, and a little later, so that it waits there. */
static void *signals_the_caller(void *caller) {
    for (unsigned long end = millis() + 20000ul * slow(); counted_at(forking) <= counted_before; sleep_ms(10))
        CHECK(millis() < end);
    sleep_ms(100);
    CHECK(pthread_kill(*(pthread_t *)caller, SIGUSR1) == 0);
    return NULL;
}

/* As a module of the system's resolver would. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*of_system)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&of_system = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(node, SLOW_NAME) != 0)
        return of_system(node, service, hints, result);
    look_ups++;
    run_at(IN_RESOLVER);
    sleep_ms(500);
    return of_system("127.0.0.1", service, hints, result);
}

static int forks_at_lock;

/* Right after a file for a lock was opened, as if another thread had forked at that moment. */
int open64(const char *path, int flags, ...) {
    int (*of_system)(const char *, int, ...);
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    *(void **)&of_system = dlsym(RTLD_NEXT, "open64");
    int opened = of_system(path, flags, mode);
    const char *end = strstr(path, ".lock");
    if (opened >= 0 && end != NULL && forks_at_lock && both->child == 0) {
        /* One that is being made gets what follows the end away later. */
        snprintf(both->lock, sizeof both->lock, "%.*s", (int)(end - path) + 5, path);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            end_in(60 * slow());
            for (;;)
                pause();
        }
        both->child = child;
    }
    return opened;
}

/* --- Places on threads of the library ------------------------------------------------------------------------------- */

static void respond(const struct place *place) {
    (void)place;
    pay88_request *request = request_of("POST", "/api/balance", "{}");
    OK(pay88_manager_send_async(manager, request, on_response, NULL, on_destroy, NULL, &error));
    pay88_request_release(request);
}

static void give_token(const struct place *place) {
    (void)place;
    OK(pay88_manager_get_token_async(manager, 0, on_token, NULL, on_destroy, NULL, &error));
}

static void cancel(const struct place *place) {
    (void)place;
    pay88_request *request = request_of("GET", "/api/stalls", NULL);
    pay88_call *call = NULL;
    fault("{\"on\":{\"path\":\"/api/stalls\"},\"action\":\"stall\"}");
    OK(pay88_manager_send_async(manager, request, on_response, NULL, on_destroy, &call, &error));
    pay88_call_cancel(call);
    pay88_call_release(call);
    pay88_request_release(request);
}

static void run_out_of_time(const struct place *place) {
    (void)place;
    pay88_request *request = request_of("GET", "/api/stalls", NULL);
    fault("{\"on\":{\"path\":\"/api/stalls\"},\"action\":\"stall\"}");
    OK(pay88_request_set_timeout_ms(request, 100, &error));
    OK(pay88_manager_send_async(manager, request, on_response, NULL, on_destroy, NULL, &error));
    pay88_request_release(request);
}

/* A manager whose host's name is looked up by `getaddrinfo` above. */
static pay88_manager *named_manager(void) {
    char url[100];
    const char *port = strrchr(getenv("EIGHTY_EIGHT_PAY_BASE_URL"), ':');
    pay88_config *config = fresh_config();
    pay88_manager *named = NULL;
    snprintf(url, sizeof url, "https://" SLOW_NAME "%s", port);
    set(config, "base_url", url);
    OK(pay88_manager_new(config, &named, &error));
    pay88_config_release(config);
    return named;
}

static void look_up(const struct place *place) {
    (void)place;
    pay88_manager *named = named_manager();
    OK(pay88_manager_get_token_async(named, 0, on_token, NULL, on_destroy, NULL, &error));
    pay88_manager_release(named);
}

static const struct place on_threads_of_the_library[] = {
    {"the callback of a response", IN_CALLBACK, respond, 0, NULL},
    {"the callback of a response, child calls", IN_CALLBACK, respond, 1, NULL},
    {"destroy after a response", IN_DESTROY, respond, 0, NULL},
    {"destroy after a response, child calls", IN_DESTROY, respond, 1, NULL},
    {"the callback of a token", IN_CALLBACK, give_token, 0, NULL},
    {"destroy after a token", IN_DESTROY, give_token, 0, NULL},
    {"the callback of a canceled call", IN_CALLBACK, cancel, 0, NULL},
    {"destroy of a canceled call", IN_DESTROY, cancel, 0, NULL},
    {"the callback of a call out of time", IN_CALLBACK, run_out_of_time, 0, NULL},
    {"the system's resolver", IN_RESOLVER, look_up, 0, NULL},
};

/* While a charge waits in the pause of a 429, which the child would end by sending it as well. */
static void goes_on_in_the_parent_alone(const struct place *place) {
    static struct tally tally;
    pid_t child;
    manager = fresh_manager();
    balance_call();
    reset();
    tally_init(&tally);
    memset(both, 0, sizeof *both);
    both->parent = getpid();
    fault("{\"on\":{\"path\":\"" CHARGES "\"},\"action\":{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"2\"]]}}}");
    pay88_request *request = charge_request();
    OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, NULL, &error));
    pay88_request_release(request);
    while (counter("faults_played") == 0)
        sleep_ms(20);
    forking = place;
    place->begin(place);
    tally_wait(&tally, 1, 15000);
    CHECK(tally.ok == 1 && tally.called == 1);
    for (unsigned long end = millis() + 10000ul * slow(); both->destroyed == 0 && millis() < end;)
        sleep_ms(20);
    CHECK(both->callbacks == 1 && both->destroyed == 1);
    child = both->child;
    CHECK(child > 0);
    for (unsigned long end = millis() + 20000ul * slow(); both->called_in_child < place->child_calls && millis() < end;)
        sleep_ms(20);
    CHECK(both->called_in_child == place->child_calls);
    /* A copy of the pause would be over by then, and what follows it as well. */
    sleep_ms(1000);
    int status = 0;
    CHECK(waitpid(child, &status, WNOHANG) == 0);
    CHECK(both->ran_in_child == 0);
    CHECK(counter("charges_created") == 1);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    forking = NULL;
    pay88_manager_release(manager);
    printf("  %s\n", place->name);
}

/* --- Places on the caller's thread ---------------------------------------------------------------------------------- */

/* What the parent gets: PAY88_OK and a charge, unless said otherwise. */
static pay88_status wanted;
static pay88_manager *called;

static void slow_token(const struct place *place) {
    (void)place;
    switches("{\"token_delay\":0.6}");
}

static void slow_call(const struct place *place) {
    (void)place;
    balance_call();
    switches("{\"call_delay\":0.6}");
}

static void pause_of_429(const struct place *place) {
    (void)place;
    fault("{\"on\":{\"path\":\"" CHARGES "\"},\"action\":{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"1\"]]}}}");
}

static void slow_handshake(const struct place *place) {
    (void)place;
    pay88_config *config = fresh_config();
    set(config, "connect_timeout", "1");
    OK(pay88_manager_new(config, &called, &error));
    pay88_config_release(config);
    pay88_manager_release(manager);
    manager = called;
    /* So that the call needs a connection of its own; it is given another one after a second. */
    fault("{\"on\":\"calls\",\"action\":{\"close_after_answer\":{\"announced\":true}}}");
    balance_call();
    fault("{\"on\":\"any\",\"action\":\"stall_connection\"}");
}

static void slow_look_up(const struct place *place) {
    (void)place;
    called = named_manager();
    /* The certificate is for other names. */
    wanted = PAY88_TLS_FAILED;
}

/* A signal comes once, however late the call is: this much, and it still finds it. */
static void slower_token(const struct place *place) {
    (void)place;
    switches("{\"token_delay\":2.5}");
}

static void slower_call(const struct place *place) {
    (void)place;
    balance_call();
    switches("{\"call_delay\":2.5}");
}

static void longer_pause_of_429(const struct place *place) {
    (void)place;
    fault("{\"on\":{\"path\":\"" CHARGES "\"},\"action\":{\"answer\":{\"status\":429,\"headers\":[[\"Retry-After\",\"3\"]]}}}");
}

static const struct place on_the_callers_thread[] = {
    {"an interrupt in a refresh", IN_INTERRUPT, slow_token, 0, "tokens_requested"},
    {"an interrupt in a refresh, child calls", IN_INTERRUPT, slow_token, 1, "tokens_requested"},
    {"an interrupt before the answer", IN_INTERRUPT, slow_call, 0, "calls"},
    {"an interrupt before the answer, child calls", IN_INTERRUPT, slow_call, 1, "calls"},
    {"an interrupt in the pause of a 429", IN_INTERRUPT, pause_of_429, 0, "faults_played"},
    {"an interrupt in a handshake", IN_INTERRUPT, slow_handshake, 0, "faults_played"},
    {"an interrupt in a look-up", IN_INTERRUPT, slow_look_up, 0, NULL},
    {"a signal handler in a refresh", IN_HANDLER, slower_token, 0, "tokens_requested"},
    {"a signal handler before the answer", IN_HANDLER, slower_call, 0, "calls"},
    {"a signal handler in the pause of a 429", IN_HANDLER, longer_pause_of_429, 0, "faults_played"},
};

/* Whether the call was forked in. `for_token`: it is one for a token. */
static int forked_in(const struct place *place, int for_token) {
    int status = -1;
    manager = called = fresh_manager();
    reset();
    memset(both, 0, sizeof *both);
    both->parent = getpid();
    wanted = PAY88_OK;
    place->begin(place);
    forking = place;
    counted_before = counted_at(place);
    pay88_request *request = charge_request();
    pay88_response *response = NULL;
    pay88_token *token = NULL;
    pay88_error *error = NULL;
    unsigned long there = 0;
    pay88_interrupt interrupt = place->where == IN_INTERRUPT ? on_interrupt : NULL;
    pthread_t caller = pthread_self(), signaler;
    if (place->where == IN_HANDLER) {
        CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
        CHECK(pthread_create(&signaler, NULL, signals_the_caller, &caller) == 0);
    }
    pay88_status got = for_token ? pay88_manager_get_token(called, 0, interrupt, &there, &token, &error)
                                 : pay88_manager_send(called, request, interrupt, &there, &response, &error);
    if (is_child()) {
        CHECK(got == PAY88_FORKED && response == NULL && token == NULL);
        CHECK(pay88_error_outcome(error) == (for_token ? PAY88_OUTCOME_NOT_SENT : PAY88_OUTCOME_UNKNOWN));
        CHECK(for_token || !pay88_error_retryable(error));
        CHECK(both->called_in_child == place->child_calls);
        switches("{\"call_delay\":0,\"token_delay\":0}");
        call_in_child();
        _exit(0);
    }
    if (got != wanted)
        fail(__FILE__, __LINE__, place->name, error);
    if (place->where == IN_HANDLER)
        CHECK(pthread_join(signaler, NULL) == 0);
    int forked = both->child > 0;
    if (forked) {
        CHECK(waitpid(both->child, &status, 0) == both->child);
        CHECK(status == 0);
    }
    CHECK(counter("charges_created") == (wanted == PAY88_OK && !for_token));
    switches("{\"call_delay\":0,\"token_delay\":0}");
    forking = NULL;
    if (called != manager)
        pay88_manager_release(called);
    pay88_manager_release(manager);
    pay88_token_release(token);
    pay88_response_release(response);
    pay88_request_release(request);
    pay88_error_release(error);
    return forked;
}

/* Where a machine stands still as long as a call takes, the interrupt is not asked any more. */
static void ends_as_forked_in_the_child(const struct place *place, int for_token) {
    for (int tries = 1; !forked_in(place, for_token); tries++)
        CHECK(tries < 10);
    printf("  %s, %s\n", place->name, for_token ? "for a token" : "of a call");
}

/* What a call could not be started with is destroyed on the caller's thread, which goes on in both processes. */
static void destroy_of_a_call_that_could_not_start(void) {
    static const struct place place = {"destroy of a call that could not start", IN_DESTROY, NULL, 0, NULL};
    int status = -1;
    manager = fresh_manager();
    memset(both, 0, sizeof *both);
    both->parent = getpid();
    forking = &place;
    pay88_status got = pay88_manager_send_async(manager, NULL, on_response, NULL, on_destroy, NULL, NULL);
    forking = NULL;
    CHECK(got == PAY88_CONFIG_INVALID);
    if (is_child()) {
        call_in_child();
        _exit(both->ran_in_child);
    }
    CHECK(both->child > 0 && waitpid(both->child, &status, 0) == both->child && status == 0);
    CHECK(both->callbacks == 0 && both->destroyed == 1);
    pay88_manager_release(manager);
    printf("  %s\n", place.name);
}

static int is_locked(const char *path) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return 0;
    CHECK(fcntl(file, F_OFD_GETLK, &lock) == 0);
    close(file);
    return lock.l_type != F_UNLCK;
}

/* Who leads is killed: its lock is free at once, whoever it has forked while it took it. */
static void a_lock_ends_with_its_holder(void) {
    memset(both, 0, sizeof *both);
    reset();
    switches("{\"token_delay\":20}");
    pid_t leader = fork();
    CHECK(leader >= 0);
    if (leader == 0) {
        pay88_token *token = NULL;
        end_in(60 * slow());
        forks_at_lock = 1;
        manager = fresh_manager();
        pay88_manager_get_token(manager, 0, NULL, NULL, &token, NULL);
        _exit(1);
    }
    for (unsigned long end = millis() + 10000ul * slow(); !(both->child > 0 && is_locked(both->lock)); sleep_ms(10))
        CHECK(millis() < end);
    CHECK(kill(leader, SIGKILL) == 0 && waitpid(leader, NULL, 0) == leader);
    CHECK(kill(both->child, 0) == 0);
    CHECK(!is_locked(both->lock));
    kill(both->child, SIGKILL);
    switches("{\"token_delay\":0}");
    printf("  the moment when a lock is taken\n");
}

/* Where no thread can be had the caller refreshes, and its interrupt runs inside of that. */
static void without_threads(void) {
    struct rlimit limit;
    if (getuid() == 0) {
        struct passwd *nobody = getpwnam("nobody");
        CHECK(nobody != NULL);
        CHECK(setgroups(0, NULL) == 0 && setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0);
    }
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
    limit.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    limited_to_no_threads = 1;
    ends_as_forked_in_the_child(&on_the_callers_thread[0], 0);
    ends_as_forked_in_the_child(&on_the_callers_thread[0], 1);
}

int main(void) {
    both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(both != MAP_FAILED);
    for (size_t i = 0; i < sizeof on_threads_of_the_library / sizeof *on_threads_of_the_library; i++)
        goes_on_in_the_parent_alone(&on_threads_of_the_library[i]);
    for (size_t i = 0; i < sizeof on_the_callers_thread / sizeof *on_the_callers_thread; i++)
        ends_as_forked_in_the_child(&on_the_callers_thread[i], 0);
    ends_as_forked_in_the_child(&on_the_callers_thread[0], 1);
    destroy_of_a_call_that_could_not_start();
    a_lock_ends_with_its_holder();
    without_threads();
    return 0;
}
