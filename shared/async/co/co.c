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
 * co_await.c has what it waits for, co_dump.c what can be seen of it. */
#include "async/co/co.h"

#include <assert.h>
#include <inttypes.h>

#include "async/co/co_private.h"
#include "async/co/crash.h"
#include "async/loop_private.h"
#include "base/clock.h"
#include "base/log.h"

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

void
co_leave(struct co *co)
{
#ifdef ANNOTATE_ASAN
    /* NULL frees the fake stack: it will not come back. */
    __sanitizer_start_switch_fiber(co->state == CO_ENDED ? NULL
                                                         : &co->fake_stack,
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
    co->state = CO_ENDED;
    co_leave(co);
    assert(!"an ended coroutine was resumed");
}

/* ---- life ---- */

/* On the loop's stack, or a parent's when @co has no on_end. It and resume()
 * are in line, since a coroutine that never waits goes through both. */
static ALWAYS_INLINE void
finish(struct co *co)
{
    struct loop *loop = co->loop;
    void (*on_end)(void *, enum status) = co->on_end;
    void *arg = co->arg;
    enum status result = co->result;
    struct stack stack = co->stack; /* holds *co */

    if (co->deadline.loop)
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
blame_for_stall(struct co *co, int64_t took_us)
{
    if (co->loop->stall_named || took_us <= co->loop->stall_warn_us)
        return;
    co->loop->stall_named = true;
    log_warn("view/coroutine %s blocked the loop for %" PRId64
             " ms: use a sync view, a thread or a job",
             co->name, took_us / 1000);
}

static ALWAYS_INLINE void
resume(struct co *co)
{
    struct co *parent = running;
    struct loop *loop = co->loop;
    bool named = loop->stall_named;

    /* One that spawns another has taken its own time before. */
    int64_t began_us = parent ? loop_read_clock(loop) : loop_now_us(loop);
    co->resumed_us = began_us;
    loop->stall_named = false;
    running = co;
    co->state = CO_RUNNING;
    enter(co);
    blame_for_stall(co, loop_read_clock(loop) - began_us);
    running = parent; /* the line above carries the tag */
    loop->stall_named |= named;
    if (co->state != CO_ENDED)
        return;
    if (parent && co->on_end) {
        co->wake.fn = finish_task;
        loop_ready(loop, &co->wake);
    } else {
        finish(co);
    }
}

static void
wake_task(struct loop_task *task)
{
    resume(LIST_ENTRY(task, struct co, wake));
}

static void
keep_request(struct co *co, struct str id)
{
    str_copy_to(id, co->kept, sizeof co->kept);
    co->request = co->kept;
}

static void
inherit(struct co *co, const struct co *from)
{
    if (from->trace[0])
        memcpy(co->trace, from->trace, sizeof co->trace);
    if (from->request[0])
        keep_request(co, str_c(from->request));
    if (from->job[0])
        memcpy(co->job, from->job, sizeof co->job);
    co->request_sent = from->request_sent;
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
    co->loop = loop;
    co->name = name;
    co->fn = fn;
    co->arg = arg;
    co->on_end = on_end;
    co->wake = (struct loop_task){.fn = wake_task};
    co->stack = stack;
    co->cancelled = ST_OK;
    co->deadline_us = 0;
    co->deadline.loop = NULL;
    co->ops = NULL;
    co->ops_len = 0;
    co->deaf = false;
    co->since_us = loop_now_us(loop);
    co->trace[0] = co->job[0] = '\0';
    co->request = "";
    co->request_sent = false;
#ifdef ANNOTATE_ASAN
    co->fake_stack = NULL;
#endif
#ifdef ANNOTATE_TSAN
    co->fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(co->fiber, name);
#endif
    if (running)
        inherit(co, running);
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

void
co_name_set(struct co *co, const char *name)
{
    co->name = name;
}

void
co_trace_set(struct co *co, struct str traceparent)
{
    bool valid = traceparent.n == CO_TRACE_LEN;

    str_copy_to(valid ? traceparent : STR_NULL, co->trace, sizeof co->trace);
}

struct str
co_trace(const struct co *co)
{
    return str_from(co->trace, co->trace[0] ? CO_TRACE_LEN : 0);
}

/* Of a thread that works for a coroutine. */
static _Thread_local struct log_tag lent_tag = {"", ""};

void
co_tag_lend(struct log_tag tag)
{
    lent_tag = tag;
}

static struct log_tag
running_tag(void)
{
    return running ? (struct log_tag){running->job, running->request}
                   : lent_tag;
}

void
co_request_set(struct co *co, struct str id, bool sent)
{
    log_tag_from(running_tag);
    keep_request(co, id);
    co->request_sent = sent;
}

void
co_request_lend(struct co *co, const char *id, bool sent)
{
    log_tag_from(running_tag);
    co->request = id;
    co->request_sent = sent;
}

void
co_job_set(struct co *co, struct str id)
{
    log_tag_from(running_tag);
    str_copy_to(id, co->job, sizeof co->job);
}

struct str
co_request(const struct co *co)
{
    return str_c(co->request);
}

struct str
co_request_sent(const struct co *co)
{
    return co->request_sent ? str_c(co->request) : STR_NULL;
}

struct str
co_job(const struct co *co)
{
    return str_c(co->job);
}

/* ---- running one to its end ---- */

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
    /* What it has gathered so far leaves at the end of a turn: so the first one
     * does not wait. */
    for (int64_t wait_ms = 0; !run.ended; wait_ms = -1)
        loop_turn(loop, wait_ms);
    return run.status;
}

uint32_t
co_count(const struct loop *loop)
{
    return loop->coroutines_count;
}

const char *
co_faulted(const void *address, size_t *ret_overflowed)
{
    if (!running)
        return NULL;
    *ret_overflowed =
        stack_guards(&running->stack, address) ? running->stack.size : 0;
    return running->name;
}
