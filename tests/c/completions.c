/* Queues of completions: one for each call, however many wait, whoever takes them, whatever becomes of the calls. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

/* The longest wait for anything, in milliseconds: whatever takes longer hangs. */
#define LONG 120000
#define THREADS 4

static pay88_manager *manager;

static pay88_completions *opened(void) {
    pay88_completions *completions = NULL;
    OK(pay88_completions_open(&completions, &error));
    CHECK(completions != NULL);
    return completions;
}

static int is_readable(const pay88_completions *completions, int wait_ms) {
    struct pollfd entry = {.fd = pay88_completions_fd(completions), .events = POLLIN};
    int ready;
    while ((ready = poll(&entry, 1, wait_ms)) < 0)
        CHECK(errno == EINTR);
    CHECK(ready == 0 || entry.revents == POLLIN);
    return ready;
}

/* What the kernel has counted: the writes that were not read. */
static unsigned long writes_of(const pay88_completions *completions) {
    char path[64], line[128];
    unsigned long count = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pay88_completions_fd(completions));
    FILE *info = fopen(path, "r");
    CHECK(info != NULL);
    int found = 0;
    while (fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "eventfd-count: %lx", &count) == 1)
            found = 1;
    fclose(info);
    CHECK(found);
    return count;
}

/* How many queues there are, and what else has such a descriptor. */
static int eventfds(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char to[64];
        ssize_t len = readlinkat(dirfd(directory), entry->d_name, to, sizeof to);
        count += len >= 20 && memcmp(to, "anon_inode:[eventfd]", 20) == 0;
    }
    closedir(directory);
    return count;
}

static size_t take(const pay88_completions *completions, pay88_completion *taken, size_t capacity) {
    size_t count = capacity + 1;
    OK(pay88_completions_next(completions, taken, capacity, &count, &error));
    CHECK(count <= capacity);
    return count;
}

/* One completion, which has to come. */
static pay88_completion take_one(const pay88_completions *completions) {
    pay88_completion taken = {0};
    CHECK(is_readable(completions, LONG));
    CHECK(take(completions, &taken, 1) == 1);
    return taken;
}

static void release(pay88_completion *taken) {
    CHECK((taken->token != NULL) + (taken->response != NULL) + (taken->error != NULL) == 1);
    CHECK((taken->status == PAY88_OK) == (taken->error == NULL));
    CHECK(pay88_error_status(taken->error) == taken->status);
    pay88_token_release(taken->token);
    pay88_response_release(taken->response);
    pay88_error_release(taken->error);
}

/* With the longest time that there is: the last of many that a busy machine works off may take longer than the default. */
static void ask(const pay88_manager *from, const pay88_completions *completions, uint64_t tag) {
    OK(pay88_manager_get_token_queued(from, 3600000, completions, tag, NULL, &error));
}

static void charge(const pay88_completions *completions, uint64_t tag, pay88_call **call) {
    pay88_request *request = charge_request();
    OK(pay88_manager_send_queued(manager, request, 0, completions, tag, call, &error));
    pay88_request_release(request);
}

static void ensure_token(void) {
    pay88_token *token = NULL;
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    pay88_token_release(token);
}

static void the_descriptor_is_readable_exactly_while_there_is_something(void) {
    pay88_completions *completions = opened();
    pay88_completion taken[3];
    int fd = pay88_completions_fd(completions);
    CHECK(fd >= 3);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(!is_readable(completions, 0));
    CHECK(take(completions, taken, 3) == 0 && !is_readable(completions, 0));
    for (unsigned round = 0; round < 50; round++) {
        ask(manager, completions, round);
        ask(manager, completions, round);
        for (int i = 0; i < 2; i++) {
            pay88_completion one = take_one(completions);
            CHECK(one.tag == round && one.token != NULL);
            release(&one);
        }
        CHECK(!is_readable(completions, 0) && writes_of(completions) == 0);
    }
    pay88_completions_release(completions);
    CHECK(fcntl(fd, F_GETFD) == -1);
}

/* A standard stream that is closed stays closed: what the program prints there must not reach the queue. */
static void no_descriptor_takes_the_number_of_a_standard_stream(void) {
    int before = dup(STDIN_FILENO);
    CHECK(before >= 3);
    close(STDIN_FILENO);
    pay88_completions *completions = opened();
    CHECK(pay88_completions_fd(completions) >= 3);
    CHECK(fcntl(STDIN_FILENO, F_GETFD) == -1);
    CHECK(dup2(before, STDIN_FILENO) == STDIN_FILENO);
    close(before);
    pay88_completions_release(completions);
}

