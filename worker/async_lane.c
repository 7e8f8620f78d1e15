/* Async lane: the dispatcher's side of the async child.
 *
 * One child for all async jobs, started when the first of them is there. Its
 * room is counted in places, not in time: a coroutine that waits costs nothing.
 * A few jobs more than there are places may wait here, when they came out of a
 * queue that has other tasks too (claim.c).
 *
 * The child is started only after its board was emptied here, as with a lane.
 * When it dies by itself, every job that ran has crashed, since nobody can tell
 * which one it was; those it had not begun wait again. When it is killed
 * because one of its jobs would not stop, the others are handed back with their
 * attempts refunded: they have done nothing wrong. */
#include <stdlib.h>
#include <string.h>

#include "base/children.h"
#include "base/clock.h"
#include "base/log.h"
#include "link.h"
#include "state.h"

enum { START_MS = 1000 }; /* a child that is not up by then has a problem */

void
async_lane_init(struct async_lane *lane, struct dispatcher *d)
{
    *lane = (struct async_lane){.d = d, .board = d->context->board};
    list_init(&lane->waiting);
    if (!lane->board)
        return;
    board_sender_init(&lane->sender, lane->board, d->context->board_bell);
    lines_reader_init(&lane->lines, board_lines(lane->board));
    lane->places = xcalloc(lane->sender.places, sizeof *lane->places);
}

static void
forget(struct async_lane *lane, uint32_t place)
{
    progress_clear(&lane->places[place].progress);
    if (lane->places[place].held == lane->on_trial)
        lane->on_trial = NULL;
    lane->places[place] = (struct async_place){0};
}

void
async_lane_clear(struct async_lane *lane)
{
    struct list *link;

    while ((link = list_shift(&lane->waiting)))
        dispatcher_drop(lane->d, LIST_ENTRY(link, struct held, link));
    for (uint32_t i = 0; lane->places && i < lane->sender.places; i++) {
        if (lane->places[i].held)
            dispatcher_drop(lane->d, lane->places[i].held);
        forget(lane, i);
    }
    free(lane->places);
    lane->places = NULL;
}

static void
start(struct async_lane *lane)
{
    struct dispatcher *d = lane->d;

    board_sender_init(&lane->sender, lane->board, d->context->board_bell);
    lines_reader_init(&lane->lines, board_lines(lane->board));
    lane->killed = lane->corrupt = false;
    lane->started_ms = clock_mono_ms();
    /* If it cannot be told now, the next pass tries again. */
    if (link_send(d->context->link, LINK_START, (uint32_t)d->lanes_len, 0))
        lane->state = LANE_STARTING;
}

static void
kill_child(struct async_lane *lane)
{
    struct dispatcher *d = lane->d;

    if (!lane->killed) /* tried again with the next look, if need be */
        lane->killed =
            link_send(d->context->link, LINK_KILL, (uint32_t)d->lanes_len, 0);
}

/* What its child wrote into the board cannot be: nothing in it counts. */
static void
distrust(struct async_lane *lane)
{
    if (!lane->corrupt)
        log_error("the async child wrote rubbish into its board; it is killed");
    lane->corrupt = true;
    kill_child(lane);
}

/* --- jobs in ----------------------------------------------------------------
 */

static bool
promising(const struct async_lane *lane)
{
    if (lane->state == LANE_STARTING)
        return clock_mono_ms() - lane->started_ms < START_MS;
    return !lane->killed && !lane->corrupt;
}

int32_t
async_lane_room(const struct async_lane *lane)
{
    const struct dispatcher *d = lane->d;

    if (!lane->board || d->stopping || d->quiet || !d->admitted ||
        !promising(lane))
        return 0;
    int32_t room = (int32_t)lane->sender.places - (int32_t)lane->sender.used -
                   (int32_t)lane->waiting_len - lane->committed;
    return room > 0 ? room : 0;
}

void
async_lane_wait(struct async_lane *lane, struct held *held)
{
    if (!lane->board) {
        finish_refused(held, "this worker runs no async tasks (--async 0)");
        return;
    }
    held->place = HELD_ASYNC_WAITING;
    list_append(&lane->waiting, &held->link);
    lane->waiting_len++;
}

