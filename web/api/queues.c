/* GET /v1/queues and /v1/queues/{queue}: how deep they are, and how they did.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "api/api.h"

static void
add_counts(struct buf *dst, const struct queue_counts *counts)
{
    static const enum job_state shown[] = {
        JOB_READY, JOB_SCHEDULED, JOB_RUNNING,    JOB_RETRYING,
        JOB_DEAD,  JOB_SUCCEEDED, JOB_QUARANTINED};

    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        buf_addf(dst, "%s\"%s\":%" PRId64, i == 0 ? "" : ",",
                 job_state_name(shown[i]), counts->count[shown[i]]);
}

static void
add_totals(struct buf *dst, const struct queue_counts *counts)
{
    const struct {
        const char *name;
        int64_t total;
    } totals[] = {
        {"enqueued", counts->enqueued},
        {"succeeded", counts->succeeded},
        {"failed", counts->failed},
        {"retried", counts->retried},
        {"dead", counts->dead},
        {"crashed", counts->crashed},
        {"lost", counts->lost},
        {"timeout", counts->timeout},
        {"released", counts->released},
        {"expired", counts->expired},
        {"quarantined", counts->quarantined},
    };

    for (size_t i = 0; i < ARRAY_LEN(totals); i++)
        buf_addf(dst, "%s\"%s\":%" PRId64, i == 0 ? "" : ",", totals[i].name,
                 totals[i].total);
}

/* A queue's name needs no escaping: its characters were checked. */
static void
add_queue(struct buf *dst, const struct queue_counts *counts)
{
    buf_addf(dst, "{\"name\":\"%s\",\"paused\":%s,\"counts\":{", counts->name,
             counts->paused ? "true" : "false");
    add_counts(dst, counts);
    buf_add_c(dst, "},\"oldest_ready_s\":");
    if (counts->oldest_ready_ms < 0)
        buf_add_c(dst, "null");
    else
        buf_addf(dst, "%" PRId64 ".%03d", counts->oldest_ready_ms / 1000,
                 (int)(counts->oldest_ready_ms % 1000));
    buf_add_c(dst, ",\"totals\":{");
    add_totals(dst, counts);
    buf_add_c(dst, "}}");
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
    struct buf body;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (!id_queue_valid(name))
        return api_refuse_with(exchange, PROBLEM_INVALID_REQUEST,
                               "a queue's name is 1 to %d characters "
                               "A-Z a-z 0-9 _ . : -",
                               ID_QUEUE_MAX);
    st = queue_counts(co, api->queues, name, &counts, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (!is_there(&counts))
        return api_refuse_with(exchange, PROBLEM_NOT_FOUND,
                               "no job was ever put into a queue \"%.*s\"",
                               STR_ARG(name));
    buf_init(&body, RESPONSE_BODY_MAX);
    add_queue(&body, &counts);
    return response_take(&exchange->res, 200, "application/json", &body);
}

/* One after the other: a list of a thousand takes a thousand commands, and the
 * loop serves others in between. */
enum status
queues_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    struct buf body;
    size_t n = 0;

    buf_init(&body, RESPONSE_BODY_MAX);
    buf_add_c(&body, "{\"queues\":[");
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = queue_names(co, api->queues, &names, &n, &exchange->err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct queue_counts counts;
        st = queue_counts(co, api->queues, str_c(names[i]), &counts,
                          &exchange->err);
        if (st != ST_OK)
            break;
        if (i > 0)
            buf_add_char(&body, ',');
        add_queue(&body, &counts);
    }
    free(names);
    if (st == ST_OK) {
        buf_add_c(&body, "]}");
        return response_take(&exchange->res, 200, "application/json", &body);
    }
    buf_clear(&body);
    return api_fail(exchange, st, &exchange->err, false);
}
