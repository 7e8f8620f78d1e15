/* Api: the table of routes, refusals, and the wait for a job's end.
 *
 * A waiter is on the list only while it is suspended in queue_wait(); draining
 * cancels exactly those with ST_TIMEOUT, so that they answer 202 at once rather
 * than hold the process open or lose their answer at the end of the grace.
 *
 * The table says what a resource takes as its body, so that another type is 415
 * and a body where there is nothing to say is refused, whatever the handler
 * does. A safe method's body is dropped by the front. */
#include "api/api.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/body.h"
#include "api/health.h"
#include "api/idempotency.h"
#include "api/jobs/payload.h"
#include "api/openapi.h"
#include "api/queues/operations.h"

enum takes {
    TAKES_NOTHING, /* a body is empty, or {} */
    TAKES_JSON,
    TAKES_MORE, /* the handler looks at the type */
};

static const struct {
    enum pit_method method;
    const char *pattern;
    http_handler *handle;
    enum takes takes;
} routes[] = {
    {PIT_POST, "/v1/jobs", jobs_enqueue_post, TAKES_MORE},
    {PIT_POST, "/v1/jobs:batch", jobs_batch_post, TAKES_MORE},
    {PIT_PUT, "/v1/jobs/{id}", jobs_enqueue_put, TAKES_MORE},
    {PIT_GET, "/v1/jobs/{id}", jobs_get_job},
    {PIT_GET, "/v1/jobs/{id}/result", jobs_get_result},
    {PIT_GET, "/v1/jobs", jobs_list},
    {PIT_POST, "/v1/jobs/{id}:cancel", jobs_control_cancel, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:retry", jobs_control_retry},
    {PIT_POST, "/v1/jobs/{id}:promote", jobs_control_promote},
    {PIT_POST, "/v1/jobs/{id}:release", jobs_control_release},
    {PIT_PATCH, "/v1/jobs/{id}", jobs_control_edit, TAKES_JSON},
    {PIT_DELETE, "/v1/jobs/{id}", jobs_control_delete},
    {PIT_GET, "/v1/jobs/{id}/logs", jobs_logs},
    {PIT_GET, "/v1/jobs/{id}/explain", jobs_explain},
    {PIT_GET, "/v1/queues/{queue}/scale", queues_scale},
    {PIT_GET, "/metrics", metrics_get},
    {PIT_POST, "/v1/jobs:retry", jobs_bulk_retry, TAKES_JSON},
    {PIT_POST, "/v1/jobs:cancel", jobs_bulk_cancel, TAKES_JSON},
    {PIT_POST, "/v1/jobs:delete", jobs_bulk_delete, TAKES_JSON},
    {PIT_GET, "/v1/operations", operations_list},
    {PIT_GET, "/v1/operations/{id}", operations_show},
    {PIT_POST, "/v1/operations/{id}:cancel", operations_cancel},
    {PIT_POST, "/v1/queues/{queue}:purge", jobs_bulk_purge, TAKES_JSON},
    {PIT_GET, "/v1/tasks", tasks_list},
    {PIT_GET, "/v1/queues", queues_list},
    {PIT_GET, "/v1/queues/{queue}", queues_show},
    {PIT_PATCH, "/v1/queues/{queue}", queues_edit, TAKES_JSON},
    {PIT_POST, "/v1/queues/{queue}:pause", queues_pause, TAKES_JSON},
    {PIT_POST, "/v1/queues/{queue}:resume", queues_resume, TAKES_JSON},
    {PIT_GET, "/v1/events", sse_all},
    {PIT_GET, "/v1/jobs/{id}/events", sse_job},
    {PIT_POST, "/v1/leases", leases_post, TAKES_JSON},
    {PIT_POST, "/v1/leases:finish", leases_finish, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:extend", leases_extend, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:ack", leases_ack, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:fail", leases_fail, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:progress", leases_progress, TAKES_JSON},
    {PIT_POST, "/v1/jobs/{id}:log", leases_log, TAKES_JSON},
    {PIT_POST, "/v1/flows", flows_post, TAKES_JSON},
    {PIT_GET, "/v1/flows", flows_list},
    {PIT_GET, "/v1/flows/{id}", flows_show},
    {PIT_POST, "/v1/flows/{id}:cancel", flows_cancel},
    {PIT_GET, "/v1/schedules", schedules_list_all},
    {PIT_GET, "/v1/schedules/{name}", schedules_get_one},
    {PIT_PUT, "/v1/schedules/{name}", schedules_put_one, TAKES_JSON},
    {PIT_PATCH, "/v1/schedules/{name}", schedules_edit, TAKES_JSON},
    {PIT_DELETE, "/v1/schedules/{name}", schedules_delete_one},
    {PIT_POST, "/v1/schedules/{name}:pause", schedules_pause, TAKES_JSON},
    {PIT_POST, "/v1/schedules/{name}:resume", schedules_resume},
    {PIT_POST, "/v1/schedules/{name}:trigger", schedules_trigger_one},
    {PIT_GET, "/v1/schedules/{name}/fires", schedules_fires},
    {PIT_GET, "/v1/workers", workers_list},
    {PIT_GET, "/v1/workers/{id}", workers_show},
    {PIT_POST, "/v1/workers/{id}:quiet", workers_quiet},
    {PIT_POST, "/v1/workers/{id}:resume", workers_resume},
    {PIT_POST, "/v1/workers/{id}:stop", workers_stop},
    {PIT_GET, "/openapi.json", openapi_get},
    {PIT_GET, "/healthz", health_alive},
    {PIT_GET, "/readyz", health_ready},
};
_Static_assert(ARRAY_LEN(routes) <= API_ENDPOINTS_MAX, "room for each route");

static enum status
take_json(struct co *co, struct http_exchange *exchange, void *arg)
{
    const struct endpoint *inner = arg;
    enum { SHOWN_MAX = 80 };

    if (exchange_body_len(exchange) != 0 && !payload_is_json(&exchange->req)) {
        struct str type = request_field(&exchange->req, STR("Content-Type"));
        return api_refuse_with(exchange, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                               "the Content-Type is %.*s: send JSON in UTF-8 "
                               "as application/json (curl --json does)",
                               type.n < SHOWN_MAX ? (int)type.n : SHOWN_MAX,
                               type.p);
    }
    return inner->handle(co, exchange, inner->arg);
}

static enum status
take_nothing(struct co *co, struct http_exchange *exchange, void *arg)
{
    const struct endpoint *inner = arg;
    enum status st = ST_OK;

    if (exchange_body_len(exchange) != 0) {
        struct body body;
        st = body_read(co, exchange, NULL, 0, &body, &exchange->err);
        body_clear(&body);
    }
    return st == ST_OK ? inner->handle(co, exchange, inner->arg)
                       : api_fail(exchange, st, &exchange->err, false);
}

static struct endpoint
guarded(struct api *api, size_t route)
{
    enum pit_method method = routes[route].method;
    struct endpoint *inner = &api->inner[route];

    *inner = (struct endpoint){routes[route].handle, api};
    if (routes[route].takes == TAKES_JSON)
        return (struct endpoint){take_json, inner};
    if (routes[route].takes == TAKES_NOTHING && method != PIT_GET)
        return (struct endpoint){take_nothing, inner};
    return *inner;
}

void
api_init(struct api *api, struct loop *loop, struct rds *rds,
         struct queues *queues, const struct app *app,
         const struct settings *settings)
{
    *api = (struct api){
        .loop = loop,
        .rds = rds,
        .queues = queues,
        .settings = settings,
        .health = health_new(),
        .pull = pull_new(loop, queues, settings->redis),
        .durability = durability_new(loop, queues, settings->redis),
        .changes = changes_new(loop, queues, settings->redis),
    };
    list_init(&api->waiters);
    task_catalog_init(&api->catalog, queues, app);
    operations_watch(api);
}

void
api_clear(struct api *api)
{
    assert(list_empty(&api->waiters));
    operations_unwatch(api);
    task_catalog_clear(&api->catalog);
    health_free(api->health);
    pull_free(api->pull);
    durability_free(api->durability);
    changes_free(api->changes);
    api->health = NULL;
}

enum status
api_route(struct api *api, struct route_table *table, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        struct endpoint *endpoint = &api->endpoints[i];
        *endpoint = guarded(api, i);
        enum status st = route_add(table, routes[i].method, routes[i].pattern,
                                   endpoint, err);
        if (st != ST_OK)
            return st;
    }
    api->endpoints_len = ARRAY_LEN(routes);
    return ST_OK;
}

