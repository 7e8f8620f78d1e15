/* Courier: one coroutine at most, which goes through the queues that have
 * called. */
#include "courier.h"

#include "base/log.h"
#include "queue/flow/outbox.h"
#include "state.h"

enum { AGAIN_MS = 1000 };

static void
again_cb(struct loop_timer *timer)
{
    struct source *source = LIST_ENTRY(timer, struct source, courier_timer);

    source->has_mail = true;
    courier_run(source->d);
}

static struct source *
next_source(struct dispatcher *d)
{
    for (size_t i = 0; i < d->sources_len; i++)
        if (d->sources[i].has_mail)
            return &d->sources[i];
    return NULL;
}

static void
deliver(struct co *co, struct source *source)
{
    struct dispatcher *d = source->d;
    struct error err;
    bool left = false;

    source->has_mail = false;
    enum status st = outbox_deliver(co, d->queues, source->name, &left, &err);
    if (d->courier_stopped)
        return;
    /* While Redis is away its connection says so. */
    if (st != ST_OK && st != ST_UNAVAILABLE && st != ST_UNCLEAR)
        log_error("the outbox of queue %.*s: %s", STR_ARG(source->name),
                  err.msg);
    if (st != ST_OK || left)
        loop_timer_start(d->loop, &source->courier_timer, AGAIN_MS, again_cb);
}

static enum status
deliver_all(struct co *co, void *arg)
{
    struct dispatcher *d = arg;
    struct source *source;

    while (!d->courier_stopped && rds_up(d->rds) && (source = next_source(d)))
        deliver(co, source);
    return ST_OK;
}

static void
ended_cb(void *arg, enum status status)
{
    struct dispatcher *d = arg;

    (void)status;
    d->courier_busy = false;
    courier_run(d);
}

void
courier_run(struct dispatcher *d)
{
    if (d->courier_busy || d->courier_stopped || !rds_up(d->rds) ||
        !next_source(d))
        return;
    d->courier_busy = true;
    if (co_spawn(d->loop, "outbox", deliver_all, d, ended_cb) != ST_OK)
        d->courier_busy = false; /* with the next answer again */
}

void
courier_call(struct source *source)
{
    /* One that waits for its second try is not worth another before. */
    if (source->has_mail || loop_timer_active(&source->courier_timer))
        return;
    source->has_mail = true;
    courier_run(source->d);
}

void
courier_stop(struct dispatcher *d)
{
    d->courier_stopped = true;
    for (size_t i = 0; i < d->sources_len; i++)
        loop_timer_stop(&d->sources[i].courier_timer);
}
