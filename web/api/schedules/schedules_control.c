/* POST /v1/schedules/{name}:pause, :resume, :trigger; GET its fires. */
#include <stdio.h>

#include "api/body.h"
#include "api/idempotency.h"
#include "api/schedules/schedules.h"
#include "app/document/schedule_json.h"
#include "queue/schedule/schedules_change.h"

static const struct body_field pause_fields[] = {
    {"note", BODY_TEXT, 0, SCHEDULE_NOTE_MAX},
};

static enum status
set_paused(struct co *co, struct api *api, struct http_exchange *exchange,
           bool paused, const struct body_value *given)
{
    struct str note = given && given->given ? given->text : STR_NULL;
    struct error *err = &exchange->err;

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = api_store(api, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    if (given && given->given && note.n == 0)
        note = STR(""); /* takes it away */
    st = schedules_change_paused(co, api->queues, schedules_name(exchange),
                                 paused, note, err);
    if (st != ST_OK)
        return schedules_refuse(exchange, st, err, true);
    return schedules_show(co, api, exchange, 200);
}

enum status
schedules_pause(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct body body;
    struct error err = {.status = ST_OK};

    enum status st = body_read(co, exchange, pause_fields,
                               ARRAY_LEN(pause_fields), &body, &err);
    st = st == ST_OK ? set_paused(co, arg, exchange, true, &body.values[0])
                     : api_fail(exchange, st, &err, false);
    body_clear(&body);
    return st;
}

enum status
schedules_resume(struct co *co, struct http_exchange *exchange, void *arg)
{
    return set_paused(co, arg, exchange, false, NULL);
}

/* 409 with the id of the job that holds the unique key. */
static enum status
refuse_duplicate(struct http_exchange *exchange, const char *existing)
{
    struct problem problem = {
        .kind = PROBLEM_DUPLICATE_JOB,
        .detail = "another job holds the unique key of the schedule's job: "
                  "nothing was stored",
    };

    return api_refuse_naming(exchange, &problem, "existing", existing);
}

/* @seed makes the job's id, so that a repeat of its key finds the job; NULL: a
 * new one. @stored: the first request stored it. */
static enum status
trigger(struct co *co, struct api *api, struct http_exchange *exchange,
        const unsigned char *seed, bool stored)
{
    struct error *err = &exchange->err;
    struct schedule_view view;
    char local[ID_LOCAL_MAX + 1], id[ID_JOB_MAX + 1];

    if (seed)
        id_derive(seed, 0, local);
    else
        id_make(local);
    enum status st =
        schedules_get(co, api->queues, schedules_name(exchange), &view, err);
    bool found = st == ST_OK, held = false;
    if (found && !stored) {
        st = schedules_trigger_as(co, api->queues, &view, local, err);
        held = st == ST_CONFLICT;
    }
    snprintf(id, sizeof id, "%s.%s", view.queue, local);
    schedules_view_clear(&view);
    if (held)
        return refuse_duplicate(exchange, id);
    if (st != ST_OK)
        return api_fail(exchange, st, err, found);
    st = response_setf(&exchange->res, "Location", "/v1/jobs/%s", id);
    if (st == ST_OK && stored)
        st = response_set(&exchange->res, STR("Idempotency-Replayed"),
                          STR("true"));
    if (st != ST_OK)
        return st;
    return response_json_take(&exchange->res, stored ? 200 : 202,
                              json_pack("{s:s}", "id", id));
}

static enum status
trigger_under_key(struct co *co, struct api *api,
                  struct http_exchange *exchange, struct str key)
{
    struct idempotency idempotency;
    bool replay = false, refused = false;

    enum status st =
        api_begin_key(co, api, exchange, key, &idempotency, &replay, &refused);
    if (st != ST_OK || refused)
        return st;
    st = trigger(co, api, exchange, idempotency.entry.seed, replay);
    if (replay)
        return st;
    if (st == ST_OK && exchange->res.status < 300)
        idempotency_finish(co, &idempotency);
    else
        idempotency_fail(co, &idempotency);
    return st;
}

enum status
schedules_trigger_one(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct str key = STR_NULL;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = idempotency_key(&exchange->req, &key, &exchange->err);
    if (st == ST_OK)
        st = api_store(api, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (key.p)
        return trigger_under_key(co, api, exchange, key);
    return trigger(co, api, exchange, NULL, false);
}

enum status
schedules_fires(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct schedule_view view;
    struct buf body;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = schedules_get(co, api->queues, schedules_name(exchange), &view,
                       &exchange->err);
    if (st == ST_OK) {
        buf_init(&body, RESPONSE_BODY_MAX);
        schedule_json_fires(&view, &body);
        st = response_take(&exchange->res, 200, "application/json", &body);
    } else
        st = api_fail(exchange, st, &exchange->err, false);
    schedules_view_clear(&view);
    return st;
}
