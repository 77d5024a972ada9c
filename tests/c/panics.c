/* A panic of the library is an error of the call that it happened in, and prints nothing. Needs a build with the feature
 * `test-hooks`. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* Not in the header: a shipped library has none of it. */
void pay88_test_panic_in_calls(uint32_t times);

struct caught {
    struct tally tally;
    pay88_error *error;
};

static void catches(void *user_data, pay88_status status, pay88_response *response, pay88_error *error) {
    struct caught *caught = user_data;
    CHECK(status == PAY88_INTERNAL && response == NULL);
    caught->error = error;
}

static void destroys(void *user_data) { tally_destroy(&((struct caught *)user_data)->tally); }

static void is_the_panic(pay88_error *error) {
    CHECK(pay88_error_status(error) == PAY88_INTERNAL);
    CHECK(strstr(pay88_error_message(error).data, "provoked by a test") != NULL);
    /* Nobody can tell what was done before it. */
    CHECK(pay88_error_outcome(error) == PAY88_OUTCOME_UNKNOWN && !pay88_error_retryable(error));
    pay88_error_release(error);
}

static pay88_completion completion(const pay88_completions *completions) {
    struct pollfd entry = {.fd = pay88_completions_fd(completions), .events = POLLIN};
    pay88_completion taken;
    size_t count = 0;
    CHECK(poll(&entry, 1, 10000) == 1);
    OK(pay88_completions_next(completions, &taken, 1, &count, &error));
    CHECK(count == 1);
    return taken;
}

int main(void) {
    char printed[64];
    FILE *file = tmpfile();
    int stderr_before = dup(STDERR_FILENO);
    CHECK(file != NULL && stderr_before >= 0);
    reset();
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    pay88_response *response = NULL;
    pay88_error *error = NULL;
    struct caught caught;
    tally_init(&caught.tally);

    CHECK(dup2(fileno(file), STDERR_FILENO) >= 0);
    pay88_test_panic_in_calls(1);
    CHECK(pay88_manager_send(manager, request, NULL, NULL, &response, &error) == PAY88_INTERNAL);
    CHECK(response == NULL);
    pay88_test_panic_in_calls(1);
    OK(pay88_manager_send_async(manager, request, catches, &caught, destroys, NULL, &error));
    tally_wait(&caught.tally, 1, 10000);
    pay88_completions *completions = NULL;
    OK(pay88_completions_open(&completions, &error));
    pay88_test_panic_in_calls(1);
    OK(pay88_manager_send_queued(manager, request, 0, completions, 1, NULL, &error));
    pay88_completion taken = completion(completions);
    CHECK(dup2(stderr_before, STDERR_FILENO) >= 0);
    close(stderr_before);

    is_the_panic(error);
    is_the_panic(caught.error);
    CHECK(taken.status == PAY88_INTERNAL && taken.response == NULL && taken.tag == 1);
    is_the_panic(taken.error);
    rewind(file);
    CHECK(fread(printed, 1, sizeof printed, file) == 0);
    fclose(file);
    CHECK(counter("charges_created") == 0);

    /* All go on as before. */
    struct tally tally;
    tally_init(&tally);
    OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
    OK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, NULL, &error));
    tally_wait(&tally, 1, 10000);
    OK(pay88_manager_send_queued(manager, request, 0, completions, 2, NULL, &error));
    taken = completion(completions);
    CHECK(taken.status == PAY88_OK && taken.tag == 2);
    pay88_response_release(taken.response);
    CHECK(tally.ok == 1 && counter("charges_created") == 3);
    pay88_completions_release(completions);
    pay88_response_release(response);
    pay88_request_release(request);
    pay88_manager_release(manager);
    return 0;
}
