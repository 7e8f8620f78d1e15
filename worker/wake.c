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
    KNOWN_MS = 1000, /* an answer so old may have been overtaken */
};

enum status
wake_connect(struct dispatcher *d, struct error *err)
{
    const struct rds_options options = {
        .url = d->options->redis,
        .client_name = "pit-worker-sleep",
    };

    return rds_new(d->loop, &options, &d->sleeper, err);
}

void
wake_disconnect(struct dispatcher *d)
{
    rds_call_clear(&d->sleep_call);
    rds_free(d->sleeper);
    d->sleeper = NULL;
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

static void
check_all(struct dispatcher *d)
{
    for (size_t i = 0; i < d->sources_len; i++)
        d->sources[i].maybe_ready = d->sources[i].due = true;
}

static void
looked_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->sleep_call.reply;

    d->sleeping = false;
    if (op->status != ST_OK || reply->type != REDIS_REPLY_INTEGER ||
        reply->integer > 0)
        check_all(d);
    if (op->status != ST_OK)
        loop_timer_start(d->loop, &d->sleep_pause, PAUSE_MS, pause_cb);
    rds_call_clear(&d->sleep_call);
}

/* Asks whether anything is in a ready list, due, retrying or leased. */
static void
look(struct dispatcher *d)
{
    enum { LOOKED_AT = 13 };
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

    d->sleeping = false;
    if (op->status == ST_OK && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2) {
        const redisReply *key = reply->element[0];
        woken_by(d, str_from(key->str, key->len));
    } else if (op->status == ST_OK) {
        rds_call_clear(&d->sleep_call);
        look(d);
        return;
    } else {
        check_all(d);
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

    if (d->sleeping || loop_timer_active(&d->sleep_pause) || !d->sleeper ||
        !rds_up(d->sleeper) || !rds_up(d->rds) || claim_room_us(d) == 0)
        return;
    argv[n] = "BLPOP", len[n++] = 5;
    for (size_t i = 0; i < d->sources_len; i++) {
        const struct source *source = &d->sources[i];
        if (source->exchanges > 0 ||
            (source->maybe_ready && !loop_timer_active(&source->pause)))
            return;
        argv[n] = source->wake_key, len[n++] = strlen(source->wake_key);
    }
    if (ask_first(d))
        return;
    snprintf(seconds, sizeof seconds, "%d", SLEEP_S);
    argv[n] = seconds, len[n++] = strlen(seconds);
    d->sleeping = true;
    d->sleep_call.timeout_ms = SLEEP_S * 1000 + SLEEP_MARGIN_MS;
    rds_send(d->sleeper, &d->sleep_call, (int)n, argv, len, settled_cb, d);
}
