/* GET /v1/queues/{queue}/scale: what an autoscaler asks. */
#include "api/api.h"
#include "queue/queue_scale.h"

enum {
    TARGET_STANDARD_MS = 60000,
    TARGET_MAX_MS = 86400000,
    SLOTS_MAX = 10000
};

static enum status
read_query(const struct pit_request *req, int64_t *ret_target_ms,
           int64_t *ret_slots, struct error *err)
{
    static const struct str known[] = {{"target", 6}, {"slots", 5}};
    struct str target = request_query(req, STR("target"));
    struct str slots = request_query(req, STR("slots"));

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st != ST_OK)
        return st;
    *ret_target_ms = TARGET_STANDARD_MS;
    if (target.p && (!str_to_duration_ms(target, ret_target_ms) ||
                     *ret_target_ms < 1000 || *ret_target_ms > TARGET_MAX_MS))
        return error_set(err, ST_INVALID,
                         "target is in how long what waits should be done: 1s "
                         "to 1d");
    *ret_slots = 0;
    if (slots.p && (!str_to_i64(slots, ret_slots) || *ret_slots < 1 ||
                    *ret_slots > SLOTS_MAX))
        return error_set(err, ST_INVALID,
                         "slots is how many a worker has: 1 to %d", SLOTS_MAX);
    return ST_OK;
}

static json_t *
real_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *
make_document(const char *queue, const struct queue_scale *scale,
              int64_t slots_each)
{
    if (slots_each == 0)
        slots_each = scale->workers > 0 && scale->slots > 0
                         ? scale->slots / scale->workers
                         : 1;
    int64_t workers = (scale->wanted + slots_each - 1) / slots_each;
    return json_pack(
        "{s:s, s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I}",
        "queue", queue, "rates", "enqueued_per_s", scale->rates.enqueued_per_s,
        "succeeded_per_s", scale->rates.succeeded_per_s, "failed_per_s",
        scale->rates.failed_per_s, "window_s", scale->rates.window_s, "waiting",
        (json_int_t)scale->waiting, "running", (json_int_t)scale->running,
        "drain_s", real_or_null(scale->drain_s), "attempt_s",
        real_or_null(scale->attempt_s), "workers", (json_int_t)scale->workers,
        "slots", (json_int_t)scale->slots, "wanted_slots",
        (json_int_t)scale->wanted, "wanted_workers", (json_int_t)workers);
}

enum status
queues_scale(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct str name = str_c(pit_request_param(&exchange->req, "queue"));
    struct queue_counts counts;
    struct queue_scale scale;
    int64_t target_ms = 0, slots = 0;

    enum status st =
        read_query(&exchange->req, &target_ms, &slots, &exchange->err);
    if (st == ST_OK && !id_queue_valid(name))
        st = error_set(&exchange->err, ST_INVALID,
                       "a queue's name is 1 to %d characters A-Z a-z 0-9 _ . : "
                       "-",
                       ID_QUEUE_MAX);
    if (st == ST_OK)
        st = queue_counts(co, api->queues, name, &counts, &exchange->err);
    if (st == ST_OK)
        st = queue_scale(co, api->queues, &counts, target_ms, &scale,
                         &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return response_json_take(&exchange->res, 200,
                              make_document(counts.name, &scale, slots));
}
