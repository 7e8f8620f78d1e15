/* Wake: while no queue may have anything, the worker blocks in BLPOP on the
 * queues' wake lists. Whoever makes a job ready leaves a token there; the token
 * says "look", it is not the job, so one that is lost delays and loses nothing.
 *
 * The other half of what a sleeper must know is when something falls due next.
 * Each answer says so, and a call that brings an earlier time forward leaves a
 * token for one who sleeps. Who was busy then asks before it goes to sleep.
 *
 * A token can be lost for good, though, when Redis hands it to a worker that is
 * dead or cut off and the next enqueue is long in coming. So each time the
 * sleep ends without a token, one EXISTS asks whether anything waits or falls
 * due in any queue, and only if so the queues are worked: a claim costs Redis
 * ten commands, and an idle worker should cost it next to nothing.
 *
 * Redis ends a sleep by its wall clock. One that ends too soon without a token
 * says that this clock was set forward, so something may be due; when it was
 * set back, the sleep ends here, by its own deadline.
 *
 * A queue whose jobs nobody here can run for a while (all slots are at long
 * jobs, or all places for async ones are taken) is left out of the sleep, so
 * that its token goes to a worker that can. When there is room for it again, it
 * is asked, and CLIENT UNBLOCK ends the sleep that does not hear of it.
 *
 * When the work connection comes back after a loss, the sleeping one is made
 * anew too: after a partition it may be half open, and its server side would
 * eat tokens. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/keys.h"
#include "state.h"

enum {
    SLEEP_S = 15, /* a lost token costs no more time than a lost lease; two
                     commands each and the heartbeat: 0.18 a second */
    SLEEP_MARGIN_MS = 2000,
    SLEEP_EARLY_MS = 2000, /* no sleep without a token ends so much sooner */
    KNOWN_MS = 1000,       /* an answer so old may have been overtaken */
};

static void
named_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->sleeper_call.reply;

    if (op->status == ST_OK && reply->type == REDIS_REPLY_INTEGER)
        d->sleeper_id = reply->integer;
    rds_call_clear(&d->sleeper_call);
}

static void
state_cb(struct rds *rds, bool up, void *arg)
{
    static const char *const argv[] = {"CLIENT", "ID"};
    static const size_t len[] = {6, 2};
    struct dispatcher *d = arg;

    d->sleeper_id = 0;
    rds_call_clear(&d->sleeper_call);
    if (up)
        rds_send(rds, &d->sleeper_call, 2, argv, len, named_cb, d);
}

enum status
wake_connect(struct dispatcher *d, struct error *err)
{
    const struct rds_options options = {
        .url = d->options->redis,
        .client_name = "pit-worker-sleep",
        .on_state = state_cb,
        .arg = d,
    };

    return rds_new(d->loop, &options, &d->sleeper, err);
}

void
wake_disconnect(struct dispatcher *d)
{
    rds_call_clear(&d->sleep_call);
    rds_call_clear(&d->sleeper_call);
    rds_free(d->sleeper);
    d->sleeper = NULL;
    d->sleeper_id = 0;
    d->sleeping = false;
}

static void
woken_by(struct dispatcher *d, struct str key)
{
    for (size_t i = 0; i < d->sources_len; i++) {
        struct source *source = &d->sources[i];
        if (str_eq_c(key, source->wake_key))
            /* Due as well: when there is no room by now, the call leaves a new
             * token for another worker. */
            source->maybe_ready = source->due = true;
    }
}

/* Nothing to do but another pass of the loop. */
static void
pause_cb(struct loop_timer *timer)
{
    (void)timer;
}

void
wake_check_all(struct dispatcher *d)
{
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].maybe_ready = d->sources[i].due = true;
}

static void
looked_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->sleep_call.reply;

    d->sleeping = d->sleep_interrupted = false;
    if (op->status != ST_OK || reply->type != REDIS_REPLY_INTEGER ||
        reply->integer > 0)
        wake_check_all(d);
    if (op->status != ST_OK)
        loop_timer_start(d->loop, &d->sleep_pause, PAUSE_MS, pause_cb);
    rds_call_clear(&d->sleep_call);
}

/* Asks whether anything is in a ready list, due, retrying, leased, or waits to
 * be delivered. */
static void
look(struct dispatcher *d)
{
    enum { LOOKED_AT = 14 };
    size_t words = 1 + d->sources_len * LOOKED_AT, n = 0;
    struct keys *keys = xcalloc(d->sources_len, sizeof *keys);
    const char **argv = xcalloc(words, sizeof *argv);
    size_t *len = xcalloc(words, sizeof *len);

    argv[n] = "EXISTS", len[n++] = 6;
    for (size_t i = 0; i < d->sources_len; i++) {
        keys_of_queue(queues_prefix(d->queues), d->sources[i].name, &keys[i]);
        for (int k = KEY_READY; k <= KEY_RETRYING; k++)
            argv[n] = keys[i].p[k], len[n++] = keys[i].n[k];
        argv[n] = keys[i].p[KEY_DUE], len[n++] = keys[i].n[KEY_DUE];
        argv[n] = keys[i].p[KEY_LEASED], len[n++] = keys[i].n[KEY_LEASED];
        argv[n] = keys[i].p[KEY_OUTBOX], len[n++] = keys[i].n[KEY_OUTBOX];
    }
    assert(n == words);
    d->sleeping = true;
    d->sleep_call.timeout_ms = 0;
    rds_send(d->sleeper, &d->sleep_call, (int)n, argv, len, looked_cb, d);
    free(keys);
    free(argv);
    free(len);
}

