/* Claim: one script call finishes and claims for one queue.
 *
 * How much to claim is decided in time, not in jobs: each lane has a budget,
 * each job costs what jobs of its queue took lately, so a worker has up to
 * RING_JOBS short jobs a slot in hand and never more than one long one. A queue
 * that nothing is known of counts as long.
 *
 * Async jobs count in places instead. Which kind a queue holds is known from
 * the application's table and from what came out of it. One that holds both
 * kinds is asked for what the slots have room for; async jobs may come beyond
 * their places then, and wait in hand, up to ASYNC_WAITING_MAX.
 *
 * How often is decided by the calls themselves: while one is under way for a
 * queue, the next waits until it is a full batch. So an idle worker calls at
 * once, and a busy one in batches of 64, without a timer. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "executors/executor.h"
#include "state.h"

int32_t
claim_cost_us(const struct source *source)
{
    if (!source->measured || source->mean_us >= LANE_BUDGET_US)
        return LANE_BUDGET_US;
    return source->mean_us < LANE_COST_MIN_US ? LANE_COST_MIN_US
                                              : source->mean_us;
}

int32_t
claim_room_us(const struct dispatcher *d)
{
    int32_t room = 0;

    if (d->stopping || d->quiet || !d->admitted)
        return 0;
    for (size_t i = 0; i < d->lanes_len; i++)
        room += lane_room_us(&d->lanes[i]);
    room -= d->waiting_us + d->committed_us;
    return room > 0 ? room : 0;
}

/* --- answers ----------------------------------------------------------------
 */

static void
due_cb(struct loop_timer *timer)
{
    struct source *source = LIST_ENTRY(timer, struct source, timer);

    source->maybe_ready = source->due = true;
}

static void
pause_cb(struct loop_timer *timer)
{
    struct source *source = LIST_ENTRY(timer, struct source, pause);

    source->maybe_ready = source->due = true;
}

static bool
is_async(const struct dispatcher *d, struct str name)
{
    if (executor_builtin(name))
        return true;
    const struct probe_task *task = probe_find(d->context->probe, name);
    return task && task->async;
}

static void
take(struct source *source, const struct claimed *claimed, int64_t sent_ms)
{
    struct dispatcher *d = source->d;
    struct held *held;
    struct error err;

    enum status st = held_new(source, source->name, claimed, &held, &err);
    held->renewed_ms = sent_ms;
    held->cost_us = claim_cost_us(source);
    if (held->crashes > 0)
        lane_isolate(held);
    list_append(&d->leases, &held->lease);
    d->held_len++;
    if (st != ST_OK)
        finish_refused(held, err.msg);
    else if (is_async(d, held->task)) {
        source->has_async_tasks = true;
        async_lane_wait(&d->async, held);
    } else {
        source->has_slot_tasks = true;
        dispatcher_wait(d, held, false);
    }
}

static void
answered(struct exchange *exchange)
{
    struct source *source = exchange->source;
    const struct work *work = &exchange->work;

    for (size_t i = 0; i < work->stale_len; i++)
        dispatcher_lost(source->d, work->stale[i]);
    finish_taken(exchange);
    for (size_t i = 0; i < work->claimed_len; i++)
        take(source, &work->claimed[i], exchange->sent_ms);
    source->maybe_ready = source->more = work->more;
    if (work->outbox)
        courier_call(source);
    source->asked_ms = exchange->sent_ms;
    source->d->was_busy |= work->claimed_len > 0;
    if (work->clock_off)
        dispatcher_clock_off(source->d);
    if (work->next_ms >= 0)
        /* One more: next_ms was rounded down. */
        loop_timer_start(source->d->loop, &source->timer, work->next_ms + 1,
                         due_cb);
    else
        loop_timer_stop(&source->timer);
}

static void
settled_cb(struct op *op)
{
    struct exchange *exchange = op->arg;
    struct source *source = exchange->source;
    struct dispatcher *d = exchange->d;
    struct error err;

    d->committed_us -= exchange->committed_us;
    d->async.committed -= exchange->committed_places;
    source->exchanges--;
    enum status st = queue_work_result(&exchange->work, &err);
    if (st == ST_OK)
        answered(exchange);
    else {
        /* While Redis is away its connection says so; all else is worth a
         * line and a rest. */
        if (st != ST_UNAVAILABLE && st != ST_UNCLEAR)
            log_error("queue %.*s: %s", STR_ARG(source->name), err.msg);
        finish_return(exchange, st == ST_UNCLEAR);
        source->maybe_ready = true;
        if (rds_up(d->rds))
            loop_timer_start(d->loop, &source->pause, PAUSE_MS, pause_cb);
    }
    rds_call_clear(&exchange->work.call);
    exchange->source = NULL;
}

