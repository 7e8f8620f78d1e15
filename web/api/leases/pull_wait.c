/* Pull, waiting: one BLPOP for everybody.
 *
 * The connection sleeps on the wake keys of all queues that somebody waits for.
 * When a queue joins that is not among them it is woken, and sleeps again on
 * all. Sleeps are bounded by the protocol's 15 s; after one without a token
 * whoever has waited longest looks once, and so does everybody when the
 * connection is new. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/leases/pull_private.h"
#include "base/log.h"
#include "queue/flow/outbox.h"

enum {
    SLEEP_S = 15,   /* docs/protocol.md */
    PAUSE_MS = 500, /* after a failure */
};

/* A queue that pollers wait for. */
struct source {
    struct list link;
    size_t pollers;
    char queue[ID_QUEUE_MAX + 1];
    char wake_key[KEYS_MAX_LEN];
    size_t wake_key_len;
    bool slept_on;
};

struct poller {
    struct op op;
    struct list link;
    struct pull *pull;
    struct source *sources[PULL_QUEUES_MAX];
    size_t sources_len;
    struct loop_timer deadline;
    struct loop_timer due;
    char token[ID_QUEUE_MAX + 1]; /* the queue that it was woken for; "" */
};

static void fall_asleep(struct pull *pull);

/* ---- sources ---- */

static struct source *
source_take(struct pull *pull, const char *queue)
{
    LIST_FOREACH (link, &pull->sources) {
        struct source *source = LIST_ENTRY(link, struct source, link);
        if (strcmp(source->queue, queue) == 0) {
            source->pollers++;
            return source;
        }
    }
    if (pull->sources_len == PULL_SOURCES_MAX)
        return NULL;
    struct source *source = xcalloc(1, sizeof *source);
    source->pollers = 1;
    str_copy_to(str_c(queue), source->queue, sizeof source->queue);
    queue_wake_key(pull->queues, str_c(queue), source->wake_key);
    source->wake_key_len = strlen(source->wake_key);
    list_append(&pull->sources, &source->link);
    pull->sources_len++;
    pull->changed = true;
    return source;
}

/* One that the connection sleeps on stays until it has woken. */
static void
source_drop(struct pull *pull, struct source *source)
{
    if (--source->pollers > 0 || source->slept_on)
        return;
    list_remove(&source->link);
    pull->sources_len--;
    free(source);
}

/* ---- pollers ---- */

static void
poller_leave(struct poller *poller)
{
    list_remove(&poller->link);
    loop_timer_stop(&poller->deadline);
    loop_timer_stop(&poller->due);
    for (size_t i = 0; i < poller->sources_len; i++)
        source_drop(poller->pull, poller->sources[i]);
    poller->sources_len = 0;
}

static void
poller_cancel(struct op *op)
{
    poller_leave(LIST_ENTRY(op, struct poller, op));
}

static const struct op_class poller_class = {"jobs", poller_cancel};

static void
poller_wake(struct poller *poller, enum status status)
{
    poller_leave(poller);
    op_settle(&poller->op, status);
}

static void
deadline_cb(struct loop_timer *timer)
{
    poller_wake(LIST_ENTRY(timer, struct poller, deadline), ST_TIMEOUT);
}

static void
due_cb(struct loop_timer *timer)
{
    poller_wake(LIST_ENTRY(timer, struct poller, due), ST_OK);
}

static void
wake_all(struct pull *pull)
{
    LIST_FOREACH_SAFE (link, following, &pull->pollers) {
        poller_wake(LIST_ENTRY(link, struct poller, link), ST_OK);
    }
}

static void
wake_longest(struct pull *pull)
{
    if (!list_empty(&pull->pollers))
        poller_wake(LIST_ENTRY(pull->pollers.next, struct poller, link), ST_OK);
}

/* ---- tokens ---- */

static void
returned_cb(struct op *op)
{
    struct rds_call *call = op->arg;

    rds_call_clear(call);
    free(call);
}

/* Nobody is here to look, so it must not stay here: others may sleep on it. Two
 * tokens in a list do no harm. */
static void
return_token(struct pull *pull, struct str queue)
{
    struct rds_call *call = xcalloc(1, sizeof *call);
    char key[KEYS_MAX_LEN];

    queue_wake_key(pull->queues, queue, key);
    const char *argv[] = {"RPUSH", key, "1"};
    const size_t len[] = {5, strlen(key), 1};
    rds_send(queues_rds(pull->queues), call, 3, argv, len, returned_cb, call);
}

static void
pass_token(struct pull *pull, struct str queue)
{
    LIST_FOREACH (link, &pull->pollers) {
        struct poller *poller = LIST_ENTRY(link, struct poller, link);
        for (size_t i = 0; i < poller->sources_len; i++)
            if (str_eq_c(queue, poller->sources[i]->queue)) {
                str_copy_to(queue, poller->token, sizeof poller->token);
                poller_wake(poller, ST_OK);
                return;
            }
    }
    return_token(pull, queue);
}

/* ---- the connection ---- */

static void
woken_by(struct pull *pull, struct str key)
{
    char queue[ID_QUEUE_MAX + 1] = "";

    LIST_FOREACH (link, &pull->sources) {
        const struct source *source = LIST_ENTRY(link, struct source, link);
        if (str_eq_c(key, source->wake_key))
            str_copy_to(str_c(source->queue), queue, sizeof queue);
    }
    if (queue[0])
        pass_token(pull, str_c(queue));
}

