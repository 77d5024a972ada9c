/* A forked child and its parent both go on, whatever was under way at the moment of the fork. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLERS 3
/* Calls at a time that go through a queue. */
#define QUEUED 3

static pay88_manager *manager;
static pay88_config *config;
static atomic_int over;

static int descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void call_through(pay88_manager *through) {
    pay88_request *request = charge_request();
    pay88_response *response = NULL;
    OK(pay88_manager_send(through, request, NULL, NULL, &response, &error));
    CHECK(pay88_response_status(response) == 200);
    pay88_response_release(response);
    pay88_request_release(request);
}

static void call_asynchronously(struct tally *tally, unsigned so_far) {
    pay88_request *request = charge_request();
    OK(pay88_manager_send_async(manager, request, tally_response, tally, tally_destroy, NULL, &error));
    pay88_request_release(request);
    tally_wait(tally, so_far + 1, 30000);
    CHECK(tally->ok == so_far + 1);
}

static pid_t fork_or_end(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        /* Whatever takes longer hangs. */
        alarm(30 * slow());
    return child;
}

static void await(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR);
    if (status != 0)
        fprintf(stderr, "wait status of the child: %#x\n", (unsigned)status);
    CHECK(status == 0);
}

static void connections_are_not_shared_and_the_token_is(void) {
    reset();
    call_through(manager);
    call_through(manager);
    long accepted = counter("connections_accepted");
    pid_t child = fork_or_end();
    if (child == 0) {
        call_through(manager);
        /* A charge goes over a kept connection only if the server was seen to keep one. */
        sleep_ms(100);
        call_through(manager);
        pay88_manager_release(manager);
        _exit(0);
    }
    await(child);
    CHECK(counter("connections_accepted") == accepted + 1);
    /* The parent's is as it was, although the child has ended with it. */
    call_through(manager);
    CHECK(counter("connections_accepted") == accepted + 1);
    CHECK(counter("tokens_requested") == 1);
}

static void a_change_in_the_child_is_in_a_generation_word_of_its_own(void) {
    const uint64_t *word = pay88_manager_generation_word(manager);
    pay88_token *token = NULL;
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    pay88_current current;
    CHECK(pay88_manager_current_until(manager, &current) == pay88_token_generation(token));
    CHECK(__atomic_load_n(word, __ATOMIC_ACQUIRE) == current.word);
    pay88_token_release(token);
    pid_t child = fork_or_end();
    if (child == 0) {
        CHECK(__atomic_load_n(word, __ATOMIC_ACQUIRE) == current.word);
        pay88_manager_close(manager);
        CHECK(__atomic_load_n(word, __ATOMIC_ACQUIRE) != current.word);
        _exit(0);
    }
    await(child);
    CHECK(__atomic_load_n(word, __ATOMIC_ACQUIRE) == current.word);
}

struct interrupted {
    long calls;
    pid_t child;
};

static int forks_once(void *data) {
    struct interrupted *interrupted = data;
    if (interrupted->child == -1 && counter("calls") > interrupted->calls)
        interrupted->child = fork_or_end();
    return 0;
}

static void a_call_whose_interrupt_forks_goes_on_in_the_parent_alone(void) {
    struct interrupted interrupted = {.child = -1};
    pay88_request *request = charge_request();
    pay88_response *response = NULL;
    pay88_error *error = NULL;
    long created = counter("charges_created");
    switches("{\"call_delay\":3}");
    interrupted.calls = counter("calls");
    pay88_status status = pay88_manager_send(manager, request, forks_once, &interrupted, &response, &error);
    if (interrupted.child == 0) {
        CHECK(status == PAY88_FORKED && response == NULL);
        CHECK(pay88_error_outcome(error) == PAY88_OUTCOME_UNKNOWN && !pay88_error_retryable(error));
        pay88_error_release(error);
        switches("{\"call_delay\":0}");
        call_through(manager);
        _exit(0);
    }
    CHECK(status == PAY88_OK && pay88_response_status(response) == 200);
    CHECK(interrupted.child > 0);
    await(interrupted.child);
    pay88_response_release(response);
    pay88_request_release(request);
    CHECK(counter("charges_created") == created + 2);
}

/* Takes what is there, and gives how many that were. */
static unsigned taken_from(const pay88_completions *completions) {
    pay88_completion taken[8];
    size_t count = 0;
    OK(pay88_completions_next(completions, taken, 8, &count, &error));
    for (size_t i = 0; i < count; i++) {
        CHECK(taken[i].status == PAY88_OK && pay88_response_status(taken[i].response) == 200);
        pay88_response_release(taken[i].response);
    }
    return (unsigned)count;
}

static void call_through_queue(const pay88_completions *completions, unsigned calls) {
    pay88_request *request = charge_request();
    for (unsigned tag = 0; tag < calls; tag++)
        OK(pay88_manager_send_queued(manager, request, 0, completions, tag, NULL, &error));
    pay88_request_release(request);
}

static void wait_for_completion(const pay88_completions *completions) {
    struct pollfd entry = {.fd = pay88_completions_fd(completions), .events = POLLIN};
    CHECK(poll(&entry, 1, 30000) == 1 && entry.revents == POLLIN);
}