/* --- questions --------------------------------------------------------------
 */

bool
claim_expected(const struct dispatcher *d)
{
    for (size_t i = 0; i < EXCHANGES; i++)
        if (d->exchanges[i].source && d->exchanges[i].work.claim > 0)
            return true;
    return false;
}

static struct exchange *
free_exchange(struct dispatcher *d)
{
    for (size_t i = 0; i < EXCHANGES; i++)
        if (!d->exchanges[i].source)
            return &d->exchanges[i];
    return NULL;
}

static void
send_work(struct exchange *exchange, struct source *source, int claim)
{
    struct dispatcher *d = source->d;
    struct finish finishes[QUEUE_FINISH_MAX];

    exchange->source = source;
    exchange->sent_ms = clock_mono_ms();
    exchange->committed_us =
        source->has_slot_tasks ? claim * claim_cost_us(source) : 0;
    exchange->committed_places = source->has_slot_tasks ? 0 : claim;
    d->committed_us += exchange->committed_us;
    d->async.committed += exchange->committed_places;
    exchange->work.queue = source->name;
    exchange->work.claim = claim;
    exchange->work.lease_ms = d->options->lease_ms;
    exchange->work.worker = d->name;
    exchange->work.token_first = d->token_next;
    d->token_next += (uint64_t)claim;
    source->exchanges++;
    source->due = false;
    size_t n = finish_take(source, exchange, finishes);
    queue_work(d->queues, &exchange->work, finishes, n, settled_cb, exchange);
}

bool
claim_has_room(const struct source *source, int32_t room_us)
{
    const struct async_lane *async = &source->d->async;

    if (!source->has_slot_tasks)
        return async_lane_room(async) > 0;
    return room_us > 0 &&
           (!source->has_async_tasks || async->waiting_len < ASYNC_WAITING_MAX);
}

/* How many jobs of @source there is room for, and worth a call. */
static int
claim_size(const struct source *source, int32_t room_us)
{
    int32_t n;

    if (!source->maybe_ready || !claim_has_room(source, room_us))
        return 0;
    if (source->has_slot_tasks) {
        n = room_us / claim_cost_us(source);
        if (n == 0)
            n = 1; /* less than a whole long job: it waits for some short ones
                    */
    } else
        n = async_lane_room(&source->d->async);
    if (n > QUEUE_CLAIM_MAX)
        n = QUEUE_CLAIM_MAX;
    /* A second call at once only for what is known to be there. */
    if (source->exchanges > 0 && (!source->more || n < QUEUE_CLAIM_MAX))
        return 0;
    return n;
}

static bool
worth_finishing(const struct source *source)
{
    if (loop_timer_active(&source->pause))
        return false;
    if (source->finishes_len >= QUEUE_FINISH_MAX)
        return true;
    return source->exchanges == 0 && (source->finishes_len > 0 || source->due);
}

void
claim_send(struct dispatcher *d)
{
    struct exchange *exchange;

    while (rds_up(d->rds) && (exchange = free_exchange(d))) {
        int32_t room_us = claim_room_us(d);
        for (size_t i = 0; i < d->sources_len; i++) {
            struct source *source = &d->sources[i];
            if (source->unheard && claim_has_room(source, room_us)) {
                source->unheard = false;
                source->maybe_ready = source->due = true;
                wake_interrupt(d);
            }
            d->weights[i].eligible = claim_size(source, room_us) > 0 &&
                                     !loop_timer_active(&source->pause);
        }
        size_t next = weights_next(d->weights, d->sources_len);
        if (next < d->sources_len) {
            struct source *source = &d->sources[next];
            send_work(exchange, source, claim_size(source, room_us));
            continue;
        }
        /* Nothing to claim: only what must be told. */
        while (next-- > 0)
            if (worth_finishing(&d->sources[next]))
                break;
        if (next == SIZE_MAX)
            break;
        send_work(exchange, &d->sources[next], 0);
    }
}
