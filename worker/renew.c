/* Renew: each lease that is held is pushed back once a third of it is over.
 *
 * All held jobs are in one list in the order of their last renewal, so what is
 * due stands in front; a busy worker, whose jobs live for milliseconds, renews
 * nothing. A renewal counts from when it was sent. When a call failed, the next
 * tick renews everything: what is left of two thirds of a lease is time for
 * several tries. */
#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_control.h"
#include "state.h"

static void
settled_cb(struct op *op)
{
    struct renewal *renewal = op->arg;
    const struct rds_call *call = &renewal->call;

    if (op->status != ST_OK) {
        renewal->d->renew_all = true;
        if (op->status != ST_UNAVAILABLE && op->status != ST_UNCLEAR)
            log_error("renewing leases: %s", call->err.msg);
    } else if (call->reply->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < call->reply->elements; i++) {
            const redisReply *token = call->reply->element[i];
            if (token->type != REDIS_REPLY_STRING)
                continue;
            /* "!token": still held, but somebody wants it to end. */
            if (token->len > 0 && token->str[0] == '!')
                dispatcher_cancel(renewal->d,
                                  str_from(token->str + 1, token->len - 1),
                                  CONTROL_GRACE_STANDARD_MS);
            else
                dispatcher_lost(renewal->d, str_from(token->str, token->len));
        }
    rds_call_clear(&renewal->call);
    renewal->source = NULL;
}

static struct renewal *
free_renewal(struct dispatcher *d)
{
    for (size_t i = 0; i < RENEWALS; i++)
        if (!d->renewals[i].source)
            return &d->renewals[i];
    return NULL;
}

/* Up to QUEUE_RENEW_MAX of the leases of one queue that were renewed before
 * @before_ms. */
static void
send_renewal(struct renewal *renewal, struct source *source, int64_t before_ms,
             int64_t now_ms)
{
    struct dispatcher *d = source->d;
    struct lease leases[QUEUE_RENEW_MAX];
    struct list renewed;
    size_t n = 0;

    list_init(&renewed);
    LIST_FOREACH_SAFE (link, following, &d->leases) {
        struct held *held = LIST_ENTRY(link, struct held, lease);
        if (held->renewed_ms >= before_ms || n == QUEUE_RENEW_MAX)
            break;
        if (held->source != source)
            continue;
        leases[n++] = (struct lease){.local = held->local,
                                     .token = str_c(held->token),
                                     .priority = held->priority};
        held->renewed_ms = now_ms;
        list_remove(link);
        list_append(&renewed, link);
    }
    list_splice(&d->leases, &renewed);
    renewal->source = source;
    queue_renew(d->queues, &renewal->call, source->name, d->options->lease_ms,
                leases, n, settled_cb, renewal);
}

static void
renew_before(struct dispatcher *d, int64_t before_ms)
{
    int64_t now_ms = clock_mono_ms();

    while (rds_up(d->rds) && !list_empty(&d->leases)) {
        struct held *oldest = LIST_ENTRY(d->leases.next, struct held, lease);
        struct renewal *renewal = free_renewal(d);
        if (oldest->renewed_ms >= before_ms)
            break;
        if (!renewal) {
            d->renew_all = true; /* the rest with the next tick */
            break;
        }
        send_renewal(renewal, oldest->source, before_ms, now_ms);
    }
}

void
renew_everything(struct dispatcher *d)
{
    d->renew_all = false;
    renew_before(d, clock_mono_ms());
}

static void
tick_cb(struct loop_timer *timer)
{
    struct dispatcher *d = LIST_ENTRY(timer, struct dispatcher, renew_timer);

    if (d->renew_all)
        renew_everything(d);
    else
        renew_before(d, clock_mono_ms() - d->options->lease_ms / 3);
    renew_start(d);
}

void
renew_start(struct dispatcher *d)
{
    int64_t every_ms = d->options->lease_ms / 12;

    for (size_t i = 0; i < d->lanes_len; i++) {
        ring_trim(&d->lanes[i].sender);
        if (d->lanes[i].state == LANE_DOWN && !d->stopping)
            lane_start(&d->lanes[i]);
    }
    loop_timer_start(d->loop, &d->renew_timer,
                     every_ms > 1000 ? 1000 : every_ms, tick_cb);
}
