/* /v1/queues and /v1/queues/{queue}: how deep they are, how they did, what they
 * were told; PATCH, :pause and :resume tell them. */
#include <inttypes.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/body.h"
#include "app/document/queue_json.h"

static enum status
read_name(const struct http_exchange *exchange, struct str *ret,
          struct error *err)
{
    *ret = str_c(pit_request_param(&exchange->req, "queue"));
    return api_queue(*ret, err);
}

/* Makes @changes first (0: none), in one step with reading them. */
static enum status
reply_queue(struct co *co, struct api *api, struct http_exchange *exchange,
            struct str name, const struct queue_setting *changes, size_t n)
{
    struct queue_overview overview;
    struct buf body;

    enum status st = queue_overview_get(co, api->queues, name, changes, n,
                                        &overview, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, n > 0);
    buf_init(&body, RESPONSE_BODY_MAX);
    queue_json_write(&overview, &body);
    return response_take(&exchange->res, 200, "application/json", &body);
}

enum status
queues_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct str name;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = read_name(exchange, &name, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return reply_queue(co, arg, exchange, name, NULL, 0);
}

/* ---- telling it ---- */

struct changes {
    struct queue_setting list[QUEUE_SETTINGS_MAX];
    size_t n;
};

/* Reads the body, has @fill make the changes of it, and makes them. */
static enum status
change(struct co *co, struct http_exchange *exchange, struct api *api,
       const struct body_field *fields, size_t n,
       enum status (*fill)(const struct body_value *values,
                           struct changes *changes, struct error *err))
{
    struct error *err = &exchange->err;
    struct changes changes = {.n = 0};
    struct body body = {0};
    struct str name;

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = read_name(exchange, &name, err);
    if (st == ST_OK)
        st = body_read(co, exchange, fields, n, &body, err);
    if (st == ST_OK)
        st = fill(body.values, &changes, err);
    body_clear(&body);
    if (st == ST_OK)
        st = api_store(api, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    return reply_queue(co, api, exchange, name, changes.list, changes.n);
}

/* ---- PATCH ---- */

static struct queue_setting *
add_change(struct changes *changes, const char *name)
{
    struct queue_setting *setting = &changes->list[changes->n++];

    *setting = (struct queue_setting){.name = name};
    return setting;
}

/* A null removes the setting, so that the standard holds again. */
static void
add_number(struct changes *changes, const char *name,
           const struct body_value *value)
{
    if (!value->given)
        return;
    struct queue_setting *setting = add_change(changes, name);
    if (!value->null)
        snprintf(setting->value, sizeof setting->value, "%" PRId64,
                 value->number);
}

/* The fields of the object @of of the body; a null stands for a null in each.
 */
static enum status
read_object(const struct body_value *of, const char *at,
            const struct body_field *fields, size_t n,
            struct body_value *values, struct error *err)
{
    if (!of->null)
        return body_fields(of->json, at, fields, n, values, err);
    for (size_t i = 0; i < n; i++)
        values[i] = (struct body_value){.given = true, .null = true};
    return ST_OK;
}

static enum status
fill_limits(const struct body_value *of, struct changes *changes,
            struct error *err)
{
    static const struct body_field fields[] = {
        {"length", BODY_INTEGER, 0, QUEUE_LEN_LIMIT_MAX},
        {"bytes", BODY_INTEGER, 0, QUEUE_BYTES_LIMIT_MAX},
        {"concurrency", BODY_INTEGER, 0, JOB_CONCURRENCY_MAX},
        {"rate", BODY_RATE, 0, 0},
    };
    struct body_value values[ARRAY_LEN(fields)];

    enum status st =
        read_object(of, "/limits", fields, ARRAY_LEN(fields), values, err);
    if (st != ST_OK)
        return st;
    add_number(changes, "len_max", &values[0]);
    add_number(changes, "bytes_max", &values[1]);
    add_number(changes, "concurrency", &values[2]);
    if (values[3].given) {
        struct queue_setting *setting = add_change(changes, "rate");
        if (!values[3].null)
            snprintf(setting->value, sizeof setting->value,
                     "%" PRId64 "/%" PRId64, values[3].number,
                     values[3].period_ms);
    }
    return ST_OK;
}

static enum status
fill_retention(const struct body_value *of, struct changes *changes,
               struct error *err)
{
    static const struct body_field fields[] = {
        {"ended", BODY_INTEGER, 0, QUEUE_LEN_LIMIT_MAX},
        {"dead", BODY_INTEGER, 0, QUEUE_LEN_LIMIT_MAX},
        {"dead_for", BODY_DURATION, 1000, JOB_KEEP_MAX_MS},
        {"quarantined", BODY_INTEGER, 0, QUEUE_LEN_LIMIT_MAX},
        {"quarantined_for", BODY_DURATION, 1000, JOB_KEEP_MAX_MS},
    };
    struct body_value values[ARRAY_LEN(fields)];

    enum status st =
        read_object(of, "/retention", fields, ARRAY_LEN(fields), values, err);
    if (st != ST_OK)
        return st;
    add_number(changes, "done_max", &values[0]);
    add_number(changes, "dead_max", &values[1]);
    add_number(changes, "dead_ms", &values[2]);
    add_number(changes, "quarantined_max", &values[3]);
    add_number(changes, "quarantined_ms", &values[4]);
    return ST_OK;
}

static enum status
fill_backoff(const struct body_value *value, struct changes *changes,
             struct error *err)
{
    struct queue_setting *setting;