void
api_drain(struct api *api)
{
    api->draining = true;
    operations_unwatch(api);
    LIST_FOREACH_SAFE (link, following, &api->waiters) {
        struct api_waiter *waiter = LIST_ENTRY(link, struct api_waiter, link);
        co_cancel(waiter->co, ST_TIMEOUT);
    }
}

/* ---- refusals ---- */

enum status
api_refuse(struct http_exchange *exchange, struct problem *problem)
{
    problem->instance = exchange->req.raw_path.p; /* a URI, as it came */
    return problem_reply(&exchange->res, problem);
}

enum status
api_fail(struct http_exchange *exchange, enum status status,
         const struct error *err, bool wrote)
{
    /* The client is gone, or the front has something to say itself. */
    if (status == ST_CANCELLED)
        return status;
    struct problem problem = problem_from_error(status, err);
    if (status == ST_UNCLEAR && !wrote)
        problem.kind = PROBLEM_STORE_UNAVAILABLE;
    return api_refuse(exchange, &problem);
}

enum status
api_refuse_with(struct http_exchange *exchange, enum problem_kind kind,
                const char *fmt, ...)
{
    struct error words;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words.msg, sizeof words.msg, fmt, ap);
    va_end(ap);
    struct problem problem = {.kind = kind, .detail = words.msg};
    return api_refuse(exchange, &problem);
}

