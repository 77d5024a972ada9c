/* The last handle goes in the callback of an asynchronous call: within a minute no descriptor and no thread of the library is left,
 * and a call after that is answered. */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>

static int entries(const char *path) {
    int count = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

struct call {
    struct tally tally;
    pay88_manager *last;
};

static void release_last(void *data, pay88_status status, pay88_response *response, pay88_error *error) {
    struct call *call = data;
    pay88_manager_release(call->last);
    tally_response(&call->tally, status, response, error);
}

static void destroy(void *data) { tally_destroy(&((struct call *)data)->tally); }

static void call_and_release(void) {
    static struct call call;
    tally_init(&call.tally);
    call.last = fresh_manager();
    pay88_request *request = request_of("POST", "/api/balance", "{}");
    OK(pay88_manager_send_async(call.last, request, release_last, &call, destroy, NULL, &error));
    pay88_request_release(request);
    tally_wait(&call.tally, 1, 15000);
    CHECK(call.tally.ok == 1);
}

int main(void) {
    int descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    reset();
    call_and_release();
    unsigned long released = millis();
    CHECK(entries("/proc/self/fd") >= descriptors + 4 && entries("/proc/self/task") > threads);
    /* A minute is promised. */
    while (entries("/proc/self/fd") > descriptors || entries("/proc/self/task") > threads) {
        CHECK(millis() < released + 600000);
        sleep_ms(50);
    }
    printf("nothing is left %lu ms after the last handle\n", millis() - released);
    call_and_release();
    return 0;
}
