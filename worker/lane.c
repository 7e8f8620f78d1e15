/* Lane: the dispatcher's side of one slot child.
 *
 * The jobs in the ring are jobs[collected..pushed) of the ring's positions; the
 * one at `collected` is the only one that can be running. `load_us` is the sum
 * of their costs. A lane whose job turns out to be long (`stuck`) takes no more
 * and gives back what waits behind it.
 *
 * A child is started only after its ring was emptied here, and a ring is only
 * emptied here, after its child is known to be dead: so nobody else is attached
 * then. A cancelled job has until kill_at_ms; after that its child is killed,
 * and why is kept in `cancel` until the death is reported. */
#include <assert.h>
#include <string.h>

#include "base/children.h"
#include "base/clock.h"
#include "base/log.h"
#include "link.h"
#include "state.h"

enum { START_MS = 1000 }; /* a child that is not up by then has a problem */

static struct held **
job_at(struct lane *lane, uint32_t position)
{
    return &lane->jobs[position % RING_JOBS];
}

void
lane_init(struct lane *lane, struct dispatcher *d, uint32_t index)
{
    *lane = (struct lane){.d = d, .index = index};
    ring_sender_init(&lane->sender, d->context->rings[index]);
    lines_reader_init(&lane->lines, ring_lines(d->context->rings[index]));
}

void
lane_clear(struct lane *lane)
{
    for (uint32_t p = lane->sender.collected; p != lane->sender.pushed; p++)
        dispatcher_drop(lane->d, *job_at(lane, p));
    lane->sender.pushed = lane->sender.collected;
}

void
lane_start(struct lane *lane)
{
    ring_sender_init(&lane->sender, lane->d->context->rings[lane->index]);
    lane->load_us = 0;
    lane->stuck = lane->corrupt = lane->killed = false;
    lane->cancel = RING_RUN_ON;
    lane->progress.version = 0;
    lines_reader_init(&lane->lines,
                      ring_lines(lane->d->context->rings[lane->index]));
    lane->started_ms = clock_mono_ms();
    /* If it cannot be told now, the next tick tries again. */
    if (link_send(lane->d->context->link, LINK_START, lane->index, 0))
        lane->state = LANE_STARTING;
}

static void
kill_child(struct lane *lane)
{
    if (!lane->killed) /* tried again with the next look, if need be */
        lane->killed =
            link_send(lane->d->context->link, LINK_KILL, lane->index, 0);
}

/* --- jobs in ----------------------------------------------------------------
 */

int32_t
lane_room_us(const struct lane *lane)
{
    if (lane->state != LANE_UP || lane->stuck || lane->killed ||
        lane->corrupt || lane->load_us >= LANE_BUDGET_US)
        return 0;
    return LANE_BUDGET_US - lane->load_us;
}

bool
lane_promising(const struct lane *lane, int64_t now_ms)
{
    if (lane->state == LANE_STARTING)
        return now_ms - lane->started_ms < START_MS;
    return lane->state == LANE_UP && !lane->stuck && !lane->killed;
}

bool
lane_any_promising(const struct dispatcher *d)
{
    int64_t now_ms = clock_mono_ms();

    for (size_t i = 0; i < d->lanes_len; i++)
        if (lane_promising(&d->lanes[i], now_ms))
            return true;
    return false;
}

void
lane_isolate(struct held *held)
{
    held->alone = true;
    held->cost_us = LANE_BUDGET_US;
}

bool
lane_push(struct lane *lane, struct held *held)
{
    const struct ring_job job = held_job(held);
    uint32_t position = lane->sender.pushed;

    if (held->alone && ring_length(&lane->sender) > 0)
        return false;
    if (!ring_push(&lane->sender, &job))
        return false;
    *job_at(lane, position) = held;
    held->place = HELD_LANE;
    held->lane = lane;
    lane->load_us += held->cost_us;
    lane->changed = true;
    return true;
}

