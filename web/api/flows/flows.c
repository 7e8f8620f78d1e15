/* /v1/flows: many jobs accepted as one.
 *
 * The flow is accepted by one script; from then on its jobs are on their way,
 * whoever dies. Delivering them is tried at once, so that they are there when
 * the answer is; if that fails a worker does it. */
#include "api/api.h"
#include "api/idempotency.h"
#include "api/jobs/payload.h"
#include "app/document/flow_document.h"
#include "app/document/flow_report.h"
#include "queue/flow/flow_list.h"
#include "queue/flow/outbox.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { FLOWS_PAGE = 50 };

/* One POST on its way through. */
struct acceptance {
    struct api *api;
    struct http_exchange *exchange;
    struct flow flow;
    struct flow_document document;
    char id[ID_JOB_MAX + 1];
    bool existed;
    bool stored;
};

/* ---- answers ---- */

/* The whole document if it can be had, else the id. @again: it was there when
 * it was asked for first. */
static enum status
reply_flow(struct co *co, struct api *api, struct http_exchange *exchange,
           struct job_id id, int code, bool again)
{
    struct flow_report report = {0};
    struct buf body;

    buf_init(&body, RESPONSE_BODY_MAX);
    enum status st =
        flow_report_load(co, api->queues, id, &report, &exchange->err);
    if (st == ST_OK)
        flow_report_write(&report, &body);
    else if (code == 202 && st != ST_CANCELLED)
        buf_addf(&body,
                 "{\"id\":\"%.*s.%.*s\",\"links\":{\"self\":"
                 "\"/v1/flows/%.*s.%.*s\"}}",
                 STR_ARG(id.queue), STR_ARG(id.local), STR_ARG(id.queue),
                 STR_ARG(id.local));
    flow_report_clear(&report);
    if (body.len > 0)
        return response_take(&exchange->res, code, "application/json", &body);
    buf_clear(&body);
    if (st == ST_NOT_FOUND && again)
        st = error_set(
            &exchange->err, ST_GONE,
            "the flow %.*s.%.*s of this Idempotency-Key has ended and is "
            "past its retention: use a new key to start another",
            STR_ARG(id.queue), STR_ARG(id.local));
    return api_fail(exchange, st, &exchange->err, false);
}

static enum status
set_location(struct acceptance *a)
{
    return response_setf(&a->exchange->res, "Location", "/v1/flows/%s", a->id);
}

/* 503 with the id that was chosen before the write. */
static enum status
refuse_unclear(struct acceptance *a)
{
    struct problem problem = {
        .kind = PROBLEM_OUTCOME_UNKNOWN,
        .detail = "Redis went away after the flow was sent: look at its id, or "
                  "send the request again with the same Idempotency-Key",
    };

    enum status st = api_refuse_naming(a->exchange, &problem, "id", a->id);
    return st == ST_OK ? set_location(a) : st;
}

/* It is there, but not as durable as asked for. */
static enum status
refuse_unreached(struct acceptance *a)
{
    struct problem problem = {.kind = PROBLEM_DURABILITY_NOT_REACHED,
                              .detail = a->exchange->err.msg};

    enum status st = api_refuse_naming(a->exchange, &problem, "id", a->id);
    return st == ST_OK ? set_location(a) : st;
}

/* The flow, and what was delivered of it: its jobs, or the messages that make
 * them. *ret_refused: that is the answer. */
static enum status
reach(struct co *co, struct acceptance *a, bool *ret_refused)
{
    const struct durability_wish *durability = &a->document.durability;
    char word[16];

    *ret_refused = false;
    if (durability->kind == DURABILITY_UNSAID)
        return ST_OK;
    enum status st =
        durability_reach(co, a->api->durability, durability, &a->exchange->err);
    *ret_refused = st == ST_TIMEOUT;
    if (*ret_refused)
        return refuse_unreached(a);
    durability_name(durability, word);
    return st != ST_OK ? st
                       : response_set(&a->exchange->res, STR("Pit-Durability"),
                                      str_c(word));
}