enum status
api_refuse_naming(struct http_exchange *exchange, struct problem *problem,
                  const char *member, const char *text)
{
    json_t *extra = json_pack("{s:s}", member, text);

    problem->extra = extra;
    enum status st = api_refuse(exchange, problem);
    problem->extra = NULL;
    json_decref(extra);
    return st;
}

static bool
is_known(struct str name, const struct str *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, known[i]))
            return true;
    return false;
}

enum status
api_queries(const struct pit_request *req, const struct str *known, size_t n,
            struct error *err)
{
    enum { SHOWN_MAX = 40 };

    for (size_t i = 0; i < req->query_len; i++) {
        struct str name = req->query[i].name;
        int shown = name.n < SHOWN_MAX ? (int)name.n : SHOWN_MAX;
        if (!is_known(name, known, n))
            return error_set(err, ST_INVALID,
                             "there is no query parameter \"%.*s\" here: mind "
                             "the spelling, docs/http-api.md lists them",
                             shown, name.p);
        for (size_t j = 0; j < i; j++)
            if (str_eq(req->query[j].name, name))
                return error_set(err, ST_INVALID,
                                 "the query parameter \"%.*s\" stands twice",
                                 shown, name.p);
    }
    return ST_OK;
}

enum status
api_query(const struct pit_request *req, struct str known, struct error *err)
{
    return api_queries(req, &known, known.p ? 1 : 0, err);
}

enum status
api_limit(const struct pit_request *req, int64_t max, int64_t *ret,
          struct error *err)
{
    struct str text = request_query(req, STR("limit"));
    int64_t limit = 0;

    if (!text.p)
        return ST_OK;
    if (!str_to_i64(text, &limit) || limit < 1 || limit > max)
        return error_set(err, ST_INVALID,
                         "limit must be a whole number from 1 to %lld",
                         (long long)max);
    *ret = limit;
    return ST_OK;
}

enum status
api_queue(struct str name, struct error *err)
{
    if (id_queue_valid(name))
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "a queue's name is 1 to %d characters A-Z a-z 0-9 _ . : -",
                     ID_QUEUE_MAX);
}

enum status
api_store(const struct api *api, struct error *err)
{
    if (!rds_up(api->rds))
        return error_set(err, ST_UNAVAILABLE, "Redis is away: %s",
                         rds_last_error(api->rds));
    if (api->foreign)
        return error_set(err, ST_UNAVAILABLE,
                         "Redis holds jobs of another version: see /readyz");
    return ST_OK;
}

/* ---- an Idempotency-Key ---- */

static enum status
refuse_key(struct http_exchange *exchange, bool reused)
{
    if (reused)
        return api_refuse_with(exchange, PROBLEM_IDEMPOTENCY_KEY_REUSE,
                               "this Idempotency-Key came with another request "
                               "before: use a new key for new content");
    return api_refuse_with(exchange, PROBLEM_IDEMPOTENCY_IN_PROGRESS,
                           "the first request with this Idempotency-Key is "
                           "under way: try again in a moment");
}

enum status
api_begin_key(struct co *co, struct api *api, struct http_exchange *exchange,
              struct str key, struct idempotency *ret, bool *ret_replay,
              bool *ret_refused)
{
    enum idempotency_verdict verdict = IDEMPOTENCY_BUSY;

    enum status st = idempotency_begin(co, api->queues, key, &exchange->req,
                                       ret, &verdict, &exchange->err);
    *ret_replay = verdict == IDEMPOTENCY_REPLAY;
    *ret_refused = st != ST_OK || verdict == IDEMPOTENCY_REUSED ||
                   verdict == IDEMPOTENCY_BUSY;
    if (st != ST_OK) /* nothing was done yet, whatever Redis has of the key */
        return api_fail(exchange, st, &exchange->err, false);
    return *ret_refused ? refuse_key(exchange, verdict == IDEMPOTENCY_REUSED)
                        : ST_OK;
}

/* ---- waiting ---- */

enum status
api_hold(struct co *co, struct api *api, struct api_waiter *waiter,
         struct error *err)
{
    *waiter = (struct api_waiter){.co = co};
    list_init(&waiter->link);
    if (api->draining)
        return error_set(err, ST_TIMEOUT, "the server is shutting down");
    list_append(&api->waiters, &waiter->link);
    return ST_OK;
}

void
api_unhold(struct api_waiter *waiter)
{
    list_remove(&waiter->link);
}

enum status
api_wait(struct co *co, struct api *api, struct job_id id, int64_t wait_ms,
         struct error *err)
{
    struct api_waiter waiter;

    enum status st = api_hold(co, api, &waiter, err);
    if (st == ST_OK)
        st = queue_wait(co, api->queues, id, wait_ms, err);
    api_unhold(&waiter);
    return st;
}

enum status
api_claim(struct co *co, struct api *api, const struct pull_wish *wish,
          struct pull_batch **ret, struct error *err)
{
    struct api_waiter waiter;

    enum status st = api_hold(co, api, &waiter, err);
    if (st == ST_OK)
        st = pull_claim(co, api->pull, wish, ret, err);
    api_unhold(&waiter);
    return st;
}
