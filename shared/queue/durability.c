/* Durability: one wait at a time, for all who came before it was sent.
 *
 * appendfsync always means that Redis answers a write once it is synced: then
 * there is nothing to wait for. That is looked up for each job, since an
 * operator can change it at any moment. */
#include "queue/durability.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "queue/keys.h"

enum { CONNECT_MS = 2000 };

struct durability {
    struct loop *loop;
    struct queues *shared; /* the process' own, for the prefix */
    char *redis_url;
    struct rds *rds; /* NULL until somebody asks */
    struct queues *queues;
    struct list waiting; /* struct waiter */
    struct list sent;    /* those that the wait under way is for */
    struct rds_call mark;
    struct rds_call wait;
    bool busy;
};

struct waiter {
    struct op op;
    struct list link;
    struct durability_wish wish;
};

/* ---- words ---- */

bool
durability_parse(struct str word, struct durability_wish *ret)
{
    int64_t replicas = 0;
    struct str count;
    struct str kind = str_cut(word, ':', &count);

    *ret = (struct durability_wish){.kind = DURABILITY_UNSAID};
    if (str_eq_c(word, "memory")) {
        ret->kind = DURABILITY_MEMORY;
    } else if (str_eq_c(word, "fsync")) {
        ret->kind = DURABILITY_FSYNC;
    } else if (str_eq_c(kind, "replica") && str_to_i64(count, &replicas) &&
               replicas >= 1 && replicas <= DURABILITY_REPLICAS_MAX) {
        ret->kind = DURABILITY_REPLICA;
        ret->replicas = (int)replicas;
    }
    return ret->kind != DURABILITY_UNSAID;
}

void
durability_name(const struct durability_wish *wish, char dst[16])
{
    if (wish->kind == DURABILITY_REPLICA)
        snprintf(dst, 16, "replica:%d", wish->replicas);
    else
        snprintf(dst, 16, "%s",
                 wish->kind == DURABILITY_FSYNC ? "fsync" : "memory");
}

/* ---- life ---- */

struct durability *
durability_new(struct loop *loop, struct queues *queues, const char *redis_url)
{
    struct durability *durability = xcalloc(1, sizeof *durability);

    durability->loop = loop;
    durability->shared = queues;
    durability->redis_url = xstrdup(redis_url);
    list_init(&durability->waiting);
    list_init(&durability->sent);
    return durability;
}

void
durability_free(struct durability *durability)
{
    if (!durability)
        return;
    assert(list_empty(&durability->waiting) && list_empty(&durability->sent));
    rds_call_clear(&durability->mark);
    rds_call_clear(&durability->wait);
    queues_free(durability->queues);
    rds_free(durability->rds);
    free(durability->redis_url);
    free(durability);
}

static enum status
connect_own(struct co *co, struct durability *durability, struct error *err)
{
    const struct rds_options options = {
        .url = durability->redis_url,
        .client_name = "pit-durable",
    };
    enum status st = ST_OK;

    if (!durability->rds) {
        st = rds_new(durability->loop, &options, &durability->rds, err);
        if (st != ST_OK)
            return st;
        durability->queues = queues_new(durability->rds, durability->loop,
                                        queues_prefix(durability->shared));
    }
    if (rds_up(durability->rds))
        return ST_OK;
    st = rds_wait_up(co, durability->rds, CONNECT_MS);
    if (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)
        st = error_set(err, ST_UNAVAILABLE, "Redis is away: %s",
                       rds_last_error(durability->rds));
    return st;
}

/* ---- what the server can do ---- */

/* The value behind a name in a reply of pairs, or in lines "name:value". */
static struct str
value_of(const redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING &&
            reply->element[i + 1]->type == REDIS_REPLY_STRING &&
            strcmp(reply->element[i]->str, name) == 0)
            return str_from(reply->element[i + 1]->str,
                            reply->element[i + 1]->len);
    return STR_NULL;
}

static enum status
refuse(struct error *err, const char *why)
{
    return error_set_at(err, "/durability", "%s", why);
}

