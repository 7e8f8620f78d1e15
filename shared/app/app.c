/* An application's table: checking and defaults.
 *
 * Checks stop at the first thing that is wrong and name the entry, since the
 * reader is a developer with the table open. Two values out of a table are
 * never trusted before abi and size were compared: an object built against
 * other headers would be read at the wrong offsets. Tasks are copied with their
 * defaults and sorted, so that a look-up is a binary search and a duplicate
 * stands next to its twin. */
#include "app/app.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "app/app_schedules.h"
#include "app/http/request.h"
#include "app/http/route.h"
#include "base/log.h"

/* The table ended here when PIT_ABI became 3; later members may be missing. */
#define APP_TABLE_MIN                      \
    (offsetof(struct pit_app, schedules) + \
     sizeof(((struct pit_app *)0)->schedules))

static enum status
check_name(const char *name, const char *what, const char *owner,
           struct error *err)
{
    /* The same rule for all three: names become parts of Redis keys. */
    if (name && id_task_valid(str_c(name)))
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "%s: the %s \"%.80s\" must be 1 to %d characters out of "
                     "A-Z a-z 0-9 _ . : -",
                     owner, what, name ? name : "", ID_TASK_MAX);
}

static enum status
check_about(const struct pit_task *task, struct error *err)
{
    const char *about = task->about ? task->about : "";

    if (strnlen(about, APP_ABOUT_MAX + 1) > APP_ABOUT_MAX)
        return error_set(err, ST_INVALID,
                         "task %s: about is longer than %d bytes", task->name,
                         APP_ABOUT_MAX);
    for (const char *c = about; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return error_set(err, ST_INVALID,
                             "task %s: about must be one line of text",
                             task->name);
    return ST_OK;
}

/* 0 is the default everywhere, so the range starts at 1. */
static enum status
resolve_ms(const char *task, const char *what, int64_t ms, int64_t standard_ms,
           int64_t max_ms, int64_t *ret, struct error *err)
{
    if (ms < 0 || ms > max_ms)
        return error_set(err, ST_INVALID,
                         "task %s: %s = %" PRId64 " is not within 0..%" PRId64,
                         task, what, ms, max_ms);
    *ret = ms ? ms : standard_ms;
    return ST_OK;
}

static enum status
resolve_backoff(const struct pit_task *from, struct app_task *to,
                struct error *err)
{
    enum status st =
        resolve_ms(from->name, "backoff_ms", from->backoff_ms, APP_BACKOFF_MS,
                   JOB_DELAY_MAX_MS, &to->backoff_ms, err);
    if (st != ST_OK)
        return st;

    if (from->backoff_ms)
        to->retry_given |= JOB_RETRY_BASE;
    if (from->backoff_cap_ms)
        to->retry_given |= JOB_RETRY_CAP;
    /* A first delay above the usual cap raises a cap that nobody set. */
    int64_t cap = to->backoff_ms > APP_BACKOFF_CAP_MS ? to->backoff_ms
                                                      : APP_BACKOFF_CAP_MS;
    st = resolve_ms(from->name, "backoff_cap_ms", from->backoff_cap_ms, cap,
                    JOB_DELAY_MAX_MS, &to->backoff_cap_ms, err);
    if (st == ST_OK && to->backoff_cap_ms < to->backoff_ms)
        st = error_set(err, ST_INVALID,
                       "task %s: backoff_cap_ms is below backoff_ms",
                       from->name);
    return st;
}

static enum status
resolve_retries(const struct pit_task *from, struct app_task *to,
                struct error *err)
{
    if (from->retries < PIT_NO_RETRY || from->retries > JOB_RETRIES_MAX)
        return error_set(err, ST_INVALID,
                         "task %s: retries = %" PRId32 " is neither "
                         "PIT_NO_RETRY nor within 0..%d",
                         from->name, from->retries, JOB_RETRIES_MAX);
    if (from->retries)
        to->retry_given |= JOB_RETRY_MAX;
    if (from->retries == PIT_NO_RETRY)
        to->retries = 0;
    else
        to->retries = from->retries ? from->retries : JOB_RETRIES_STANDARD;
    return ST_OK;
}

static enum status
resolve_priority(const struct pit_task *from, struct app_task *to,
                 struct error *err)
{
    if (from->priority < 0 || from->priority > PIT_PRIORITY(9))
        return error_set(err, ST_INVALID,
                         "task %s: the priority must be PIT_PRIORITY(0) to "
                         "PIT_PRIORITY(9)",
                         from->name);
    to->priority = from->priority ? from->priority - 1 : JOB_PRIORITY_STANDARD;
    return ST_OK;
}

static enum status
resolve_task(const struct pit_task *from, const char *app, struct app_task *to,
             struct error *err)
{
    enum status st = check_name(from->name, "task name", app, err);

    if (st != ST_OK)
        return st;
    if (str_starts(str_c(from->name), STR(APP_TASK_RESERVED)))
        return error_set(err, ST_INVALID,
                         "task %s: names that begin with " APP_TASK_RESERVED
                         " are Pitmaster's own; choose another",
                         from->name);
    if (!from->run == !from->async)
        return error_set(err, ST_INVALID, "task %s: has %s", from->name,
                         from->run ? "two functions; .run is for one that "
                                     "may block, .async for a coroutine"
                                   : "no function: set .run or .async");
    to->name = from->name;
    to->run = from->run;
    to->async = from->async;
    to->queue = from->queue ? from->queue : APP_QUEUE;
    to->about = from->about ? from->about : "";

    st = check_name(to->queue, "queue of this task", from->name, err);
    if (st == ST_OK)
        st = check_about(from, err);
    if (st == ST_OK)
        st = resolve_ms(from->name, "timeout_ms", from->timeout_ms,
                        JOB_TIMEOUT_STANDARD_MS, JOB_TIMEOUT_MAX_MS,
                        &to->timeout_ms, err);
    if (st == ST_OK)
        st = resolve_ms(from->name, "keep_ms", from->keep_ms,
                        JOB_KEEP_STANDARD_MS, JOB_KEEP_MAX_MS, &to->keep_ms,
                        err);
    if (st == ST_OK)
        st = resolve_backoff(from, to, err);
    if (st == ST_OK)
        st = resolve_retries(from, to, err);
    if (st == ST_OK)
        st = resolve_priority(from, to, err);
    return st;
}

static int
compare_tasks(const void *a, const void *b)
{
    return strcmp(((const struct app_task *)a)->name,
                  ((const struct app_task *)b)->name);
}

static enum status
resolve_tasks(const struct pit_app *table, struct app *app, struct error *err)
{
    size_t n = 0;
    enum status st = ST_OK;

    while (table->tasks && n <= APP_TASKS_MAX && table->tasks[n].name)
        n++;
    if (n > APP_TASKS_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "%s: more than %d tasks, or {0} is missing at the "
                         "end of the table",
                         table->name, APP_TASKS_MAX);

    app->tasks = xcalloc(n + 1, sizeof *app->tasks);
    app->tasks_len = n;
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = resolve_task(&table->tasks[i], table->name, &app->tasks[i], err);
    if (st != ST_OK)
        return st;

    qsort(app->tasks, n, sizeof *app->tasks, compare_tasks);
    for (size_t i = 1; i < n; i++)
        if (compare_tasks(&app->tasks[i - 1], &app->tasks[i]) == 0)
            return error_set(err, ST_CONFLICT,
                             "%s: the task %s stands twice in the table",
                             table->name, app->tasks[i].name);
    return ST_OK;
}

/* A parameter's name, as in C; ASCII whatever the locale. */
static bool
identifier_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (digit && i > 0)))
            return false;
    }
    return s.n > 0;
}

