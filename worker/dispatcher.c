/* Dispatcher: everything happens in one pass at the end of each turn of the
 * loop. Callbacks of that turn (answers, timers, the bell, the link) only note
 * what they heard; the pass then
 *
 *   1. collects results from the rings,
 *   2. hands waiting jobs to lanes,
 *   3. sends what there is to finish and to claim,
 *   4. wakes the children that got something,
 *   5. goes to sleep in Redis when nothing is left to do.
 *
 * So what one turn gathered leaves in one call, and no order of events can make
 * it forget a step. The pass is added to the loop's hooks before the
 * connections are made, so it runs before their writes.
 *
 * Before the loop sleeps, the bell is armed and the rings are looked at once
 * more; a result that came in between rings the bell here. */
#include "dispatcher.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "link.h"
#include "state.h"

enum {
    LEAVE_MS = 5000, /* to hand everything back, after all graces */
    HURRY_MS = 1000, /* the same when there is no time */
};

/* --- jobs in hand -----------------------------------------------------------
 */

void
dispatcher_wait(struct dispatcher *d, struct held *held, bool front)
{
    held->place = HELD_WAITING;
    d->waiting_us += held->cost_us;
    if (front)
        list_prepend(&d->waiting, &held->link);
    else
        list_append(&d->waiting, &held->link);
}

static void
unwait(struct dispatcher *d, struct held *held)
{
    list_remove(&held->link);
    d->waiting_us -= held->cost_us;
    held->place = HELD_NEW;
}

void
dispatcher_drop(struct dispatcher *d, struct held *held)
{
    if (held->place == HELD_WAITING)
        unwait(d, held);
    else if (held->place == HELD_ASYNC_WAITING)
        async_lane_unwait(&d->async, held);
    else if (held->place == HELD_FINISH)
        held->source->finishes_len--;
    d->held_len--;
    held_free(held);
}

static struct held *
find_token(struct dispatcher *d, struct str token)
{
    LIST_FOREACH (link, &d->leases) {
        struct held *held = LIST_ENTRY(link, struct held, lease);
        if (str_eq_c(token, held->token))
            return held;
    }
    return NULL;
}

/* Where it runs, it is told to stop; where it was not begun, it waits again. */
static void
stop_running(struct dispatcher *d, struct held *held, enum ring_cancel reason,
             int64_t grace_ms)
{
    if (held->place == HELD_LANE) {
        struct lane *lane = held->lane;
        /* What has ended already is collected first: then the job is either
         * the one that runs or can be taken back. */
        lane_collect(lane);
        if (held->place == HELD_LANE &&
            lane->jobs[lane->sender.collected % RING_JOBS] != held)
            lane_take_back(lane);
        if (held->place == HELD_LANE)
            lane_cancel(lane, reason, grace_ms);
    } else if (held->place == HELD_ASYNC) {
        async_lane_collect(&d->async);
        if (held->place == HELD_ASYNC)
            async_lane_cancel(&d->async, held->async_place, reason, grace_ms);
    }
}

void
dispatcher_clock_off(struct dispatcher *d)
{
    int64_t now_ms = clock_mono_ms();

    if (now_ms - d->clock_off_ms > 1000) /* several answers say so */
        log_info("Redis' clock was set, or Redis was away: looking at "
                 "everything");
    d->clock_off_ms = now_ms;
    wake_check_all(d);
    scheduler_look(d->scheduler);
    d->renew_all = true;
}

void
dispatcher_lost(struct dispatcher *d, struct str token)
{
    struct held *held = find_token(d, token);

    if (!held)
        return;
    if (!held->unclear)
        log_warn("%.*s: its lease is lost to another worker",
                 STR_ARG(held->id));
    held->lost = true;
    list_remove(&held->lease);
    stop_running(d, held, RING_CANCEL_LEASE, d->options->kill_grace_ms);
    /* In a call: its answer frees it. */
    if (held->place == HELD_WAITING || held->place == HELD_ASYNC_WAITING ||
        held->place == HELD_FINISH)
        dispatcher_drop(d, held);
}

