/*
 * Waiting: while the library waits, PHP's signal handlers and its time limit are attended to.
 *
 * Promises: a handler runs within 50 ms, and what it throws ends the call; nothing jumps over the library: a bailout (exit by
 * a fatal error, the time limit) goes on only when the library has returned and its handles are released.
 */
#ifndef PAY88_INTERRUPT_H
#define PAY88_INTERRUPT_H

#include "php.h"

struct wait {
	/* The handler threw. */
	bool threw;
	/* PHP is to end as it was about to. */
	bool bailed_out;
	bool timed_out;
};

/* To be given to the library, with a struct wait. */
int wait_interrupt(void *wait);

/* Whether PHP took the call away. If so, nothing but releasing may be done before wait_end(). */
static inline bool wait_was_ended(const struct wait *wait)
{
	return wait->threw || wait->bailed_out || wait->timed_out;
}

/* Goes on with what ended the wait; returns only if it was an exception. Handles of the library are released before. */
void wait_end(const struct wait *wait);

#endif
