/* GET /v1/queues/{queue}/scale: what an autoscaler asks. */
#include "api/api.h"
#include "app/document/scale_json.h"

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
    *ret_target_ms = QUEUE_SCALE_TARGET_STANDARD_MS;
    if (target.p && (!str_to_duration_ms(target, ret_target_ms) ||
                     *ret_target_ms < QUEUE_SCALE_TARGET_MIN_MS ||
                     *ret_target_ms > QUEUE_SCALE_TARGET_MAX_MS))
        return error_set(err, ST_INVALID,
                         "target is in how long what waits should be done: 1s "
                         "to 1d");
    *ret_slots = 0;
    if (slots.p && (!str_to_i64(slots, ret_slots) || *ret_slots < 1 ||
                    *ret_slots > QUEUE_SCALE_SLOTS_MAX))
        return error_set(err, ST_INVALID,
                         "slots is how many a worker has: 1 to %d",
                         QUEUE_SCALE_SLOTS_MAX);
    return ST_OK;
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
    if (st == ST_OK)
        st = api_queue(name, &exchange->err);
    if (st == ST_OK)
        st = queue_counts(co, api->queues, name, &counts, &exchange->err);
    if (st == ST_OK)
        st = queue_scale(co, api->queues, &counts, target_ms, &scale,
                         &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return response_json_take(&exchange->res, 200,
                              scale_json(counts.name, &scale, slots));
}
