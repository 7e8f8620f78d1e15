/* Public Redis: pit/redis.h on top of async/redis/rds.h. The reply stays
 * hiredis' own; beside it stands a tree of public values that lends its text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "base/log.h"
#include "pit/redis.h"

enum { WORDS_MAX = 4096, DEPTH_MAX = 8 };

struct reply {
    struct rds_call call;
    struct error err;
};

static const struct pit_redis_value nil = {.type = PIT_REDIS_NIL, .text = ""};

/* Those would change or hold up the connection that the process shares, or take
 * the queue away from under it. */
static bool
is_refused(struct str command)
{
    static const char *const refused[] = {
        "AUTH",       "HELLO",       "SELECT",       "QUIT",
        "RESET",      "MULTI",       "EXEC",         "DISCARD",
        "WATCH",      "UNWATCH",     "SUBSCRIBE",    "PSUBSCRIBE",
        "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
        "MONITOR",    "SYNC",        "PSYNC",        "CLIENT",
        "BLPOP",      "BRPOP",       "BRPOPLPUSH",   "BLMOVE",
        "BLMPOP",     "BZPOPMIN",    "BZPOPMAX",     "BZMPOP",
        "WAIT",       "WAITAOF",     "SHUTDOWN",     "DEBUG",
        "FLUSHALL",   "FLUSHDB",     "SWAPDB",       "REPLICAOF",
        "SLAVEOF",    "FAILOVER",
    };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (str_eq_nocase(command, str_c(refused[i])))
            return true;
    return false;
}

static enum status
check(size_t n, const char *const *words, const size_t *lens, struct error *err)
{
    if (n == 0 || n > WORDS_MAX || !words[0])
        return error_set(err, ST_INVALID, "a command has 1 to %d words",
                         WORDS_MAX);
    struct str command = lens ? str_from(words[0], lens[0]) : str_c(words[0]);
    bool reads = str_eq_nocase(command, STR("XREAD")) ||
                 str_eq_nocase(command, STR("XREADGROUP"));
    bool blocks = false;
    for (size_t i = 0; i < n; i++) {
        if (!words[i])
            return error_set(err, ST_INVALID, "word %zu is NULL", i);
        struct str word = lens ? str_from(words[i], lens[i]) : str_c(words[i]);
        blocks |= reads && str_eq_nocase(word, STR("BLOCK"));
    }
    if (is_refused(command) || blocks)
        return error_set(err, ST_INVALID,
                         "%.*s is not for a connection that is shared",
                         (int)(command.n < 40 ? command.n : 40), command.p);
    return ST_OK;
}

/* ---- the reply ---- */

static void
free_items(const struct pit_redis_value *value)
{
    for (size_t i = 0; i < value->items_len; i++)
        free_items(&value->items[i]); /* at most DEPTH_MAX deep */
    /* Only this file made them, as what can be written. */
    free((void *)(uintptr_t)value->items);
}

static bool
convert(const redisReply *reply, int depth, struct pit_redis_value *ret)
{
    bool ok = depth < DEPTH_MAX;

    *ret = nil;
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        ret->type = PIT_REDIS_INTEGER;
        ret->integer = reply->integer;
        return true;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR: /* within an array, from a script */
        ret->type = PIT_REDIS_TEXT;
        ret->text = reply->str;
        ret->len = reply->len;
        return true;
    case REDIS_REPLY_ARRAY:
        break;
    default:
        return true;
    }
    struct pit_redis_value *items =
        ok ? calloc(reply->elements + 1, sizeof *items) : NULL;
    if (!items)
        return false;
    ret->type = PIT_REDIS_ARRAY;
    ret->items = items;
    for (size_t i = 0; i < reply->elements && ok; i++) {
        ok = convert(reply->element[i], depth + 1, &items[i]);
        ret->items_len = i + 1;
    }
    return ok;
}

/* A value of somebody else's, so that it can be freed like one of ours. */
static bool
copy_value(const struct pit_redis_value *from, int depth,
           struct pit_redis_value *ret)
{
    bool ok = depth < DEPTH_MAX;

    *ret = *from;
    ret->text = from->text ? from->text : "";
    ret->items = NULL;
    ret->items_len = 0;
    if (from->type != PIT_REDIS_ARRAY)
        return true;
    struct pit_redis_value *items =
        ok ? calloc(from->items_len + 1, sizeof *items) : NULL;
    if (!items)
        return false;
    ret->items = items;
    for (size_t i = 0; i < from->items_len && ok; i++) {
        ok = copy_value(&from->items[i], depth + 1, &items[i]);
        ret->items_len = i + 1;
    }
    return ok;
}

void
pit_redis_clear(struct pit_redis *public)
{
    struct reply *reply = public->private_;

    free_items(&public->value);
    if (reply)
        rds_call_clear(&reply->call);
    free(reply);
    public->value = nil;
    public->error = "";
    public->private_ = NULL;
}

/* ---- the call ---- */

static enum status
too_deep(struct reply *reply)
{
    return error_set(&reply->err, ST_INVALID,
                     "the reply nests deeper than %d, or is too large",
                     DEPTH_MAX);
}

static enum status
play(struct co *co, const struct outside_script *script, struct reply *reply,
     struct pit_redis *ret, size_t n, const char *const *words,
     const size_t *lens)
{
    enum pit_status st = PIT_OK;
    const struct pit_redis_value *value =
        script->redis(co, n, words, lens, &st, &reply->err);

    if (st == PIT_OK && !copy_value(value, 0, &ret->value))
        return too_deep(reply);
    return (enum status)st;
}

static enum status
ask(struct co *co, struct reply *reply, struct pit_redis *ret, size_t n,
    const char *const *words, const size_t *lens)
{
    struct rds *rds = outside_of(co_loop(co))->rds;
    enum status st = co_cancelled(co);

    if (st != ST_OK)
        return error_set(&reply->err, st, "nothing was sent");
    if (!rds)
        return error_set(&reply->err, ST_UNAVAILABLE,
                         "this process has no Redis connection");
    rds_send(rds, &reply->call, (int)n, words, lens, NULL, NULL);
    st = co_await(co, &reply->call.op);
    if (st == ST_OK)
        return convert(reply->call.reply, 0, &ret->value) ? st
                                                          : too_deep(reply);
    reply->err = reply->call.err;
    return st == ST_BUG ? ST_FAILED : st; /* an error that Redis replied */
}

enum pit_status
pit_redis_words(struct pit_co *public, struct pit_redis *ret, size_t n,
                const char *const *words, const size_t *lens)
{
    struct co *co = co_public_core(public);
    const struct outside_script *script = outside_script(co);
    size_t measured[64], *all = measured;

    pit_redis_clear(ret);
    struct reply *reply = xcalloc(1, sizeof *reply);
    ret->private_ = reply;
    enum status st = check(n, words, lens, &reply->err);
    if (st == ST_OK && !lens) {
        if (n > ARRAY_LEN(measured))
            all = xcalloc(n, sizeof *all);
        for (size_t i = 0; i < n; i++)
            all[i] = strlen(words[i]);
        lens = all;
    }
    if (st == ST_OK)
        st = script ? play(co, script, reply, ret, n, words, lens)
                    : ask(co, reply, ret, n, words, lens);
    if (all != measured)
        free(all);
    if (st != ST_OK && !*ret->error)
        ret->error = reply->err.msg;
    return (enum pit_status)st;
}
