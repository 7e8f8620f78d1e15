/* Detach: coroutines that nobody waits for, counted so that a program can wait
 * for them at its end. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "async/co/co_private.h"
#include "base/log.h"
#include "base/str.h"

enum { NAME_MAX_LEN = 63 };

struct detached {
    struct list link; /* in loop->detached */
    struct loop *loop;
    struct co *co;
    co_fn *fn;
    void *arg;
    void (*arg_free)(void *arg);
    char name[NAME_MAX_LEN + 1];
};

static void
detached_free(struct detached *d)
{
    list_remove(&d->link);
    d->loop->detached_count--;
    if (d->arg_free)
        d->arg_free(d->arg);
    free(d);
}

static enum status
detached_fn(struct co *co, void *arg)
{
    struct detached *d = arg;

    d->co = co;
    return d->fn(co, d->arg);
}

static void
detached_ended(void *arg, enum status status)
{
    struct detached *d = arg;

    if (status != ST_OK)
        log_warn("detached %s: %s", d->name, status_name(status));
    detached_free(d);
}

enum status
co_detach(struct loop *loop, const char *name, co_fn *fn, void *arg,
          void (*arg_free)(void *arg))
{
    if (loop->detached_count >= loop->detached_max) {
        if (arg_free)
            arg_free(arg);
        return ST_LIMIT;
    }
    struct detached *d = xcalloc(1, sizeof *d);
    d->loop = loop;
    d->fn = fn;
    d->arg = arg;
    d->arg_free = arg_free;
    str_copy_to(str_c(name), d->name, sizeof d->name);
    list_append(&loop->detached, &d->link);
    loop->detached_count++;
    enum status status =
        co_spawn(loop, d->name, detached_fn, d, detached_ended);
    if (status != ST_OK)
        detached_free(d);
    return status;
}

uint32_t
co_detached(const struct loop *loop)
{
    return loop->detached_count;
}

uint32_t
co_detached_cancel(struct loop *loop)
{
    uint32_t cancelled = 0;

    LIST_FOREACH (link, &loop->detached) {
        struct detached *d = LIST_ENTRY(link, struct detached, link);
        cancelled += co_cancelled(d->co) == ST_OK;
        co_cancel(d->co, ST_CANCELLED);
    }
    return cancelled;
}

static void
grace_cb(struct loop_timer *timer)
{
    (void)timer;
}

uint32_t
co_drain(struct loop *loop, int64_t grace_ms)
{
    struct loop_timer grace = {0};
    uint32_t cancelled = 0;

    loop_timer_start(loop, &grace, grace_ms, grace_cb);
    while (loop->detached_count > 0 && loop_timer_active(&grace))
        loop_turn(loop, -1);
    loop_timer_stop(&grace);
    while (loop->detached_count > 0) {
        /* Again each turn: one that was cancelled may detach another. */
        cancelled += co_detached_cancel(loop);
        loop_turn(loop, -1);
    }
    return cancelled;
}
