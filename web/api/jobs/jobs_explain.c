/* GET /v1/jobs/{id}/explain: why is it not running? */
#include "api/api.h"
#include "queue/queue_explain.h"

static void
write_reason(const struct explain_reason *reason, struct buf *body)
{
    buf_addf(body, "{\"code\":\"%s\",\"text\":", reason->code);
    buf_add_json_string(body, str_c(reason->text));
    buf_add_c(body, ",\"until\":");
    buf_add_json_time(body, reason->until_ms);
    buf_add_char(body, '}');
}

static void
write_explanation(struct job_id id, const struct explanation *e,
                  struct buf *body)
{
    buf_addf(body, "{\"id\":\"%.*s.%.*s\",\"state\":\"%s\",\"position\":",
             STR_ARG(id.queue), STR_ARG(id.local), job_state_name(e->state));
    if (e->position < 0)
        buf_add_c(body, "null");
    else
        buf_addf(body, "%lld", (long long)e->position);
    buf_addf(body, ",\"position_at_least\":%s,\"at\":",
             e->position_least ? "true" : "false");
    buf_add_json_time(body, e->now_ms);
    buf_add_c(body, ",\"reasons\":[");
    for (size_t i = 0; i < e->len; i++) {
        if (i > 0)
            buf_add_char(body, ',');
        write_reason(&e->reasons[i], body);
    }
    buf_add_c(body, "]}");
}

enum status
jobs_explain(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct explanation explanation;
    struct job_id id;
    struct buf body;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = id_split(str_c(pit_request_param(&exchange->req, "id")), &id,
                      &exchange->err);
    if (st == ST_OK)
        st = queue_explain(co, api->queues, id, &explanation, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    buf_init(&body, RESPONSE_BODY_MAX);
    write_explanation(id, &explanation, &body);
    return response_take(&exchange->res, 200, "application/json", &body);
}
