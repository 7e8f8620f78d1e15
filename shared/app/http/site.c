/* Site: the layers around a view, as nested calls on the coroutine's stack.
 *
 * A middleware gets a struct pit_next that says where the walk goes on; its
 * pit_next() descends from there. So the layers are as deep as the tables are
 * long, which app.c bounds, and without middleware there is none.
 *
 * FAILURES. A status that comes up to a middleware has been made an answer by
 * then (problem+json), so that it can be looked at and added to; res->failure
 * remembers which status that answer stands for. When the same status leaves
 * the outermost layer the answer is complete; another one was made on the way
 * and is made an answer by the front. */
#include "app/http/site.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/http/problem.h"
#include "app/http/static_files.h"
#include "app/public/co_public.h"
#include "async/threads.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/traceparent.h"

struct pit_next {
    const struct site *site;
    const struct site_view *view; /* NULL: none took the path */
    enum route_result result;     /* then why, and which methods it has */
    uint32_t allow;
    const struct pit_middleware *at; /* the next to look at; NULL: none */
    bool own;                        /* @at is in the view's own table */
    bool used;
};

/* ---- what is inside of all middleware ---- */

static enum status set_words(struct pit_request *req, enum status status,
                             const char *fmt, ...) PRINTF(3, 4);

static enum status
set_words(struct pit_request *req, enum status status, const char *fmt, ...)
{
    char words[ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return error_set(req->err, status, "%s", words);
}

/* What depends on the client's line does not count: the deadline is put off by
 * as long as it takes, unless the application has set an earlier one. The
 * loop's time will do, since only what suspends takes any. */
static int64_t
stop_the_clock(struct co *co, const struct pit_request *req)
{
    (void)co_deadline_move(co, req->deadline_us, 0);
    return loop_now_ms(co_loop(co));
}

static void
start_the_clock(struct co *co, struct pit_request *req, int64_t stopped_ms)
{
    int64_t passed_ms = loop_now_ms(co_loop(co)) - stopped_ms;
    int64_t at_us = req->deadline_us + passed_ms * 1000;

    if (req->deadline_us != 0 && co_deadline_move(co, 0, at_us))
        req->deadline_us = at_us;
}

enum pit_status
pit_request_read(struct pit_co *public, struct pit_request *req)
{
    struct co *co = co_public_core(public);

    if (req->body || req->body_max == 0 || !req->site_host)
        return PIT_OK;
    int64_t stopped_ms = stop_the_clock(co, req);
    enum status st = req->site_host->read_body(co, req, req->body_max);
    start_the_clock(co, req, stopped_ms);
    return (enum pit_status)st;
}

struct sync_call {
    pit_sync_view_fn *fn;
    struct pit_request *req;
    struct pit_response *res;
    bool ran;
};

static enum status
run_sync(void *arg)
{
    struct sync_call *call = arg;

    call->ran = true;
    return (enum status)call->fn(call->req, call->res);
}

/* The arguments are lent, so a cancellation waits for the function's end. A
 * sync middleware is not among the views: slow ones would hold up whatever
 * passes it. */
static enum status
on_thread(struct co *co, enum threads_pool pool, pit_sync_view_fn *fn,
          struct pit_request *req, struct pit_response *res)
{
    struct sync_call call = {.fn = fn, .req = req, .res = res};
    const char *name = pool == THREADS_VIEWS ? "sync view" : "sync middleware";

    enum status st = co_thread_of(co, pool, name, run_sync, &call, NULL);
    if (st == ST_LIMIT && !call.ran)
        return set_words(req, st,
                         "all threads for a %s are busy, and as many requests "
                         "as may wait for one do: try again later",
                         name);
    return st;
}

static enum status
run_view(struct co *co, const struct site_view *view, struct pit_request *req,
         struct pit_response *res)
{
    const struct pit_view *table = view->table;
    enum status st = (enum status)pit_request_read(co_public_of(co), req);

    if (st != ST_OK)
        return st;
    if (table->view)
        st = (enum status)table->view(co_public_of(co), req, res);
    else
        st = on_thread(co, THREADS_VIEWS, table->blocking, req, res);
    if ((unsigned)st > ST_QUEUE_FULL)
        return set_words(req, ST_BUG,
                         "the view of %s returned %d, which is no status",
                         table->route, (int)st);
    return st;
}

static enum status
innermost(struct co *co, const struct pit_next *step, struct pit_request *req,
          struct pit_response *res)
{
    bool served = false;

    if (step->view)
        return run_view(co, step->view, req, res);
    if (step->result == ROUTE_NOT_FOUND) {
        int64_t stopped_ms = stop_the_clock(co, req);
        enum status st =
            static_files_serve(co, step->site->folders,
                               step->site->app->statics_len, req, res, &served);
        start_the_clock(co, req, stopped_ms);
        if (served)
            return st;
    }
    return site_refuse(step->result, step->allow, req, res);
}

/* ---- the layers ---- */

/* Makes the answer of a status that came up, keeping the fields that were set
 * outside of where it failed. */
static void
answer_failure(struct pit_request *req, struct pit_response *res,
               enum status status, size_t fields_len)
{
    struct problem problem = problem_from_error(status, req->err);

    if (res->sealed || status == ST_CANCELLED || res->failure == status)
        return;
    problem.instance = req->raw_path.p;
    response_truncate(res, fields_len);
    if (problem_reply(res, &problem) == ST_OK)
        res->failure = status;
}

static enum status descend(struct co *co, struct pit_next step,
                           struct pit_request *req, struct pit_response *res);

/* A sync middleware: before and after are two calls on a thread. */
static enum status
run_around(struct co *co, const struct pit_middleware *m,
           const struct pit_next *step, struct pit_request *req,
           struct pit_response *res)
{
    size_t fields_len = res->fields_len;
    enum status st = ST_OK;

    if (m->before)
        st = on_thread(co, THREADS_AWAITS, m->before, req, res);
    if (st == ST_OK && res->status == 0) {
        fields_len = res->fields_len;
        st = descend(co, *step, req, res);
    }
    if (!m->after)
        return st;
    if (st != ST_OK)
        answer_failure(req, res, st, fields_len);
    enum status after = on_thread(co, THREADS_AWAITS, m->after, req, res);
    return after != ST_OK ? after : st;
}

/* True for an entry of a table, false for its end. */
static bool
is_layered(const struct pit_middleware *m)
{
    return m && (m->run || m->before || m->after);
}

static bool
applies(const struct pit_middleware *m, const struct pit_request *req)
{
    return !m->only || str_starts(str_c(req->path), str_c(m->only));
}

static enum status
descend(struct co *co, struct pit_next step, struct pit_request *req,
        struct pit_response *res)
{
    for (;;) {
        const struct pit_middleware *m = step.at;
        if (is_layered(m)) {
            step.at++;
            if (!applies(m, req))
                continue;
            return m->run
                       ? (enum status)m->run(co_public_of(co), req, res, &step)
                       : run_around(co, m, &step, req, res);
        }
        if (step.own || !step.view || !step.view->table->middleware)
            return innermost(co, &step, req, res);
        step.own = true;
        step.at = step.view->table->middleware;
    }
}

enum pit_status
pit_next(struct pit_co *co, struct pit_next *next, struct pit_request *req,
         struct pit_response *res)
{
    size_t fields_len = res->fields_len;

    if (next->used)
        return (enum pit_status)set_words(
            req, ST_BUG, "a middleware called pit_next() a second time");
    next->used = true;
    struct pit_next step = *next;
    step.used = false;
    enum status st = descend(co_public_core(co), step, req, res);
    if (st != ST_OK)
        answer_failure(req, res, st, fields_len);
    return (enum pit_status)st;
}

static enum status
enter(struct co *co, struct pit_next step, struct pit_request *req,
      struct pit_response *res)
{
    enum status st = descend(co, step, req, res);

    if ((unsigned)st > ST_QUEUE_FULL)
        st = set_words(req, ST_BUG,
                       "a middleware returned %d, which is no status", (int)st);
    return st != ST_OK && st == res->failure ? ST_OK : st;
}

/* What the request came with goes along to all that it causes. */
static void
begin(struct co *co, struct pit_request *req, struct pit_response *res,
      int64_t timeout_ms)
{
    res->instance = req->raw_path.p;
    if (req->traceparent.n > 0)
        co_trace_set(co, traceparent_parse(req->traceparent));
    co_request_lend(co, req->id, req->id_sent);
    co_deadline_of_run_ms(co, timeout_ms);
    req->deadline_us = co_deadline_at_us(co);
}

enum status
site_run(struct co *co, const struct site_view *view, struct pit_request *req,
         struct pit_response *res)
{
    begin(co, req, res, view->timeout_ms);
    co_name_set(co, view->label);
    req->body_max = view->body_max;
    if (view->bare)
        return run_view(co, view, req, res);
    return enter(co,
                 (struct pit_next){.site = view->site,
                                   .view = view,
                                   .at = view->site->app->middleware},
                 req, res);
}

enum status
site_other(struct co *co, const struct site *site, enum route_result result,
           uint32_t allow, struct pit_request *req, struct pit_response *res)
{
    begin(co, req, res, site->timeout_ms);
    return enter(co,
                 (struct pit_next){.site = site,
                                   .result = result,
                                   .allow = allow,
                                   .at = site->app->middleware},
                 req, res);
}

/* ---- paths that nobody took ---- */

static enum status
reply_refusal(struct pit_request *req, struct pit_response *res,
              enum problem_kind kind, const char *detail)
{
    const struct problem problem = {
        .kind = kind, .detail = detail, .instance = req->raw_path.p};

    return problem_reply(res, &problem);
}

enum status
site_refuse(enum route_result result, uint32_t allow, struct pit_request *req,
            struct pit_response *res)
{
    char methods[ROUTE_ALLOW_SIZE], words[ERROR_MSG_SIZE];
    enum status st = ST_OK;

    switch (result) {
    case ROUTE_OPTIONS:
        st = response_empty(res, 204);
        break;
    case ROUTE_METHOD_NOT_ALLOWED:
        route_allow(allow, methods);
        snprintf(words, sizeof words, "this path takes %s", methods);
        st = reply_refusal(req, res, PROBLEM_METHOD_NOT_ALLOWED, words);
        break;
    case ROUTE_BAD:
        snprintf(words, sizeof words,
                 "the path holds a broken escape, or more than %d segments",
                 ROUTE_SEGMENTS_MAX);
        return reply_refusal(req, res, PROBLEM_INVALID_REQUEST, words);
    case ROUTE_FOUND:
    case ROUTE_NOT_FOUND:
        return reply_refusal(req, res, PROBLEM_NOT_FOUND,
                             "there is nothing at this path");
    }
    if (st != ST_OK)
        return st;
    route_allow(allow, methods);
    return response_set(res, STR("Allow"), str_c(methods));
}

/* ---- building ---- */

static char *
label_of(const struct pit_view *view)
{
    char label[sizeof "OPTIONS " + APP_ROUTE_MAX];

    snprintf(label, sizeof label, "%s %s", request_method_name(view->method),
             view->route);
    return xstrdup(label);
}

enum status
site_new(const struct app *app, const struct site_defaults *defaults,
         struct site **ret, struct error *err)
{
    struct site *site = xcalloc(1, sizeof *site);

    site->app = app;
    site->timeout_ms = defaults->timeout_ms;
    site->views = xcalloc(app->views_len + 1, sizeof *site->views);
    for (; site->views_len < app->views_len; site->views_len++) {
        const struct pit_view *from = &app->views[site->views_len];
        site->views[site->views_len] = (struct site_view){
            .site = site,
            .table = from,
            .label = label_of(from),
            .bare =
                !is_layered(app->middleware) && !is_layered(from->middleware),
            .timeout_ms =
                from->timeout_ms ? from->timeout_ms : defaults->timeout_ms,
            .body_max = from->body_max ? from->body_max : defaults->body_max,
        };
    }
    enum status st =
        static_files_open(app->statics, app->statics_len, &site->folders, err);
    if (st != ST_OK) {
        site_free(site);
        return st;
    }
    *ret = site;
    return ST_OK;
}

void
site_free(struct site *site)
{
    if (!site)
        return;
    for (size_t i = 0; i < site->views_len; i++)
        free(site->views[i].label);
    free(site->views);
    static_files_close(site->folders, site->app->statics_len);
    free(site);
}
