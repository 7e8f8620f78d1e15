/* Orders: what this worker is told over its channel, `<prefix>:worker:<name>`,
 * on a connection of its own.
 *
 *   cancel <job id> <token> <grace ms>   stop that attempt
 *   quiet | resume                       claim nothing | claim again
 *   stop                                 drain and end
 *
 * A message can get lost (Pub/Sub). For the last three whoever sent it sees in
 * the heartbeat whether it was heard; a cancellation is kept in Redis, and each
 * renewal says which leases are meant. */
#include <stdio.h>

#include "base/log.h"
#include "queue/keys.h"
#include "queue/queue_control.h"
#include "state.h"

static void
cancel(struct dispatcher *d, struct str words)
{
    struct str rest;

    str_cut(words, ' ', &rest); /* the id: the token says it all */
    struct str token = str_cut(rest, ' ', &rest);
    int64_t grace_ms;

    if (!str_to_i64(rest, &grace_ms) || grace_ms > CONTROL_GRACE_MAX_MS) {
        log_warn("an order that cannot be read: cancel %.*s",
                 words.n > 200 ? 200 : (int)words.n, words.p);
        return;
    }
    dispatcher_cancel(d, token, grace_ms);
}

static void
message_cb(struct rds *rds, struct str payload, void *arg)
{
    struct dispatcher *d = arg;
    struct str rest, word = str_cut(payload, ' ', &rest);

    (void)rds;
    if (str_eq_c(word, "cancel"))
        cancel(d, rest);
    else if (str_eq_c(word, "quiet"))
        dispatcher_quiet(d, true);
    else if (str_eq_c(word, "resume"))
        dispatcher_quiet(d, false);
    else if (str_eq_c(word, "stop"))
        dispatcher_stop(d);
    else
        log_warn("an unknown order: %.*s",
                 payload.n > 200 ? 200 : (int)payload.n, payload.p);
}

/* What was published while it was away is lost. */
static void
state_cb(struct rds *rds, bool up, void *arg)
{
    struct dispatcher *d = arg;

    (void)rds;
    if (up && d->scheduler)
        scheduler_look(d->scheduler);
}

enum status
orders_connect(struct dispatcher *d, struct error *err)
{
    const struct rds_options options = {
        .url = d->options->redis,
        .client_name = "pit-worker-orders",
        .on_state = state_cb,
        .arg = d,
    };
    char what[16 + QUEUE_WORKER_MAX], channel[KEYS_MAX_LEN];

    enum status st = rds_new(d->loop, &options, &d->orders, err);
    if (st != ST_OK)
        return st;
    snprintf(what, sizeof what, "worker:%s", d->name);
    keys_global(queues_prefix(d->queues), what, channel);
    rds_subscribe(d->orders, channel, message_cb, d);
    return ST_OK;
}
