/* Scheduler: one coroutine at most, which goes through the queues that are
 * wanted; a timer a queue says when it is wanted next. */
#include "scheduler.h"

#include <stdlib.h>

#include "base/log.h"
#include "queue/queue_clock.h"
#include "queue/schedule/schedules.h"
#include "state.h"

enum {
    BACKSTOP_MS = 5 * 60 * 1000, /* a look without a reason */
    AGAIN_MS = 1,                /* many are due: others first */
};

struct place {
    struct scheduler *scheduler;
    struct str queue;
    bool wanted;
    struct loop_timer timer;
};

struct scheduler {
    struct dispatcher *d;
    struct loop_timer backstop;
    bool ticking;
    bool stopped;
    bool unapplied; /* the application's table is to be applied */
    size_t len;
    struct place places[OPTIONS_QUEUES_MAX];
};

static void run(struct scheduler *scheduler);

static void
timer_cb(struct loop_timer *timer)
{
    struct place *place = LIST_ENTRY(timer, struct place, timer);

    place->wanted = true;
    run(place->scheduler);
}

/* ---- ticking ---- */

static struct place *
next_wanted(struct scheduler *scheduler)
{
    for (size_t i = 0; i < scheduler->len; i++)
        if (scheduler->places[i].wanted)
            return &scheduler->places[i];
    return NULL;
}

static void
tick(struct co *co, struct scheduler *scheduler, struct place *place)
{
    struct dispatcher *d = scheduler->d;
    struct error err;
    int64_t next_ms = -1;

    place->wanted = false;
    enum status st =
        schedules_tick(co, d->queues, place->queue, &next_ms, &err);
    if (st != ST_OK) {
        /* While Redis is away its connection says so. */
        if (st != ST_UNAVAILABLE && st != ST_UNCLEAR && st != ST_CANCELLED)
            log_error("schedules of queue %.*s: %s", STR_ARG(place->queue),
                      err.msg);
        next_ms = PAUSE_MS;
    }
    if (queue_clock_noted_off(d->queues))
        wake_check_all(d); /* which finds out the rest */
    if (scheduler->stopped || place->wanted)
        return;
    if (next_ms >= 0)
        /* One more: it was rounded down. */
        loop_timer_start(d->loop, &place->timer, next_ms + AGAIN_MS, timer_cb);
    else
        loop_timer_stop(&place->timer);
}

/* What cannot be applied is said, and tried again with the next look. */
static void
apply(struct co *co, struct scheduler *scheduler)
{
    struct dispatcher *d = scheduler->d;
    const struct probe *probe = d->context->probe;
    struct schedules_declared *declared =
        xcalloc(probe->schedules_len + 1, sizeof *declared);
    struct error err;

    for (size_t i = 0; i < probe->schedules_len; i++)
        declared[i] = (struct schedules_declared){probe->schedules[i].name,
                                                  probe->schedules[i].json};
    enum status st = schedules_apply(co, d->queues, str_c(probe->app), declared,
                                     probe->schedules_len, &err);
    free(declared);
    scheduler->unapplied = st == ST_UNAVAILABLE || st == ST_UNCLEAR;
    if (st != ST_OK && !scheduler->unapplied && st != ST_CANCELLED)
        log_error("the application's schedules: %s", err.msg);
}

static enum status
tick_all(struct co *co, void *arg)
{
    struct scheduler *scheduler = arg;
    struct place *place;

    if (scheduler->unapplied)
        apply(co, scheduler);
    while (!scheduler->stopped && rds_up(scheduler->d->rds) &&
           (place = next_wanted(scheduler)))
        tick(co, scheduler, place);
    return ST_OK;
}

static void
ticked_cb(void *arg, enum status status)
{
    struct scheduler *scheduler = arg;

    (void)status;
    scheduler->ticking = false;
    run(scheduler);
}

static void
run(struct scheduler *scheduler)
{
    struct dispatcher *d = scheduler->d;

    if (scheduler->ticking || scheduler->stopped || !d->admitted ||
        !rds_up(d->rds) || !next_wanted(scheduler))
        return;
    scheduler->ticking = true;
    if (co_spawn(d->loop, "schedules", tick_all, scheduler, ticked_cb) !=
        ST_OK) {
        scheduler->ticking = false; /* with the backstop again */
        log_error("schedules: out of coroutines");
    }
}

/* ---- what is heard ---- */

void
scheduler_admitted(struct scheduler *scheduler)
{
    scheduler->unapplied = scheduler->d->context->probe->app != NULL;
    scheduler_look(scheduler);
}

void
scheduler_look(struct scheduler *scheduler)
{
    for (size_t i = 0; i < scheduler->len; i++)
        scheduler->places[i].wanted = true;
    run(scheduler);
}

static void
message_cb(struct rds *rds, struct str payload, void *arg)
{
    struct scheduler *scheduler = arg;

    (void)rds;
    for (size_t i = 0; i < scheduler->len; i++)
        if (str_eq(payload, scheduler->places[i].queue))
            scheduler->places[i].wanted = true;
    run(scheduler);
}

static void
backstop_cb(struct loop_timer *timer)
{
    struct scheduler *scheduler = LIST_ENTRY(timer, struct scheduler, backstop);

    scheduler_look(scheduler);
    loop_timer_start(scheduler->d->loop, timer, BACKSTOP_MS, backstop_cb);
}

/* ---- life ---- */

struct scheduler *
scheduler_new(struct dispatcher *d)
{
    struct scheduler *scheduler = xcalloc(1, sizeof *scheduler);
    char channel[KEYS_MAX_LEN];

    scheduler->d = d;
    scheduler->len = d->sources_len;
    for (size_t i = 0; i < d->sources_len; i++) {
        scheduler->places[i].scheduler = scheduler;
        scheduler->places[i].queue = d->sources[i].name;
    }
    schedules_channel(d->queues, channel);
    rds_subscribe(d->orders, channel, message_cb, scheduler);
    loop_timer_start(d->loop, &scheduler->backstop, BACKSTOP_MS, backstop_cb);
    return scheduler;
}

void
scheduler_stop(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    scheduler->stopped = true;
    loop_timer_stop(&scheduler->backstop);
    for (size_t i = 0; i < scheduler->len; i++)
        loop_timer_stop(&scheduler->places[i].timer);
}

bool
scheduler_busy(const struct scheduler *scheduler)
{
    return scheduler && scheduler->ticking;
}

void
scheduler_free(struct scheduler *scheduler)
{
    free(scheduler);
}