/* The shape alone, so that a slip is found by every program that loads the
 * application; what fits what is the router's business (app/http/route.h). */
static bool
segment_valid(struct str segment, bool last, int *params)
{
    if (segment.n == 0 || segment.p[0] != '{') {
        for (size_t i = 0; i < segment.n; i++) {
            unsigned char c = (unsigned char)segment.p[i];
            if (c <= 0x20 || c == 0x7f || memchr("{}?#%\\", c, 6))
                return false;
        }
        return true;
    }

    struct str verb;
    struct str inner = str_cut(str_skip(segment, 1), '}', &verb);
    struct str type;
    struct str name = str_cut(inner, ':', &type);

    ++*params;
    if (!verb.p || !identifier_valid(name))
        return false;
    bool path = type.p && str_eq_c(type, "path");
    if (type.p && !route_type_known(type))
        return false;
    if (path && (!last || verb.n > 0))
        return false;
    return verb.n == 0 ||
           (verb.p[0] == ':' && identifier_valid(str_skip(verb, 1)));
}

static bool
route_valid(const char *route)
{
    size_t n = strnlen(route, APP_ROUTE_MAX + 1);
    int params = 0;

    if (n == 0 || n > APP_ROUTE_MAX || route[0] != '/')
        return false;
    struct str rest = str_from(route + 1, n - 1);
    while (rest.p) {
        struct str segment = str_cut(rest, '/', &rest);
        /* Only the last one may be empty: a final slash. */
        if ((segment.n == 0 && rest.p) ||
            !segment_valid(segment, !rest.p, &params))
            return false;
    }
    return params <= REQUEST_PARAMS_MAX;
}

