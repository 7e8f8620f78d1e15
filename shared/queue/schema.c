/* Schema: SET NX, then GET: whoever was first, both see the same number. */
#include "queue/schema.h"

#include <inttypes.h>

#include "queue/keys.h"

enum status
schema_read(struct co *co, struct queues *queues, int64_t *ret,
            struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(queues), "schema", key);
    enum status st = rds_await(co, queues_rds(queues), &call, "GET %s", key);
    if (st == ST_OK) {
        *ret = call.reply->type == REDIS_REPLY_NIL ? 0 : -1;
        if (call.reply->type == REDIS_REPLY_STRING)
            (void)str_to_i64(str_from(call.reply->str, call.reply->len), ret);
    } else if (err) {
        *err = call.err;
    }
    rds_call_clear(&call);
    return st;
}

enum status
schema_claim(struct co *co, struct queues *queues, struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];
    int64_t found;

    keys_global(queues_prefix(queues), "schema", key);
    enum status st = rds_await(co, queues_rds(queues), &call, "SET %s %d NX",
                               key, SCHEMA_VERSION);
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    if (st == ST_OK)
        st = schema_read(co, queues, &found, err);
    if (st == ST_OK && found != SCHEMA_VERSION)
        st = error_set(err, ST_CONFLICT,
                       "%s holds schema %" PRId64 ", this program knows %d: "
                       "update it, or name another Redis",
                       key, found, SCHEMA_VERSION);
    return st;
}
