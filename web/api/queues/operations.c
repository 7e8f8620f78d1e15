/* Operations: a detached coroutine each, with a document in Redis. */
#include "api/queues/operations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/idempotency.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/operation.h"

enum {
    TELL_MS = 1000,      /* between two writes of the document */
    TRY_AGAIN_MS = 1000, /* after Redis failed */
    TRIES_MAX = 60,      /* in a row; then it has failed */
    FIRST_LOOK_MS = 500, /* after the start of the process */
    PAGE_STANDARD = 50,
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
    enum operation_told told; /* what was heard when it last said something */
    struct error err;         /* why it failed */
};

void
operations_spec_clear(struct operation_spec *spec)
{
    free(spec->ids);
    spec->ids = NULL;
    body_clear(&spec->body);
}

/* ---- the document ---- */

static json_t *
make_time(int64_t ms)
{
    char text[CLOCK_TIME_LEN + 1];

    if (ms <= 0 || ms > CLOCK_LAST_MS)
        return json_null();
    clock_format(ms, text);
    return json_string(text);
}

static json_t *
make_document(const struct operation *operation)
{
    const struct bulk *bulk = &operation->spec.bulk;
    int64_t now_ms = clock_wall_ms();
    bool ended = strcmp(operation->state, "running") != 0;

    return json_pack(
        "{s:s, s:s, s:s, s:b, s:s?, s:b, s:O?, s:I, s:I, s:I, s:I, s:s?, s:o, "
        "s:o, s:o, s:{s:s+}}",
        "id", operation->id, "kind", queue_bulk_kind_name(bulk->kind), "state",
        operation->state, "cancel_asked", false, "queue",
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
tell(struct co *co, struct operation *operation, enum operation_how how,
     struct error *err)
{
    const struct bulk *bulk = &operation->spec.bulk;
    json_t *document = make_document(operation);

    if (how != OPERATION_ENDED)
        json_object_set_new(
            document, "resume",
            json_pack("{s:I, s:s, s:I}", "at", (json_int_t)bulk->at, "cursor",
                      bulk->cursor, "elapsed_ms",
                      (json_int_t)(clock_mono_ms() - operation->started_ms)));
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (!text)
        return error_set(err, ST_LIMIT, "out of memory");
    enum status st = operation_tell(
        co, operation->api->queues, str_c(operation->id),
        str_c(operation->api->runner), str_c(text), how, &operation->told, err);
    free(text);
    operation->told_ms = clock_mono_ms();
    return st;
}

/* ---- running ---- */

/* Once a second. That Redis is away now is told by the next step. */
static void
tell_how_far(struct co *co, struct operation *operation)
{
    struct error err;

    if (clock_mono_ms() - operation->told_ms >= TELL_MS &&
        tell(co, operation, OPERATION_GOES, &err) != ST_OK)
        log_warn("operation %s: %s", operation->id, err.msg);
}

static bool
goes_on(const struct operation *operation)
{
    return operation->told == OPERATION_SAID && !operation->api->draining;
}

/* So long that all that was done so far is within the rate. */
static enum status
keep_rate(struct co *co, struct operation *operation)
{
    const struct operation_spec *spec = &operation->spec;

    if (spec->rate == 0)
        return co_yield(co);
    enum { SLICE_MS = 500 };
    enum status st = ST_OK;
    while (st == ST_OK && goes_on(operation)) {
        int64_t wait_ms =
            queue_bulk_wait_ms(&spec->bulk, spec->rate, spec->rate_period_ms,
                               clock_mono_ms() - operation->started_ms);
        if (wait_ms == 0)
            break;
        st = co_sleep(co, wait_ms < SLICE_MS ? wait_ms : SLICE_MS);
        if (st == ST_OK)
            tell_how_far(co, operation);
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

    while (!bulk->ended && st == ST_OK && goes_on(operation)) {
        st = step(co, operation);
        if (st == ST_OK && !bulk->ended)
            st = keep_rate(co, operation);
        if (st == ST_OK && !bulk->ended)
            tell_how_far(co, operation);
    }
    if (operation->told == OPERATION_LOST) {
        log_warn("operation %s: another process has gone on with it",
                 operation->id);
        return ST_OK;
    }
    enum operation_how how = OPERATION_ENDED;
    if (bulk->ended)
        operation->state = "done";
    else if (operation->told == OPERATION_STOP)
        operation->state = "cancelled";
    else if (st != ST_OK && st != ST_CANCELLED && !operation->api->draining)
        operation->state = "failed";
    else
        how = OPERATION_LEFT;
    log_info("operation %s: %s of %" PRId64 " jobs %s, %" PRId64 " refused",
             operation->id, queue_bulk_kind_name(bulk->kind), bulk->done,
             how == OPERATION_LEFT ? "left to another process"
                                   : operation->state,
             bulk->refused);
    enum status told = tell(co, operation, how, &err);
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

/* Takes @spec over. */
static struct operation *
operation_new(struct api *api, const struct operation_spec *spec)
{
    struct operation *operation = xcalloc(1, sizeof *operation);

    *operation = (struct operation){
        .api = api,
        .spec = *spec,
        .state = "running",
        .told = OPERATION_SAID,
        .started_ms = clock_mono_ms(),
    };
    str_copy_to(spec->bulk.queue, operation->queue, sizeof operation->queue);
    operation->spec.bulk.queue = str_c(operation->queue);
    api->operations++;
    return operation;
}

/* Takes @operation over. Where too much goes on in this process its lease ends,
 * and the next look of any finds it. */
static void
begin_running(struct api *api, struct operation *operation, co_fn *fn)
{
    enum status st =
        co_detach(api->loop, "operation", fn, operation, operation_free);

    if (st != ST_OK)
        log_warn("operation: it begins later: %s", status_name(st));
}

/* ---- what another process left ---- */

static int64_t
number_of(const json_t *object, const char *name)
{
    int64_t number = json_integer_value(json_object_get(object, name));

    return number > 0 ? number : 0;
}

static struct str
text_of(const json_t *object, const char *name)
{
    return str_c(json_string_value(json_object_get(object, name)));
}

/* Where it stood. @spec's body takes a reference to the filter. */
static enum status
restore(const json_t *document, struct operation_spec *spec, struct error *err)
{
    const json_t *resume = json_object_get(document, "resume");
    struct bulk *bulk = &spec->bulk;
    struct str cursor = text_of(resume, "cursor");

    spec->body.root = json_incref(json_object_get(document, "filter"));
    if (!queue_bulk_kind_parse(text_of(document, "kind"), &bulk->kind) ||
        !json_is_object(spec->body.root) || !resume ||
        cursor.n >= sizeof bulk->cursor)
        return error_set(err, ST_INVALID,
                         "another version left it: send the filter again");
    enum status st = jobs_bulk_restore(spec, text_of(document, "queue"), err);
    if (st != ST_OK)
        return st;
    bulk->at = (size_t)number_of(resume, "at");
    str_copy_to(cursor, bulk->cursor, sizeof bulk->cursor);
    bulk->seen = number_of(document, "seen");
    bulk->matched = number_of(document, "matched");
    bulk->done = number_of(document, "done");
    bulk->refused = number_of(document, "refused");
    bulk->ended =
        bulk->at >= (bulk->ids_len > 0 ? bulk->ids_len : bulk->states_len);
    return ST_OK;
}

static enum status
fail(struct co *co, void *arg)
{
    struct operation *operation = arg;

    operation->state = "failed";
    return tell(co, operation, OPERATION_ENDED, &operation->err);
}

static void
go_on(struct api *api, const struct operation_item *item)
{
    json_t *document = json_loadb(item->document.p, item->document.n, 0, NULL);
    struct operation_spec spec = {.rate = 0};
    struct error err = {.msg = ""};

    enum status st = restore(document, &spec, &err);
    struct operation *operation = operation_new(api, &spec);
    operation->err = err;
    str_copy_to(item->id, operation->id, sizeof operation->id);
    if (!clock_parse(text_of(document, "created_at"), &operation->created_ms))
        operation->created_ms = clock_wall_ms();
    operation->started_ms -=
        number_of(json_object_get(document, "resume"), "elapsed_ms");
    json_decref(document);
    log_info("operation %s: goes on here", operation->id);
    begin_running(api, operation, st == ST_OK ? run : fail);
}

static enum status
look(struct co *co, void *arg)
{
    struct api *api = arg;
    struct operation_page page = {.len = 0};
    struct error err;

    if (api->operations >= OPERATIONS_MAX || api->draining ||
        api_store(api, &err) != ST_OK)
        return ST_OK;
    enum status st =
        operation_take(co, api->queues, str_c(api->runner),
                       OPERATIONS_MAX - api->operations, &page, &err);
    for (size_t i = 0; st == ST_OK && i < page.len; i++)
        go_on(api, &page.items[i]);
    operation_page_clear(&page);
    return ST_OK;
}

static void
timer_cb(struct loop_timer *timer)
{
    struct api *api = LIST_ENTRY(timer, struct api, operations_timer);

    loop_timer_start(api->loop, timer, OPERATIONS_LOOK_MS, timer_cb);
    if (rds_up(api->rds) &&
        co_detach(api->loop, "operations", look, api, NULL) != ST_OK)
        log_debug("operations: too much goes on to look for left ones");
}

void
operations_watch(struct api *api)
{
    id_make(api->runner);
    loop_timer_start(api->loop, &api->operations_timer, FIRST_LOOK_MS,
                     timer_cb);
}

void
operations_unwatch(struct api *api)
{
    loop_timer_stop(&api->operations_timer);
}

/* ---- over HTTP ---- */

static enum status
set_location(struct http_exchange *exchange, const char *id)
{
    return response_setf(&exchange->res, "Location", "/v1/operations/%s", id);
}

static enum status
reply_started(struct http_exchange *exchange, const struct operation *operation)
{
    enum status st = set_location(exchange, operation->id);

    if (st != ST_OK)
        return st;
    return response_json_take(&exchange->res, 202, make_document(operation));
}

/* What came of operation_get(): @st and the page, which is cleared. */
static enum status
reply_found(struct http_exchange *exchange, enum status st,
            struct operation_page *page, int http)
{
    json_t *document = NULL;

    if (st == ST_OK && !(document = operation_shown(&page->items[0])))
        st = error_set(&exchange->err, ST_BUG,
                       "the operation's document is damaged");
    st = st == ST_OK ? response_json_take(&exchange->res, http, document)
                     : api_fail(exchange, st, &exchange->err, false);
    operation_page_clear(page);
    return st;
}

static enum status
reply_one(struct co *co, struct api *api, struct http_exchange *exchange,
          struct str id, int http, bool *ret_left)
{
    struct operation_page page;

    enum status st = operation_get(co, api->queues, id, &page, &exchange->err);
    if (st == ST_OK)
        *ret_left = !page.items[0].alive;
    return reply_found(exchange, st, &page, http);
}

/* The first request with this key began it. */
static enum status
reply_again(struct co *co, struct api *api, struct http_exchange *exchange,
            const char *id)
{
    struct operation_page page;

    enum status st =
        operation_get(co, api->queues, str_c(id), &page, &exchange->err);
    if (st == ST_NOT_FOUND)
        st = error_set(&exchange->err, ST_GONE,
                       "the operation %s of this Idempotency-Key was begun, "
                       "and %d newer ones have made it forgotten: look at the "
                       "jobs, or use a new key",
                       id, OPERATION_KEPT_MAX);
    if (st == ST_OK)
        st = set_location(exchange, id);
    if (st == ST_OK)
        st = response_set(&exchange->res, STR("Idempotency-Replayed"),
                          STR("true"));
    return reply_found(exchange, st, &page, 200);
}

/* 503 with the id that was chosen before the write: if the operation is there,
 * a process goes on with it. */
static enum status
refuse_unclear(struct http_exchange *exchange, const char *id)
{
    struct problem problem = {
        .kind = PROBLEM_OUTCOME_UNKNOWN,
        .detail = "Redis went away after the operation was sent: look at its "
                  "id, or send the request again with the same "
                  "Idempotency-Key",
    };

    enum status st = api_refuse_naming(exchange, &problem, "id", id);
    return st == ST_OK ? set_location(exchange, id) : st;
}

/* @key: NULL without one. *ret_stored: the operation is there, whatever the
 * answer says. Takes over what @spec owns. */
static enum status
begin(struct co *co, struct api *api, struct http_exchange *exchange,
      struct operation_spec *spec, const struct idempotency *key,
      bool *ret_stored)
{
    char id[ID_ULID_LEN + 1];

    if (api->operations >= OPERATIONS_MAX) {
        operations_spec_clear(spec);
        return api_refuse_with(exchange, PROBLEM_OVERLOADED,
                               "%d operations are under way in this process: "
                               "try again when one has ended",
                               OPERATIONS_MAX);
    }
    struct operation *operation = operation_new(api, spec);
    operation->created_ms = key ? key->entry.created_ms : clock_wall_ms();
    if (key)
        id_derive_at(key->entry.seed, operation->created_ms, id);
    else
        id_make(id);
    memcpy(operation->id, id, sizeof id);
    enum status st = tell(co, operation, OPERATION_NEW, &exchange->err);
    *ret_stored = st == ST_OK;
    if (st != ST_OK || operation->told == OPERATION_LOST) {
        operation_free(operation);
        if (st == ST_OK)
            return reply_again(co, api, exchange, id);
        return st == ST_UNCLEAR ? refuse_unclear(exchange, id)
                                : api_fail(exchange, st, &exchange->err, false);
    }
    enum status answered = reply_started(exchange, operation);
    begin_running(api, operation, run);
    return answered;
}

static enum status
begin_under_key(struct co *co, struct api *api, struct http_exchange *exchange,
                struct operation_spec *spec, struct str text)
{
    struct idempotency key;
    bool replay = false, refused = false, stored = false;
    char id[ID_ULID_LEN + 1];

    enum status st =
        api_begin_key(co, api, exchange, text, &key, &replay, &refused);
    if (st != ST_OK || refused || replay)
        operations_spec_clear(spec);
    if (st != ST_OK || refused)
        return st;
    if (replay) {
        id_derive_at(key.entry.seed, key.entry.created_ms, id);
        return reply_again(co, api, exchange, id);
    }
    st = begin(co, api, exchange, spec, &key, &stored);
    if (stored)
        idempotency_finish(co, &key);
    else
        idempotency_fail(co, &key);
    return st;
}

enum status
operations_start(struct co *co, struct api *api, struct http_exchange *exchange,
                 struct operation_spec *spec)
{
    struct str key = STR_NULL;
    bool stored = false;

    enum status st = idempotency_key(&exchange->req, &key, &exchange->err);
    if (st == ST_OK)
        st = api_store(api, &exchange->err);
    if (st != ST_OK) {
        operations_spec_clear(spec);
        return api_fail(exchange, st, &exchange->err, false);
    }
    if (key.p)
        return begin_under_key(co, api, exchange, spec, key);
    return begin(co, api, exchange, spec, NULL, &stored);
}

enum status
operations_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    const char *id = pit_request_param(&exchange->req, "id");
    bool left;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return reply_one(co, arg, exchange, str_c(id), 200, &left);
}

enum status
operations_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct str known[] = {{"cursor", 6}, {"limit", 5}};
    struct api *api = arg;
    struct operation_page page = {.len = 0};
    int64_t limit = PAGE_STANDARD;

    enum status st =
        api_queries(&exchange->req, known, ARRAY_LEN(known), &exchange->err);
    if (st == ST_OK)
        st = api_limit(&exchange->req, OPERATION_LIST_MAX, &limit,
                       &exchange->err);
    struct str cursor = request_query(&exchange->req, STR("cursor"));
    if (st == ST_OK && cursor.n > 0 &&
        (cursor.n != ID_ULID_LEN || !id_local_valid(cursor)))
        st = error_set(&exchange->err, ST_INVALID,
                       "the cursor is none of ours: take next_cursor of the "
                       "page before, or begin without one");
    if (st == ST_OK)
        st = operation_list(co, api->queues, cursor, (size_t)limit, &page,
                            &exchange->err);
    if (st != ST_OK) {
        operation_page_clear(&page);
        return api_fail(exchange, st, &exchange->err, false);
    }
    json_t *shown = json_array();
    for (size_t i = 0; i < page.len; i++) {
        json_t *one = operation_shown(&page.items[i]);
        if (one)
            json_array_append_new(shown, one);
    }
    struct str last = page.more ? page.items[page.len - 1].id : STR_NULL;
    json_t *body =
        json_pack("{s:o, s:o}", "operations", shown, "next_cursor",
                  page.more ? json_stringn(last.p, last.n) : json_null());
    operation_page_clear(&page);
    return response_json_take(&exchange->res, 200, body);
}

enum status
operations_cancel(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct str id = str_c(pit_request_param(&exchange->req, "id"));
    bool asked = false, left = false;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = api_store(api, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = operation_stop(co, api->queues, id, &asked, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, true);
    if (!asked)
        return api_refuse_with(exchange, PROBLEM_INVALID_STATE,
                               "the operation has ended: what it did is done");
    st = reply_one(co, api, exchange, id, 202, &left);
    /* One that nobody runs ends when somebody does. */
    if (left && co_detach(api->loop, "operations", look, api, NULL) != ST_OK)
        log_debug("operations: too much goes on to look for left ones");
    return st;
}
