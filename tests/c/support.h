/* What the C tests share: checks that end the program, the sandbox's control port, managers of their own.
 *
 * Every program is run by `pay88 sandbox --exec`, which sets EIGHTY_EIGHT_PAY_* and PAY88_SANDBOX_CONTROL. */
#ifndef PAY88_TEST_SUPPORT_H
#define PAY88_TEST_SUPPORT_H

#include <pay88.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with status 1 unless it holds. */
#define CHECK(condition) \
    do { \
        if (!(condition)) \
            fail(__FILE__, __LINE__, #condition, NULL); \
    } while (0)

/* Ends the program unless a call that takes `&error` as its last argument has that status; releases the error. */
#define EXPECT(wanted, call) \
    do { \
        pay88_error *error = NULL; \
        pay88_status got = (call); \
        if (got != (wanted)) \
            fail(__FILE__, __LINE__, #call, error); \
        CHECK((got == PAY88_OK) == (error == NULL)); \
        pay88_error_release(error); \
    } while (0)

#define OK(call) EXPECT(PAY88_OK, call)

_Noreturn void fail(const char *file, int line, const char *what, pay88_error *error);

/* Times are that much longer than on a free machine: 1, or PAY88_TEST_SLOW. */
unsigned slow(void);
unsigned long millis(void);
void sleep_ms(unsigned ms);

/* Whether a text is this one. */
int is(pay88_str text, const char *wanted);

/* A request to the control port; the body of its answer, to be freed. */
char *control(const char *method, const char *path, const char *body);
/* Plays a fault, see the sandbox's control port. */
void fault(const char *json);
/* Sets switches. */
void switches(const char *json);
/* Forgets faults, counters, tokens and charges. */
void reset(void);
long counter(const char *name);

/* A configuration with the sandbox's address and a key that no manager of this process has. */
pay88_config *fresh_config(void);
/* A manager with a key of its own: no token, whole budget, nothing remembered. */
pay88_manager *fresh_manager(void);
void set(pay88_config *config, const char *name, const char *value);

pay88_request *request_of(const char *method, const char *endpoint, const char *body);
/* A charge that the sandbox accepts. */
pay88_request *charge_request(void);

/* Counts what callbacks bring; waits for them. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned called, destroyed, ok;
    pay88_status status; /* of the last error */
    pay88_outcome outcome;
    unsigned long long attempt;
    char message[400];
    unsigned different; /* errors that are not the last one */
};

void tally_init(struct tally *tally);
/* Takes what a callback got: notes and releases it. Text is compared without digits: they may be waiting times. */
void tally_take(struct tally *tally, pay88_status status, pay88_error *error);
void tally_token(void *tally, pay88_status status, pay88_token *token, pay88_error *error);
void tally_response(void *tally, pay88_status status, pay88_response *response, pay88_error *error);
void tally_destroy(void *tally);
/* Ends the program unless so many were destroyed within that time. */
void tally_wait(struct tally *tally, unsigned destroyed, unsigned ms);

#endif
