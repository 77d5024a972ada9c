/* A contender written in C: as many operations as a line of its input says, then what they cost. See
 * src/contender.rs, whose counterpart this is. */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stdio.h>
#include <stdlib.h>
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

/* Does `work` until the input ends; a tenth of it before each measurement, so that what idled is awake. */
static inline int serve(void (*work)(unsigned long)) {
    unsigned long operations;
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
