/* Waiter: settled, cancelled or late, it leaves list and heap in the same step,
 * so that neither can find it again. */
#include "async/waiter.h"

static void
leave(struct waiter *waiter)
{
    list_remove(&waiter->link);
    loop_timer_stop(&waiter->timer);
}

void
waiter_cancel(struct op *op)
{
    leave(LIST_ENTRY(op, struct waiter, op));
}

static void
timer_cb(struct loop_timer *timer)
{
    waiter_settle(LIST_ENTRY(timer, struct waiter, timer), ST_TIMEOUT);
}

void
waiter_start(struct waiter *waiter, struct loop *loop,
             const struct op_class *class, struct list *list,
             int64_t timeout_ms)
{
    op_init(&waiter->op, loop, class, NULL, NULL);
    list_append(list, &waiter->link);
    loop_timer_start(loop, &waiter->timer, timeout_ms, timer_cb);
}

void
waiter_set_timeout(struct waiter *waiter, struct loop *loop, int64_t timeout_ms)
{
    loop_timer_start(loop, &waiter->timer, timeout_ms, timer_cb);
}

void
waiter_settle(struct waiter *waiter, enum status status)
{
    leave(waiter);
    op_settle(&waiter->op, status);
}

void
waiter_settle_all(struct list *list, enum status status)
{
    LIST_FOREACH_SAFE (link, following, list) {
        waiter_settle(LIST_ENTRY(link, struct waiter, link), status);
    }
}
