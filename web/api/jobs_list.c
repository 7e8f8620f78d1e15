/* GET /v1/jobs: the jobs of one queue in one state, page by page.
 *
 * A page ends at `limit` jobs or once it holds PAGE_BYTES, whichever comes
 * first: the documents are the same as a single GET's, with args and result. */
#include "api/api.h"
#include "app/job_json.h"
#include "queue/queue_list.h"

enum {
    LIMIT_STANDARD = 50,
    PAGE_BYTES = 2 * 1024 * 1024,
    DOCUMENT_MAX = 8 * 1024 * 1024, /* room above PAGE_BYTES for the last */
};

struct listing {
    struct str queue;
    int state;
    struct str cursor;
    int64_t limit;
};

static enum status
read_query(const struct pit_request *req, struct listing *ret,
           struct error *err)
{
    static const struct str known[] = {
        {"queue", 5}, {"state", 5}, {"cursor", 6}, {"limit", 5}};
    struct str limit = request_query(req, STR("limit"));
    struct str state = request_query(req, STR("state"));

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st != ST_OK)
        return st;
    ret->queue = request_query(req, STR("queue"));
    ret->cursor = request_query(req, STR("cursor"));
    ret->limit = LIMIT_STANDARD;
    if (!id_queue_valid(ret->queue))
        return error_set(err, ST_INVALID,
                         "name one queue: ?queue=mail&state=dead");
    if (!queue_list_state_parse(state, &ret->state))
        return error_set(err, ST_INVALID,
                         "name one state: ready, scheduled, retrying, blocked, "
                         "running, dead, quarantined, ended, succeeded, "
                         "cancelled or expired");
    if (limit.p && (!str_to_i64(limit, &ret->limit) || ret->limit < 1 ||
                    ret->limit > QUEUE_LIST_MAX))
        return error_set(err, ST_INVALID, "limit must be 1 to %d",
                         QUEUE_LIST_MAX);
    return ST_OK;
}

/* Adds documents until the body is full; *ret_next is then the place of the
 * last one, else the page's own. */
static enum status
write_jobs(struct co *co, struct api *api, const struct listing *listing,
           const struct list_page *page, struct buf *body, struct str *ret_next,
           struct error *err)
{
    struct job_view views[QUEUE_VIEWS_MAX];
    enum status st = ST_OK;
    bool first = true, full = false;

    *ret_next = page->next;
    for (size_t at = 0; at < page->len && st == ST_OK && !full;) {
        size_t n = page->len - at;
        /* Few while their size is unknown. */
        size_t most =
            body->len == 0 || body->len > PAGE_BYTES / 4 ? 4 : QUEUE_VIEWS_MAX;
        if (n > most)
            n = most;
        st = queue_list_views(co, api->queues, listing->queue, page->items + at,
                              n, views, err);
        for (size_t i = 0; i < n; i++) {
            if (st == ST_OK && !full && views[i].spec.task.n > 0) {
                if (!first)
                    buf_add_char(body, ',');
                first = false;
                job_json_write(&views[i], body);
                full = body->len >= PAGE_BYTES;
                if (full && at + i + 1 < page->len)
                    *ret_next = page->items[at + i].place;
            }
            queue_view_clear(&views[i]);
        }
        at += n;
    }
    return st;
}

enum status
jobs_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct listing listing;
    struct list_page page = {0};
    struct str next = STR_NULL;
    char cursor[QUEUE_CURSOR_SIZE];
    struct buf body;

    buf_init(&body, PAGE_BYTES + DOCUMENT_MAX);
    buf_add_c(&body, "{\"jobs\":[");
    enum status st = read_query(&exchange->req, &listing, &exchange->err);
    if (st == ST_OK)
        st = queue_list(co, api->queues, listing.queue, listing.state,
                        listing.cursor, (size_t)listing.limit, false, &page,
                        &exchange->err);
    if (st == ST_OK)
        st = write_jobs(co, api, &listing, &page, &body, &next, &exchange->err);
    if (st == ST_OK) {
        queue_list_cursor(next, cursor);
        buf_add_c(&body, "],\"next_cursor\":");
        if (next.n > 0)
            buf_addf(&body, "\"%s\"}", cursor);
        else
            buf_add_c(&body, "null}");
        st = response_take(&exchange->res, 200, "application/json", &body);
    } else {
        st = api_fail(exchange, st, &exchange->err, false);
    }
    queue_list_clear(&page);
    buf_clear(&body);
    return st;
}
