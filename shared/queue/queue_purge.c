/* Purge: scripts/purge.lua, step by step. */
#include "queue/queue_purge.h"

#include <assert.h>

#include "queue/queue_list.h"
#include "queue/script_call.h"

enum status
queue_purge(struct co *co, struct queues *queues, struct str queue, int state,
            int64_t *ret_removed, bool *ret_left, struct error *err)
{
    static const enum key which[] = {KEY_JOBS};
    struct script_call words;
    struct rds_call call = {0};

    assert(state == LIST_ENDED || state == JOB_READY ||
           state == JOB_SCHEDULED || state == JOB_RETRYING ||
           state == JOB_BLOCKED || state == JOB_DEAD ||
           state == JOB_QUARANTINED);
    script_call_init(&words, queues, queue, which, ARRAY_LEN(which));
    script_call_add(&words, str_c(queue_list_state_name(state)));
    script_call_add_number(&words, QUEUE_PURGE_STEP);
    enum status st =
        script_call_await(co, &words, queues, &script_purge, &call, err);
    if (st == ST_OK &&
        (call.reply->type != REDIS_REPLY_ARRAY || call.reply->elements != 2))
        st = error_set(err, ST_BUG, "purge: a reply of another shape");
    if (st == ST_OK) {
        *ret_removed = call.reply->element[0]->integer;
        *ret_left = call.reply->element[1]->integer == 1;
    }
    rds_call_clear(&call);
    return st;
}
