/* POST /v1/jobs/{id}:cancel, :retry, :promote, :release; PATCH and DELETE of a
 * job. One script call each; then the job is shown as it is now.
 *
 * If-Match makes a step conditional: the job is looked at, its tag compared,
 * and the script refuses when it is not any more as it was seen, so that
 * nothing can come in between. */
#include "api/api.h"
#include "api/body.h"
#include "api/preference.h"
#include "app/document/job_json.h"
#include "queue/queue_control.h"

struct step {
    struct api *api;
    struct http_exchange *exchange;
    struct control control;
    struct job_view view; /* for If-Match */
    struct control_seen seen;
};

static enum status
refuse(struct step *step)
{
    static const enum problem_kind kinds[] = {
        [CONTROL_REFUSED] = PROBLEM_INVALID_STATE,
        [CONTROL_CHANGED] = PROBLEM_PRECONDITION_FAILED,
        [CONTROL_HELD] = PROBLEM_DUPLICATE_JOB,
        [CONTROL_EXPIRED] = PROBLEM_INVALID_STATE,
    };
    const struct control *control = &step->control;
    struct error words = {.msg = ""};
    struct problem problem = {.kind = kinds[control->outcome],
                              .detail = words.msg};

    (void)!queue_control_verdict(control, &words);
    return control->outcome == CONTROL_REFUSED
               ? api_refuse_naming(step->exchange, &problem, "state",
                                   job_state_name(control->state))
               : api_refuse(step->exchange, &problem);
}

/* As GET would show it. */
static enum status
reply_job(struct co *co, struct step *step, int http)
{
    struct http_exchange *exchange = step->exchange;
    struct job_view view = {0};
    char etag[JOB_JSON_ETAG_SIZE];
    struct buf body;

    enum status st = queue_get(co, step->api->queues, step->control.id, &view,
                               &exchange->err);
    if (st == ST_GONE) { /* cancelled, and kept for no time at all */
        queue_view_clear(&view);
        return response_empty(&exchange->res, 204);
    }
    if (st == ST_OK) {
        job_json_etag(&view, etag);
        st = response_set(&exchange->res, STR("ETag"), str_c(etag));
    }
    if (st == ST_OK) {
        buf_init(&body, RESPONSE_BODY_MAX);
        job_json_write(&view, &body);
        st = response_take(&exchange->res, http, "application/json", &body);
    } else {
        st = api_fail(exchange, st, &exchange->err, false);
    }
    queue_view_clear(&view);
    return st;
}

/* *ret_refused when the answer is made already. */
static enum status
check_precondition(struct co *co, struct step *step, bool *ret_refused)
{
    struct http_exchange *exchange = step->exchange;
    char etag[JOB_JSON_ETAG_SIZE];

    *ret_refused = false;
    if (!request_field(&exchange->req, STR("If-Match")).p)
        return ST_OK;
    enum status st = queue_get(co, step->api->queues, step->control.id,
                               &step->view, &exchange->err);
    *ret_refused = st != ST_OK;
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    job_json_etag(&step->view, etag);
    *ret_refused =
        !preference_lists_etag(&exchange->req, STR("If-Match"), etag);
    if (!*ret_refused) {
        queue_control_seen(&step->view, &step->seen);
        step->control.seen = &step->seen;
        return ST_OK;
    }
    step->control.outcome = CONTROL_CHANGED;
    return refuse(step);
}