void
dispatcher_cancel(struct dispatcher *d, struct str token, int64_t grace_ms)
{
    struct held *held = find_token(d, token);

    if (!held)
        return; /* it has ended, or the next renewal says so again */
    stop_running(d, held, RING_CANCEL_ASKED, grace_ms);
    if (held->place == HELD_WAITING)
        unwait(d, held);
    else if (held->place == HELD_ASYNC_WAITING)
        async_lane_unwait(&d->async, held);
    else
        return;
    finish_cancelled(held);
}

static void
drop_list(struct dispatcher *d, struct list *list)
{
    while (!list_empty(list))
        dispatcher_drop(d, LIST_ENTRY(list->next, struct held, link));
}

/* --- the pass ---------------------------------------------------------------
 */

static struct lane *
roomiest(struct dispatcher *d)
{
    struct lane *best = NULL;
    int32_t best_us = 0;

    for (size_t i = 0; i < d->lanes_len; i++) {
        int32_t room_us = lane_room_us(&d->lanes[i]);
        if (room_us > best_us) {
            best = &d->lanes[i];
            best_us = room_us;
        }
    }
    return best;
}

static void
hand_out(struct dispatcher *d)
{
    bool pushed = false;
    struct lane *lane;

    while (!list_empty(&d->waiting) && (lane = roomiest(d))) {
        struct held *held = LIST_ENTRY(d->waiting.next, struct held, link);
        if (lane_push(lane, held)) {
            d->waiting_us -= held->cost_us;
            list_remove(&held->link);
            pushed = true;
        } else if (ring_length(&lane->sender) == 0) {
            unwait(d, held);
            finish_refused(held, "it is too large to be run");
        } else
            break; /* no room until something is collected */
    }
    if (pushed)
        lane_watch_soon(d, WATCH_BUSY_MS);
}

/* Newest first: each goes to the front of its queue. */
static void
release_waiting(struct dispatcher *d)
{
    while (!list_empty(&d->waiting)) {
        struct held *held = LIST_ENTRY(d->waiting.prev, struct held, link);
        unwait(d, held);
        finish_released(held);
    }
}

/* With every slot busy for long, other workers should have what waits here. */
static void
release_hopeless(struct dispatcher *d)
{
    if (!list_empty(&d->waiting) && !lane_any_promising(d))
        release_waiting(d);
}

static void
announce(struct dispatcher *d)
{
    if (d->announced || !d->admitted)
        return;
    for (size_t i = 0; i < d->lanes_len; i++)
        if (d->lanes[i].state != LANE_UP)
            return;
    d->announced = true;
    log_info("ready: worker %s, %zu slots, %zu queues", d->name, d->lanes_len,
             d->sources_len);
}

/* Whatever a child rings for: a result, and that it has come up. */
static bool
some_ready(const struct dispatcher *d)
{
    for (size_t i = 0; i < d->lanes_len; i++) {
        const struct lane *lane = &d->lanes[i];
        if (ring_ready(&lane->sender) ||
            (lane->state == LANE_STARTING && ring_attached(lane->sender.ring)))
            return true;
    }
    return async_lane_ready(&d->async);
}

static void
pass_cb(struct loop_hook *hook)
{
    struct dispatcher *d = LIST_ENTRY(hook, struct dispatcher, hook);
    const struct ring_bell *bell = d->context->bell;

    ring_bell_disarm(bell);
    for (size_t i = 0; i < d->lanes_len; i++)
        lane_collect(&d->lanes[i]);
    async_lane_collect(&d->async);
    /* While draining, all at once: only then they go back in their order. */
    if (!d->stopping) {
        hand_out(d);
        release_hopeless(d);
        async_lane_hand_out(&d->async);
    } else if (!claim_expected(d)) {
        release_waiting(d);
        async_lane_hand_out(&d->async);
    }
    claim_send(d);
    for (size_t i = 0; i < d->lanes_len; i++)
        if (d->lanes[i].changed) {
            d->lanes[i].changed = false;
            ring_wake(&d->lanes[i].sender);
        }
    async_lane_wake(&d->async);
    announce(d);
    wake_sleep(d);
    if (d->stopping && d->held_len == 0 && !claim_expected(d))
        beat_leave(d);
    ring_bell_arm(bell);
    if (some_ready(d))
        ring_bell_ring(bell);
}

