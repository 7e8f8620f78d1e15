/* GET /v1/jobs: the jobs of one queue in one state, page by page.
 *
 * A page ends at `limit` jobs or once it holds PAGE_BYTES, whichever comes
 * first: the documents are the same as a single GET's, with args and result. */
#include "api/api.h"
#include "app/document/job_json.h"
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
                         "name one state: " QUEUE_LIST_STATE_NAMES);
    return api_limit(req, QUEUE_LIST_MAX, &ret->limit, err);
}

struct writing {
    struct buf *body;
    bool some;
};

static size_t
write_job(const struct job_view *view, void *arg)
{
    struct writing *writing = arg;

    if (writing->some)
        buf_add_char(writing->body, ',');
    writing->some = true;
    job_json_write(view, writing->body);
    return writing->body->len;
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
    struct writing writing = {.body = &body};

    buf_init(&body, PAGE_BYTES + DOCUMENT_MAX);
    buf_add_c(&body, "{\"jobs\":[");
    enum status st = read_query(&exchange->req, &listing, &exchange->err);
    if (st == ST_OK)
        st = queue_list(co, api->queues, listing.queue, listing.state,
                        listing.cursor, (size_t)listing.limit, false, &page,
                        &exchange->err);
    if (st == ST_OK)
        st = queue_list_each(co, api->queues, listing.queue, &page, PAGE_BYTES,
                             write_job, &writing, &next, &exchange->err);
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