static enum status
reply_accepted(struct co *co, struct acceptance *a)
{
    struct pit_response *res = &a->exchange->res;
    struct job_id id;
    struct error why;
    bool refused = false;

    enum status st = id_split(str_c(a->id), &id, &a->exchange->err);
    if (st != ST_OK)
        return st;
    /* A worker does it otherwise. */
    if (outbox_deliver(co, a->api->queues, id.queue, NULL, &why) != ST_OK)
        log_debug("outbox of %.*s: %s", STR_ARG(id.queue), why.msg);
    st = reach(co, a, &refused);
    if (st != ST_OK || refused)
        return st;
    st = reply_flow(co, a->api, a->exchange, id, a->existed ? 200 : 202,
                    a->existed);
    if (st == ST_OK && res->status < 300)
        st = set_location(a);
    if (st == ST_OK && res->status < 300 && a->existed)
        st = response_set(res, STR("Idempotency-Replayed"), STR("true"));
    return st;
}

/* ---- POST /v1/flows ---- */

static enum status
read_flow(struct co *co, struct acceptance *a)
{
    struct http_exchange *exchange = a->exchange;
    struct pit_request *req = &exchange->req;

    enum status st = flow_document_read(
        co, str_from(req->body, req->body_len), &a->api->catalog, req->arena,
        payload_origin(req), &a->document, &a->flow, &exchange->err);
    if (st == ST_OK)
        flow_id(&a->flow, a->id);
    return st;
}

/* @replay: it was accepted before. It may be forgotten by now, its jobs too,
 * and must not be begun a second time. */
static enum status
accept_flow(struct co *co, struct acceptance *a, bool replay)
{
    struct queues *queues = NULL;
    enum status st = read_flow(co, a);

    if (st == ST_OK)
        st = durability_begin(co, a->api->durability, &a->document.durability,
                              a->api->queues, &queues, &a->exchange->err);
    if (st != ST_OK)
        return api_fail(a->exchange, st, &a->exchange->err, false);
    a->existed = replay;
    if (!replay)
        st = flow_accept(co, queues, &a->flow, &a->existed, &a->exchange->err);
    if (st == ST_UNCLEAR)
        return refuse_unclear(a);
    if (st == ST_QUEUE_FULL)
        return api_refuse_with(a->exchange, PROBLEM_QUEUE_FULL,
                               "the flow's home, its queue, takes no jobs at "
                               "the moment: it is closed");
    if (st != ST_OK)
        return api_fail(a->exchange, st, &a->exchange->err, true);
    a->stored = true;
    return reply_accepted(co, a);
}

/* The id follows from the key's seed: a repeat finds the flow that is there. */
static enum status
accept_under_key(struct co *co, struct acceptance *a, struct str key)
{
    struct http_exchange *exchange = a->exchange;
    struct idempotency idempotency;
    bool replay = false, refused = false;

    enum status st = api_begin_key(co, a->api, exchange, key, &idempotency,
                                   &replay, &refused);
    if (st != ST_OK || refused)
        return st;
    flow_init(&a->flow, idempotency.entry.seed);
    st = accept_flow(co, a, replay);
    if (replay)
        return st;
    if (st == ST_OK && (exchange->res.status < 300 || a->stored))
        idempotency_finish(co, &idempotency);
    else
        idempotency_fail(co, &idempotency);
    return st;
}

enum status
flows_post(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct acceptance a = {.api = arg, .exchange = exchange};
    struct str key = STR_NULL;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = idempotency_key(&exchange->req, &key, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = exchange_read_all(co, exchange);
    if (st != ST_OK)
        return st;
    st = api_store(a.api, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (key.p) {
        st = accept_under_key(co, &a, key);
    } else {
        flow_init(&a.flow, NULL);
        st = accept_flow(co, &a, false);
    }
    flow_clear(&a.flow);
    flow_document_clear(&a.document);
    return st;
}

/* ---- GET /v1/flows/{id} ---- */

static enum status
read_id(struct http_exchange *exchange, struct job_id *ret)
{
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);

    return st == ST_OK
               ? id_split(str_c(pit_request_param(&exchange->req, "id")), ret,
                          &exchange->err)
               : st;
}

enum status
flows_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct job_id id;

    enum status st = read_id(exchange, &id);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return reply_flow(co, api, exchange, id, 200, false);
}

