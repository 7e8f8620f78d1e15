/* Script call: an argv with its lengths, bounded by an assertion. */
#include "queue/script_call.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

void
script_call_init(struct script_call *call, const struct queues *queues,
                 struct str queue, const enum key *which, int nkeys)
{
    queue_keys(queues, queue, &call->keys);
    call->nkeys = nkeys;
    call->n = call->numbers = 0;
    for (int i = 0; i < nkeys; i++)
        script_call_add(
            call, str_from(call->keys.p[which[i]], call->keys.n[which[i]]));
}

void
script_call_init_global(struct script_call *call, int nkeys)
{
    call->nkeys = nkeys;
    call->n = call->numbers = 0;
}

void
script_call_add(struct script_call *call, struct str word)
{
    assert(call->n < SCRIPT_CALL_WORDS_MAX);
    call->p[call->n] = word.n ? word.p : "";
    call->len[call->n++] = word.n;
}

void
script_call_add_number(struct script_call *call, int64_t number)
{
    assert(call->numbers < SCRIPT_CALL_NUMBERS_MAX);
    char *text = call->number[call->numbers++];
    int n = snprintf(text, sizeof call->number[0], "%" PRId64, number);

    script_call_add(call, str_from(text, (size_t)n));
}

void
script_call_send(const struct script_call *call, struct queues *queues,
                 const struct rds_script *script, struct rds_call *rds,
                 void (*on_settled)(struct op *), void *arg)
{
    rds_send_script(queues->rds, rds, script, call->nkeys, call->n, call->p,
                    call->len, on_settled, arg);
}

enum status
script_call_await(struct co *co, const struct script_call *call,
                  struct queues *queues, const struct rds_script *script,
                  struct rds_call *rds, struct error *err)
{
    script_call_send(call, queues, script, rds, NULL, NULL);
    enum status st = co_await(co, &rds->op);
    if (st != ST_OK && err)
        *err = rds->err;
    return st;
}

enum status
script_call_found(const redisReply *reply, struct job_id id, struct error *err)
{
    if (reply->type == REDIS_REPLY_NIL)
        return error_set(err, ST_NOT_FOUND, "there is no job %.*s.%.*s",
                         STR_ARG(id.queue), STR_ARG(id.local));
    if (reply->type == REDIS_REPLY_STRING)
        return error_set(err, ST_GONE,
                         "the job %.*s.%.*s was deleted, or has ended and is "
                         "past its retention; enqueue with a longer \"keep\"",
                         STR_ARG(id.queue), STR_ARG(id.local));
    return ST_OK;
}