static void any_tag_comes_back_with_what_the_call_gave(void) {
    static const uint64_t TAGS[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, (uint64_t)1 << 63};
    pay88_completions *completions = opened();
    for (size_t i = 0; i < sizeof TAGS / sizeof *TAGS; i++) {
        pay88_completion taken;
        ask(manager, completions, TAGS[i]);
        taken = take_one(completions);
        CHECK(taken.tag == TAGS[i] && taken.status == PAY88_OK && pay88_token_access_token(taken.token).len > 0);
        release(&taken);
        charge(completions, TAGS[i], NULL);
        taken = take_one(completions);
        CHECK(taken.tag == TAGS[i] && taken.status == PAY88_OK && pay88_response_status(taken.response) == 200);
        release(&taken);
    }
    /* The time of the call is stronger than that of the request. */
    pay88_request *request = charge_request();
    OK(pay88_request_set_timeout_ms(request, 2 * LONG, &error));
    fault("{\"on\":{\"path\":\"/api/transactions/charges\"},\"times\":1,\"action\":\"stall_in_body\"}");
    OK(pay88_manager_send_queued(manager, request, 3000, completions, 7, NULL, &error));
    pay88_completion taken = take_one(completions);
    CHECK(taken.tag == 7 && taken.status == PAY88_TIMEOUT);
    release(&taken);
    pay88_request_release(request);
    pay88_completions_release(completions);
}

static void a_call_that_was_not_taken_gives_no_completion(void) {
    pay88_completions *completions = opened();
    pay88_completion taken;
    pay88_manager *closed = fresh_manager();
    pay88_request *request = charge_request(), *refused = request_of("GET", "https://example.com/api", NULL);
    pay88_manager_close(closed);
    pay88_call *call = NULL;
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_get_token_queued(closed, 0, completions, 1, &call, &error));
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_send_queued(closed, request, 0, completions, 2, &call, &error));
    EXPECT(PAY88_REFUSED, pay88_manager_send_queued(manager, refused, 0, completions, 3, &call, &error));
    EXPECT(PAY88_CONFIG_INVALID, pay88_manager_send_queued(manager, request, 3600001, completions, 4, &call, &error));
    CHECK(call == NULL && !is_readable(completions, 50));
    CHECK(take(completions, &taken, 1) == 0);
    pay88_request_release(request);
    pay88_request_release(refused);
    pay88_manager_release(closed);
    pay88_completions_release(completions);
}

/* --- Many at once ------------------------------------------------------------------------------------------------------ */

struct load {
    pay88_completions *completions;
    pay88_completion *taken;
    atomic_uchar *seen;
    atomic_uint submitted, came, failed;
    unsigned all;
};

static void *submits(void *data) {
    struct load *load = data;
    for (unsigned tag; (tag = load->submitted++) < load->all;)
        ask(manager, load->completions, tag);
    return NULL;
}

/* Takes some at a time, notes each, and keeps them for others to release. */
static void *takes(void *data) {
    struct load *load = data;
    pay88_completion some[97];
    for (size_t capacity = 1; load->came < load->all; capacity = capacity % 97 + 1) {
        if (!is_readable(load->completions, 20))
            continue;
        size_t count = take(load->completions, some, capacity);
        for (size_t i = 0; i < count; i++) {
            if (some[i].token == NULL)
                fail(__FILE__, __LINE__, "a token", some[i].error);
            CHECK(some[i].tag < load->all);
            CHECK(load->seen[some[i].tag]++ == 0);
            load->taken[some[i].tag] = some[i];
        }
        load->came += (unsigned)count;
    }
    return NULL;
}

static void *releases(void *data) {
    struct load *load = data;
    /* 7,919 is a prime that divides no such number, so that each is met, in an order that has nothing of the first. */
    for (unsigned number; (number = load->submitted++) < load->all;)
        release(&load->taken[(uint64_t)number * 7919 % load->all]);
    return NULL;
}

static void on_threads(void *(*run)(void *), struct load *load) {
    pthread_t threads[THREADS];
    load->submitted = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, load) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static unsigned long hits(void) {
    pay88_stats *stats = NULL;
    OK(pay88_manager_stats(manager, &stats, &error));
    double value = pay88_stats_value(stats, "hits", 4) + pay88_stats_value(stats, "waits", 5);
    pay88_stats_release(stats);
    return (unsigned long)value;
}

