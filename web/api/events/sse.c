/* GET /v1/events and /v1/jobs/{id}/events: server-sent events, as the feeds of
 * app/document/ make them. */
#include "api/api.h"
#include "app/document/job_feed.h"
#include "app/document/queue_feed.h"
#include "http/exchange_sse.h"

enum { SILENCE_MS = 3600 * 1000 }; /* the front sends comments meanwhile */

static enum status
send_event(struct co *co, struct http_exchange *exchange,
           const struct feed_event *event)
{
    const struct exchange_sse_event sse = {
        .id = event->id, .event = str_c(event->name), .data = event->data};

    return exchange_sse_send(co, exchange, &sse);
}

/* Nothing happened for a while, and that is no reason to end. */
static bool
goes_on(const struct co *co, enum status st)
{
    return st == ST_OK || (st == ST_TIMEOUT && co_cancelled(co) == ST_OK);
}

/* A stream is over: nothing more can be said about why. */
static enum status
end_stream(enum status st)
{
    return st == ST_CANCELLED ? st : ST_OK;
}

/* ---- all ---- */

/* A client that was too slow is cut off: it comes back with the id that it saw
 * last, and gets what it missed. */
static enum status
stream_all(struct co *co, struct http_exchange *exchange,
           struct queue_feed *feed)
{
    struct feed_event event;
    bool cut = false;

    enum status st = exchange_sse_start(co, exchange);
    while (goes_on(co, st) && !cut) {
        st = queue_feed_next(co, feed, SILENCE_MS, &event, NULL);
        cut = st == ST_OK && event.kind == FEED_LOST &&
              queue_feed_lost(feed) == QUEUE_FEED_SLOW;
        if (st == ST_OK && !cut)
            st = send_event(co, exchange, &event);
    }
    return end_stream(st);
}

static enum status
read_queue(const struct pit_request *req, struct str *ret, struct error *err)
{
    static const struct str known[] = {{"queue", 5}};

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    *ret = request_query(req, STR("queue"));
    if (st == ST_OK && ret->p && !id_queue_valid(*ret))
        return error_set(err, ST_INVALID,
                         "queue must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    return st;
}

enum status
sse_all(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct api_waiter waiter = {.co = co};
    struct queue_feed_wish wish = {.after = exchange_sse_last_id(exchange),
                                   .counters = true};
    struct queue_feed *feed = NULL;

    list_init(&waiter.link);
    enum status st = read_queue(&exchange->req, &wish.queue, &exchange->err);
    if (st == ST_OK)
        st = api_hold(co, api, &waiter, &exchange->err);
    if (st == ST_OK)
        st = queue_feed_open(co, api->queues, api->changes, &wish, &feed,
                             &exchange->err);
    st = st == ST_OK ? stream_all(co, exchange, feed)
                     : api_fail(exchange, st, &exchange->err, false);
    queue_feed_free(feed);
    api_unhold(&waiter);
    return st;
}

/* ---- one job ---- */

static enum status
stream_job(struct co *co, struct http_exchange *exchange, struct job_feed *feed)
{
    struct feed_event event;

    if (job_feed_over(feed)) /* a browser then stops coming back */
        return response_empty(&exchange->res, 204);
    enum status st = exchange_sse_start(co, exchange);
    while (goes_on(co, st) && !job_feed_over(feed)) {
        st = job_feed_next(co, feed, SILENCE_MS, &event, NULL);
        if (st == ST_OK)
            st = send_event(co, exchange, &event);
    }
    return end_stream(st);
}

enum status
sse_job(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct api_waiter waiter = {.co = co};
    struct error *err = &exchange->err;
    struct job_feed *feed = NULL;
    struct job_id id;

    list_init(&waiter.link);
    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = id_split(str_c(pit_request_param(&exchange->req, "id")), &id, err);
    if (st == ST_OK)
        st = api_hold(co, api, &waiter, err);
    if (st == ST_OK)
        st = job_feed_open(co, api->queues, api->changes, id,
                           exchange_sse_last_id(exchange), &feed, err);
    st = st == ST_OK ? stream_job(co, exchange, feed)
                     : api_fail(exchange, st, err, false);
    job_feed_free(feed);
    api_unhold(&waiter);
    return st;
}
