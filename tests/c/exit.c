/* A program that ends in the middle of a refresh ends with the status that it chose. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

static void *waits(void *manager) {
    pay88_token *token = NULL;
    pay88_manager_get_token(manager, 0, NULL, NULL, &token, NULL);
    pay88_token_release(token);
    return NULL;
}

/* Leaves while a refresh, a blocking and an asynchronous waiter and a call are under way. */
static int leaves(unsigned number) {
    static struct tally tally;
    pthread_t thread;
    tally_init(&tally);
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    CHECK(pthread_create(&thread, NULL, waits, manager) == 0);
    OK(pay88_manager_get_token_async(manager, 0, tally_token, &tally, tally_destroy, NULL, &error));
    OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, NULL, &error));
    pay88_request_release(request);
    /* From the first instructions of the refresh to the wait for its answer. */
    /* What is run for the first time is what valgrind takes longest for. */
    sleep_ms(number % 40 * slow() * slow());
    /* One at least while the answer is awaited, however slow the machine is. */
    for (unsigned long end = millis() + 60000; number == 0 && counter("tokens_requested") == 0;) {
        CHECK(millis() < end);
        sleep_ms(20);
    }
    if (number % 2)
        exit((int)(number % 100) + 3);
    return (int)(number % 100) + 3;
}

int main(void) {
    unsigned exits = 200, step = slow() > 1 ? 19 : 1;
    reset();
    switches("{\"token_delay\":5}");
    for (unsigned number = 0; number < exits; number += step) {
        int status = -1;
        /* This process has not used the library: each child is a program that starts with it. */
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            return leaves(number);
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != (int)(number % 100) + 3)
            fprintf(stderr, "exit %u: wait status %#x\n", number, (unsigned)status);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (int)(number % 100) + 3);
    }
    switches("{\"token_delay\":0}");
    CHECK(counter("tokens_requested") > 0);
    return 0;
}
