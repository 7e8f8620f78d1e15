/* Views: an endpoint each, in one array that the routes point into. */
#include "views.h"

#include <stdlib.h>

#include "api/payload.h"
#include "base/log.h"
#include "endpoint.h"

struct view {
    struct endpoint endpoint; /* first: the route's target */
    const struct pit_view *table;
    int64_t timeout_ms;
    int64_t body_max;
};

struct views {
    size_t len;
    struct view view[];
};

static enum status
run_view(struct co *co, struct http_exchange *exchange, void *arg)
{
    const struct view *view = arg;

    exchange_body_max(exchange, view->body_max);
    enum status st = exchange_read_all(co, exchange);
    if (st != ST_OK)
        return st;
    co_trace_set(co, payload_traceparent(&exchange->req));
    co_deadline_ms(co, view->timeout_ms);
    /* The public names are the same objects under opaque types. */
    st = (enum status)view->table->view((struct pit_co *)co, &exchange->req,
                                        &exchange->res);
    if ((unsigned)st > ST_BUG)
        return error_set(&exchange->err, ST_BUG,
                         "the view of %s returned %d, which is no status",
                         view->table->route, (int)st);
    return st;
}

/* True for a path that is, or lies below, one of the prefixes that are ours. A
 * parameter as the first segment would catch those paths only where we have no
 * route of our own, so it may stand. */
static bool
is_reserved(struct str route)
{
    static const char *const ours[] = {"/v1",     "/ui",      "/healthz",
                                       "/readyz", "/metrics", "/openapi.json"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        struct str own = str_c(ours[i]);
        if (str_starts(route, own) &&
            (route.n == own.n || route.p[own.n] == '/'))
            return true;
    }
    return false;
}

static size_t
count_views(const struct app *app)
{
    size_t n = 0;

    while (app->views && n < APP_VIEWS_MAX && app->views[n].method)
        n++;
    return n;
}

enum status
views_route(const struct app *app, const struct settings *settings,
            struct route_table *table, struct views **ret, struct error *err)
{
    size_t n = count_views(app);
    struct views *views = xcalloc(1, sizeof *views + n * sizeof(struct view));
    enum status st = ST_OK;

    for (; views->len < n && st == ST_OK; views->len++) {
        const struct pit_view *from = &app->views[views->len];
        struct view *view = &views->view[views->len];

        *view = (struct view){
            .endpoint = {run_view, view},
            .table = from,
            .timeout_ms =
                from->timeout_ms ? from->timeout_ms : settings->view_timeout,
            .body_max = from->body_max ? from->body_max : settings->max_body,
        };
        if (is_reserved(str_c(from->route)))
            st = error_set(err, ST_FORBIDDEN,
                           "the route %s is Pitmaster's own: choose another",
                           from->route);
        else
            st = route_add(table, from->method, from->route, &view->endpoint,
                           err);
    }
    if (st != ST_OK) {
        views_free(views);
        return st;
    }
    *ret = views;
    return ST_OK;
}

void
views_free(struct views *views)
{
    free(views);
}
