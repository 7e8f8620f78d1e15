/* Awaiting: how a coroutine waits, and how that ends before its time.
 *
 * Cancelling sets a flag and wakes the coroutine; the await that it then
 * returns from gives up the operations, in the coroutine's own turn and so
 * never inside a library's callback.
 *
 * Invariants: while it is suspended in an await, every op in co->ops that is
 * not settled has co as its waiter; once the await has returned, none has, and
 * all of them are settled (but for co_await_kept()). */
#include <assert.h>

#include "async/co/co_private.h"
#include "base/clock.h"

/* ---- cancellation and deadlines ---- */

void
co_cancel(struct co *co, enum status reason)
{
    assert(reason != ST_OK);
    if (co->cancelled || co->state == CO_ENDED)
        return;
    co->cancelled = reason;
    if (co->state == CO_WAITING && !co->deaf)
        loop_ready(co->loop, &co->wake);
}

enum status
co_cancelled(const struct co *co)
{
    return co->cancelled;
}

static void
deadline_cb(struct loop_timer *timer)
{
    co_cancel(LIST_ENTRY(timer, struct co, deadline), ST_TIMEOUT);
}

static void
deadline_from(struct co *co, int64_t from_us, int64_t ms)
{
    if (ms <= 0) {
        co_cancel(co, ST_TIMEOUT);
        return;
    }
    if (ms > (INT64_MAX - from_us) / 1000)
        return;
    int64_t due_us = from_us + ms * 1000;
    if (co->deadline_us == 0 || due_us < co->deadline_us)
        co->deadline_us = due_us;
}

void
co_deadline_ms(struct co *co, int64_t ms_from_now)
{
    deadline_from(co, clock_mono_us(), ms_from_now);
}

void
co_deadline_of_run_ms(struct co *co, int64_t ms)
{
    deadline_from(co, co->resumed_us, ms);
}

int64_t
co_deadline_at_us(const struct co *co)
{
    return co->deadline_us;
}

bool
co_deadline_move(struct co *co, int64_t from_us, int64_t to_us)
{
    if (co->deadline_us != from_us || co->cancelled)
        return false;
    co->deadline_us = to_us;
    loop_timer_stop(&co->deadline); /* the next await starts it */
    return true;
}

int64_t
co_deadline_left_ms(const struct co *co)
{
    if (co->deadline_us == 0)
        return co->cancelled == ST_TIMEOUT ? 0 : -1;
    int64_t left_us = co->deadline_us - clock_mono_us();
    return left_us > 0 && co->cancelled != ST_TIMEOUT ? left_us / 1000 : 0;
}

/* Most coroutines end without ever waiting: their timer is not started. */
static void
watch_deadline(struct co *co)
{
    if (co->deadline_us == 0)
        return;
    if (!co->deadline.loop)
        co->deadline = (struct loop_timer){0};
    if (!loop_timer_active(&co->deadline) ||
        co->deadline.due_us != co->deadline_us)
        loop_timer_start_at(co->loop, &co->deadline, co->deadline_us,
                            deadline_cb);
}

/* ---- awaiting ---- */

static void
suspend(struct co *co, enum co_state state)
{
    assert(co == co_running() && co->state == CO_RUNNING);
    co->state = state;
    co->since_us = loop_now_us(co->loop);
    watch_deadline(co);
    co_leave(co);
}

/* True when nothing is left to wait for. */
static bool
count_settled(struct co *co, struct op *op)
{
    co->unsettled--;
    if (!co->decisive && (co->mode == CO_ANY || op->status != ST_OK))
        co->decisive = op;
    return co->decisive || co->unsettled == 0;
}

void
co_op_settled(struct co *co, struct op *op)
{
    if (count_settled(co, op))
        loop_ready(co->loop, &co->wake);
}

/* True when there is nothing to wait for any more. */
static bool
attach(struct co *co)
{
    bool over = (co->cancelled && !co->deaf) || co->ops_len == 0;

    for (size_t i = 0; i < co->ops_len; i++) {
        struct op *op = co->ops[i];
        assert(op->loop == co->loop && !op->waiter && !op->on_settled);
        if (op->settled)
            over = count_settled(co, op) || over;
        else
            op->waiter = co;
    }
    return over;
}

/* So that no pointer to co outlives the await. */
static void
detach(struct co *co)
{
    for (size_t i = 0; i < co->ops_len; i++)
        co->ops[i]->waiter = NULL;
    /* One more may have settled between the wake-up and now. */
    loop_unready(&co->wake);
    co->ops = NULL;
    co->ops_len = 0;
    co->deaf = false;
}

static enum status
wait_for(struct co *co, enum co_mode mode, struct op *const *ops, size_t n)
{
    assert(co == co_running());
    co->mode = mode;
    co->ops = ops;
    co->ops_len = co->unsettled = n;
    co->decisive = NULL;
    if (!attach(co))
        suspend(co, CO_WAITING);
    detach(co);
    if (co->cancelled)
        return co->cancelled;
    return co->decisive ? co->decisive->status : ST_OK;
}

static enum status
await(struct co *co, enum co_mode mode, struct op *const *ops, size_t n)
{
    enum status status = wait_for(co, mode, ops, n);

    for (size_t i = 0; i < n; i++)
        op_cancel(ops[i]);
    return status;
}

enum status
co_await_kept(struct co *co, struct op *op)
{
    return wait_for(co, CO_ALL, &op, 1);
}

void
co_await_rest(struct co *co, struct op *op)
{
    co->deaf = true;
    (void)!wait_for(co, CO_ALL, &op, 1);
    assert(op->settled);
}

enum status
co_await(struct co *co, struct op *op)
{
    return await(co, CO_ALL, &op, 1);
}

enum status
co_await_all(struct co *co, struct op *const *ops, size_t n)
{
    return await(co, CO_ALL, ops, n);
}

enum status
co_await_any(struct co *co, struct op *const *ops, size_t n, size_t *ret_index)
{
    assert(n > 0);
    enum status status = await(co, CO_ANY, ops, n);
    if (co->cancelled || !ret_index)
        return status;
    for (size_t i = 0; i < n; i++)
        if (ops[i] == co->decisive)
            *ret_index = i;
    return status;
}

struct sleep {
    struct op op;
    struct loop_timer timer;
};

static void
sleep_cancel(struct op *op)
{
    loop_timer_stop(&LIST_ENTRY(op, struct sleep, op)->timer);
}

static const struct op_class sleep_class = {"sleep", sleep_cancel};

static void
sleep_cb(struct loop_timer *timer)
{
    op_settle(&LIST_ENTRY(timer, struct sleep, timer)->op, ST_OK);
}

enum status
co_sleep(struct co *co, int64_t ms)
{
    struct sleep sleep = {0};

    op_init(&sleep.op, co->loop, &sleep_class, NULL, NULL);
    loop_timer_start(co->loop, &sleep.timer, ms, sleep_cb);
    return co_await(co, &sleep.op);
}

enum status
co_yield(struct co *co)
{
    if (co->cancelled)
        return co->cancelled;
    loop_ready_next(co->loop, &co->wake);
    suspend(co, CO_YIELDING);
    return co->cancelled;
}
