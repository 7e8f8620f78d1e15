/* GET /v1/jobs/{id}/logs: what its attempts said, oldest first. */
#include "api/api.h"
#include "queue/queue_log.h"

enum { LIMIT_STANDARD = 100 };

static enum status
read_query(const struct pit_request *req, struct str *ret_after,
           int64_t *ret_limit, struct error *err)
{
    static const struct str known[] = {{"cursor", 6}, {"limit", 5}};

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st != ST_OK)
        return st;
    *ret_after = request_query(req, STR("cursor"));
    *ret_limit = LIMIT_STANDARD;
    if (ret_after->n > 0 && !queue_log_cursor_valid(*ret_after))
        return error_set(err, ST_INVALID,
                         "the cursor is none of ours: take next_cursor of the "
                         "page before, or begin without one");
    return api_limit(req, QUEUE_LOG_KEPT, ret_limit, err);
}

/* The cursor of the last line also when nothing follows yet: so a running job's
 * lines can be followed. */
static void
write_page(const struct queue_log_page *page, struct str after,
           struct buf *body)
{
    buf_add_c(body, "{\"lines\":[");
    for (size_t i = 0; i < page->len; i++) {
        const struct queue_log_line *line = &page->lines[i];
        buf_addf(body, "%s{\"at\":", i ? "," : "");
        buf_add_json_time(body, line->at_ms);
        buf_addf(body, ",\"attempt\":%d,\"text\":", line->attempt);
        buf_add_json_string(body, line->text);
        buf_add_char(body, '}');
    }
    buf_addf(body, "],\"total\":%lld,\"more\":%s,\"next_cursor\":",
             (long long)page->total, page->more ? "true" : "false");
    if (page->len > 0)
        buf_addf(body, "\"%s\"}", page->lines[page->len - 1].cursor);
    else if (after.n > 0)
        buf_addf(body, "\"%.*s\"}", STR_ARG(after));
    else
        buf_add_c(body, "null}");
}

enum status
jobs_logs(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct queue_log_page page = {0};
    struct job_id id;
    struct str after;
    int64_t limit = 0;
    struct buf body;

    enum status st = read_query(&exchange->req, &after, &limit, &exchange->err);
    if (st == ST_OK)
        st = id_split(str_c(pit_request_param(&exchange->req, "id")), &id,
                      &exchange->err);
    if (st == ST_OK)
        st = queue_log_read(co, api->queues, id, after, (size_t)limit, &page,
                            &exchange->err);
    if (st == ST_OK) {
        buf_init(&body, RESPONSE_BODY_MAX);
        write_page(&page, after, &body);
        st = response_take(&exchange->res, 200, "application/json", &body);
    } else {
        st = api_fail(exchange, st, &exchange->err, false);
    }
    queue_log_page_clear(&page);
    return st;
}
