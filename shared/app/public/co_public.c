/* Public coroutines: pit/co.h on top of async/.
 *
 * A function of the application has another type than one of the core (its
 * status is the public enum), so each is called through a small function of
 * ours, with what it needs in a record: on the caller's stack where the caller
 * waits for it, on the heap where it does not. */
#include "app/public/co_public.h"

#include <assert.h>
#include <stdlib.h>

#include "async/threads.h"
#include "base/log.h"

enum pit_status
pit_sleep(struct pit_co *co, int64_t ms)
{
    return (enum pit_status)co_sleep(co_public_core(co), ms > 0 ? ms : 0);
}

enum pit_status
pit_cancelled(const struct pit_co *co)
{
    return (enum pit_status)co_cancelled((const struct co *)(const void *)co);
}

void
pit_deadline(struct pit_co *co, int64_t ms_from_now)
{
    co_deadline_ms(co_public_core(co), ms_from_now);
}

/* ---- several at once ---- */

static enum status
run_call(struct co *co, void *arg)
{
    const struct pit_call *call = arg;

    return (enum status)call->fn(co_public_of(co), call->arg);
}

enum pit_status
pit_await_calls(struct pit_co *co, const struct pit_call *calls, size_t n)
{
    struct pit_call copies[CO_CALLS_MAX];
    struct co_call core[CO_CALLS_MAX];

    if (n > CO_CALLS_MAX)
        return PIT_LIMIT;
    for (size_t i = 0; i < n; i++) {
        copies[i] = calls[i];
        core[i] = (struct co_call){run_call, &copies[i]};
    }
    return (enum pit_status)co_await_calls(co_public_core(co), core, n);
}

enum pit_status
pit_await_any_call(struct pit_co *co, const struct pit_call *calls, size_t n,
                   size_t *ret_index)
{
    struct pit_call copies[CO_CALLS_MAX];
    struct co_call core[CO_CALLS_MAX];

    if (n > CO_CALLS_MAX)
        return PIT_LIMIT;
    if (n == 0)
        return PIT_INVALID;
    for (size_t i = 0; i < n; i++) {
        copies[i] = calls[i];
        core[i] = (struct co_call){run_call, &copies[i]};
    }
    return (enum pit_status)co_await_any_call(co_public_core(co), core, n,
                                              ret_index);
}

enum pit_status
pit_yield(struct pit_co *co)
{
    return (enum pit_status)co_yield(co_public_core(co));
}

/* ---- what outlives its caller ---- */

struct taken {
    pit_thread_fn *thread_fn;
    pit_co_fn *co_fn;
    void *arg;
    void (*arg_free)(void *arg);
};

static enum status
run_on_thread(void *arg)
{
    const struct taken *taken = arg;

    return (enum status)taken->thread_fn(taken->arg);
}

static enum status
run_detached_thread(struct co *co, void *arg)
{
    return co_thread(co, "thread", run_on_thread, arg, NULL);
}

static enum status
run_detached(struct co *co, void *arg)
{
    const struct taken *taken = arg;

    return (enum status)taken->co_fn(co_public_of(co), taken->arg);
}

static void
taken_free(void *arg)
{
    struct taken *taken = arg;

    if (taken->arg_free)
        taken->arg_free(taken->arg);
    free(taken);
}

static struct taken *
taken_new(void *arg, void (*arg_free)(void *arg))
{
    struct taken *taken = xcalloc(1, sizeof *taken);

    taken->arg = arg;
    taken->arg_free = arg_free;
    return taken;
}

enum pit_status
pit_await_thread(struct pit_co *co, pit_thread_fn *fn, void *arg)
{
    struct taken lent = {.thread_fn = fn, .arg = arg};

    return (enum pit_status)co_thread(co_public_core(co), "thread",
                                      run_on_thread, &lent, NULL);
}

enum pit_status
pit_await_thread_take(struct pit_co *co, pit_thread_fn *fn, void *arg,
                      void (*arg_free)(void *arg))
{
    struct taken *taken = taken_new(arg, arg_free);

    taken->thread_fn = fn;
    return (enum pit_status)co_thread(co_public_core(co), "thread",
                                      run_on_thread, taken, taken_free);
}

enum pit_status
pit_detach(struct pit_co *co, const char *name, pit_co_fn *fn, void *arg)
{
    return pit_detach_take(co, name, fn, arg, NULL);
}

enum pit_status
pit_detach_take(struct pit_co *co, const char *name, pit_co_fn *fn, void *arg,
                void (*arg_free)(void *arg))
{
    struct taken *taken = taken_new(arg, arg_free);

    taken->co_fn = fn;
    return (enum pit_status)co_detach(co_loop(co_public_core(co)), name,
                                      run_detached, taken, taken_free);
}

enum pit_status
pit_detach_copy(struct pit_co *co, const char *name, pit_co_fn *fn,
                const void *arg, size_t len)
{
    void *copy = malloc(len > 0 ? len : 1);

    if (!copy)
        return PIT_LIMIT;
    if (len > 0)
        memcpy(copy, arg, len);
    return pit_detach_take(co, name, fn, copy, free);
}

enum pit_status
pit_detach_thread(struct pit_co *co, const char *name, pit_thread_fn *fn,
                  void *arg)
{
    struct taken *taken = taken_new(arg, NULL);

    taken->thread_fn = fn;
    return (enum pit_status)co_detach(co_loop(co_public_core(co)), name,
                                      run_detached_thread, taken, taken_free);
}
