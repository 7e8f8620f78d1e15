/* Operations: a detached coroutine each, with a document in Redis. */
#include "api/operations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/keys.h"

enum {
    TELL_MS = 1000,      /* between two writes of the document */
    TRY_AGAIN_MS = 1000, /* after Redis failed */
    TRIES_MAX = 60,      /* in a row; then it has failed */
    KEY_SIZE = KEYS_MAX_LEN + ID_ULID_LEN + 16,
};

struct operation {
    struct api *api;
    struct operation_spec spec;
    char id[ID_ULID_LEN + 1];
    char queue[ID_QUEUE_MAX + 1]; /* "": given by ids */
    int64_t created_ms;           /* wall clock, as all times of the document */
    int64_t told_ms;              /* monotonic */
    int64_t started_ms;           /* monotonic */
    const char *state;
    struct error err; /* why it failed */
};

void
operations_spec_clear(struct operation_spec *spec)
{
    free(spec->ids);
    spec->ids = NULL;
    body_clear(&spec->body);
}

/* ---- the document ---- */

static void
make_key(const struct api *api, const char *id, char dst[KEY_SIZE])
{
    char key[KEYS_MAX_LEN];

    keys_global(queues_prefix(api->queues), "operation:", key);
    snprintf(dst, KEY_SIZE, "%s%s", key, id);
}

static json_t *
make_time(int64_t ms)
{
    char text[CLOCK_TIME_LEN + 1];

    clock_format(ms, text);
    return json_string(text);
}

static json_t *
make_document(const struct operation *operation)
{
    const struct bulk *bulk = &operation->spec.bulk;
    int64_t now_ms = clock_wall_ms();
    bool ended = bulk->ended || operation->err.msg[0];

    return json_pack(
        "{s:s, s:s, s:s, s:s?, s:b, s:O?, s:I, s:I, s:I, s:I, s:s?, s:o, s:o, "
        "s:o, s:{s:s+}}",
        "id", operation->id, "kind", queue_bulk_kind_name(bulk->kind), "state",
        operation->state, "queue",
        operation->queue[0] ? operation->queue : NULL, "dry_run", bulk->dry_run,
        "filter", operation->spec.body.root, "seen", (json_int_t)bulk->seen,
        "matched", (json_int_t)bulk->matched, "done", (json_int_t)bulk->done,
        "refused", (json_int_t)bulk->refused, "error",
        operation->err.msg[0] ? operation->err.msg : NULL, "created_at",
        make_time(operation->created_ms), "updated_at", make_time(now_ms),
        "ended_at", ended ? make_time(now_ms) : json_null(), "links", "self",
        "/v1/operations/", operation->id);
}

static enum status
tell(struct co *co, struct operation *operation, struct error *err)
{
    char key[KEY_SIZE];
    struct rds_call call = {0};
    json_t *document = make_document(operation);
    char *text = json_dumps(document, JSON_COMPACT);

    json_decref(document);
    if (!text)
        return error_set(err, ST_LIMIT, "out of memory");
    make_key(operation->api, operation->id, key);
    enum status st = rds_await(co, operation->api->rds, &call,
                               "SET %s %s EX %d", key, text, OPERATIONS_KEPT_S);
    if (st != ST_OK)
        *err = call.err;
    rds_call_clear(&call);
    free(text);
    operation->told_ms = clock_mono_ms();
    return st;
}

/* ---- running ---- */

/* So long that all that was done so far is within the rate. */
static enum status
keep_rate(struct co *co, const struct operation *operation)
{
    const struct operation_spec *spec = &operation->spec;

    if (spec->rate == 0)
        return co_yield(co);
    enum { SLICE_MS = 500 };
    enum status st = ST_OK;
    while (st == ST_OK && !operation->api->draining) {
        int64_t wait_ms =
            queue_bulk_wait_ms(&spec->bulk, spec->rate, spec->rate_period_ms,
                               clock_mono_ms() - operation->started_ms);
        if (wait_ms == 0)
            break;
        st = co_sleep(co, wait_ms < SLICE_MS ? wait_ms : SLICE_MS);
    }
    return st;
}

static enum status
step(struct co *co, struct operation *operation)
{
    enum status st = ST_OK;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        st = queue_bulk_step(co, operation->api->queues, &operation->spec.bulk,
                             &operation->err);
        if (st == ST_OK)
            operation->err.msg[0] = '\0';
        if (st == ST_OK || st == ST_BUG || co_cancelled(co) != ST_OK ||
            operation->api->draining)
            return st;
        enum status slept = co_sleep(co, TRY_AGAIN_MS);
        if (slept != ST_OK)
            return slept;
    }
    return st;
}

