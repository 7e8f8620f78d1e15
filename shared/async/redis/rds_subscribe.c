/* Channels of a Redis connection.
 *
 * The subscriptions are part of the greeting, so a connection is up only when
 * all of them are confirmed: whoever asks for the present state when on_state
 * says "up" misses nothing after it.
 *
 * A message is not an answer; it is told apart by its form, ["message",
 * channel, payload], and only on a connection with subscriptions. It waits for
 * the ready pass in the reply that brought it. What waits is bounded by what
 * one turn reads. */
#include <assert.h>
#include <stdlib.h>

#include "async/redis/rds_internal.h"
#include "async/redis/rds_reply.h"
#include "base/log.h"

struct subscription {
    struct list link;
    char *channel;
    void (*on_message)(struct rds *rds, struct str payload, void *arg);
    void *arg;
};

struct message {
    struct list link;
    struct subscription *subscription;
    redisReply *reply; /* owned */
};

static bool
send_subscribe(struct rds *rds, const struct subscription *s, bool deadline)
{
    const char *argv[] = {"SUBSCRIBE", s->channel};

    return rds_call_own(rds, RDS_PENDING_SUBSCRIBE, 2, argv, deadline);
}

bool
rds_subscribe_all(struct rds *rds)
{
    LIST_FOREACH (link, &rds->subscriptions)
        if (!send_subscribe(rds, LIST_ENTRY(link, struct subscription, link),
                            false))
            return false;
    return true;
}

void
rds_subscribe(struct rds *rds, const char *channel,
              void (*on_message)(struct rds *rds, struct str payload,
                                 void *arg),
              void *arg)
{
    struct subscription *s = xcalloc(1, sizeof *s);
    struct error err;

    s->channel = xstrdup(channel);
    s->on_message = on_message;
    s->arg = arg;
    list_append(&rds->subscriptions, &s->link);
    if (rds->state != RDS_UP && rds->state != RDS_GREETING)
        return;
    if (!send_subscribe(rds, s, true)) {
        (void)error_set(&err, ST_LIMIT, "no room to subscribe");
        rds_lose(rds, &err);
    }
}

static void
message_free(struct message *m)
{
    list_remove(&m->link);
    rds_reply_free(m->reply);
    free(m);
}

static void
hand_out_cb(struct loop_task *task)
{
    struct rds *rds = LIST_ENTRY(task, struct rds, message_task);
    struct list *link;
    bool freed = false;

    rds->freed = &freed;
    while ((link = list_shift(&rds->messages))) {
        struct message *m = LIST_ENTRY(link, struct message, link);
        const redisReply *payload = m->reply->element[2];
        m->subscription->on_message(rds, str_from(payload->str, payload->len),
                                    m->subscription->arg);
        message_free(m);
        if (freed)
            return;
    }
    rds->freed = NULL;
}

static bool
is_text(const redisReply *reply, struct str *ret)
{
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS)
        return false;
    *ret = str_from(reply->str, reply->len);
    return true;
}

bool
rds_subscribe_replied(struct rds *rds, redisReply *reply)
{
    struct str kind, channel, payload;

    if (list_empty(&rds->subscriptions) || reply->type != REDIS_REPLY_ARRAY ||
        reply->elements != 3 || !is_text(reply->element[0], &kind) ||
        !str_eq(kind, STR("message")) ||
        !is_text(reply->element[1], &channel) ||
        !is_text(reply->element[2], &payload))
        return false;

    LIST_FOREACH (link, &rds->subscriptions) {
        struct subscription *s = LIST_ENTRY(link, struct subscription, link);
        if (!str_eq_c(channel, s->channel))
            continue;
        struct message *m = xcalloc(1, sizeof *m);
        m->subscription = s;
        m->reply = reply;
        list_append(&rds->messages, &m->link);
        loop_ready(rds->loop, &rds->message_task);
        return true;
    }
    rds_reply_free(reply);
    return true;
}

void
rds_subscribe_init(struct rds *rds)
{
    rds->message_task.fn = hand_out_cb;
    list_init(&rds->subscriptions);
    list_init(&rds->messages);
}

void
rds_subscribe_free(struct rds *rds)
{
    struct list *link;

    loop_unready(&rds->message_task);
    while ((link = list_shift(&rds->messages)))
        message_free(LIST_ENTRY(link, struct message, link));
    while ((link = list_shift(&rds->subscriptions))) {
        struct subscription *s = LIST_ENTRY(link, struct subscription, link);
        free(s->channel);
        free(s);
    }
}