static void
settled_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->sleep_call.reply;

    bool interrupted = d->sleep_interrupted;

    d->sleeping = d->sleep_interrupted = false;
    if (op->status == ST_OK && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2) {
        const redisReply *key = reply->element[0];
        woken_by(d, str_from(key->str, key->len));
    } else if (op->status == ST_OK && !interrupted) {
        /* Redis counts the time by the clock that it also has for jobs. */
        if (clock_mono_ms() - d->slept_ms < SLEEP_S * 1000 - SLEEP_EARLY_MS)
            dispatcher_clock_off(d);
        rds_call_clear(&d->sleep_call);
        look(d);
        return;
    } else if (op->status != ST_OK) {
        wake_check_all(d);
        loop_timer_start(d->loop, &d->sleep_pause, PAUSE_MS, pause_cb);
    }
    rds_call_clear(&d->sleep_call);
}

/* After being busy: asks every queue that was not asked lately. */
static bool
ask_first(struct dispatcher *d)
{
    int64_t known_ms = clock_mono_ms() - KNOWN_MS;
    bool asked = false;

    if (!d->was_busy)
        return false;
    d->was_busy = false;
    for (size_t i = 0; i < d->sources_len; i++) {
        struct source *source = &d->sources[i];
        if (source->asked_ms < known_ms && !loop_timer_active(&source->pause)) {
            source->maybe_ready = source->due = true;
            asked = true;
        }
    }
    if (asked)
        claim_send(d);
    return asked;
}

void
wake_sleep(struct dispatcher *d)
{
    const char *argv[OPTIONS_QUEUES_MAX + 2];
    size_t len[OPTIONS_QUEUES_MAX + 2];
    char seconds[16];
    size_t n = 0;

    if (d->sleeping || loop_timer_active(&d->sleep_pause) || !d->sleeper_id ||
        !rds_up(d->sleeper) || !rds_up(d->rds))
        return;
    int32_t room_us = claim_room_us(d);
    bool promising = lane_any_promising(d);
    argv[n] = "BLPOP", len[n++] = 5;
    for (size_t i = 0; i < d->sources_len; i++) {
        const struct source *source = &d->sources[i];
        if (source->exchanges > 0)
            return;
        /* Not its wake list, when nobody here could run a job of it. */
        if (!claim_has_room(source, room_us)) {
            if (source->has_slot_tasks && promising)
                return; /* for a moment only */
            continue;
        }
        if (source->maybe_ready && !loop_timer_active(&source->pause))
            return;
        argv[n] = source->wake_key, len[n++] = strlen(source->wake_key);
    }
    if (n == 1 || ask_first(d))
        return;
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].unheard = !claim_has_room(&d->sources[i], room_us);
    snprintf(seconds, sizeof seconds, "%d", SLEEP_S);
    argv[n] = seconds, len[n++] = strlen(seconds);
    d->sleeping = true;
    d->slept_ms = clock_mono_ms();
    d->sleep_call.timeout_ms = SLEEP_S * 1000 + SLEEP_MARGIN_MS;
    rds_send(d->sleeper, &d->sleep_call, (int)n, argv, len, settled_cb, d);
}

static void interrupt(struct dispatcher *d);

/* It may have overtaken the command that it is to end: then again. */
static void
interrupted_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->interrupt_call.reply;
    bool again = op->status == ST_OK && reply->type == REDIS_REPLY_INTEGER &&
                 reply->integer == 0 && d->sleeping && d->sleep_interrupted;

    rds_call_clear(&d->interrupt_call);
    d->interrupting = false;
    if (again)
        interrupt(d);
}

static void
interrupt(struct dispatcher *d)
{
    const char *argv[] = {"CLIENT", "UNBLOCK", NULL};
    size_t len[] = {6, 7, 0};
    char id[24];

    len[2] = (size_t)snprintf(id, sizeof id, "%lld", (long long)d->sleeper_id);
    argv[2] = id;
    d->interrupting = true;
    rds_send(d->rds, &d->interrupt_call, 3, argv, len, interrupted_cb, d);
}

void
wake_interrupt(struct dispatcher *d)
{
    if (!d->sleeping || !d->sleeper_id)
        return;
    d->sleep_interrupted = true;
    if (!d->interrupting)
        interrupt(d);
}