void
async_lane_unwait(struct async_lane *lane, struct held *held)
{
    list_remove(&held->link);
    lane->waiting_len--;
    held->place = HELD_NEW;
}

static void
put_back(struct async_lane *lane, uint32_t place)
{
    struct held *held = lane->places[place].held;

    board_release(&lane->sender, place);
    forget(lane, place);
    held->place = HELD_ASYNC_WAITING;
    list_prepend(&lane->waiting, &held->link);
    lane->waiting_len++;
}

/* With one more death it is quarantined. Of those one runs at a time, so that
 * none is for what another did. */
static bool
is_suspect(const struct held *held)
{
    return held->crashes >= JOB_CRASHES_MAX - 1;
}

/* False: it still waits. */
static bool
push(struct async_lane *lane, struct held *held)
{
    const struct ring_job job = held_job(held);
    uint32_t place;

    if (!board_fits(&job)) {
        async_lane_unwait(lane, held);
        finish_refused(held, "it is too large to be run");
        return true;
    }
    if (!board_push(&lane->sender, &job, &place))
        return false;
    async_lane_unwait(lane, held);
    held->place = HELD_ASYNC;
    held->async_place = place;
    lane->places[place] = (struct async_place){.held = held};
    if (is_suspect(held))
        lane->on_trial = held;
    lane->changed = true;
    return true;
}

static void
release_waiting(struct async_lane *lane)
{
    while (!list_empty(&lane->waiting)) {
        struct held *held = LIST_ENTRY(lane->waiting.prev, struct held, link);
        async_lane_unwait(lane, held);
        finish_released(held);
    }
}

void
async_lane_hand_out(struct async_lane *lane)
{
    struct dispatcher *d = lane->d;

    if (list_empty(&lane->waiting))
        return;
    if (d->stopping || (lane->state == LANE_STARTING && !promising(lane))) {
        release_waiting(lane);
        return;
    }
    if (lane->state == LANE_DOWN)
        start(lane);
    if (lane->state != LANE_UP || lane->killed || lane->corrupt)
        return;
    LIST_FOREACH_SAFE (link, following, &lane->waiting) {
        struct held *held = LIST_ENTRY(link, struct held, link);
        if (!(lane->on_trial && is_suspect(held)) && !push(lane, held))
            break;
    }
    if (!list_empty(&lane->waiting) && board_misread(&lane->sender))
        distrust(lane);
    lane_watch_soon(d, WATCH_LONG_MS);
}

void
async_lane_take_back(struct async_lane *lane)
{
    for (uint32_t i = 0; lane->places && i < lane->sender.places; i++)
        if (lane->places[i].held && board_take_back(&lane->sender, i))
            put_back(lane, i);
}

/* --- results out ------------------------------------------------------------
 */

static struct held *
owner_cb(void *arg, uint32_t owner)
{
    struct async_lane *lane = arg;
    uint32_t place;

    return board_owns(&lane->sender, owner, &place) ? lane->places[place].held
                                                    : NULL;
}

static void
take_lines(struct async_lane *lane)
{
    if (lane->board)
        joblog_take(lane->d, &lane->lines, owner_cb, lane);
}

void
async_lane_collect(struct async_lane *lane)
{
    struct ring_result result;
    bool bad;

    if (lane->state == LANE_STARTING && board_attached(lane->board)) {
        lane->state = LANE_UP;
        log_debug("the async child is up");
    }
    if (lane->state != LANE_UP)
        return;
    take_lines(lane);
    while (board_collect(&lane->sender, &result, &bad)) {
        struct async_place *place = &lane->places[result.position];
        finish_returned(place->held, &result, place->cancel);
        board_release(&lane->sender, result.position);
        forget(lane, result.position);
    }
    if (bad)
        distrust(lane);
}

bool
async_lane_ready(const struct async_lane *lane)
{
    if (!lane->board)
        return false;
    return board_ready(&lane->sender) ||
           (lane->state == LANE_STARTING && board_attached(lane->board));
}

void
async_lane_wake(struct async_lane *lane)
{
    if (!lane->changed)
        return;
    lane->changed = false;
    board_wake(&lane->sender);
}

/* --- time -------------------------------------------------------------------
 */