/* Reads happen over the same connection: behind a wait they come late. */
static enum status
ask(struct co *co, struct durability *durability, struct rds_call *call,
    const char *command, struct error *err)
{
    enum status st = rds_await(co, durability->rds, call, command);

    if (st == ST_UNCLEAR)
        st = ST_UNAVAILABLE;
    if (st != ST_OK && err) {
        *err = call->err;
        err->status = st;
    }
    return st;
}

static enum status
check_waitaof(struct co *co, struct durability *durability, struct error *err)
{
    struct rds_call call = {0};

    enum status st = ask(co, durability, &call, "COMMAND INFO waitaof", err);
    if (st == ST_OK &&
        (call.reply->type != REDIS_REPLY_ARRAY || call.reply->elements != 1 ||
         call.reply->element[0]->type != REDIS_REPLY_ARRAY))
        st = refuse(err, "this Redis cannot say when a job is synced to disk: "
                         "fsync needs Redis 7.2 or newer, or appendfsync "
                         "always");
    rds_call_clear(&call);
    return st;
}

static enum status
check_fsync(struct co *co, struct durability *durability, bool *ret_always,
            struct error *err)
{
    struct rds_call call = {0};
    bool appends = false;

    enum status st = ask(co, durability, &call, "CONFIG GET append*", err);
    *ret_always = false;
    if (st == ST_OK) {
        appends = str_eq_c(value_of(call.reply, "appendonly"), "yes");
        *ret_always =
            appends && str_eq_c(value_of(call.reply, "appendfsync"), "always");
    }
    rds_call_clear(&call);
    if (st == ST_BUG || st == ST_FORBIDDEN) /* CONFIG is not for us */
        return check_waitaof(co, durability, err);
    if (st != ST_OK)
        return st;
    if (!appends)
        return refuse(err, "this Redis writes no append-only file (appendonly "
                           "no): nothing can be synced");
    return *ret_always ? ST_OK : check_waitaof(co, durability, err);
}

static enum status
check_replicas(struct co *co, struct durability *durability, int wanted,
               struct error *err)
{
    struct rds_call call = {0};
    int64_t there = 0;

    enum status st = ask(co, durability, &call, "INFO replication", err);
    if (st == ST_OK && call.reply->type == REDIS_REPLY_STRING) {
        const char *at = strstr(call.reply->str, "connected_slaves:");
        there = at ? strtoll(at + sizeof "connected_slaves:" - 1, NULL, 10) : 0;
    }
    rds_call_clear(&call);
    if (st != ST_OK)
        return st;
    if (there == 0)
        return refuse(err, "this Redis has no replica at the moment: nothing "
                           "was stored");
    if (there < wanted)
        return error_set(err, ST_UNAVAILABLE,
                         "%d replicas are connected, %d were asked for: "
                         "nothing was stored",
                         (int)there, wanted);
    return ST_OK;
}

enum status
durability_begin(struct co *co, struct durability *durability,
                 struct durability_wish *wish, struct queues *own,
                 struct queues **ret, struct error *err)
{
    *ret = own;
    if (wish->kind != DURABILITY_FSYNC && wish->kind != DURABILITY_REPLICA)
        return ST_OK;
    enum status st = connect_own(co, durability, err);
    if (st == ST_OK)
        st = wish->kind == DURABILITY_FSYNC
                 ? check_fsync(co, durability, &wish->always, err)
                 : check_replicas(co, durability, wish->replicas, err);
    if (st == ST_OK)
        *ret = durability->queues;
    return st;
}

/* ---- waiting ---- */

static void
waiter_cancel(struct op *op)
{
    list_remove(&LIST_ENTRY(op, struct waiter, op)->link);
}

static const struct op_class waiter_class = {"durability", waiter_cancel};

static void send_wait(struct durability *durability);

/* How many copies there are: synced files of the server itself, or replicas. */
static int64_t
copies(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        return reply->element[0]->integer; /* WAITAOF: local, replicas */
    return reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
}