    if (!value->given)
        return ST_OK;
    setting = add_change(changes, queue_retry_name(JOB_RETRY_BACKOFF));
    if (value->null)
        return ST_OK;
    enum backoff_kind kind;
    if (!backoff_parse(str_c(json_string_value(value->json)), &kind))
        return error_set_at(err, "/retry/backoff",
                            "must be \"fixed\" or \"exponential\"");
    setting->value[0] = backoff_name(kind)[0];
    return ST_OK;
}

static enum status
fill_retry(const struct body_value *of, struct changes *changes,
           struct error *err)
{
    enum { MAX, BACKOFF, BASE, CAP, JITTER, FIELDS };
    static const struct body_field fields[FIELDS] = {
        [MAX] = {"max", BODY_INTEGER, 0, JOB_RETRIES_MAX},
        [BACKOFF] = {"backoff", BODY_JSON, 0, 0},
        [BASE] = {"base", BODY_DURATION, 1, JOB_DELAY_MAX_MS},
        [CAP] = {"cap", BODY_DURATION, 1, JOB_DELAY_MAX_MS},
        [JITTER] = {"jitter", BODY_PERCENT, 0, 0},
    };
    struct body_value values[FIELDS];

    enum status st = read_object(of, "/retry", fields, FIELDS, values, err);
    if (st == ST_OK)
        st = fill_backoff(&values[BACKOFF], changes, err);
    if (st != ST_OK)
        return st;
    if (values[CAP].given && !values[CAP].null &&
        values[CAP].number < values[BASE].number)
        return error_set_at(err, "/retry/cap", "must not be below base");
    add_number(changes, queue_retry_name(JOB_RETRY_MAX), &values[MAX]);
    add_number(changes, queue_retry_name(JOB_RETRY_BASE), &values[BASE]);
    add_number(changes, queue_retry_name(JOB_RETRY_CAP), &values[CAP]);
    add_number(changes, queue_retry_name(JOB_RETRY_JITTER), &values[JITTER]);
    return ST_OK;
}

static void
add_text(struct changes *changes, const char *name,
         const struct body_value *value)
{
    if (!value->given)
        return;
    struct queue_setting *setting = add_change(changes, name);
    str_copy_to(value->null ? STR_NULL : value->text, setting->value,
                sizeof setting->value);
}

static enum status
fill_edit(const struct body_value *values, struct changes *changes,
          struct error *err)
{
    enum status st = ST_OK;

    add_text(changes, "note", &values[0]);
    if (values[1].given)
        st = fill_limits(&values[1], changes, err);
    if (st == ST_OK && values[2].given)
        st = fill_retention(&values[2], changes, err);
    if (st == ST_OK && values[3].given)
        st = fill_retry(&values[3], changes, err);
    if (st == ST_OK && changes->n == 0)
        st = error_set(err, ST_INVALID,
                       "nothing to change: give note, limits, retention or "
                       "retry");
    return st;
}

enum status
queues_edit(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {
        {"note", BODY_TEXT, 0, QUEUE_NOTE_MAX},
        {"limits", BODY_JSON, 0, 0},
        {"retention", BODY_JSON, 0, 0},
        {"retry", BODY_JSON, 0, 0},
    };

    return change(co, exchange, arg, fields, ARRAY_LEN(fields), fill_edit);
}

/* ---- pause and resume ---- */

static const struct body_field switch_fields[] = {
    {"dispatch", BODY_BOOL, 0, 0},
    {"intake", BODY_BOOL, 0, 0},
    {"note", BODY_TEXT, 0, QUEUE_NOTE_MAX},
};

static enum status
fill_switch(bool pause, const struct body_value *values,
            struct changes *changes, struct error *err)
{
    bool dispatch = values[0].number == 1, intake = values[1].number == 1;
    struct str note = values[2].given ? values[2].text : STR_NULL;

    if (values[2].given && note.n == 0)
        note = STR("");
    if ((values[0].given || values[1].given) && !dispatch && !intake)
        return error_set(err, ST_INVALID,
                         "neither dispatch nor intake is true: leave both out "
                         "for the usual");
    changes->n =
        queue_settings_switch(pause, dispatch, intake, note, changes->list);
    return ST_OK;
}

static enum status
fill_pause(const struct body_value *values, struct changes *changes,
           struct error *err)
{
    return fill_switch(true, values, changes, err);
}

static enum status
fill_resume(const struct body_value *values, struct changes *changes,
            struct error *err)
{
    return fill_switch(false, values, changes, err);
}

enum status
queues_pause(struct co *co, struct http_exchange *exchange, void *arg)
{
    return change(co, exchange, arg, switch_fields, ARRAY_LEN(switch_fields),
                  fill_pause);
}

enum status
queues_resume(struct co *co, struct http_exchange *exchange, void *arg)
{
    return change(co, exchange, arg, switch_fields, ARRAY_LEN(switch_fields),
                  fill_resume);
}

/* ---- all of them ---- */

/* One after the other: a list of a thousand takes two thousand commands, and
 * the loop serves others in between. */
enum status
queues_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    bool some = false;
    struct buf body;
    size_t n = 0;

    buf_init(&body, RESPONSE_BODY_MAX);
    buf_add_c(&body, "{\"queues\":[");
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = queue_names(co, api->queues, &names, &n, &exchange->err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct queue_overview overview;
        st = queue_overview_get(co, api->queues, str_c(names[i]), NULL, 0,
                                &overview, &exchange->err);
        if (st == ST_NOT_FOUND) { /* its name alone is left */
            st = ST_OK;
            continue;
        }
        if (st != ST_OK)
            break;
        if (some)
            buf_add_char(&body, ',');
        some = true;
        queue_json_write(&overview, &body);
    }
    free(names);
    if (st == ST_OK) {
        buf_add_c(&body, "]}");
        return response_take(&exchange->res, 200, "application/json", &body);
    }
    buf_clear(&body);
    return api_fail(exchange, st, &exchange->err, false);
}