/* ---- POST /v1/flows/{id}:cancel ---- */

enum status
flows_cancel(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct job_id id;
    size_t running = 0;

    enum status st = read_id(exchange, &id);
    if (st == ST_OK)
        st = api_store(api, &exchange->err);
    if (st == ST_OK)
        st = flow_report_cancel(co, api->queues, id, &running, &exchange->err);
    if (st == ST_CONFLICT)
        return api_refuse_with(exchange, PROBLEM_INVALID_STATE,
                               "the flow has ended: there is nothing to "
                               "cancel");
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return reply_flow(co, api, exchange, id, running > 0 ? 202 : 200, false);
}

/* ---- GET /v1/flows ---- */

struct listing {
    struct str queue; /* empty: all */
    size_t limit;
    struct flow_listed after;
    bool has_after;
    struct flow_found *found; /* owned */
    size_t len;
};

static enum status
read_listing(const struct pit_request *req, struct listing *ret,
             struct error *err)
{
    static const struct str known[] = {
        {"queue", 5}, {"cursor", 6}, {"limit", 5}};
    struct str cursor = request_query(req, STR("cursor"));
    int64_t limit = FLOWS_PAGE;

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st == ST_OK)
        st = api_limit(req, FLOW_LIST_MAX, &limit, err);
    if (st != ST_OK)
        return st;
    ret->limit = (size_t)limit;
    ret->queue = request_query(req, STR("queue"));
    if (ret->queue.p && !id_queue_valid(ret->queue))
        return error_set(err, ST_INVALID,
                         "queue must be the name of a queue: 1 to %d "
                         "characters A-Z a-z 0-9 _ . : -",
                         ID_QUEUE_MAX);
    ret->has_after = cursor.n > 0;
    if (ret->has_after && !flow_list_cursor_parse(cursor, &ret->after))
        return error_set(err, ST_INVALID,
                         "the cursor is none of ours: take next_cursor of the "
                         "page before, or begin without one");
    return ST_OK;
}

static enum status
write_listing(struct co *co, struct api *api, const struct listing *listing,
              struct buf *body, struct error *err)
{
    enum status st = ST_OK;
    bool first = true;

    buf_add_c(body, "{\"flows\":[");
    for (size_t i = 0; i < listing->len && st == ST_OK; i++) {
        const struct flow_found *found = &listing->found[i];
        struct job_id id = {str_c(found->queue), str_c(found->flow.local)};
        struct flow_view view;

        st = flow_get(co, api->queues, id, &view, err);
        if (st == ST_OK) {
            buf_add_c(body, first ? "" : ",");
            flow_report_write_line(&view, body);
            first = false;
        } else if (st == ST_NOT_FOUND) { /* past its retention */
            st = ST_OK;
        }
        flow_view_clear(&view);
    }
    buf_add_c(body, "],\"next_cursor\":");
    if (listing->len == listing->limit) {
        char cursor[FLOW_LIST_CURSOR_SIZE];
        flow_list_cursor(&listing->found[listing->len - 1].flow, cursor);
        buf_addf(body, "\"%s\"}", cursor);
    } else {
        buf_add_c(body, "null}");
    }
    return st;
}

enum status
flows_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct listing listing = {.limit = FLOWS_PAGE};
    struct buf body;

    buf_init(&body, RESPONSE_BODY_MAX);
    enum status st = read_listing(&exchange->req, &listing, &exchange->err);
    if (st == ST_OK)
        st = flow_list_newest(co, api->queues, listing.queue,
                              listing.has_after ? &listing.after : NULL,
                              listing.limit, &listing.found, &listing.len,
                              &exchange->err);
    if (st == ST_OK)
        st = write_listing(co, api, &listing, &body, &exchange->err);
    free(listing.found);
    if (st == ST_OK)
        return response_take(&exchange->res, 200, "application/json", &body);
    buf_clear(&body);
    return api_fail(exchange, st, &exchange->err, false);
}
