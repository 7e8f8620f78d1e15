/* /v1/schedules: the list, and PUT, GET, PATCH and DELETE of one.
 *
 * Every change is a compare-and-set on the version that was read. With If-Match
 * the client names it; without, a change that came in between is read and the
 * request applied to that. */
#include "api/schedules/schedules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/preference.h"
#include "api/schedules/schedule_body.h"
#include "app/document/schedule_json.h"
#include "queue/schedule/schedules_change.h"

enum {
    LIMIT_STANDARD = 50,
    LIMIT_MAX = 1000,
    BODY_MAX = SCHEDULE_ARGS_MAX * 2 + 16 * 1024,
    PAGE_BYTES = 2 * 1024 * 1024,
};

/* ---- shared with schedules_control.c ---- */

enum status
schedules_refuse(struct http_exchange *exchange, enum status st,
                 const struct error *err, bool wrote)
{
    struct problem problem = problem_from_error(st, err);

    if (st == ST_INVALID && schedule_body_owns(err->pointer)) {
        problem.kind = PROBLEM_BAD_SCHEDULE;
        return api_refuse(exchange, &problem);
    }
    return api_fail(exchange, st, err, wrote);
}

struct str
schedules_name(const struct http_exchange *exchange)
{
    return str_c(pit_request_param(&exchange->req, "name"));
}

void
schedules_etag(const struct schedule *s, char dst[SCHEDULES_ETAG_SIZE])
{
    snprintf(dst, SCHEDULES_ETAG_SIZE, "\"%" PRId64 "\"", s->version);
}

enum status
schedules_show(struct co *co, struct api *api, struct http_exchange *exchange,
               int http)
{
    struct schedule_view view;
    char etag[SCHEDULES_ETAG_SIZE];
    struct buf body;

    enum status st = schedules_get(co, api->queues, schedules_name(exchange),
                                   &view, &exchange->err);
    if (st == ST_OK) {
        schedules_etag(&view.schedule, etag);
        st = response_set(&exchange->res, STR("ETag"), str_c(etag));
        if (st == ST_OK && http == 201)
            st = response_setf(&exchange->res, "Location", "/v1/schedules/%s",
                               view.name);
        buf_init(&body, RESPONSE_BODY_MAX);
        schedule_json_write(&view, &body);
        if (st == ST_OK)
            st = response_take(&exchange->res, http, "application/json", &body);
        buf_clear(&body);
    } else
        st = api_fail(exchange, st, &exchange->err, false);
    schedules_view_clear(&view);
    return st;
}

enum status
schedules_precondition(struct http_exchange *exchange,
                       const struct schedule_view *view, bool is_new,
                       bool *ret_refused)
{
    const struct pit_request *req = &exchange->req;
    char etag[SCHEDULES_ETAG_SIZE] = "";

    if (!is_new)
        schedules_etag(&view->schedule, etag);
    bool match = !request_field(req, STR("If-Match")).p ||
                 (!is_new && preference_lists_etag(req, STR("If-Match"), etag));
    bool none = !request_field(req, STR("If-None-Match")).p || is_new ||
                !preference_lists_etag(req, STR("If-None-Match"), etag);
    *ret_refused = !match || !none;
    if (!*ret_refused)
        return ST_OK;
    return api_refuse_with(exchange, PROBLEM_PRECONDITION_FAILED,
                           "the schedule is not as %s has it: GET it again",
                           match ? "If-None-Match" : "If-Match");
}

/* ---- PUT and PATCH ---- */

struct change {
    struct api *api;
    struct http_exchange *exchange;
    bool patch;
    bool is_new;
    struct schedule_view view;
    struct schedule_body body;
};

/* The schedule as the request wants it; borrows from view and body. */
static enum status
compose(struct co *co, struct change *c, struct schedule *ret,
        struct error *err)
{
    const struct schedule *old = &c->view.schedule;
    struct pit_request *req = &c->exchange->req;

    enum status st = schedule_body_parse(str_from(req->body, req->body_len),
                                         c->patch ? old->spec.task : STR_NULL,
                                         req->arena, &c->body, err);
    if (st != ST_OK)
        return st;
    if (!c->patch) {
        schedules_change_begin(&c->view, ret);
        uint32_t times =
            SCHEDULE_FIELD_CRON | SCHEDULE_FIELD_EVERY | SCHEDULE_FIELD_AT;
        if (!(c->body.given & times))
            return error_set_at(err, "/cron",
                                "a schedule needs cron, every or at");
        st = catalog_complete(co, &c->api->catalog, req->arena,
                              &c->body.envelope, err);
        ret->spec = c->body.envelope.spec;
    } else {
        *ret = *old;
        ret->owner = NULL;
        if (!str_eq(c->body.envelope.spec.task, old->spec.task)) {
            struct envelope probe = c->body.envelope;
            st =
                catalog_complete(co, &c->api->catalog, req->arena, &probe, err);
        }
    }
    ret->name = schedules_name(c->exchange);
    if (st != ST_OK)
        return st;
    schedule_body_apply(&c->body, ret);
    return schedule_check(ret, err);
}