static void
bell_cb(evutil_socket_t fd, short what, void *arg)
{
    struct dispatcher *d = arg;

    (void)fd;
    (void)what;
    ring_bell_drain(d->context->bell);
}

/* --- the end ----------------------------------------------------------------
 */

static void
give_up_cb(struct loop_timer *timer)
{
    struct dispatcher *d = LIST_ENTRY(timer, struct dispatcher, stop_timer);

    log_warn("%zu jobs could not be handed back; they run again once their "
             "leases are over",
             d->held_len);
    loop_stop(d->loop);
}

static void
grace_over_cb(struct loop_timer *timer)
{
    struct dispatcher *d = LIST_ENTRY(timer, struct dispatcher, stop_timer);
    int64_t grace_ms = d->hurry ? 0 : d->options->kill_grace_ms;
    int64_t since_us;

    for (size_t i = 0; i < d->lanes_len; i++)
        if (lane_running(&d->lanes[i], &since_us))
            lane_cancel(&d->lanes[i], RING_CANCEL_STOP, grace_ms);
    async_lane_cancel_all(&d->async, RING_CANCEL_STOP, grace_ms);
    loop_timer_start(d->loop, timer,
                     d->hurry ? HURRY_MS : d->options->kill_grace_ms + LEAVE_MS,
                     give_up_cb);
}

static void
stop(struct dispatcher *d, bool hurry)
{
    char grace[CLOCK_WORDS_SIZE];

    if (d->stopping && !hurry)
        return;
    if (!d->stopping)
        log_info("draining: jobs in hand: %zu, grace: %s", d->held_len,
                 clock_words(d->options->grace_ms, grace));
    d->stopping = true;
    beat_now(d);
    d->hurry |= hurry;
    wake_disconnect(d);
    scheduler_stop(d->scheduler);
    /* The sleeper may have been given a token that is lost with it: a call
     * that claims nothing leaves another, if there is work for others. */
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].due = true;
    for (size_t i = 0; i < d->lanes_len; i++)
        lane_take_back(&d->lanes[i]);
    async_lane_take_back(&d->async);
    if (d->hurry)
        grace_over_cb(&d->stop_timer);
    else
        loop_timer_start(d->loop, &d->stop_timer, d->options->grace_ms,
                         grace_over_cb);
}

void
dispatcher_quiet(struct dispatcher *d, bool quiet)
{
    struct error err;

    if (d->quiet == quiet || d->stopping)
        return;
    d->quiet = quiet;
    log_info(quiet ? "quiet: claims nothing until it is resumed"
                   : "resumed: claims again");
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].maybe_ready = d->sources[i].due = true;
    /* As when it stops: a token that came meanwhile is passed on. */
    if (quiet)
        wake_disconnect(d);
    else if (wake_connect(d, &err) != ST_OK)
        log_error("%s", err.msg);
    beat_now(d);
}

void
dispatcher_stop(struct dispatcher *d)
{
    if (d->stopping)
        return;
    log_info("told to stop");
    link_send(d->context->link, LINK_DRAIN, 0, 0);
}

static void
link_cb(evutil_socket_t fd, short what, void *arg)
{
    struct dispatcher *d = arg;
    struct link_message message;
    bool closed = false;

    (void)what;
    while (link_receive(fd, &message, &closed)) {
        if (message.kind == LINK_DIED && message.slot < d->lanes_len)
            lane_died(&d->lanes[message.slot], message.wait_status);
        else if (message.kind == LINK_DIED)
            async_lane_died(&d->async, message.wait_status);
        else if (message.kind == LINK_STOP)
            stop(d, false);
        else if (message.kind == LINK_STOP_NOW)
            stop(d, true);
    }
    if (closed) {
        log_error("the supervisor is gone");
        d->exit_status = 1;
        loop_stop(d->loop);
    }
}

