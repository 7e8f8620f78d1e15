/* Public bulk: pit/jobs.h' steps for many jobs, and the purge of a queue, on
 * top of queue/queue_bulk.h, in the caller's coroutine. */
#include <stdio.h>
#include <stdlib.h>

#include "app/public/co_public.h"
#include "app/public/jobs_public.h"
#include "app/public/queue_public.h"
#include "base/clock.h"
#include "base/log.h"
#include "pit/queues.h"
#include "queue/queue_bulk.h"

/* One on its way. */
struct walk {
    struct bulk bulk;
    struct job_id *ids; /* owned */
    int64_t rate;
    int64_t rate_period_ms;
};

static enum status
take_states(struct bulk *bulk, unsigned states, struct error *err)
{
    for (int state = PIT_SCHEDULED; state <= PIT_ENDED; state++) {
        if (!(states & PIT_IN(state)))
            continue;
        int core = jobs_public_state((enum pit_state)state);
        if (!queue_bulk_allows(bulk->kind, core))
            return error_set_at(
                err, "/states", "%s is not for jobs that are %s",
                queue_bulk_kind_name(bulk->kind), queue_list_state_name(core));
        bulk->states[bulk->states_len++] = core;
    }
    if (states & ~(PIT_IN(PIT_ENDED + 1) - PIT_IN(PIT_SCHEDULED)))
        return error_set_at(err, "/states", "not a set of PIT_IN()");
    return ST_OK;
}

static enum status
take_queue(struct bulk *bulk, const char *queue, struct error *err)
{
    bulk->queue = str_c(queue);
    return queue_public_name(queue, "/queue", err);
}

static enum status
take_ids(struct walk *walk, const struct pit_filter *from, struct error *err)
{
    size_t n = 0;

    if (from->queue || from->states || from->task || from->tag ||
        from->older_ms || from->limit)
        return error_set_at(err, "/ids",
                            "say already which jobs: leave out queue, states, "
                            "task, tag, older_ms and limit");
    while (n <= BULK_IDS_MAX && from->ids[n])
        n++;
    if (n == 0 || n > BULK_IDS_MAX)
        return error_set_at(err, "/ids", "must be 1 to %d", BULK_IDS_MAX);
    walk->ids = xcalloc(n, sizeof *walk->ids);
    for (size_t i = 0; i < n; i++) {
        struct error why;
        char pointer[24];
        if (id_split(str_c(from->ids[i]), &walk->ids[i], &why) == ST_OK)
            continue;
        snprintf(pointer, sizeof pointer, "/ids[%zu]", i);
        return error_set_at(err, pointer, "%s", why.msg);
    }
    walk->bulk.ids = walk->ids;
    walk->bulk.ids_len = n;
    return ST_OK;
}

static enum status
take_filter(struct walk *walk, const struct pit_filter *from, struct error *err)
{
    struct bulk *bulk = &walk->bulk;

    if (from->ids)
        return take_ids(walk, from, err);
    bulk->task = str_c(from->task);
    bulk->tag = str_c(from->tag);
    bulk->older_ms = from->older_ms;
    bulk->limit = from->limit;
    if (from->states == 0)
        return error_set_at(err, "/states",
                            "name at least one: nothing is assumed");
    if (from->older_ms < 0 || from->limit < 0)
        return error_set(err, ST_INVALID,
                         "older_ms and limit must not be negative");
    enum status st = take_queue(bulk, from->queue, err);
    return st == ST_OK ? take_states(bulk, from->states, err) : st;
}

static enum status
take_pace(struct walk *walk, const struct pit_filter *from, struct error *err)
{
    walk->rate = from->rate;
    walk->rate_period_ms = from->rate_period_ms;
    if (from->rate < 0 || from->rate > JOB_RATE_MAX ||
        (from->rate > 0 && (from->rate_period_ms < 1 ||
                            from->rate_period_ms > JOB_RATE_PERIOD_MAX_MS)))
        return error_set_at(err, "/rate",
                            "must be 1 to %d in a rate_period_ms of 1 ms to a "
                            "day",
                            JOB_RATE_MAX);
    return ST_OK;
}

