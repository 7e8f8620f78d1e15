/* Held: one allocation for the struct, the id and the record. */
#include "held.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
    MESSAGE_MAX = JOB_ERROR_MAX,
    INPUTS_MAX = QUEUE_INPUTS_MAX + JOB_PARENTS_MAX * (ID_JOB_MAX + 8),
};

/* A slice of the old record, seen in the new one. */
static struct str
moved(struct str slice, struct str from, const char *to)
{
    return slice.n ? str_from(to + (slice.p - from.p), slice.n) : STR_NULL;
}

enum status
held_new(struct source *source, struct str queue, const struct claimed *claimed,
         struct held **ret, struct error *err)
{
    struct str record = claimed->record;
    size_t id_len = queue.n + 1 + claimed->local.n;
    struct held *held = malloc(sizeof *held + id_len + record.n);
    struct job_spec spec;
    int64_t created_ms;

    if (!held)
        log_fatal("out of memory: a job of %zu bytes", record.n);
    memset(held, 0, sizeof *held);
    list_init(&held->link);
    list_init(&held->lease);
    buf_init(&held->result, JOB_RESULT_MAX);
    buf_init(&held->message, MESSAGE_MAX);
    buf_init(&held->inputs, INPUTS_MAX);
    queue_work_inputs(claimed, &held->inputs);
    if (held->inputs.failed)
        log_fatal("out of memory: the inputs of a job");
    char *id = (char *)(held + 1);
    char *copy = id + id_len;
    memcpy(id, queue.p, queue.n);
    id[queue.n] = '.';
    memcpy(id + queue.n + 1, claimed->local.p, claimed->local.n);
    memcpy(copy, record.p, record.n);
    held->source = source;
    held->id = str_from(id, id_len);
    held->local = str_skip(held->id, queue.n + 1);
    memcpy(held->token, claimed->token, sizeof held->token);
    held->priority = claimed->priority;
    held->attempt = claimed->attempt;
    held->retries = claimed->retries;
    held->crashes = claimed->crashes;
    held->keep_ms = JOB_KEEP_STANDARD_MS;
    *ret = held;
    enum status st = job_decode(record, &spec, &created_ms, err);
    if (st != ST_OK)
        return st;
    held->task = moved(spec.task, record, copy);
    held->args = moved(spec.args, record, copy);
    held->traceparent = moved(spec.origin.traceparent, record, copy);
    held->request_id = moved(spec.origin.request_id, record, copy);
    held->timeout_ms = spec.timeout_ms;
    held->keep_ms = spec.keep_ms;
    held->retries_max = spec.retries;
    held->backoff = spec.backoff;
    return ST_OK;
}

struct ring_job
held_job(const struct held *held)
{
    return (struct ring_job){
        .id = held->id,
        .task = held->task,
        .args = held->args,
        .inputs = buf_str(&held->inputs),
        .traceparent = held->traceparent,
        .request_id = held->request_id,
        .attempt = held->attempt,
        .crashes = held->crashes,
    };
}

void
held_free(struct held *held)
{
    if (!held)
        return;
    list_remove(&held->link);
    list_remove(&held->lease);
    buf_clear(&held->inputs);
    buf_clear(&held->result);
    buf_clear(&held->message);
    free(held);
}

void
held_say(struct held *held, struct str text)
{
    buf_reset(&held->message);
    buf_add_json_string(&held->message, text);
}