/* --- connections ------------------------------------------------------------
 */

static void
state_cb(struct rds *rds, bool up, void *arg)
{
    struct dispatcher *d = arg;
    struct error err;

    if (!up) {
        if (!d->leaving)
            log_warn("Redis is away: %s%s", rds_last_error(rds),
                     d->held_len > 0 ? "; jobs go on" : "");
        return;
    }
    log_info("connected to Redis");
    renew_everything(d);
    courier_run(d);
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].maybe_ready = true;
    if (!d->stopping && !d->quiet) {
        wake_disconnect(d);
        if (wake_connect(d, &err) != ST_OK)
            log_error("%s", err.msg);
    }
    beat_connected(d);
}

/* "<host>-<random>": new with each start, so that no token is ever used twice.
 */
static void
make_name(char dst[QUEUE_WORKER_MAX + 1])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    enum { HOST_MAX = 15, RANDOM = 16 };
    unsigned char bytes[RANDOM];
    char host[256] = "";
    size_t n = 0;

    gethostname(host, sizeof host - 1);
    for (const char *p = host; *p && *p != '.' && n < HOST_MAX; p++)
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
            (*p >= '0' && *p <= '9') || *p == '-')
            dst[n++] = *p;
    if (n > 0)
        dst[n++] = '-';
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < RANDOM; i++)
        dst[n++] = digits[bytes[i] % 32];
    dst[n] = '\0';
}

/* What kinds of tasks a queue is for, by the application's table; what comes
 * out of it later adds to that (claim.c). */
static void
know_tasks(struct source *source, const struct probe *probe)
{
    for (size_t i = 0; i < probe->tasks_len; i++)
        if (str_eq_c(source->name, probe->tasks[i].queue)) {
            source->has_slot_tasks |= !probe->tasks[i].async;
            source->has_async_tasks |= probe->tasks[i].async;
        }
    if (!source->has_async_tasks)
        source->has_slot_tasks = true;
}

static void
add_sources(struct dispatcher *d, const struct dispatcher_queue *queues,
            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct source *source = &d->sources[i];
        *source = (struct source){.d = d, .maybe_ready = true};
        memcpy(source->name_bytes, queues[i].name, sizeof queues[i].name);
        source->name = str_c(source->name_bytes);
        list_init(&source->finishes);
        queue_wake_key(d->queues, source->name, source->wake_key);
        d->weights[i].weight = queues[i].weight;
        know_tasks(source, d->context->probe);
    }
    d->sources_len = n;
}

static struct event *
watch_fd(struct dispatcher *d, int fd,
         void (*fn)(evutil_socket_t fd, short what, void *arg))
{
    struct event *event =
        event_new(loop_base(d->loop), fd, EV_READ | EV_PERSIST, fn, d);

    if (!event || event_add(event, NULL) < 0)
        log_fatal("out of memory: an event");
    return event;
}

static enum status
connect_all(struct dispatcher *d, struct error *err)
{
    const struct rds_options options = {
        .url = d->options->redis,
        .client_name = "pit-worker",
        .on_state = state_cb,
        .arg = d,
    };
    struct dispatcher_queue queues[OPTIONS_QUEUES_MAX];
    size_t n;

    d->hook.fn = pass_cb;
    loop_hook_add(d->loop, &d->hook);
    enum status st =
        dispatcher_queues(d->options, d->context->probe, queues, &n, err);
    if (st == ST_OK)
        st = rds_new(d->loop, &options, &d->rds, err);
    if (st != ST_OK)
        return st;
    d->queues = queues_new(d->rds, d->loop, NULL);
    add_sources(d, queues, n);
    st = orders_connect(d, err);
    if (st == ST_OK)
        d->scheduler = scheduler_new(d);
    return st;
}