void
lane_take_back(struct lane *lane)
{
    while (ring_take_back(&lane->sender)) {
        struct held *held = *job_at(lane, lane->sender.pushed);
        lane->load_us -= held->cost_us;
        dispatcher_wait(lane->d, held, true);
    }
}

/* --- results out ------------------------------------------------------------
 */

static void
measure(struct source *source, int64_t run_us)
{
    if (run_us > LANE_BUDGET_US * 4)
        run_us = LANE_BUDGET_US * 4;
    if (source->measured)
        source->mean_us += (int32_t)(run_us - source->mean_us) / 8;
    else
        source->mean_us = (int32_t)run_us;
    source->measured = true;
}

static void
notice_start(struct lane *lane)
{
    if (lane->state != LANE_STARTING || !ring_attached(lane->sender.ring))
        return;
    lane->state = LANE_UP;
    log_debug("slot %u is up", lane->index);
}

static struct held *
owner_cb(void *arg, uint32_t owner)
{
    struct lane *lane = arg;

    return owner - lane->sender.collected < ring_length(&lane->sender)
               ? *job_at(lane, owner)
               : NULL;
}

void
lane_collect(struct lane *lane)
{
    struct ring_result result;
    bool bad;

    notice_start(lane);
    joblog_take(lane->d, &lane->lines, owner_cb, lane);
    while (ring_collect(&lane->sender, &result, &bad)) {
        struct held *held = *job_at(lane, result.position);
        measure(held->source, result.run_us);
        lane->load_us -= held->cost_us;
        finish_returned(held, &result, lane->cancel);
        ring_release(&lane->sender);
        lane->cancel = RING_RUN_ON;
        lane->stuck = false;
        lane->changed = true;
    }
    /* A state that none of its writers gives, where no result would ever come
     * from. */
    bad |= ring_length(&lane->sender) > 0 &&
           ring_spoilt(&lane->sender, lane->sender.collected);
    if (bad && !lane->corrupt)
        log_error("slot %u wrote rubbish into its ring; it is killed",
                  lane->index);
    if (bad) {
        lane->corrupt = true;
        kill_child(lane);
    }
}

struct held *
lane_running(const struct lane *lane, int64_t *ret_since_us)
{
    if (lane->state == LANE_DOWN || !ring_running(&lane->sender, ret_since_us))
        return NULL;
    return lane->jobs[lane->sender.collected % RING_JOBS];
}

/* --- time -------------------------------------------------------------------
 */

void
lane_cancel(struct lane *lane, enum ring_cancel reason, int64_t grace_ms)
{
    int64_t kill_at_ms = clock_mono_ms() + grace_ms;

    if (lane->cancel == RING_RUN_ON || kill_at_ms < lane->kill_at_ms)
        lane->kill_at_ms = kill_at_ms;
    if (lane->cancel == RING_RUN_ON) {
        lane->cancel = reason;
        lane->stuck = true;
        ring_cancel(&lane->sender, lane->sender.collected, reason);
    }
    lane_watch_soon(lane->d, WATCH_BUSY_MS);
}

static void
send_progress(struct lane *lane, struct held *held)
{
    struct ring_progress report;

    if (ring_progress_read(&lane->sender, &report) &&
        report.position == lane->sender.collected)
        progress_send(lane->d, &lane->progress, held, &report);
}