static enum status
run(struct co *co, void *arg)
{
    struct operation *operation = arg;
    struct bulk *bulk = &operation->spec.bulk;
    struct error err;
    enum status st = ST_OK;

    operation->started_ms = clock_mono_ms();
    while (!bulk->ended && st == ST_OK && !operation->api->draining) {
        st = step(co, operation);
        if (st == ST_OK && !bulk->ended)
            st = keep_rate(co, operation);
        if (st == ST_OK && !bulk->ended &&
            clock_mono_ms() - operation->told_ms >= TELL_MS &&
            tell(co, operation, &err) != ST_OK)
            log_warn("operation %s: %s", operation->id, err.msg);
    }
    if (bulk->ended)
        operation->state = "done";
    else if (st != ST_OK && st != ST_CANCELLED && !operation->api->draining)
        operation->state = "failed";
    else
        operation->state = "interrupted";
    log_info("operation %s: %s of %" PRId64 " jobs %s, %" PRId64 " refused",
             operation->id, queue_bulk_kind_name(bulk->kind), bulk->done,
             operation->state, bulk->refused);
    enum status told = tell(co, operation, &err);
    return st == ST_OK ? told : st;
}

static void
operation_free(void *arg)
{
    struct operation *operation = arg;

    operation->api->operations--;
    operations_spec_clear(&operation->spec);
    free(operation);
}

/* ---- over HTTP ---- */

static enum status
reply_started(struct http_exchange *exchange, const struct operation *operation)
{
    enum status st = response_setf(&exchange->res, "Location",
                                   "/v1/operations/%s", operation->id);

    if (st != ST_OK)
        return st;
    return response_json_take(&exchange->res, 202, make_document(operation));
}

enum status
operations_start(struct co *co, struct api *api, struct http_exchange *exchange,
                 struct operation_spec *spec)
{
    struct error err;

    enum status st = api_store(api, &err);
    if (st != ST_OK) {
        operations_spec_clear(spec);
        return api_fail(exchange, st, &err, false);
    }
    if (api->operations >= OPERATIONS_MAX) {
        operations_spec_clear(spec);
        return api_refuse_with(exchange, PROBLEM_OVERLOADED,
                               "%d operations are under way in this process: "
                               "try again when one has ended",
                               OPERATIONS_MAX);
    }
    struct operation *operation = xcalloc(1, sizeof *operation);
    *operation = (struct operation){
        .api = api,
        .spec = *spec,
        .created_ms = clock_wall_ms(),
        .state = "running",
    };
    api->operations++;
    id_make(operation->id);
    str_copy_to(spec->bulk.queue, operation->queue, sizeof operation->queue);
    operation->spec.bulk.queue = str_c(operation->queue);
    st = tell(co, operation, &err);
    if (st != ST_OK) { /* nothing was begun */
        operation_free(operation);
        return api_fail(exchange, st, &err, false);
    }
    enum status answered = reply_started(exchange, operation);
    st = co_detach(api->loop, "operation", run, operation, operation_free);
    if (st != ST_OK)
        return api_refuse_with(exchange, PROBLEM_OVERLOADED,
                               "too much goes on in this process: try again");
    return answered;
}

/* One that is not heard of any more was left by its process. */
static void
mark_interrupted(json_t *document)
{
    const char *state = json_string_value(json_object_get(document, "state"));
    int64_t told_ms = 0;

    if (state && strcmp(state, "running") == 0 &&
        clock_parse(
            str_c(json_string_value(json_object_get(document, "updated_at"))),
            &told_ms) &&
        clock_wall_ms() - told_ms > OPERATIONS_SILENT_MS)
        json_object_set_new(document, "state", json_string("interrupted"));
}

enum status
operations_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct rds_call call = {0};
    const char *id = pit_request_param(&exchange->req, "id");
    json_t *document = NULL;
    char key[KEY_SIZE];

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (strlen(id) != ID_ULID_LEN || !id_local_valid(str_c(id)))
        return api_refuse_with(exchange, PROBLEM_NOT_FOUND,
                               "there is no such operation");
    make_key(api, id, key);
    st = rds_await(co, api->rds, &call, "GET %s", key);
    if (st != ST_OK) {
        st = api_fail(exchange, st, &call.err, false);
    } else if (call.reply->type != REDIS_REPLY_STRING ||
               !(document =
                     json_loadb(call.reply->str, call.reply->len, 0, NULL))) {
        st = api_refuse_with(exchange, PROBLEM_NOT_FOUND,
                             "there is no such operation; they are kept for a "
                             "day");
    } else {
        mark_interrupted(document);
        st = response_json_take(&exchange->res, 200, document);
    }
    rds_call_clear(&call);
    return st;
}
