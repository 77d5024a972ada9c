/* With no thread to be had, blocking calls work and asynchronous ones say why they do not. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void *nothing(void *data) { return data; }

/* Root is not bound by the limit. */
static void become_nobody(void) {
    if (getuid() != 0)
        return;
    struct passwd *nobody = getpwnam("nobody");
    CHECK(nobody != NULL);
    CHECK(setgroups(0, NULL) == 0 && setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0);
    /* For the leak checker, which looks at its own process. */
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
}

int main(void) {
    struct rlimit limit;
    struct tally tally;
    pthread_t thread;
    reset();
    tally_init(&tally);
    pay88_manager *manager = fresh_manager();
    pay88_manager *later = fresh_manager();
    pay88_request *request = charge_request();
    become_nobody();
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
    struct rlimit none = {0, limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == EAGAIN);

    /* The waiter fetches the token itself. */
    pay88_token *token = NULL;
    pay88_response *response = NULL;
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    CHECK(pay88_token_session_id(token).len > 0);
    OK(pay88_manager_send(manager, request, NULL, NULL, &response, &error));
    CHECK(pay88_response_status(response) == 200);
    pay88_token_release(token);
    pay88_response_release(response);

    pay88_call *call = NULL;
    pay88_error *error = NULL;
    CHECK(pay88_manager_send_async(manager, request, tally_response, &tally, tally_destroy, &call, &error) == PAY88_INTERNAL);
    CHECK(strstr(pay88_error_message(error).data, "thread") != NULL);
    CHECK(pay88_error_outcome(error) == PAY88_OUTCOME_NOT_SENT);
    pay88_error_release(error);
    CHECK(call == NULL && tally.called == 0 && tally.destroyed == 1);
    pay88_completions *completions = NULL;
    pay88_completion taken;
    size_t count = 1;
    OK(pay88_completions_open(&completions, &error));
    EXPECT(PAY88_INTERNAL, pay88_manager_send_queued(manager, request, 0, completions, 1, &call, &error));
    EXPECT(PAY88_INTERNAL, pay88_manager_get_token_queued(manager, 0, completions, 2, &call, &error));
    OK(pay88_completions_next(completions, &taken, 1, &count, &error));
    CHECK(call == NULL && count == 0);
    pay88_completions_release(completions);
    CHECK(counter("tokens_requested") == 1 && counter("charges_created") == 1);

    /* It is not remembered: once there are threads again, they are used. */
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    OK(pay88_manager_send_async(later, request, tally_response, &tally, tally_destroy, &call, &error));
    pay88_call_release(call);
    tally_wait(&tally, 2, 10000);
    CHECK(tally.called == 1 && tally.ok == 1);
    pay88_request_release(request);
    pay88_manager_release(manager);
    pay88_manager_release(later);
    return 0;
}
