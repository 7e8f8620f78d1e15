/* Op: settled exactly once; who waits for it hears of it in the ready pass.
 *
 * A waiting coroutine counts what it waits for (co_private.h); a callback goes
 * to the ready list by the op's own task. An op that has neither yet keeps its
 * status until somebody awaits it. */
#include <assert.h>

#include "async/co/co.h"
#include "async/co/co_private.h"

static void
callback_task(struct loop_task *task)
{
    struct op *op = LIST_ENTRY(task, struct op, task);

    op->on_settled(op);
}

void
op_init(struct op *op, struct loop *loop, const struct op_class *class,
        void (*on_settled)(struct op *), void *arg)
{
    assert(loop && class && class->name);
    *op = (struct op){
        .class = class,
        .loop = loop,
        .on_settled = on_settled,
        .arg = arg,
        .task.fn = callback_task,
    };
}

void
op_settle(struct op *op, enum status status)
{
    assert(!op->settled);
    op->settled = true;
    op->status = status;
    if (op->waiter)
        co_op_settled(op->waiter, op);
    else if (op->on_settled)
        loop_ready(op->loop, &op->task);
}

void
op_cancel(struct op *op)
{
    if (!op->settled) {
        if (op->class->cancel)
            op->class->cancel(op);
        assert(!op->settled);
        op_settle(op, ST_CANCELLED);
    }
    loop_unready(&op->task);
}