static bool
is_middleware(const struct pit_middleware *m)
{
    return m->run || m->before || m->after || m->only;
}

/* @route: whose table it is, "" for the application's. */
static enum status
check_middleware(const struct pit_middleware *table, const char *app,
                 const char *route, struct error *err)
{
    const char *of = *route ? " of view " : "";
    size_t n = 0;

    for (; table && n <= APP_MIDDLEWARE_MAX && is_middleware(&table[n]); n++) {
        const struct pit_middleware *m = &table[n];
        if (!m->run == !(m->before || m->after))
            return error_set(err, ST_INVALID,
                             "%s: middleware %zu%s%s: set either .run, or "
                             ".before and .after",
                             app, n + 1, of, route);
        if (m->only && m->only[0] != '/')
            return error_set(err, ST_INVALID,
                             "%s: middleware %zu%s%s: .only is \"%.80s\", it "
                             "must begin with '/'",
                             app, n + 1, of, route, m->only);
    }
    if (n > APP_MIDDLEWARE_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "%s: more than %d middleware%s%s, or {0} is missing "
                         "at the end of the table",
                         app, APP_MIDDLEWARE_MAX, of, route);
    return ST_OK;
}

static enum status
check_static(const struct pit_static *s, const char *app, struct error *err)
{
    const char *route = s->route;
    int params = 0;

    if (!route_valid(route) || route[strlen(route) - 1] != '/' ||
        strchr(route, '{'))
        return error_set(err, ST_INVALID,
                         "%s: the static route \"%.80s\" must look like "
                         "/assets/",
                         app, route);
    if (!s->folder || !*s->folder)
        return error_set(err, ST_INVALID, "%s: static %s: has no folder", app,
                         route);
    if (s->index && (!segment_valid(str_c(s->index), true, &params) ||
                     params > 0 || strchr(s->index, '/') || !*s->index))
        return error_set(err, ST_INVALID,
                         "%s: static %s: .index must be a file's name", app,
                         route);
    if (s->max_age_s < 0 || s->max_age_s > APP_MAX_AGE_MAX_S)
        return error_set(err, ST_INVALID,
                         "%s: static %s: max_age_s is not within 0..%d", app,
                         route, APP_MAX_AGE_MAX_S);
    return ST_OK;
}

static enum status
check_statics(const struct pit_app *table, size_t *ret_len, struct error *err)
{
    size_t n = 0;

    while (table->statics && n <= APP_STATICS_MAX && table->statics[n].route)
        n++;
    if (n > APP_STATICS_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "%s: more than %d static folders, or {0} is missing "
                         "at the end of the table",
                         table->name, APP_STATICS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct pit_static *s = &table->statics[i];
        enum status st = check_static(s, table->name, err);
        if (st != ST_OK)
            return st;
        for (size_t j = 0; j < i; j++)
            if (strcmp(s->route, table->statics[j].route) == 0)
                return error_set(err, ST_CONFLICT,
                                 "%s: the static route %s stands twice",
                                 table->name, s->route);
    }
    *ret_len = n;
    return ST_OK;
}