static enum status
take_cancel(struct bulk *bulk, const struct pit_filter *from, struct error *err)
{
    struct pit_control control = {.grace_ms = from->grace_ms,
                                  .reason = from->reason};
    struct control core = {.verb = CONTROL_CANCEL};

    if (bulk->kind != BULK_CANCEL)
        return from->grace_ms || from->reason
                   ? error_set(err, ST_INVALID,
                               "grace_ms and reason are for "
                               "pit_jobs_cancel_all()")
                   : ST_OK;
    enum status st = jobs_public_control(&control, &core, err);
    bulk->grace_ms = core.grace_ms;
    bulk->reason = core.reason;
    return st;
}

/* Errors: as queue_bulk_step(), and the coroutine's. */
static enum status
run(struct co *co, struct queues *queues, struct walk *walk, struct error *err)
{
    struct bulk *bulk = &walk->bulk;
    int64_t started_ms = clock_mono_ms();
    enum status st = ST_OK;

    while (st == ST_OK && !bulk->ended) {
        st = queue_bulk_step(co, queues, bulk, err);
        if (st == ST_OK && !bulk->ended)
            st = co_sleep(co, queue_bulk_wait_ms(bulk, walk->rate,
                                                 walk->rate_period_ms,
                                                 clock_mono_ms() - started_ms));
    }
    return st;
}

static enum pit_status
end(struct co *co, enum status st, bool begun, const struct error *err,
    struct walk *walk, struct pit_bulk *ret)
{
    struct pit_bulk dropped;

    if (!ret)
        ret = &dropped;
    *ret = (struct pit_bulk){
        .seen = walk->bulk.seen,
        .matched = walk->bulk.matched,
        .done = walk->bulk.done,
        .refused = walk->bulk.refused,
    };
    free(walk->ids);
    return queue_public_end(co, st, begun && !walk->bulk.dry_run, err,
                            ret->error);
}

static enum pit_status
filtered(struct pit_co *public, enum bulk_kind kind,
         const struct pit_filter *filter, struct pit_bulk *ret)
{
    struct co *co = co_public_core(public);
    struct walk walk = {.bulk = {.kind = kind, .dry_run = filter->dry_run}};
    struct error err = {.msg = ""};
    struct queues *queues;
    bool begun = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = take_filter(&walk, filter, &err);
    if (st == ST_OK)
        st = take_pace(&walk, filter, &err);
    if (st == ST_OK)
        st = take_cancel(&walk.bulk, filter, &err);
    if (st == ST_OK) {
        begun = true;
        st = run(co, queues, &walk, &err);
    }
    return end(co, st, begun, &err, &walk, ret);
}

enum pit_status
pit_jobs_retry_all(struct pit_co *co, const struct pit_filter *filter,
                   struct pit_bulk *ret)
{
    return filtered(co, BULK_RETRY, filter, ret);
}

enum pit_status
pit_jobs_cancel_all(struct pit_co *co, const struct pit_filter *filter,
                    struct pit_bulk *ret)
{
    return filtered(co, BULK_CANCEL, filter, ret);
}

enum pit_status
pit_jobs_delete_all(struct pit_co *co, const struct pit_filter *filter,
                    struct pit_bulk *ret)
{
    return filtered(co, BULK_DELETE, filter, ret);
}

enum pit_status
pit_queues_purge(struct pit_co *public, const char *queue, unsigned states,
                 struct pit_bulk *ret)
{
    static const unsigned waiting = PIT_IN(PIT_READY) | PIT_IN(PIT_SCHEDULED) |
                                    PIT_IN(PIT_RETRYING) | PIT_IN(PIT_BLOCKED);
    struct co *co = co_public_core(public);
    struct walk walk = {.bulk = {.kind = BULK_PURGE}};
    struct error err = {.msg = ""};
    struct queues *queues;
    bool begun = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = take_queue(&walk.bulk, queue, &err);
    if (st == ST_OK)
        st = take_states(&walk.bulk, states ? states : waiting, &err);
    if (st == ST_OK) {
        begun = true;
        st = run(co, queues, &walk, &err);
    }
    return end(co, st, begun, &err, &walk, ret);
}
