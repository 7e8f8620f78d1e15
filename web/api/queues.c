/* GET /v1/queues and /v1/queues/{queue}: how deep they are, and how they did.
 */
#include "api/api.h"

#include <stdlib.h>

static json_t *
make_counts(const struct queue_counts *counts)
{
    static const enum job_state shown[] = {
        JOB_READY, JOB_SCHEDULED, JOB_RUNNING,    JOB_RETRYING,
        JOB_DEAD,  JOB_SUCCEEDED, JOB_QUARANTINED};
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        json_object_set_new(object, job_state_name(shown[i]),
                            json_integer(counts->count[shown[i]]));
    return object;
}

static json_t *
make_totals(const struct queue_counts *c)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "enqueued",
        (json_int_t)c->enqueued, "succeeded", (json_int_t)c->succeeded,
        "failed", (json_int_t)c->failed, "retried", (json_int_t)c->retried,
        "dead", (json_int_t)c->dead, "crashed", (json_int_t)c->crashed, "lost",
        (json_int_t)c->lost, "timeout", (json_int_t)c->timeout, "released",
        (json_int_t)c->released, "expired", (json_int_t)c->expired,
        "quarantined", (json_int_t)c->quarantined);
}

static json_t *
make_queue(const struct queue_counts *counts)
{
    json_t *oldest = counts->oldest_ready_ms < 0
                         ? json_null()
                         : json_real((double)counts->oldest_ready_ms / 1000);

    return json_pack("{s:s, s:b, s:o, s:o, s:o}", "name", counts->name,
                     "paused", (int)counts->paused, "counts",
                     make_counts(counts), "oldest_ready_s", oldest, "totals",
                     make_totals(counts));
}

/* A queue exists once a job was put into it. */
static bool
is_there(const struct queue_counts *counts)
{
    int64_t jobs = counts->enqueued;

    for (int i = 0; i < JOB_STATES; i++)
        jobs += counts->count[i];
    return jobs > 0;
}

enum status
queues_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct queue_counts counts;
    struct str name = str_c(pit_request_param(&exchange->req, "queue"));

    if (!id_queue_valid(name))
        return api_refuse_with(exchange, PROBLEM_INVALID_REQUEST,
                               "a queue's name is 1 to %d characters "
                               "A-Z a-z 0-9 _ . : -",
                               ID_QUEUE_MAX);
    enum status st =
        queue_counts(co, api->queues, name, &counts, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (!is_there(&counts))
        return api_refuse_with(exchange, PROBLEM_NOT_FOUND,
                               "no job was ever put into a queue \"%.*s\"",
                               STR_ARG(name));
    return response_json_take(&exchange->res, 200, make_queue(&counts));
}

/* One after the other: a list of a thousand takes a thousand commands, which is
 * what a page of it costs, and the loop serves others in between. */
enum status
queues_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;
    json_t *list = json_array();

    enum status st = queue_names(co, api->queues, &names, &n, &exchange->err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct queue_counts counts;
        st = queue_counts(co, api->queues, str_c(names[i]), &counts,
                          &exchange->err);
        if (st == ST_OK)
            json_array_append_new(list, make_queue(&counts));
    }
    free(names);
    if (st != ST_OK) {
        json_decref(list);
        return api_fail(exchange, st, &exchange->err, false);
    }
    return response_json_take(&exchange->res, 200,
                              json_pack("{s:o}", "queues", list));
}