static enum status
check_view(const struct pit_view *view, const char *app, struct error *err)
{
    const char *route = view->route ? view->route : "";

    if (view->method < PIT_GET || view->method > PIT_OPTIONS)
        return error_set(err, ST_INVALID, "%s: view \"%.80s\": bad method %d",
                         app, route, (int)view->method);
    if (!route_valid(route))
        return error_set(err, ST_INVALID,
                         "%s: the route \"%.80s\" must look like "
                         "/orders/{id:int}, with at most %d parameters; the "
                         "types are int, uuid, slug and path, which comes last",
                         app, route, REQUEST_PARAMS_MAX);
    if (!view->view == !view->blocking)
        return error_set(err, ST_INVALID,
                         view->view ? "%s: view %s: has both .view and "
                                      ".blocking: keep one of them"
                                    : "%s: view %s: has no function",
                         app, route);
    if (view->timeout_ms < 0 || view->timeout_ms > APP_VIEW_TIMEOUT_MAX_MS)
        return error_set(err, ST_INVALID,
                         "%s: view %s: timeout_ms is not within 0..%" PRId64,
                         app, route, APP_VIEW_TIMEOUT_MAX_MS);
    if (view->body_max < 0 || view->body_max > APP_BODY_MAX)
        return error_set(err, ST_INVALID,
                         "%s: view %s: body_max is not within 0..%" PRId64, app,
                         route, APP_BODY_MAX);
    return check_middleware(view->middleware, app, route, err);
}

static enum status
check_views(const struct pit_app *table, size_t *ret_len, struct error *err)
{
    size_t n = 0;

    while (table->views && n <= APP_VIEWS_MAX && table->views[n].method)
        n++;
    if (n > APP_VIEWS_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "%s: more than %d views, or {0} is missing at the "
                         "end of the table",
                         table->name, APP_VIEWS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct pit_view *view = &table->views[i];
        enum status st = check_view(view, table->name, err);
        if (st != ST_OK)
            return st;
        for (size_t j = 0; j < i; j++)
            if (view->method == table->views[j].method &&
                strcmp(view->route, table->views[j].route) == 0)
                return error_set(err, ST_CONFLICT,
                                 "%s: the route %s stands twice with the same "
                                 "method",
                                 table->name, view->route);
    }
    *ret_len = n;
    return ST_OK;
}

static enum status
check_build(const struct pit_app *table, struct error *err)
{
    if (table->abi != PIT_ABI)
        return error_set(err, ST_INVALID,
                         "built for ABI %" PRIu32 ", this program has ABI %d: "
                         "compile the application again",
                         table->abi, PIT_ABI);
    if (table->size < APP_TABLE_MIN)
        return error_set(err, ST_INVALID,
                         "its pit_app has %" PRIu32 " bytes, expected %zu: "
                         "start it with PIT_APP(\"name\")",
                         table->size, sizeof(struct pit_app));
    if (table->size > sizeof(struct pit_app))
        return error_set(err, ST_INVALID,
                         "built for a newer Pitmaster than this program: "
                         "update it, or compile the application again");
    return check_name(table->name, "name of the application", "pit_app", err);
}

enum status
app_init(struct app *ret, const struct pit_app *table, struct error *err)
{
    struct pit_app copy = {0};
    struct app app = {0};
    enum status st;

    assert(ret && table);
    st = check_build(table, err);
    if (st != ST_OK)
        goto out;
    /* What an older table does not have yet is read as zero. */
    memcpy(&copy, table, table->size);

    app.name = copy.name;
    app.views = copy.views;
    app.middleware = copy.middleware;
    app.statics = copy.statics;
    st = check_views(&copy, &app.views_len, err);
    if (st == ST_OK && app.middleware)
        st = check_middleware(app.middleware, app.name, "", err);
    if (st == ST_OK)
        st = check_statics(&copy, &app.statics_len, err);
    if (st != ST_OK)
        goto out;
    st = resolve_tasks(&copy, &app, err);
    if (st == ST_OK)
        st = app_schedules_resolve(&copy, &app, err);
    if (st != ST_OK)
        goto out;
    *ret = app;
    app.tasks = NULL;
    app.schedules = NULL;
out:
    app_clear(&app);
    return st;
}

void
app_clear(struct app *app)
{
    if (!app)
        return;
    free(app->tasks);
    free(app->schedules);
    *app = (struct app){0};
}

static int
compare_name(const void *key, const void *element)
{
    const struct str *name = key;
    const char *other = ((const struct app_task *)element)->name;
    int order = strncmp(name->p, other, name->n);

    /* Equal so far: the shorter one comes first, as strcmp() has it. */
    return order == 0 && other[name->n] != '\0' ? -1 : order;
}

const struct app_task *
app_task_find(const struct app *app, struct str name)
{
    if (app->tasks_len == 0 || name.n == 0 || name.n > ID_TASK_MAX ||
        memchr(name.p, '\0', name.n))
        return NULL;
    return bsearch(&name, app->tasks, app->tasks_len, sizeof *app->tasks,
                   compare_name);
}
