/* Co: coroutines. Asymmetric: the loop (or a coroutine that spawns one) resumes
 * it, and it suspends back to whoever resumed it.
 *
 *    ready pass ── resume() ──> coroutine ── await() ──> suspend() ──┐
 *        ^                                                           │
 *        └───────────────────────────────────────────────────────────┘
 *
 * A coroutine is resumed by its own task in the ready list, and only there, so
 * no library's callback ever runs application code, and resumes never nest
 * (the first run of a spawned coroutine does, once).
 *
 * struct co lies at the top of its own stack, so that a coroutine is one piece
 * of memory and costs no allocation.
 *
 * Cancelling sets a flag and wakes the coroutine; the await that it then
 * returns from gives up the operations, in the coroutine's own turn.
 *
 * Invariants: while it is suspended in an await, every op in co->ops that is
 * not settled has co as its waiter; once the await has returned, none has. */
#include "async/co.h"

#include <assert.h>
#include <inttypes.h>

#include "async/annotate.h"
#include "async/co_private.h"
#include "async/crash.h"
#include "async/loop_private.h"
#include "async/switch.h"
#include "base/clock.h"
#include "base/log.h"

enum state { RUNNING, WAITING, YIELDING, ENDED };

enum mode { ALL, ANY };

struct co {
    struct loop *loop;
    const char *name;
    co_fn *fn;
    void *arg;
    void (*on_end)(void *arg, enum status status);
    enum state state;
    enum status result;
    enum status cancelled; /* ST_OK: it is not */

    int64_t deadline_us; /* monotonic; 0: none */
    struct loop_timer deadline;

    struct op *const *ops; /* what it awaits */
    size_t ops_len;
    size_t unsettled;
    struct op *decisive; /* ALL: the first that failed; ANY: the first */
    enum mode mode;
    int64_t since_ms;

    struct loop_task wake;
    struct list link; /* in loop->coroutines */
    struct stack stack;
    struct switch_context self;
    struct switch_context *resumer;
#ifdef ANNOTATE_ASAN
    void *fake_stack; /* ASan's, while it is suspended */
    const void *resumer_low;
    size_t resumer_size;
#endif
#ifdef ANNOTATE_TSAN
    void *fiber;
    void *resumer_fiber;
#endif
};

/* The one that runs now. Read by its own thread only; a coroutine never moves
 * to another thread, so the address is good on either side of a switch. */
static _Thread_local struct co *running;

struct co *
co_running(void)
{
    return running;
}

/* ---- switching, with what the sanitizers want to hear ---- */

/* First thing on the coroutine's side after a switch to it. */
static void
arrived(struct co *co)
{
#ifdef ANNOTATE_ASAN
    __sanitizer_finish_switch_fiber(co->fake_stack, &co->resumer_low,
                                    &co->resumer_size);
#else
    (void)co;
#endif
}

static void
leave(struct co *co)
{
#ifdef ANNOTATE_ASAN
    /* NULL frees the fake stack: it will not come back. */
    __sanitizer_start_switch_fiber(co->state == ENDED ? NULL : &co->fake_stack,
                                   co->resumer_low, co->resumer_size);
#endif
#ifdef ANNOTATE_TSAN
    __tsan_switch_to_fiber(co->resumer_fiber, 0);
#endif
    switch_to(&co->self, co->resumer);
    arrived(co);
}