/* One try; *ret_done when the answer is made. */
static enum status
try_change(struct co *co, struct change *c, bool *ret_done)
{
    struct http_exchange *exchange = c->exchange;
    struct error *err = &exchange->err;
    struct queues *queues = c->api->queues;
    struct schedule s;

    *ret_done = true;
    enum status st =
        schedules_get(co, queues, schedules_name(exchange), &c->view, err);
    c->is_new = st == ST_NOT_FOUND;
    if (st != ST_OK && !(c->is_new && !c->patch))
        return api_fail(exchange, st, err, false);
    bool refused;
    st = schedules_precondition(exchange, &c->view, c->is_new, &refused);
    if (st != ST_OK || refused)
        return st;
    st = compose(co, c, &s, err);
    if (st != ST_OK)
        return schedules_refuse(exchange, st, err, false);
    st = schedules_put(co, queues, &s, &c->view, err);
    bool conditional = request_field(&exchange->req, STR("If-Match")).p ||
                       request_field(&exchange->req, STR("If-None-Match")).p;
    if (st == ST_CONFLICT && conditional)
        return api_refuse_with(exchange, PROBLEM_PRECONDITION_FAILED, "%s",
                               err->msg);
    if (st == ST_CONFLICT)
        *ret_done = false;
    if (st != ST_OK)
        return schedules_refuse(exchange, st, err, true);
    return schedules_show(co, c->api, exchange, c->is_new ? 201 : 200);
}

static enum status
change(struct co *co, struct api *api, struct http_exchange *exchange,
       bool patch)
{
    struct change c = {.api = api, .exchange = exchange, .patch = patch};
    bool done = false;

    exchange_body_max(exchange, BODY_MAX);
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = api_store(api, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = exchange_read_all(co, exchange);
    if (st != ST_OK)
        return st;
    for (int i = 0; i < SCHEDULES_TRIES && !done && st == ST_OK; i++) {
        response_reset(&exchange->res);
        st = try_change(co, &c, &done);
        schedules_view_clear(&c.view);
    }
    return st;
}

enum status
schedules_put_one(struct co *co, struct http_exchange *exchange, void *arg)
{
    return change(co, arg, exchange, false);
}

enum status
schedules_edit(struct co *co, struct http_exchange *exchange, void *arg)
{
    return change(co, arg, exchange, true);
}

/* ---- GET and DELETE ---- */

enum status
schedules_get_one(struct co *co, struct http_exchange *exchange, void *arg)
{
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);

    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return schedules_show(co, arg, exchange, 200);
}

enum status
schedules_delete_one(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct schedule_view view;
    struct error *err = &exchange->err;
    bool refused = false;

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    st = schedules_get(co, api->queues, schedules_name(exchange), &view, err);
    if (st == ST_OK)
        st = schedules_precondition(exchange, &view, false, &refused);
    if (refused)
        goto out;
    bool found = st == ST_OK;
    if (st == ST_OK)
        st = schedules_change_delete(co, api->queues, &view, err);
    if (st == ST_FORBIDDEN)
        st = api_refuse_with(exchange, PROBLEM_CONFLICT, "%s", err->msg);
    else if (st == ST_OK)
        st = response_empty(&exchange->res, 204);
    else
        st = api_fail(exchange, st, err, found);
out:
    schedules_view_clear(&view);
    return st;
}

/* ---- the list ---- */

static enum status
read_page(const struct pit_request *req, int64_t *ret_limit, struct str *ret,
          struct error *err)
{
    static const struct str known[] = {{"cursor", 6}, {"limit", 5}};

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st != ST_OK)
        return st;
    *ret = request_query(req, STR("cursor"));
    *ret_limit = LIMIT_STANDARD;
    if (ret->n > 0 && !schedule_name_valid(*ret))
        return error_set(err, ST_INVALID,
                         "cursor must be the next_cursor of the page before");
    return api_limit(req, LIMIT_MAX, ret_limit, err);
}

static enum status
write_page(struct co *co, struct api *api, const struct schedule_place *places,
           size_t n, int64_t limit, struct buf *body, struct error *err)
{
    struct schedule_view view;
    int64_t shown = 0;
    size_t i = 0;

    buf_add_c(body, "{\"schedules\":[");
    for (; i < n && shown < limit && body->len < PAGE_BYTES; i++) {
        enum status st =
            schedules_get(co, api->queues, str_c(places[i].name), &view, err);
        if (st == ST_OK) {
            if (shown++ > 0)
                buf_add_char(body, ',');
            schedule_json_write(&view, body);
        }
        schedules_view_clear(&view);
        /* Deleted meanwhile, or damaged: the others are shown. */
        if (st != ST_OK && st != ST_NOT_FOUND && st != ST_INVALID)
            return st;
    }
    buf_add_c(body, "],\"next_cursor\":");
    if (i > 0 && i < n)
        buf_addf(body, "\"%s\"}", places[i - 1].name);
    else
        buf_add_c(body, "null}");
    return ST_OK;
}

enum status
schedules_list_all(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct schedule_place *places = NULL;
    struct str cursor;
    struct buf body;
    int64_t limit;
    size_t n = 0, from = 0;

    buf_init(&body, RESPONSE_BODY_MAX);
    enum status st = read_page(&exchange->req, &limit, &cursor, &exchange->err);
    if (st == ST_OK)
        st = schedules_list(co, api->queues, &places, &n, &exchange->err);
    while (st == ST_OK && cursor.p && from < n &&
           strcmp(places[from].name, cursor.p) <= 0)
        from++;
    if (st == ST_OK)
        st = write_page(co, api, places + from, n - from, limit, &body,
                        &exchange->err);
    free(places);
    if (st == ST_OK)
        return response_take(&exchange->res, 200, "application/json", &body);
    buf_clear(&body);
    return api_fail(exchange, st, &exchange->err, false);
}
