/* POST /v1/schedules/{name}:pause, :resume, :trigger; GET its fires. */
#include <stdio.h>

#include "api/body.h"
#include "api/schedules.h"
#include "app/schedule_json.h"
#include "queue/schedules_change.h"

static const struct body_field pause_fields[] = {
    {"note", BODY_TEXT, 0, SCHEDULE_NOTE_MAX},
};

static enum status
set_paused(struct co *co, struct api *api, struct http_exchange *exchange,
           bool paused, const struct body_value *given)
{
    struct str note = given && given->given ? given->text : STR_NULL;
    struct error *err = &exchange->err;

    if (api_query(&exchange->req, STR_NULL, err) != ST_OK)
        return api_fail(exchange, ST_INVALID, err, false);
    if (given && given->given && note.n == 0)
        note = STR(""); /* takes it away */
    enum status st = schedules_change_paused(
        co, api->queues, schedules_name(exchange), paused, note, err);
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

enum status
schedules_trigger_one(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct error *err = &exchange->err;
    struct schedule_view view;
    char local[ID_LOCAL_MAX + 1] = "", id[ID_JOB_MAX + 1];

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    st = schedules_get(co, api->queues, schedules_name(exchange), &view, err);
    bool found = st == ST_OK;
    if (found)
        st = schedules_trigger(co, api->queues, &view, local, err);
    snprintf(id, sizeof id, "%s.%s", view.queue, local);
    schedules_view_clear(&view);
    if (st != ST_OK)
        return api_fail(exchange, st, err, found);
    st = response_setf(&exchange->res, "Location", "/v1/jobs/%s", id);
    if (st != ST_OK)
        return st;
    return response_json_take(&exchange->res, 202,
                              json_pack("{s:s}", "id", id));
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
