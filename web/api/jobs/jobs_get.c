/* GET /v1/jobs/{id} and its result. Reads only: a cache or a prefetch can lose
 * nothing. With a wait the job is looked at before and after, so that whatever
 * ends the wait there is something to answer with. */
#include "api/api.h"
#include "api/preference.h"
#include "app/document/job_json.h"

#include <stdio.h>

#include "base/jsontext.h"

struct look {
    struct api *api;
    struct http_exchange *exchange;
    struct preference preference;
    struct job_id id;
    struct job_view views[2];    /* before and after the wait */
    const struct job_view *view; /* what to answer with */
};

static void
look_clear(struct look *look)
{
    queue_view_clear(&look->views[0]);
    queue_view_clear(&look->views[1]);
}

/* Whether the wait succeeds or not: what counts is how the job is now. When
 * that cannot be asked (the process drains, Redis went away), it is how it was.
 * A job that ended and was forgotten at once is gone, and is said to be. */
static enum status
wait_and_look_again(struct co *co, struct look *look, struct error *err)
{
    if (api_wait(co, look->api, look->id, look->preference.wait_ms, NULL) ==
        ST_CANCELLED)
        return ST_CANCELLED;
    enum status st =
        queue_get(co, look->api->queues, look->id, &look->views[1], err);
    if (st == ST_OK)
        look->view = &look->views[1];
    return st == ST_GONE || st == ST_NOT_FOUND || st == ST_CANCELLED ? st
                                                                     : ST_OK;
}

/* *ret_refused when the answer is made already. */
static enum status
look_up(struct co *co, struct look *look, bool *ret_refused)
{
    struct http_exchange *exchange = look->exchange;
    struct error *err = &exchange->err;

    enum status st = api_query(&exchange->req, STR("wait"), err);
    if (st == ST_OK)
        st = preference_read(&exchange->req, &look->preference, err);
    if (st == ST_OK)
        st = id_split(str_c(pit_request_param(&exchange->req, "id")), &look->id,
                      err);
    if (st == ST_OK) {
        look->view = &look->views[0];
        st = queue_get(co, look->api->queues, look->id, &look->views[0], err);
    }
    if (st == ST_OK && look->preference.wait_ms > 0 &&
        !job_state_ended(look->view->state))
        st = wait_and_look_again(co, look, err);
    *ret_refused = st != ST_OK;
    return st == ST_OK ? ST_OK : api_fail(exchange, st, err, false);
}

static enum status
set_applied(const struct look *look)
{
    if (!look->preference.wait_applied)
        return ST_OK;
    return response_setf(&look->exchange->res, "Preference-Applied", "wait=%d",
                         (int)(look->preference.wait_ms / 1000));
}

static enum status
reply_job(const struct look *look, const struct job_view *view)
{
    struct pit_response *res = &look->exchange->res;
    char etag[JOB_JSON_ETAG_SIZE];
    struct buf body;

    job_json_etag(view, etag);
    enum status st = set_applied(look);
    if (st == ST_OK)
        st = response_set(res, STR("ETag"), str_c(etag));
    if (st == ST_OK)
        st = response_set(res, STR("Cache-Control"), STR("no-cache"));
    if (st != ST_OK)
        return st;
    if (preference_lists_etag(&look->exchange->req, STR("If-None-Match"), etag))
        return response_empty(res, 304);
    buf_init(&body, RESPONSE_BODY_MAX);
    job_json_write(view, &body);
    return response_take(res, 200, "application/json", &body);
}

enum status
jobs_get_job(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct look what = {.api = arg, .exchange = exchange};
    bool refused = false;

    enum status st = look_up(co, &what, &refused);
    if (st == ST_OK && !refused)
        st = reply_job(&what, what.view);
    look_clear(&what);
    return st;
}

/* ---- the result alone ---- */

static enum status
refuse_ended(const struct look *look, const struct job_view *view)
{
    struct buf error;
    char detail[96];
    json_t *cause = NULL, *extra = NULL;

    snprintf(detail, sizeof detail, "the job is %s: it has no result",
             job_state_name(view->state));
    buf_init(&error, 2 * JOB_ERROR_MAX * 6);
    job_json_write_error(view, &error);
    if (!error.failed)
        cause = json_loadb(error.p, error.len, JSON_DECODE_ANY, NULL);
    extra = json_pack("{s:s, s:o?}", "state", job_state_name(view->state),
                      "error", cause);
    struct problem problem = {
        .kind = PROBLEM_JOB_DEAD, .detail = detail, .extra = extra};
    enum status st = api_refuse(look->exchange, &problem);
    json_decref(extra);
    buf_clear(&error);
    return st;
}

static enum status
reply_result(const struct look *look, const struct job_view *view)
{
    struct pit_response *res = &look->exchange->res;
    struct jsontext result;
    struct buf body;

    if (job_state_ended(view->state) && view->state != JOB_SUCCEEDED)
        return refuse_ended(look, view);
    enum status st = set_applied(look);
    if (st != ST_OK)
        return st;
    buf_init(&body, RESPONSE_BODY_MAX);
    if (view->state != JOB_SUCCEEDED) {
        buf_addf(&body, "{\"id\":\"%.*s.%.*s\",\"state\":\"%s\"}",
                 STR_ARG(look->id.queue), STR_ARG(look->id.local),
                 job_state_name(view->state));
        return response_take(res, 202, "application/json", &body);
    }
    if (view->result.n > 0 &&
        jsontext_check(view->result, &result, NULL) == ST_OK)
        buf_add_str(&body, view->result);
    else
        buf_add_c(&body, "null");
    return response_take(res, 200, "application/json", &body);
}

enum status
jobs_get_result(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct look what = {.api = arg, .exchange = exchange};
    bool refused = false;

    enum status st = look_up(co, &what, &refused);
    if (st == ST_OK && !refused)
        st = reply_result(&what, what.view);
    look_clear(&what);
    return st;
}