/* With readers that wait meanwhile, or with none before everything has come. */
static void each_comes_once_however_many_wait_and_whoever_takes_them(int meanwhile) {
    struct load load = {.all = 100000 / slow()};
    unsigned long begun = millis(), before = hits();
    pthread_t readers[THREADS];
    load.completions = opened();
    load.taken = calloc(load.all, sizeof *load.taken);
    load.seen = calloc(load.all, sizeof *load.seen);
    CHECK(load.taken != NULL && load.seen != NULL);
    for (int i = 0; meanwhile && i < THREADS; i++)
        CHECK(pthread_create(&readers[i], NULL, takes, &load) == 0);
    on_threads(submits, &load);
    if (meanwhile) {
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_join(readers[i], NULL) == 0);
    } else {
        for (unsigned long end = millis() + LONG; hits() - before < load.all; sleep_ms(10))
            CHECK(millis() < end);
        /* What the last one did behind its count. */
        sleep_ms(100);
        CHECK(writes_of(load.completions) == 1);
        on_threads(takes, &load);
    }
    CHECK(load.came == load.all && !is_readable(load.completions, 0) && writes_of(load.completions) == 0);
    for (unsigned tag = 0; tag < load.all; tag++)
        CHECK(load.seen[tag] == 1);
    pay88_completions_release(load.completions);
    /* They need neither the queue nor each other. */
    on_threads(releases, &load);
    free(load.taken);
    free(load.seen);
    printf("  %u completions in %lu ms, %s\n", load.all, millis() - begun,
           meanwhile ? "taken as they came" : "taken when all were there");
}

/* --- Many queues --------------------------------------------------------------------------------------------------------- */

#define QUEUES 20

static void *has_a_queue_of_its_own(void *data) {
    pay88_completions *completions = opened();
    uint64_t own = *(uint64_t *)data << 32;
    unsigned rounds = 200 / slow();
    for (unsigned round = 0; round < rounds; round++) {
        unsigned waiting = 3;
        for (unsigned i = 0; i < waiting; i++)
            ask(manager, completions, own + i);
        for (unsigned seen = 0; waiting > 0;) {
            pay88_completion taken[2];
            CHECK(is_readable(completions, LONG));
            size_t count = take(completions, taken, 2);
            for (size_t i = 0; i < count; i++, waiting--) {
                CHECK(taken[i].tag >= own && taken[i].tag < own + 3 && !(seen & 1u << (taken[i].tag - own)));
                seen |= 1u << (taken[i].tag - own);
                release(&taken[i]);
            }
        }
    }
    charge(completions, own, NULL);
    pay88_completion taken = take_one(completions);
    CHECK(taken.tag == own && pay88_response_status(taken.response) == 200);
    release(&taken);
    pay88_completions_release(completions);
    return NULL;
}

static void every_queue_gets_what_is_its_own(void) {
    pthread_t threads[QUEUES];
    uint64_t numbers[QUEUES];
    long created = counter("charges_created");
    for (int i = 0; i < QUEUES; i++) {
        numbers[i] = (uint64_t)i;
        CHECK(pthread_create(&threads[i], NULL, has_a_queue_of_its_own, &numbers[i]) == 0);
    }
    for (int i = 0; i < QUEUES; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(counter("charges_created") == created + QUEUES);
}

/* --- Cancel, close and release at every phase ----------------------------------------------------------------------------- */

/* Calls take 300 ms at the server; something else happens so many milliseconds after they were begun. */
#define PHASES 8
static unsigned phase_ms(unsigned phase) { return phase * 75; }

static void a_call_that_is_canceled_gives_one_completion(void) {
    pay88_completions *completions = opened();
    unsigned canceled = 0, answered = 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        pay88_call *call = NULL;
        charge(completions, phase, &call);
        CHECK(call != NULL);
        sleep_ms(phase_ms(phase));
        pay88_call_cancel(call);
        pay88_call_cancel(call);
        pay88_completion taken = take_one(completions);
        CHECK(taken.tag == phase);
        CHECK(taken.status == PAY88_OK || taken.status == PAY88_CANCELED);
        *(taken.status == PAY88_OK ? &answered : &canceled) += 1;
        release(&taken);
        pay88_call_cancel(call);
        CHECK(!is_readable(completions, 0));
        pay88_call_release(call);
    }
    /* Long after its end. */
    pay88_call *call = NULL;
    charge(completions, 99, &call);
    pay88_completion taken = take_one(completions);
    CHECK(taken.status == PAY88_OK);
    pay88_call_cancel(call);
    pay88_call_release(call);
    CHECK(!is_readable(completions, 50));
    release(&taken);
    pay88_completions_release(completions);
    printf("  %u canceled, %u answered before\n", canceled, answered);
    CHECK(canceled > 0);
}

