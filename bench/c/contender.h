/* A contender written in C: as many operations as a line of its input says, then what they cost. See
 * src/contender.rs, whose counterpart this is. */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Ends the benchmark with a reason. */
static inline void fail(const char *why) {
    fprintf(stderr, "contender: %s\n", why);
    exit(1);
}

/* What every contender is told in its environment. */
static inline const char *told(const char *name) {
    const char *value = getenv(name);
    if (value == NULL)
        fail(name);
    return value;
}

static inline double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* The length that a name such as `send-1000` ends with, if it begins so; otherwise 0. */
static inline unsigned long length_of(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0 ? strtoul(name + strlen(prefix), NULL, 10) : 0;
}

/* A body of that length, which stays. */
static inline char *body_of(unsigned long length) {
    char *body = malloc(length);
    if (body == NULL)
        fail("no memory");
    memset(body, 'x', length);
    return body;
}

/* Does `work` until the input ends; a tenth of it before each measurement, so that what idled is awake. */
static inline int serve(void (*work)(unsigned long)) {
    unsigned long operations;
    if (getenv("BENCH_ONCE") != NULL) {
        work(1);
        puts("answered");
        return 0;
    }
    while (scanf("%lu", &operations) == 1) {
        work(operations / 10);
        double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        work(operations);
        wall = now(CLOCK_MONOTONIC) - wall;
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        printf("%.0f %.0f\n", wall, cpu);
        fflush(stdout);
    }
    return 0;
}

#endif