int64_t
lane_watch(struct lane *lane, int64_t now_ms)
{
    int64_t since_us, next_ms = WATCH_LONG_MS;
    struct held *held = lane_running(lane, &since_us);

    if (!held)
        return ring_length(&lane->sender) > 0 ? WATCH_BUSY_MS : next_ms;
    int64_t since_ms = since_us / 1000;
    if (now_ms - since_ms >= LANE_STUCK_MS) {
        lane->stuck = true;
        lane_take_back(lane);
    }
    send_progress(lane, held);
    if (lane->cancel == RING_RUN_ON && now_ms - since_ms >= held->timeout_ms)
        lane_cancel(lane, RING_CANCEL_TIMEOUT, lane->d->options->kill_grace_ms);
    if (lane->cancel != RING_RUN_ON && !lane->killed) {
        if (now_ms >= lane->kill_at_ms)
            kill_child(lane);
        else if (lane->kill_at_ms - now_ms < next_ms)
            next_ms = lane->kill_at_ms - now_ms;
    } else if (lane->cancel == RING_RUN_ON &&
               since_ms + held->timeout_ms - now_ms < next_ms)
        next_ms = since_ms + held->timeout_ms - now_ms;
    if (ring_length(&lane->sender) > 1)
        next_ms = WATCH_BUSY_MS;
    return next_ms < 1 ? 1 : next_ms;
}

static void
watch_cb(struct loop_timer *timer)
{
    struct dispatcher *d = LIST_ENTRY(timer, struct dispatcher, watch);

    d->watch_at_ms = 0;
    lane_watch_all(d);
}

void
lane_watch_soon(struct dispatcher *d, int64_t ms)
{
    int64_t at_ms = clock_mono_ms() + ms;

    if (d->watch_at_ms != 0 && d->watch_at_ms <= at_ms)
        return;
    d->watch_at_ms = at_ms;
    loop_timer_start(d->loop, &d->watch, ms, watch_cb);
}

/* Collecting first: what has ended has not run too long. */
void
lane_watch_all(struct dispatcher *d)
{
    int64_t now_ms = clock_mono_ms();
    int64_t next_ms = -1;

    async_lane_collect(&d->async);
    next_ms = async_lane_watch(&d->async, now_ms);
    for (size_t i = 0; i < d->lanes_len; i++) {
        struct lane *lane = &d->lanes[i];
        lane_collect(lane);
        if (ring_length(&lane->sender) == 0)
            continue;
        int64_t ms = lane_watch(lane, now_ms);
        if (next_ms < 0 || ms < next_ms)
            next_ms = ms;
    }
    if (next_ms >= 0)
        lane_watch_soon(d, next_ms);
}

/* --- death ------------------------------------------------------------------
 */

/* What became of a job that was in the ring of a dead child. Only the first can
 * have run; what the child wrote over may be in any state, and the one that did
 * it may stand behind others that had ended: so each runs alone then. */
static void
settle(struct lane *lane, uint32_t position, const char *cause)
{
    struct held *held = *job_at(lane, position);
    bool first = position == lane->sender.collected;

    if (lane->corrupt)
        lane_isolate(held);
    if (ring_queued(&lane->sender, position) ||
        (!first && ring_spoilt(&lane->sender, position)))
        dispatcher_wait(lane->d, held, true);
    else if (first && lane->cancel != RING_RUN_ON)
        finish_killed(held, lane->cancel);
    else if (lane->corrupt)
        finish_crashed(held, "its result was overwritten");
    else if (lane->killed)
        finish_released(held); /* it came after the one that was meant */
    else
        finish_crashed(held, cause);
}

void
lane_died(struct lane *lane, int wait_status)
{
    struct dispatcher *d = lane->d;
    char cause[CHILDREN_CAUSE_MAX];

    children_cause(wait_status, cause, sizeof cause);
    lane_collect(lane);
    if (!lane->corrupt)
        lane_take_back(lane);
    if (ring_length(&lane->sender) == 0 && wait_status != 0 && !lane->killed)
        log_warn("slot %u died between two jobs: %s", lane->index, cause);
    /* From the newest on: each goes to the front of those that wait. */
    for (uint32_t p = lane->sender.pushed; p-- != lane->sender.collected;)
        settle(lane, p, cause);
    lane->state = LANE_DOWN;
    ring_sender_init(&lane->sender, lane->sender.ring);
    lane->load_us = 0;
    if (!d->stopping)
        lane_start(lane);
}