static enum status
take(struct co *co, struct step *step)
{
    struct http_exchange *exchange = step->exchange;
    struct control *control = &step->control;
    bool refused = false;

    enum status st = id_split(str_c(pit_request_param(&exchange->req, "id")),
                              &control->id, &exchange->err);
    if (st == ST_OK)
        st = api_store(step->api, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = check_precondition(co, step, &refused);
    if (st != ST_OK || refused)
        return st;
    st = queue_control_await(co, step->api->queues, control, &exchange->err);
    if (st == ST_GONE && control->verb == CONTROL_DELETE)
        return response_empty(&exchange->res, 204); /* deleted before */
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, true);
    switch (control->outcome) {
    case CONTROL_DONE:
    case CONTROL_SAME:
        if (control->verb == CONTROL_DELETE)
            return response_empty(&exchange->res, 204);
        /* Asked before, and it still runs. */
        if (control->verb == CONTROL_CANCEL && control->state == JOB_RUNNING)
            return reply_job(co, step, 202);
        return reply_job(co, step, 200);
    case CONTROL_ASKED:
        return reply_job(co, step, 202);
    default:
        return refuse(step);
    }
}

/* Reads query and body, and takes the step. */
static enum status
run(struct co *co, struct step *step, const struct body_field *fields, size_t n,
    enum status (*fill)(struct step *step, const struct body *body,
                        struct error *err))
{
    struct http_exchange *exchange = step->exchange;
    struct body body = {0};

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK && n > 0)
        st = body_read(co, exchange, fields, n, &body, &exchange->err);
    if (st == ST_OK && fill)
        st = fill(step, &body, &exchange->err);
    st = st == ST_OK ? take(co, step)
                     : api_fail(exchange, st, &exchange->err, false);
    body_clear(&body);
    queue_view_clear(&step->view);
    return st;
}

static enum status
fill_cancel(struct step *step, const struct body *body, struct error *err)
{
    (void)err;
    step->control.grace_ms = CONTROL_GRACE_STANDARD_MS;
    if (body->values[0].given && !body->values[0].null)
        step->control.grace_ms = body->values[0].number;
    step->control.reason = body->values[1].text;
    return ST_OK;
}

enum status
jobs_control_cancel(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {
        {"grace", BODY_DURATION, 0, CONTROL_GRACE_MAX_MS},
        {"reason", BODY_TEXT, 1, 500},
    };
    struct step step = {.api = arg, .exchange = exchange};

    step.control.verb = CONTROL_CANCEL;
    return run(co, &step, fields, ARRAY_LEN(fields), fill_cancel);
}

static enum status
run_plain(struct co *co, struct http_exchange *exchange, struct api *api,
          enum control_verb verb)
{
    struct step step = {.api = api, .exchange = exchange};

    step.control.verb = verb;
    return run(co, &step, NULL, 0, NULL);
}

enum status
jobs_control_retry(struct co *co, struct http_exchange *exchange, void *arg)
{
    return run_plain(co, exchange, arg, CONTROL_RETRY);
}

enum status
jobs_control_promote(struct co *co, struct http_exchange *exchange, void *arg)
{
    return run_plain(co, exchange, arg, CONTROL_PROMOTE);
}

enum status
jobs_control_release(struct co *co, struct http_exchange *exchange, void *arg)
{
    return run_plain(co, exchange, arg, CONTROL_RELEASE);
}

enum status
jobs_control_delete(struct co *co, struct http_exchange *exchange, void *arg)
{
    return run_plain(co, exchange, arg, CONTROL_DELETE);
}

static enum status
fill_edit(struct step *step, const struct body *body, struct error *err)
{
    const struct body_value *run_at = &body->values[0];
    const struct body_value *priority = &body->values[1];

    if (!run_at->given && !priority->given)
        return error_set(err, ST_INVALID,
                         "nothing to change: give run_at or priority");
    if (priority->given && priority->null)
        return error_set_at(err, "/priority", "must be an integer from 0 to 9");
    step->control.run_at_ms = run_at->given ? run_at->number : -1;
    step->control.priority = priority->given ? (int)priority->number : -1;
    return ST_OK;
}

enum status
jobs_control_edit(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {
        {"run_at", BODY_TIME, 0, 0},
        {"priority", BODY_INTEGER, 0, JOB_PRIORITY_MAX},
    };
    struct step step = {.api = arg, .exchange = exchange};

    step.control.verb = CONTROL_EDIT;
    return run(co, &step, fields, ARRAY_LEN(fields), fill_edit);
}