static void
waited_cb(struct op *op)
{
    struct durability *durability = op->arg;
    int64_t reached = op->status == ST_OK ? copies(durability->wait.reply) : 0;
    struct list *link;

    while ((link = list_shift(&durability->sent))) {
        struct waiter *waiter = LIST_ENTRY(link, struct waiter, link);
        int wanted =
            waiter->wish.kind == DURABILITY_FSYNC ? 1 : waiter->wish.replicas;
        op_settle(&waiter->op, reached >= wanted ? ST_OK : ST_TIMEOUT);
    }
    rds_call_clear(&durability->wait);
    durability->busy = false;
    send_wait(durability);
}

/* A write, so that there is something to wait for, behind all that came
 * before. */
static void
send_mark(struct durability *durability, struct rds_call *call,
          void (*on_settled)(struct op *))
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(durability->shared), "durable", key);
    const char *argv[] = {"SET", key, "1"};
    const size_t len[] = {3, strlen(key), 1};
    rds_send(durability->rds, call, 3, argv, len, on_settled, call);
}

static void
marked_cb(struct op *op)
{
    rds_call_clear(op->arg);
}

/* appendfsync always: the answer comes behind the sync. */
static enum status
write_mark(struct co *co, struct durability *durability, struct error *err)
{
    struct rds_call call = {0};

    send_mark(durability, &call, NULL);
    enum status st = co_await(co, &call.op);
    rds_call_clear(&call);
    if (st == ST_OK || co_cancelled(co) != ST_OK)
        return st;
    return error_set(err, ST_TIMEOUT,
                     "the job is stored, but Redis did not say that it is on "
                     "disk: it may be");
}

/* For all of the same kind as the first one; the others have the next. */
static void
send_wait(struct durability *durability)
{
    char count[16], ms[16];
    int most = 1;

    if (durability->busy || list_empty(&durability->waiting))
        return;
    enum durability_kind kind =
        LIST_ENTRY(durability->waiting.next, struct waiter, link)->wish.kind;
    LIST_FOREACH_SAFE (link, following, &durability->waiting) {
        struct waiter *waiter = LIST_ENTRY(link, struct waiter, link);
        if (waiter->wish.kind != kind)
            continue;
        if (waiter->wish.replicas > most)
            most = waiter->wish.replicas;
        list_remove(link);
        list_append(&durability->sent, link);
    }
    snprintf(count, sizeof count, "%d", most);
    snprintf(ms, sizeof ms, "%d", (int)DURABILITY_WAIT_MS);
    const char *fsync[] = {"WAITAOF", "1", "0", ms};
    const char *replica[] = {"WAIT", count, ms};
    bool synced = kind == DURABILITY_FSYNC;
    const size_t fsync_len[] = {7, 1, 1, strlen(ms)};
    const size_t replica_len[] = {4, strlen(count), strlen(ms)};
    send_mark(durability, &durability->mark, marked_cb);
    durability->busy = true;
    durability->wait.timeout_ms = 2 * DURABILITY_WAIT_MS;
    rds_send(durability->rds, &durability->wait, synced ? 4 : 3,
             synced ? fsync : replica, synced ? fsync_len : replica_len,
             waited_cb, durability);
}

enum status
durability_reach(struct co *co, struct durability *durability,
                 const struct durability_wish *wish, struct error *err)
{
    struct waiter *waiter;

    if (wish->kind != DURABILITY_FSYNC && wish->kind != DURABILITY_REPLICA)
        return ST_OK;
    if (wish->always)
        return write_mark(co, durability, err);
    waiter = xcalloc(1, sizeof *waiter);
    waiter->wish = *wish;
    op_init(&waiter->op, durability->loop, &waiter_class, NULL, NULL);
    list_append(&durability->waiting, &waiter->link);
    send_wait(durability);
    enum status st = co_await(co, &waiter->op);
    free(waiter);
    if (st == ST_TIMEOUT)
        return error_set(err, st,
                         "the job is stored, but not as durably as asked for "
                         "within %d ms: it may get there later",
                         (int)DURABILITY_WAIT_MS);
    return st;
}