static void
enter(struct co *co)
{
    struct switch_context here;

    co->resumer = &here;
#ifdef ANNOTATE_ASAN
    void *fake_stack = NULL;
    __sanitizer_start_switch_fiber(&fake_stack, co->stack.low, co->stack.size);
#endif
#ifdef ANNOTATE_TSAN
    co->resumer_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(co->fiber, 0);
#endif
    switch_to(&here, &co->self);
#ifdef ANNOTATE_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

static void
entry(void *arg)
{
    struct co *co = arg;

    arrived(co);
    co->result = co->fn(co, co->arg);
    co->state = ENDED;
    leave(co);
    assert(!"an ended coroutine was resumed");
}

/* ---- life ---- */

/* On the loop's stack, or a parent's when @co has no on_end. */
static void
finish(struct co *co)
{
    struct loop *loop = co->loop;
    void (*on_end)(void *, enum status) = co->on_end;
    void *arg = co->arg;
    enum status result = co->result;
    struct stack stack = co->stack; /* holds *co */

    loop_timer_stop(&co->deadline);
    list_remove(&co->link);
    loop->coroutines_count--;
#ifdef ANNOTATE_TSAN
    __tsan_destroy_fiber(co->fiber);
#endif
    stack_give(&loop->stacks, &stack);
    if (on_end)
        on_end(arg, result);
}

static void
finish_task(struct loop_task *task)
{
    finish(LIST_ENTRY(task, struct co, wake));
}

/* Unless a coroutine that it spawned has been blamed already. */
static void
blame_for_stall(struct co *co, int64_t began_us)
{
    if (co->loop->stall_named ||
        loop_coarse_us() - began_us <= co->loop->stall_warn_us)
        return;
    co->loop->stall_named = true;
    log_warn("view/coroutine %s blocked the loop for %" PRId64
             " ms: use a sync view, a thread or a job",
             co->name, (clock_mono_us() - began_us) / 1000);
}

static void
resume(struct co *co)
{
    struct co *parent = running;
    int64_t began_us = loop_coarse_us();
    bool named = co->loop->stall_named;

    co->loop->stall_named = false;
    running = co;
    co->state = RUNNING;
    enter(co);
    running = parent;
    blame_for_stall(co, began_us);
    co->loop->stall_named |= named;
    if (co->state != ENDED)
        return;
    if (parent && co->on_end) {
        co->wake.fn = finish_task;
        loop_ready(co->loop, &co->wake);
    } else {
        finish(co);
    }
}

static void
wake_task(struct loop_task *task)
{
    resume(LIST_ENTRY(task, struct co, wake));
}

enum status
co_spawn(struct loop *loop, const char *name, co_fn *fn, void *arg,
         void (*on_end)(void *arg, enum status status))
{
    struct stack stack;

    assert(name && fn);
    if (loop->coroutines_count >= loop->coroutines_max ||
        !stack_take(&loop->stacks, &stack))
        return ST_LIMIT;
    crash_watch_stack();

    size_t room = (sizeof(struct co) + 63) / 64 * 64;
    struct co *co = (void *)(stack.low + stack.size - room);
    *co = (struct co){
        .loop = loop,
        .name = name,
        .fn = fn,
        .arg = arg,
        .on_end = on_end,
        .wake.fn = wake_task,
        .stack = stack,
        .since_ms = loop_now_ms(loop),
    };
#ifdef ANNOTATE_TSAN
    co->fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(co->fiber, name);
#endif
    switch_init(&co->self, stack.low, stack.size - room, entry, co);
    list_append(&loop->coroutines, &co->link);
    loop->coroutines_count++;
    resume(co);
    return ST_OK;
}

struct loop *
co_loop(const struct co *co)
{
    return co->loop;
}

const char *
co_name(const struct co *co)
{
    return co->name;
}

/* ---- cancellation and deadlines ---- */

void
co_cancel(struct co *co, enum status reason)
{
    assert(reason != ST_OK);
    if (co->cancelled || co->state == ENDED)
        return;
    co->cancelled = reason;
    if (co->state == WAITING)
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

void
co_deadline_ms(struct co *co, int64_t ms_from_now)
{
    int64_t now_us = clock_mono_us();

    if (ms_from_now <= 0) {
        co_cancel(co, ST_TIMEOUT);
        return;
    }
    if (ms_from_now > (INT64_MAX - now_us) / 1000)
        return;
    int64_t due_us = now_us + ms_from_now * 1000;
    if (co->deadline_us == 0 || due_us < co->deadline_us)
        co->deadline_us = due_us;
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
    if (co->deadline_us != 0 && (!loop_timer_active(&co->deadline) ||
                                 co->deadline.due_us != co->deadline_us))
        loop_timer_start_at(co->loop, &co->deadline, co->deadline_us,
                            deadline_cb);
}

/* ---- awaiting ---- */

static void
suspend(struct co *co, enum state state)
{
    assert(co == running && co->state == RUNNING);
    co->state = state;
    co->since_ms = loop_now_ms(co->loop);
    watch_deadline(co);
    leave(co);
}

/* True when nothing is left to wait for. */
static bool
count_settled(struct co *co, struct op *op)
{
    co->unsettled--;
    if (!co->decisive && (co->mode == ANY || op->status != ST_OK))
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
    bool over = co->cancelled != ST_OK || co->ops_len == 0;

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

/* Gives up what is left, so that no pointer to an op or to co outlives it. */
static void
detach(struct co *co)
{
    for (size_t i = 0; i < co->ops_len; i++)
        co->ops[i]->waiter = NULL;
    for (size_t i = 0; i < co->ops_len; i++)
        op_cancel(co->ops[i]);
    /* One more may have settled between the wake-up and now. */
    loop_unready(&co->wake);
    co->ops = NULL;
    co->ops_len = 0;
}

static enum status
await(struct co *co, enum mode mode, struct op *const *ops, size_t n)
{
    assert(co == running);
    co->mode = mode;
    co->ops = ops;
    co->ops_len = co->unsettled = n;
    co->decisive = NULL;
    if (!attach(co))
        suspend(co, WAITING);
    detach(co);
    if (co->cancelled)
        return co->cancelled;
    return co->decisive ? co->decisive->status : ST_OK;
}

enum status co_await (struct co *co, struct op *op) {
    return await(co, ALL, &op, 1);
}

enum status
co_await_all(struct co *co, struct op *const *ops, size_t n)
{
    return await(co, ALL, ops, n);
}

enum status
co_await_any(struct co *co, struct op *const *ops, size_t n, size_t *ret_index)
{
    assert(n > 0);
    enum status status = await(co, ANY, ops, n);
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
    return co_await (co, &sleep.op);
}

enum status co_yield (struct co *co) {
    if (co->cancelled) return co->cancelled;
    loop_ready_next(co->loop, &co->wake);
    suspend(co, YIELDING);
    return co->cancelled;
}

/* ---- the rest ---- */

struct run {
    co_fn *fn;
    void *arg;
    bool ended;
    enum status status;
};

static enum status
run_fn(struct co *co, void *arg)
{
    struct run *run = arg;

    return run->fn(co, run->arg);
}

static void
run_end(void *arg, enum status status)
{
    struct run *run = arg;

    run->ended = true;
    run->status = status;
}

enum status
co_run(struct loop *loop, const char *name, co_fn *fn, void *arg)
{
    struct run run = {.fn = fn, .arg = arg};

    assert(!running);
    enum status status = co_spawn(loop, name, run_fn, &run, run_end);
    if (status != ST_OK)
        return status;
    while (!run.ended)
        loop_turn(loop, -1);
    return run.status;
}

uint32_t
co_count(const struct loop *loop)
{
    return loop->coroutines_count;
}

static const char *
state_name(const struct co *co)
{
    static const char *const names[] = {"running", "waiting", "yielding",
                                        "ended"};

    return co->state == WAITING && co->cancelled ? "cancelled"
                                                 : names[co->state];
}

static void
dump_one(const struct co *co, FILE *out)
{
    const char *depth = co->state == RUNNING ? NULL : switch_depth(&co->self);

    fprintf(out, "%s: %s", co->name, state_name(co));
    for (size_t i = 0; i < co->ops_len; i++)
        fprintf(out, "%s %s%s", i == 0 ? " for" : ",", co->ops[i]->class->name,
                co->ops[i]->settled ? " (settled)" : "");
    fprintf(out, ", %" PRId64 " ms", clock_mono_ms() - co->since_ms);
    if (co->deadline_us != 0)
        fprintf(out, ", %" PRId64 " ms left", co_deadline_left_ms(co));
    if (depth)
        fprintf(out, ", stack %td", co->stack.low + co->stack.size - depth);
    fprintf(out, ", deepest %zu\n", stack_deepest(&co->stack));
}

void
co_dump(const struct loop *loop, FILE *out)
{
    fprintf(out, "%" PRIu32 " coroutines of at most %" PRIu32 "\n",
            loop->coroutines_count, loop->coroutines_max);
    LIST_FOREACH (link, &loop->coroutines)
        dump_one(LIST_ENTRY(link, struct co, link), out);
}

const char *
co_overflowed(const void *address, size_t *ret_size)
{
    if (!running || !stack_guards(&running->stack, address))
        return NULL;
    *ret_size = running->stack.size;
    return running->name;
}
