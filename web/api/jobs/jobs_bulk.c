/* POST /v1/jobs:retry, :cancel, :delete with a filter, and POST
 * /v1/queues/{queue}:purge: each starts an operation (operations.h). */
#include "api/queues/operations.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum field {
    QUEUE,
    STATE,
    TASK,
    TAG,
    OLDER_THAN,
    IDS,
    LIMIT,
    RATE,
    DRY_RUN,
    FIELDS, /* of all; cancel has two more */
    GRACE = FIELDS,
    REASON,
    FIELDS_OF_CANCEL,
};

static const struct body_field fields[FIELDS_OF_CANCEL] = {
    [QUEUE] = {"queue", BODY_TEXT, 1, ID_QUEUE_MAX},
    [STATE] = {"state", BODY_JSON, 0, 0},
    [TASK] = {"task", BODY_TEXT, 1, ID_TASK_MAX},
    [TAG] = {"tag", BODY_TEXT, 1, JOB_TAG_LEN_MAX},
    [OLDER_THAN] = {"older_than", BODY_DURATION, 1, JOB_DELAY_MAX_MS},
    [IDS] = {"ids", BODY_JSON, 0, 0},
    [LIMIT] = {"limit", BODY_INTEGER, 1, INT64_C(1000000000)},
    [RATE] = {"rate", BODY_RATE, 0, 0},
    [DRY_RUN] = {"dry_run", BODY_BOOL, 0, 0},
    [GRACE] = {"grace", BODY_DURATION, 0, CONTROL_GRACE_MAX_MS},
    [REASON] = {"reason", BODY_TEXT, 1, 500},
};

/* ---- states ---- */

static enum status
add_state(struct bulk *bulk, const json_t *name, struct error *err)
{
    struct str word = str_c(json_string_value(name));
    int state = 0;

    if (!queue_list_state_parse(word, &state))
        return error_set_at(err, "/state",
                            "not a state: ready, scheduled, retrying, blocked, "
                            "running, dead, quarantined, ended, succeeded, "
                            "cancelled or expired");
    if (!queue_bulk_allows(bulk->kind, state))
        return error_set_at(err, "/state", "%s is not for jobs that are %.*s",
                            queue_bulk_kind_name(bulk->kind), STR_ARG(word));
    for (size_t i = 0; i < bulk->states_len; i++)
        if (bulk->states[i] == state)
            return error_set_at(err, "/state", "%.*s stands twice",
                                STR_ARG(word));
    bulk->states[bulk->states_len++] = state;
    return ST_OK;
}

static enum status
read_states(struct bulk *bulk, const json_t *json, struct error *err)
{
    enum status st = ST_OK;

    if (!json_is_array(json))
        return add_state(bulk, json, err);
    if (json_array_size(json) == 0 || json_array_size(json) > BULK_STATES_MAX)
        return error_set_at(err, "/state", "name 1 to %d states",
                            BULK_STATES_MAX);
    for (size_t i = 0; i < json_array_size(json) && st == ST_OK; i++)
        st = add_state(bulk, json_array_get(json, i), err);
    return st;
}

/* ---- ids ---- */

static enum status
read_ids(struct operation_spec *spec, const json_t *json, struct error *err)
{
    size_t n = json_array_size(json);
    char pointer[32];

    if (!json_is_array(json) || n == 0 || n > BULK_IDS_MAX)
        return error_set_at(err, "/ids", "must be an array of 1 to %d ids",
                            BULK_IDS_MAX);
    spec->ids = xcalloc(n, sizeof *spec->ids);
    for (size_t i = 0; i < n; i++) {
        struct error why;
        const char *id = json_string_value(json_array_get(json, i));
        snprintf(pointer, sizeof pointer, "/ids/%zu", i);
        if (!id)
            return error_set_at(err, pointer, "must be a job's id");
        if (id_split(str_c(id), &spec->ids[i], &why) != ST_OK)
            return error_set_at(err, pointer, "%s", why.msg);
    }
    spec->bulk.ids = spec->ids;
    spec->bulk.ids_len = n;
    return ST_OK;
}

/* ---- the filter ---- */

static enum status
read_walk(struct operation_spec *spec, struct error *err)
{
    const struct body_value *values = spec->body.values;
    struct bulk *bulk = &spec->bulk;

    if (!id_queue_valid(values[QUEUE].text))
        return error_set_at(err, "/queue",
                            "name one queue, or give the ids of the jobs");
    if (!values[STATE].given || values[STATE].null)
        return error_set_at(err, "/state",
                            "name a state, or an array of them: nothing is "
                            "assumed");
    bulk->queue = values[QUEUE].text;
    bulk->task = values[TASK].text;
    bulk->tag = values[TAG].text;
    bulk->older_ms = values[OLDER_THAN].number;
    bulk->limit = values[LIMIT].number;
    return read_states(bulk, values[STATE].json, err);
}