static void a_manager_that_is_closed_ends_its_calls_and_each_gives_one_completion(void) {
    unsigned canceled = 0;
    for (unsigned phase = 0; phase < PHASES; phase += 2) {
        pay88_completions *completions = opened();
        pay88_manager *own = fresh_manager();
        pay88_request *request = charge_request();
        unsigned all = 10;
        for (unsigned tag = 0; tag < all; tag++) {
            if (tag % 2)
                ask(own, completions, tag);
            else
                OK(pay88_manager_send_queued(own, request, 0, completions, tag, NULL, &error));
        }
        sleep_ms(phase_ms(phase));
        pay88_manager_close(own);
        pay88_manager_release(own);
        for (unsigned came = 0, seen = 0; came < all; came++) {
            pay88_completion taken = take_one(completions);
            CHECK(taken.tag < all && !(seen & 1u << taken.tag));
            seen |= 1u << taken.tag;
            CHECK(taken.status == PAY88_OK || taken.status == PAY88_CANCELED);
            canceled += taken.status == PAY88_CANCELED;
            release(&taken);
        }
        CHECK(!is_readable(completions, 20));
        pay88_request_release(request);
        pay88_completions_release(completions);
    }
    CHECK(canceled > 0);
}

static void calls_of_a_queue_that_is_released_go_on_unseen(void) {
    int before = eventfds();
    long created = counter("charges_created");
    for (unsigned phase = 0; phase < PHASES; phase++) {
        pay88_completions *completions = opened();
        pay88_call *call = NULL;
        charge(completions, 0, &call);
        /* Some that are there and that nobody takes. */
        ask(manager, completions, 1);
        CHECK(phase % 2 || is_readable(completions, LONG));
        sleep_ms(phase_ms(phase));
        int fd = pay88_completions_fd(completions);
        pay88_completions_release(completions);
        CHECK(fcntl(fd, F_GETFD) == -1);
        /* Whoever gets the number now is not written to. */
        int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(other >= 0);
        pay88_call_release(call);
        close(other);
    }
    for (unsigned long end = millis() + LONG; counter("charges_created") < created + PHASES; sleep_ms(10))
        CHECK(millis() < end);
    CHECK(counter("charges_created") == created + PHASES);
    CHECK(eventfds() == before);
}

/* As the header promises: the completion may come before the function has returned. */
struct handed_over {
    pay88_completions *completions;
    pay88_manager *manager;
    pay88_call *call;
};

static void *releases_what_the_call_used(void *data) {
    struct handed_over *handed_over = data;
    pay88_completion taken = take_one(handed_over->completions);
    CHECK(taken.tag == 5);
    release(&taken);
    pay88_call_cancel(handed_over->call);
    pay88_call_release(handed_over->call);
    pay88_manager_release(handed_over->manager);
    pay88_completions_release(handed_over->completions);
    return NULL;
}

static void whoever_takes_the_completion_may_release_what_the_call_used(void) {
    pay88_config *config = fresh_config();
    for (unsigned round = 0; round < 100 / slow(); round++) {
        struct handed_over handed_over = {.completions = opened()};
        pthread_t thread;
        OK(pay88_manager_new(config, &handed_over.manager, &error));
        CHECK(pthread_create(&thread, NULL, releases_what_the_call_used, &handed_over) == 0);
        OK(pay88_manager_get_token_queued(handed_over.manager, 0, handed_over.completions, 5, &handed_over.call, &error));
        CHECK(pthread_join(thread, NULL) == 0);
    }
    pay88_config_release(config);
}

int main(void) {
    reset();
    switches("{\"tokens_per_minute\":0,\"tokens_per_hour\":0}");
    manager = fresh_manager();
    ensure_token();
    the_descriptor_is_readable_exactly_while_there_is_something();
    no_descriptor_takes_the_number_of_a_standard_stream();
    any_tag_comes_back_with_what_the_call_gave();
    a_call_that_was_not_taken_gives_no_completion();
    each_comes_once_however_many_wait_and_whoever_takes_them(0);
    each_comes_once_however_many_wait_and_whoever_takes_them(1);
    every_queue_gets_what_is_its_own();
    switches("{\"call_delay\":0.3}");
    a_call_that_is_canceled_gives_one_completion();
    a_manager_that_is_closed_ends_its_calls_and_each_gives_one_completion();
    calls_of_a_queue_that_is_released_go_on_unseen();
    switches("{\"call_delay\":0}");
    whoever_takes_the_completion_may_release_what_the_call_used();
    pay88_manager_release(manager);
    return 0;
}
