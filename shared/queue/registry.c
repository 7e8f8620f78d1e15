/* The registry: a set of names, and two hashes, written by whole values. */
#include "queue/registry.h"

#include <stdlib.h>

#include "queue/keys.h"

static enum status
await_words(struct co *co, struct queues *queues, struct rds_call *call,
            int argc, const char *const *argv, const size_t *len,
            struct error *err)
{
    rds_send(queues_rds(queues), call, argc, argv, len, NULL, NULL);
    enum status status = co_await(co, &call->op);

    if (status != ST_OK && err)
        *err = call->err;
    return status;
}

enum status
registry_put_queue(struct co *co, struct queues *queues, struct str queue,
                   bool *ret_known, struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), "queues", key);
    const char *argv[] = {"SISMEMBER", key, queue.p};
    const size_t len[] = {9, strlen(key), queue.n};
    enum status status = await_words(co, queues, &call, 3, argv, len, err);
    bool known = status == ST_OK && call.reply->integer == 1;
    if (status == ST_OK && !known) {
        const char *add_argv[] = {"SADD", key, queue.p};
        const size_t add_len[] = {4, strlen(key), queue.n};
        rds_call_clear(&call);
        status = await_words(co, queues, &call, 3, add_argv, add_len, err);
        /* Somebody else was faster. */
        known = status == ST_OK && call.reply->integer == 0;
    }
    if (status == ST_OK && ret_known)
        *ret_known = known;
    rds_call_clear(&call);
    return status;
}

enum status
registry_put_task(struct co *co, struct queues *queues, struct str name,
                  struct str json, struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    if (json.n > REGISTRY_JSON_MAX)
        return error_set(err, ST_TOO_LARGE, "a task's entry has %zu bytes",
                         json.n);
    keys_global(queues_prefix(queues), "tasks", key);
    const char *argv[] = {"HSET", key, name.p, json.p};
    const size_t len[] = {4, strlen(key), name.n, json.n};
    enum status status = await_words(co, queues, &call, 4, argv, len, err);
    rds_call_clear(&call);
    return status;
}

enum status
registry_get_task(struct co *co, struct queues *queues, struct str name,
                  struct rds_call *call, struct error *err)
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), "tasks", key);
    const char *argv[] = {"HGET", key, name.p};
    const size_t len[] = {4, strlen(key), name.n};
    enum status status = await_words(co, queues, call, 3, argv, len, err);
    if (status == ST_OK && call->reply->type != REDIS_REPLY_STRING)
        return error_set(err, ST_UNKNOWN_TASK,
                         "no application here or at any worker has a task "
                         "'%.*s'",
                         STR_ARG(name));
    return status;
}

static enum status
get_all(struct co *co, struct queues *queues, const char *what,
        struct rds_call *call, struct error *err)
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), what, key);
    const char *argv[] = {"HGETALL", key};
    const size_t len[] = {7, strlen(key)};
    return await_words(co, queues, call, 2, argv, len, err);
}

/* A pair of the reply is two words in a row. */
static int
compare_pairs(const void *a, const void *b)
{
    return strcmp((*(redisReply *const *)a)->str,
                  (*(redisReply *const *)b)->str);
}

enum status
registry_tasks(struct co *co, struct queues *queues, struct rds_call *call,
               struct error *err)
{
    enum status st = get_all(co, queues, "tasks", call, err);

    if (st == ST_OK && call->reply->elements > 0)
        qsort(call->reply->element, call->reply->elements / 2,
              2 * sizeof(redisReply *), compare_pairs);
    return st;
}

enum status
registry_workers(struct co *co, struct queues *queues, struct rds_call *call,
                 struct error *err)
{
    return get_all(co, queues, "workers", call, err);
}

void
registry_heartbeat(struct queues *queues, struct rds_call *call,
                   const char *worker, struct str json,
                   void (*on_settled)(struct op *), void *arg)
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), "workers", key);
    const char *argv[] = {"HSET", key, worker, json.p};
    const size_t len[] = {4, strlen(key), strlen(worker), json.n};
    rds_send(queues_rds(queues), call, 4, argv, len, on_settled, arg);
}

void
registry_leave(struct queues *queues, struct rds_call *call, const char *worker,
               void (*on_settled)(struct op *), void *arg)
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), "workers", key);
    const char *argv[] = {"HDEL", key, worker};
    const size_t len[] = {4, strlen(key), strlen(worker)};
    rds_send(queues_rds(queues), call, 3, argv, len, on_settled, arg);
}