static enum status
read_filter(struct operation_spec *spec, struct error *err)
{
    static const enum field without_ids[] = {QUEUE, STATE,      TASK,
                                             TAG,   OLDER_THAN, LIMIT};
    const struct body_value *values = spec->body.values;
    struct bulk *bulk = &spec->bulk;
    enum status st = ST_OK;

    bulk->dry_run = values[DRY_RUN].number == 1;
    spec->rate = values[RATE].number;
    spec->rate_period_ms = values[RATE].period_ms;
    if (!values[IDS].given)
        return read_walk(spec, err);
    for (size_t i = 0; i < ARRAY_LEN(without_ids) && st == ST_OK; i++)
        if (values[without_ids[i]].given) {
            char pointer[32];
            snprintf(pointer, sizeof pointer, "/%s",
                     fields[without_ids[i]].name);
            st = error_set_at(err, pointer,
                              "ids say already which jobs: leave it out");
        }
    return st == ST_OK ? read_ids(spec, values[IDS].json, err) : st;
}

/* What the body says, its fields read. */
static enum status
read_step(struct operation_spec *spec, struct error *err)
{
    enum status st = read_filter(spec, err);

    if (st == ST_OK && spec->bulk.kind == BULK_CANCEL) {
        spec->bulk.grace_ms = spec->body.values[GRACE].given
                                  ? spec->body.values[GRACE].number
                                  : CONTROL_GRACE_STANDARD_MS;
        spec->bulk.reason = spec->body.values[REASON].text;
    }
    return st;
}

/* ---- purge ---- */

/* All that waits, when no state is named: what most mean by emptying a queue.
 */
static enum status
read_purge(struct operation_spec *spec, struct str queue, struct error *err)
{
    static const int waiting[] = {JOB_READY, JOB_SCHEDULED, JOB_RETRYING,
                                  JOB_BLOCKED};
    const struct body_value *confirm = &spec->body.values[0];
    const struct body_value *states = &spec->body.values[1];
    struct bulk *bulk = &spec->bulk;

    bulk->queue = queue;
    enum status st = api_queue(queue, err);
    if (st != ST_OK)
        return st;
    if (!str_eq(confirm->text, queue))
        return error_set_at(err, "/confirm",
                            "must be the queue's name, \"%.*s\": its jobs "
                            "will be gone",
                            STR_ARG(queue));
    if (states->given && !states->null)
        return read_states(bulk, states->json, err);
    memcpy(bulk->states, waiting, sizeof waiting);
    bulk->states_len = ARRAY_LEN(waiting);
    return ST_OK;
}

static const struct body_field purge_fields[] = {
    {"confirm", BODY_TEXT, 1, ID_QUEUE_MAX},
    {"state", BODY_JSON, 0, 0},
};

/* ---- all of them ---- */

static const struct body_field *
fields_of(enum bulk_kind kind, size_t *ret_len)
{
    if (kind == BULK_PURGE) {
        *ret_len = ARRAY_LEN(purge_fields);
        return purge_fields;
    }
    *ret_len = kind == BULK_CANCEL ? FIELDS_OF_CANCEL : FIELDS;
    return fields;
}

/* @queue: the one of a purge. */
static enum status
read_body(struct operation_spec *spec, struct str queue, struct error *err)
{
    return spec->bulk.kind == BULK_PURGE ? read_purge(spec, queue, err)
                                         : read_step(spec, err);
}

static enum status
start(struct co *co, struct http_exchange *exchange, struct api *api,
      enum bulk_kind kind)
{
    struct operation_spec spec = {.bulk = {.kind = kind}};
    struct str queue = str_c(pit_request_param(&exchange->req, "queue"));
    size_t n;
    const struct body_field *known = fields_of(kind, &n);

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = body_read(co, exchange, known, n, &spec.body, &exchange->err);
    if (st == ST_OK)
        st = read_body(&spec, queue, &exchange->err);
    if (st != ST_OK) {
        operations_spec_clear(&spec);
        return api_fail(exchange, st, &exchange->err, false);
    }
    return operations_start(co, api, exchange, &spec);
}

enum status
jobs_bulk_retry(struct co *co, struct http_exchange *exchange, void *arg)
{
    return start(co, exchange, arg, BULK_RETRY);
}

enum status
jobs_bulk_cancel(struct co *co, struct http_exchange *exchange, void *arg)
{
    return start(co, exchange, arg, BULK_CANCEL);
}

enum status
jobs_bulk_delete(struct co *co, struct http_exchange *exchange, void *arg)
{
    return start(co, exchange, arg, BULK_DELETE);
}

enum status
jobs_bulk_purge(struct co *co, struct http_exchange *exchange, void *arg)
{
    return start(co, exchange, arg, BULK_PURGE);
}

/* ---- what another process began ---- */

enum status
jobs_bulk_restore(struct operation_spec *spec, struct str queue,
                  struct error *err)
{
    struct body *body = &spec->body;
    size_t n;
    const struct body_field *known = fields_of(spec->bulk.kind, &n);

    enum status st = body_fields(body->root, "", known, n, body->values, err);
    return st == ST_OK ? read_body(spec, queue, err) : st;
}