static void
forget_unused(struct pull *pull)
{
    LIST_FOREACH_SAFE (link, following, &pull->sources) {
        struct source *source = LIST_ENTRY(link, struct source, link);
        source->slept_on = false;
        if (source->pollers == 0) {
            list_remove(&source->link);
            pull->sources_len--;
            free(source);
        }
    }
}

static void
pause_cb(struct loop_timer *timer)
{
    fall_asleep(LIST_ENTRY(timer, struct pull, pause));
}

static void
slept_cb(struct op *op)
{
    struct rds_blocker *sleeper = op->arg;
    struct pull *pull = sleeper->arg;
    const redisReply *reply = sleeper->call.reply;

    if (op->status == ST_OK && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2)
        woken_by(pull,
                 str_from(reply->element[0]->str, reply->element[0]->len));
    else if (op->status == ST_OK && !pull->changed)
        wake_longest(pull);
    forget_unused(pull);
    if (op->status != ST_OK)
        loop_timer_start(pull->loop, &pull->pause, PAUSE_MS, pause_cb);
    else
        fall_asleep(pull);
}

static void
fall_asleep(struct pull *pull)
{
    const char *argv[PULL_SOURCES_MAX + 2] = {"BLPOP"};
    size_t len[ARRAY_LEN(argv)] = {5};
    char seconds[8];
    int n = 1;

    if (!rds_blocker_ready(&pull->sleeper) || loop_timer_active(&pull->pause) ||
        list_empty(&pull->sources))
        return;
    LIST_FOREACH (link, &pull->sources) {
        struct source *source = LIST_ENTRY(link, struct source, link);
        source->slept_on = true;
        argv[n] = source->wake_key;
        len[n++] = source->wake_key_len;
    }
    len[n] = (size_t)snprintf(seconds, sizeof seconds, "%d", SLEEP_S);
    argv[n++] = seconds;
    pull->changed = false;
    rds_blocker_send(&pull->sleeper, n, argv, len, SLEEP_S * 1000, slept_cb);
}

/* Makes the connection sleep on all that is waited for. */
static void
sleep_anew(struct pull *pull)
{
    if (rds_blocker_ready(&pull->sleeper))
        fall_asleep(pull);
    else if (pull->changed)
        rds_blocker_interrupt(&pull->sleeper);
}

/* Tokens may have come while it was away: everybody looks. */
static void
ready_cb(struct rds_blocker *sleeper)
{
    struct pull *pull = sleeper->arg;

    wake_all(pull);
    fall_asleep(pull);
}

static enum status
connect_sleeper(struct pull *pull, struct error *err)
{
    if (pull->sleeper.rds)
        return ST_OK;
    return rds_blocker_init(&pull->sleeper, pull->loop, pull->redis_url,
                            "pit-web-pull", queues_rds(pull->queues), ready_cb,
                            pull, err);
}

/* ---- waiting ---- */

static enum status
poller_join(struct poller *poller, struct pull *pull,
            const struct pull_batch *batch, struct error *err)
{
    poller->pull = pull;
    for (size_t i = 0; i < batch->queues_len; i++) {
        struct source *source = source_take(pull, batch->queues[i]);
        if (!source) {
            for (size_t j = 0; j < poller->sources_len; j++)
                source_drop(pull, poller->sources[j]);
            return error_set(err, ST_LIMIT,
                             "more than %d queues are waited for here",
                             PULL_SOURCES_MAX);
        }
        poller->sources[poller->sources_len++] = source;
    }
    list_append(&pull->pollers, &poller->link);
    return ST_OK;
}

enum status
pull_wait(struct co *co, struct pull *pull, const struct pull_batch *batch,
          int64_t left_ms, struct error *err)
{
    enum status st = connect_sleeper(pull, err);

    if (st != ST_OK)
        return st;
    /* On the heap: lists hold it, which gcc mistrusts for a local one. */
    struct poller *poller = xcalloc(1, sizeof *poller);
    st = poller_join(poller, pull, batch, err);
    if (st != ST_OK)
        goto out;
    op_init(&poller->op, pull->loop, &poller_class, NULL, NULL);
    loop_timer_start(pull->loop, &poller->deadline, left_ms, deadline_cb);
    if (batch->next_ms >= 0 && batch->next_ms < left_ms)
        loop_timer_start(pull->loop, &poller->due, batch->next_ms, due_cb);
    sleep_anew(pull);
    st = co_await(co, &poller->op);
    if (st != ST_OK && poller->token[0])
        pass_token(pull, str_c(poller->token));
out:
    free(poller);
    return st;
}

void
pull_wait_clear(struct pull *pull)
{
    assert(list_empty(&pull->pollers));
    loop_timer_stop(&pull->pause);
    rds_blocker_clear(&pull->sleeper);
    forget_unused(pull);
}

/* ---- outboxes ---- */

struct delivery {
    struct queues *queues;
    char queue[ID_QUEUE_MAX + 1];
};

static enum status
deliver(struct co *co, void *arg)
{
    const struct delivery *delivery = arg;
    struct error err;

    enum status st = outbox_deliver(co, delivery->queues,
                                    str_c(delivery->queue), NULL, &err);
    if (st != ST_OK && st != ST_CANCELLED)
        log_info("outbox of %s: %s; a worker delivers it", delivery->queue,
                 err.msg);
    return ST_OK;
}

void
pull_deliver(struct pull *pull, struct str queue)
{
    struct delivery *delivery = xcalloc(1, sizeof *delivery);

    delivery->queues = pull->queues;
    str_copy_to(queue, delivery->queue, sizeof delivery->queue);
    if (co_detach(pull->loop, "outbox", deliver, delivery, free) != ST_OK)
        log_debug("outbox of %.*s is left to a worker", STR_ARG(queue));
}