static void
init(struct dispatcher *d, const struct dispatcher_context *context)
{
    const struct loop_options options = {.coroutines_max = 16};

    d->context = context;
    d->options = context->options;
    d->loop = loop_new(&options);
    d->started_wall_ms = clock_wall_ms();
    d->token_next = 1;
    make_name(d->name);
    list_init(&d->waiting);
    list_init(&d->leases);
    list_init(&d->joblog);
    for (size_t i = 0; i < EXCHANGES; i++) {
        d->exchanges[i].d = d;
        list_init(&d->exchanges[i].finishes);
    }
    for (size_t i = 0; i < RENEWALS; i++)
        d->renewals[i].d = d;
    d->lanes = xcalloc(context->slots, sizeof *d->lanes);
    d->lanes_len = context->slots;
    for (size_t i = 0; i < context->slots; i++)
        lane_init(&d->lanes[i], d, (uint32_t)i);
    async_lane_init(&d->async, d);
}

static void
drop_calls(struct dispatcher *d)
{
    for (size_t i = 0; i < EXCHANGES; i++) {
        rds_call_clear(&d->exchanges[i].work.call);
        drop_list(d, &d->exchanges[i].finishes);
    }
    for (size_t i = 0; i < RENEWALS; i++)
        rds_call_clear(&d->renewals[i].call);
    for (size_t i = 0; i < d->lanes_len; i++)
        progress_clear(&d->lanes[i].progress);
    rds_call_clear(&d->interrupt_call);
    rds_call_clear(&d->beat_call);
    rds_call_clear(&d->leave_call);
    joblog_clear(d);
}

/* Frees everything, without a callback of what was under way; only the
 * coroutine that greets has to run to its end. */
static void
dispose(struct dispatcher *d)
{
    loop_hook_remove(&d->hook);
    courier_stop(d);
    event_free(d->link_event);
    event_free(d->bell_event);
    d->leaving = true;
    wake_disconnect(d);
    scheduler_stop(d->scheduler);
    drop_calls(d);
    drop_list(d, &d->waiting);
    for (size_t i = 0; i < d->lanes_len; i++)
        lane_clear(&d->lanes[i]);
    async_lane_clear(&d->async);
    for (size_t i = 0; i < d->sources_len; i++) {
        struct source *source = &d->sources[i];
        drop_list(d, &source->finishes);
        loop_timer_stop(&source->timer);
        loop_timer_stop(&source->pause);
    }
    loop_timer_stop(&d->watch);
    loop_timer_stop(&d->renew_timer);
    loop_timer_stop(&d->beat_timer);
    loop_timer_stop(&d->stop_timer);
    loop_timer_stop(&d->sleep_pause);
    queues_free(d->queues);
    rds_free(d->orders);
    rds_free(d->rds);
    while (d->greeting || d->courier_busy || scheduler_busy(d->scheduler))
        loop_turn(d->loop, 0);
    scheduler_free(d->scheduler);
    loop_free(d->loop);
    free(d->lanes);
    free(d);
}

int
dispatcher_run(const struct dispatcher_context *context)
{
    struct dispatcher *d = xcalloc(1, sizeof *d);
    struct error err;

    process_set_name("pit-worker: dispatcher");
    prctl(PR_SET_NAME, "pit-worker");
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    /* The supervisor says when to end; a signal to the whole group does not. */
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    init(d, context);
    if (connect_all(d, &err) != ST_OK) {
        log_error("%s", err.msg);
        async_lane_clear(&d->async);
        loop_free(d->loop); /* nothing else was begun */
        free(d->lanes);
        free(d);
        return DISPATCHER_EXIT_CONFIG;
    }
    d->link_event = watch_fd(d, context->link, link_cb);
    d->bell_event = watch_fd(d, context->bell->fd, bell_cb);
    renew_start(d); /* and with it the slots */
    beat_start(d);
    loop_run(d->loop);
    int exit_status = d->exit_status;
    dispose(d);
    return exit_status;
}
