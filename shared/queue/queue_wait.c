/* Waiting for the end of a job, without polling.
 *
 * A waiter first puts this process' channel beside the job (scripts/wait.lua),
 * unless the job has ended; the script that ends the job publishes its id on
 * that channel. What the channel says is only a hint: a woken waiter asks the
 * script again. So a message for another job of the same local id, or one lost
 * while the listener was away (all waiters are woken when it is back), costs a
 * question and no more. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "async/waiter.h"
#include "base/log.h"
#include "queue/queue_private.h"
#include "queue/script.h"

enum { EXPIRED_MS = 1000 }; /* between two questions about one that runs */

static const struct op_class wait_class = {"job end", waiter_cancel};

/* Who waits for the end of one job. */
struct wait {
    struct waiter waiter;
    struct str local;
};

static struct list *
bucket_of(struct queues *queues, struct str local)
{
    return &queues->waiters[str_hash(local) % QUEUE_BUCKETS];
}

static void
message_cb(struct rds *rds, struct str payload, void *arg)
{
    struct queues *queues = arg;

    (void)rds;
    LIST_FOREACH_SAFE (link, following, bucket_of(queues, payload)) {
        struct wait *wait = LIST_ENTRY(link, struct wait, waiter.link);
        if (str_eq(wait->local, payload))
            waiter_settle(&wait->waiter, ST_OK);
    }
}

static void
state_cb(struct rds *rds, bool up, void *arg)
{
    struct queues *queues = arg;

    (void)rds;
    if (!up)
        return;
    for (int i = 0; i < QUEUE_BUCKETS; i++)
        waiter_settle_all(&queues->waiters[i], ST_OK);
}

void
queue_wait_init(struct queues *queues)
{
    char ulid[ID_ULID_LEN + 1];

    for (int i = 0; i < QUEUE_BUCKETS; i++)
        list_init(&queues->waiters[i]);
    id_make(ulid);
    snprintf(queues->channel, sizeof queues->channel, "%s:ended:%s",
             queues->prefix, ulid);
}

void
queue_wait_clear(struct queues *queues)
{
    for (int i = 0; i < QUEUE_BUCKETS; i++)
        assert(list_empty(&queues->waiters[i]));
    rds_free(queues->listener);
    free(queues->listener_url);
}

enum status
queues_listen(struct queues *queues, const char *redis_url, struct error *err)
{
    const struct rds_options options = {
        .url = redis_url,
        .client_name = "pit-listener",
        .on_state = state_cb,
        .arg = queues,
    };

    assert(!queues->listener);
    enum status status =
        rds_new(queues->loop, &options, &queues->listener, err);
    if (status == ST_OK)
        rds_subscribe(queues->listener, queues->channel, message_cb, queues);
    return status;
}

void
queues_listen_later(struct queues *queues, const char *redis_url)
{
    free(queues->listener_url);
    queues->listener_url = xstrdup(redis_url);
}

bool
queues_listening(const struct queues *queues)
{
    return queues->listener || queues->listener_url;
}

/* *ret_ended: the job has ended, or is not there. *ret_expires_ms: in how many
 * ms it expires unless it runs, -1: never. */
static enum status
ask(struct co *co, struct queues *queues, const struct keys *keys,
    struct str local, bool *ret_ended, int64_t *ret_expires_ms,
    struct error *err)
{
    struct rds_call call = {0};
    const char *argv[] = {keys->p[KEY_JOBS], keys->p[KEY_STATE],
                          keys->p[KEY_WAITS], local.p, queues->channel};
    const size_t len[] = {keys->n[KEY_JOBS], keys->n[KEY_STATE],
                          keys->n[KEY_WAITS], local.n, strlen(queues->channel)};

    rds_send_script(queues->rds, &call, &script_wait, 3, 5, argv, len, NULL,
                    NULL);
    enum status status = co_await(co, &call.op);
    if (status == ST_OK) {
        *ret_ended = call.reply->integer == 1;
        *ret_expires_ms =
            call.reply->integer < 0 ? -1 - call.reply->integer : -1;
    } else if (err)
        *err = call.err;
    rds_call_clear(&call);
    return status;
}

/* Until it is told of, until @until, or until it expires: that has to be asked
 * for, since no worker may be there to meet it; once a second from then on,
 * since it may run at that moment and wait again later. */
static enum status
await_end(struct co *co, struct waiter *waiter, int64_t until,
          int64_t expires_ms)
{
    struct loop *loop = co_loop(co);
    int64_t next_ms = expires_ms > 0 ? expires_ms : EXPIRED_MS;
    bool asks = expires_ms >= 0 && loop_now_ms(loop) + next_ms < until;

    if (asks && !waiter->op.settled)
        waiter_set_timeout(waiter, loop, next_ms);
    enum status st = co_await(co, &waiter->op);
    return asks && st == ST_TIMEOUT && co_cancelled(co) == ST_OK ? ST_OK : st;
}

enum status
queue_wait(struct co *co, struct queues *queues, struct job_id id,
           int64_t timeout_ms, struct error *err)
{
    int64_t until = loop_now_ms(queues->loop) + timeout_ms;
    struct keys keys;
    enum status status;
    bool ended = false;

    assert(queues_listening(queues) && timeout_ms >= 0);
    if (!queues->listener &&
        (status = queues_listen(queues, queues->listener_url, err)) != ST_OK)
        return status;
    queue_keys(queues, id.queue, &keys);
    do {
        /* In the list before the question is asked: no end is missed. */
        struct wait wait = {.local = id.local};
        int64_t left = until - loop_now_ms(queues->loop);

        waiter_start(&wait.waiter, queues->loop, &wait_class,
                     bucket_of(queues, id.local), left > 0 ? left : 0);
        int64_t expires_ms = -1;
        status = ask(co, queues, &keys, id.local, &ended, &expires_ms, err);
        if (status == ST_OK && !ended && expires_ms == 0)
            status = queue_expire(co, queues, id, err);
        if (status == ST_OK && !ended)
            status = await_end(co, &wait.waiter, until, expires_ms);
        op_cancel(&wait.waiter.op);
    } while (status == ST_OK && !ended);
    return status;
}