static void a_queue_stays_with_the_process_that_opened_it(void) {
    long created = counter("charges_created");
    pay88_completions *completions = NULL;
    OK(pay88_completions_open(&completions, &error));
    int inherited = pay88_completions_fd(completions);
    call_through_queue(completions, 1);
    wait_for_completion(completions);
    /* One has come, three are on their way. */
    switches("{\"call_delay\":0.5}");
    call_through_queue(completions, 2);
    pay88_call *call = NULL;
    pay88_request *request = charge_request();
    OK(pay88_manager_send_queued(manager, request, 0, completions, 2, &call, &error));
    pay88_request_release(request);
    pid_t child = fork_or_end();
    if (child == 0) {
        pay88_completion taken;
        size_t count = 7;
        CHECK(pay88_completions_fd(completions) == -1);
        EXPECT(PAY88_FORKED, pay88_completions_next(completions, &taken, 1, &count, &error));
        EXPECT(PAY88_FORKED, pay88_manager_get_token_queued(manager, 0, completions, 1, NULL, &error));
        CHECK(count == 7 && fcntl(inherited, F_GETFD) != -1);
        pay88_call_cancel(call);
        pay88_call_release(call);
        pay88_completions_release(completions);
        CHECK(fcntl(inherited, F_GETFD) == -1);
        pay88_completions *own = NULL;
        OK(pay88_completions_open(&own, &error));
        call_through_queue(own, 1);
        wait_for_completion(own);
        CHECK(taken_from(own) == 1);
        pay88_completions_release(own);
        _exit(0);
    }
    await(child);
    for (unsigned came = 0; came < 4; came += taken_from(completions))
        wait_for_completion(completions);
    CHECK(taken_from(completions) == 0);
    pay88_call_release(call);
    switches("{\"call_delay\":0}");
    pay88_completions_release(completions);
    CHECK(counter("charges_created") == created + 5);
}

static void *calls(void *data) {
    while (!over)
        call_through(manager);
    return data;
}

static void *calls_asynchronously(void *tally) {
    for (unsigned number = 0; !over; number++)
        call_asynchronously(tally, number);
    return tally;
}

/* Forks fall into every moment of a queue that is filled and emptied. */
static void *calls_through_queue(void *completions) {
    while (!over) {
        call_through_queue(completions, QUEUED);
        for (unsigned came = 0; came < QUEUED; came += taken_from(completions))
            wait_for_completion(completions);
    }
    return completions;
}

/* Uses what it inherited, and builds a handle of its own. */
static void goes_on(const struct tally *inherited, pay88_completions *completions) {
    CHECK(pay88_completions_fd(completions) == -1);
    pay88_completions_release(completions);
    struct tally own;
    unsigned called = inherited->called, destroyed = inherited->destroyed;
    call_through(manager);
    tally_init(&own);
    call_asynchronously(&own, 0);
    pay88_manager *another = NULL;
    OK(pay88_manager_new(config, &another, &error));
    call_through(another);
    pay88_manager_release(another);
    pay88_manager_release(manager);
    /* Calls that the parent has begun end there. */
    CHECK(inherited->called == called && inherited->destroyed == destroyed);
}

static void both_go_on_with_calls_and_refreshes_in_flight(void) {
    unsigned forks = slow() > 1 ? 10 : 200;
    pthread_t callers[CALLERS], asynchronous, queued;
    pay88_completions *completions = NULL;
    static struct tally tally;
    reset();
    /* A token is used for a second, and a third of that second a refresh is under way. */
    switches("{\"expires_in\":11,\"tokens_per_minute\":0,\"tokens_per_hour\":0,\"token_delay\":0.3}");
    tally_init(&tally);
    unsigned long begun = millis();
    for (int i = 0; i < CALLERS; i++)
        CHECK(pthread_create(&callers[i], NULL, calls, NULL) == 0);
    CHECK(pthread_create(&asynchronous, NULL, calls_asynchronously, &tally) == 0);
    OK(pay88_completions_open(&completions, &error));
    CHECK(pthread_create(&queued, NULL, calls_through_queue, completions) == 0);
    /* All callers have a connection by then. */
    for (unsigned long end = millis() + 60000; counter("charges_created") < 20 * (CALLERS + 1 + QUEUED);) {
        CHECK(millis() < end);
        sleep_ms(20);
    }
    int before = descriptors();
    for (unsigned number = 0; number < forks; number++) {
        /* Falls into every phase of a token's second. */
        sleep_ms(number * 37 % 60);
        pid_t child = fork_or_end();
        if (child == 0) {
            goes_on(&tally, completions);
            _exit(0);
        }
        await(child);
    }
    over = 1;
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    pthread_join(asynchronous, NULL);
    pthread_join(queued, NULL);
    pay88_completions_release(completions);
    int after = descriptors();
    unsigned long took = millis() - begun;
    long tokens = counter("tokens_issued");
    printf("  %u forks in %lu ms, %ld tokens, %d descriptors before and %d after\n", forks, took, tokens, before, after);
    /* Of the connections that are kept there may be some more now: one for each call that can be under way. */
    CHECK(after <= before + CALLERS + 1 + QUEUED);
    /* A token is renewed after 0.9 s; the request of a child that ends in the middle of it is made once more. */
    CHECK(tokens <= (long)(took / 500) + 5);
    CHECK(counter("unauthorized") == 0);
    switches("{\"expires_in\":60,\"tokens_per_minute\":10,\"tokens_per_hour\":100,\"token_delay\":0}");
}

int main(void) {
    config = fresh_config();
    OK(pay88_manager_new(config, &manager, &error));
    connections_are_not_shared_and_the_token_is();
    a_change_in_the_child_is_in_a_generation_word_of_its_own();
    a_call_whose_interrupt_forks_goes_on_in_the_parent_alone();
    a_queue_stays_with_the_process_that_opened_it();
    pay88_manager_release(manager);
    pay88_config_release(config);

    config = fresh_config();
    set(config, "tokens_per_minute", "1000");
    set(config, "tokens_per_hour", "10000");
    OK(pay88_manager_new(config, &manager, &error));
    both_go_on_with_calls_and_refreshes_in_flight();
    pay88_manager_release(manager);
    pay88_config_release(config);
    return 0;
}
