/* waiter.h - a coroutine that waits in somebody's list until it is woken, for a
 * time.
 *
 * In the coroutine's own storage, which co_await() of its op keeps in place.
 * Whoever owns the list settles those in it. Loop thread only. */
#ifndef ASYNC_WAITER_H
#define ASYNC_WAITER_H

#include "async/co/co.h"
#include "base/list.h"

struct waiter {
    struct op op;     /* to be awaited, once */
    struct list link; /* in the list while it waits */
    struct loop_timer timer;
};

/* What an op_class of a waiter has as its cancel. */
void waiter_cancel(struct op *op);

/* @waiter is all zero. It is settled with ST_TIMEOUT after @timeout_ms >= 0. */
void waiter_start(struct waiter *waiter, struct loop *loop,
                  const struct op_class *class, struct list *list,
                  int64_t timeout_ms);
/* Another time for one that waits, from now. */
void waiter_set_timeout(struct waiter *waiter, struct loop *loop,
                        int64_t timeout_ms);
/* Takes it off the list and settles it. */
void waiter_settle(struct waiter *waiter, enum status status);
/* The same for all in the list; nobody's code runs meanwhile. */
void waiter_settle_all(struct list *list, enum status status);

#endif
