/* crash.h - a coroutine that crashes, or overflows its stack, dies with its
 * name.
 *
 * A bad access is a signal without a word, and running into a stack's guard
 * leaves a handler no stack to run on. So a handler gets a stack of its own,
 * writes one line to standard error and hands the signal on to whoever had it
 * before. */
#ifndef ASYNC_CRASH_H
#define ASYNC_CRASH_H

/* Once for the process, and an alternate stack once for each thread that calls
 * it; cheap after the first time. */
void crash_watch_stack(void);

#endif
