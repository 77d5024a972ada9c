/*
 * Events: what happened in this process, for Pay88\events().
 *
 * Promises: nothing is kept before the first call of Pay88\events(); all threads of PHP share one queue, so that each event is
 * given once; a child of a process that listens does so too, with a queue of its own.
 */
#ifndef PAY88_EVENTS_H
#define PAY88_EVENTS_H

/* Called before what can cause events: listens here too, if the parent of this process did. */
void events_follow(void);

#endif
