/* timers.h - a loop's timers, soonest first: a pairing heap.
 *
 * Intrusive, so that starting a timer allocates nothing and cannot fail.
 * Insertion takes constant time, removal O(log n) amortised (Fredman,
 * Sedgewick, Sleator, Tarjan, "The pairing heap", 1986), without recursion.
 * Timers due at the same time come in the order in which they were started. */
#ifndef ASYNC_TIMERS_H
#define ASYNC_TIMERS_H

#include <stdbool.h>

#include "async/loop.h"

struct timers {
    struct loop_timer *root; /* the soonest; NULL when there is none */
    uint64_t started;        /* how many ever were */
};

/* @timer must not be in a heap; its due_us is set. */
void timers_add(struct timers *timers, struct loop_timer *timer);
void timers_remove(struct timers *timers, struct loop_timer *timer);
bool timers_has(const struct timers *timers, const struct loop_timer *timer);

#endif