void
async_lane_cancel(struct async_lane *lane, uint32_t at, enum ring_cancel reason,
                  int64_t grace_ms)
{
    struct async_place *place = &lane->places[at];
    int64_t kill_at_ms = clock_mono_ms() + grace_ms;

    if (place->cancel == RING_RUN_ON || kill_at_ms < place->kill_at_ms)
        place->kill_at_ms = kill_at_ms;
    if (place->cancel == RING_RUN_ON) {
        place->cancel = reason;
        place->told = false;
    }
    if (!place->told)
        place->told = board_cancel(&lane->sender, at, place->cancel);
    lane->changed = true;
    lane_watch_soon(lane->d, WATCH_BUSY_MS);
}

void
async_lane_cancel_all(struct async_lane *lane, enum ring_cancel reason,
                      int64_t grace_ms)
{
    for (uint32_t i = 0; lane->places && i < lane->sender.places; i++)
        if (lane->places[i].held)
            async_lane_cancel(lane, i, reason, grace_ms);
}

static int64_t
watch_place(struct async_lane *lane, uint32_t at, int64_t now_ms)
{
    struct async_place *place = &lane->places[at];
    struct held *held = place->held;
    struct ring_progress report;
    int64_t since_us;
    bool bad;

    if (!board_running(&lane->sender, at, &since_us, &bad)) {
        if (bad)
            distrust(lane);
        return WATCH_LONG_MS;
    }
    if (board_progress_read(&lane->sender, at, &report))
        progress_send(lane->d, &place->progress, held, &report);
    int64_t end_ms = since_us / 1000 + held->timeout_ms;
    if (place->cancel == RING_RUN_ON) {
        if (now_ms < end_ms)
            return end_ms - now_ms;
        async_lane_cancel(lane, at, RING_CANCEL_TIMEOUT,
                          lane->d->options->kill_grace_ms);
    } else if (!place->told)
        async_lane_cancel(lane, at, place->cancel, place->kill_at_ms - now_ms);
    if (now_ms < place->kill_at_ms)
        return place->kill_at_ms - now_ms;
    if (!lane->killed)
        log_warn("%.*s (%.*s) does not stop: the async child is killed",
                 STR_ARG(held->id), STR_ARG(held->task));
    kill_child(lane);
    return WATCH_LONG_MS;
}

int64_t
async_lane_watch(struct async_lane *lane, int64_t now_ms)
{
    int64_t next_ms = WATCH_LONG_MS;

    take_lines(lane);
    if (lane->state != LANE_UP || lane->sender.used == 0)
        return lane->state == LANE_STARTING ? next_ms : -1;
    for (uint32_t i = 0; i < lane->sender.places; i++) {
        if (!lane->places[i].held)
            continue;
        int64_t ms = watch_place(lane, i, now_ms);
        if (ms < next_ms)
            next_ms = ms;
    }
    return next_ms < 1 ? 1 : next_ms;
}

/* --- death ------------------------------------------------------------------
 */

static void
settle(struct async_lane *lane, uint32_t at, const char *cause)
{
    struct held *held = lane->places[at].held;
    enum ring_cancel cancel = lane->places[at].cancel;
    int64_t since_us;
    bool bad;

    if (board_take_back(&lane->sender, at)) {
        put_back(lane, at);
        return;
    }
    (void)board_running(&lane->sender, at, &since_us, &bad);
    board_release(&lane->sender, at);
    forget(lane, at);
    if (cancel != RING_RUN_ON)
        finish_killed(held, cancel);
    else if (lane->killed && !lane->corrupt)
        finish_released(held);
    else
        finish_crashed(held,
                       lane->corrupt ? "its result was overwritten" : cause);
}

void
async_lane_died(struct async_lane *lane, int wait_status)
{
    char cause[CHILDREN_CAUSE_MAX];

    if (!lane->board)
        return;
    children_cause(wait_status, cause, sizeof cause);
    async_lane_collect(lane);
    if (wait_status != 0 && !lane->killed)
        log_warn("the async child died with %u jobs: %s", lane->sender.used,
                 cause);
    /* From the last place on, so that what waits again keeps some order. */
    for (uint32_t i = lane->sender.places; i-- > 0;)
        if (lane->places[i].held)
            settle(lane, i, cause);
    lane->killed = lane->corrupt = false;
    lane->state = LANE_DOWN; /* started again when there is something for it */
}
