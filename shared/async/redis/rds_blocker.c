/* Blocker: the command and the word that ends it travel on two connections, so
 * the word may come first and meet nothing. Redis says so (0), and it is sent
 * again. */
#include "async/redis/rds_blocker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REPLY_ROOM_MS = 5000, AGAIN_MS = 5 };

static void
named_cb(struct op *op)
{
    struct rds_blocker *blocker = op->arg;

    if (op->status == ST_OK && blocker->name.reply->type == REDIS_REPLY_INTEGER)
        blocker->id = blocker->name.reply->integer;
    rds_call_clear(&blocker->name);
    if (blocker->id > 0)
        blocker->on_ready(blocker);
}

static void
state_cb(struct rds *rds, bool up, void *arg)
{
    static const char *const argv[] = {"CLIENT", "ID"};
    static const size_t len[] = {6, 2};
    struct rds_blocker *blocker = arg;

    blocker->id = 0;
    if (up)
        rds_send(rds, &blocker->name, 2, argv, len, named_cb, blocker);
}

enum status
rds_blocker_init(struct rds_blocker *blocker, struct loop *loop,
                 const char *url, const char *name, struct rds *other,
                 void (*on_ready)(struct rds_blocker *), void *arg,
                 struct error *err)
{
    const struct rds_options options = {
        .url = url,
        .client_name = name,
        .on_state = state_cb,
        .arg = blocker,
    };

    *blocker = (struct rds_blocker){
        .loop = loop, .other = other, .on_ready = on_ready, .arg = arg};
    return rds_new(loop, &options, &blocker->rds, err);
}

void
rds_blocker_clear(struct rds_blocker *blocker)
{
    if (!blocker->rds)
        return;
    loop_timer_stop(&blocker->again);
    rds_call_clear(&blocker->call);
    rds_call_clear(&blocker->name);
    rds_call_clear(&blocker->unblock);
    rds_free(blocker->rds);
    *blocker = (struct rds_blocker){0};
}

static void
settled_cb(struct op *op)
{
    struct rds_blocker *blocker = op->arg;

    blocker->busy = blocker->interrupted = false;
    blocker->on_settled(op);
    if (!blocker->busy) /* else it has sent the next one */
        rds_call_clear(&blocker->call);
}

void
rds_blocker_send(struct rds_blocker *blocker, int argc, const char *const *argv,
                 const size_t *len, int64_t block_ms,
                 void (*on_settled)(struct op *op))
{
    assert(rds_blocker_ready(blocker));
    rds_call_clear(&blocker->call);
    blocker->busy = true;
    blocker->on_settled = on_settled;
    blocker->call.timeout_ms = block_ms + REPLY_ROOM_MS;
    rds_send(blocker->rds, &blocker->call, argc, argv, len, settled_cb,
             blocker);
}

static void ask(struct rds_blocker *blocker);

static void
again_cb(struct loop_timer *timer)
{
    struct rds_blocker *blocker = LIST_ENTRY(timer, struct rds_blocker, again);

    if (blocker->busy && blocker->interrupted)
        ask(blocker);
}

static void
asked_cb(struct op *op)
{
    struct rds_blocker *blocker = op->arg;

    blocker->asking = false;
    if (blocker->busy && blocker->interrupted)
        loop_timer_start(blocker->loop, &blocker->again, AGAIN_MS, again_cb);
    rds_call_clear(&blocker->unblock);
    (void)op;
}

static void
ask(struct rds_blocker *blocker)
{
    char id[24];
    int n = snprintf(id, sizeof id, "%" PRId64, blocker->id);
    const char *argv[] = {"CLIENT", "UNBLOCK", id};
    const size_t len[] = {6, 7, (size_t)n};

    if (blocker->asking || blocker->id == 0)
        return;
    blocker->asking = true;
    rds_send(blocker->other, &blocker->unblock, 3, argv, len, asked_cb,
             blocker);
}

void
rds_blocker_interrupt(struct rds_blocker *blocker)
{
    if (!blocker->busy || blocker->interrupted)
        return;
    blocker->interrupted = true;
    ask(blocker);
}
