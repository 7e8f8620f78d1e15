/* Views: an endpoint each, in one array that the routes point into, and what an
 * exchange can do for them. */
#include "views.h"

#include <stdlib.h>

#include "app/http/site.h"
#include "base/list.h"
#include "base/log.h"
#include "endpoint.h"
#include "http/exchange_sse.h"

struct views {
    struct site *site;
    size_t len;
    struct endpoint endpoints[];
};

/* ---- what the exchange does ---- */

static enum status
read_body(struct co *co, struct pit_request *req, int64_t max)
{
    struct http_exchange *exchange = LIST_ENTRY(req, struct http_exchange, req);

    exchange_body_max(exchange, max);
    return exchange_read_all(co, exchange);
}

static enum status
write_bytes(struct co *co, struct pit_response *res, struct str bytes)
{
    return exchange_write(co, LIST_ENTRY(res, struct http_exchange, res),
                          bytes);
}

static enum status
send_event(struct co *co, struct pit_response *res,
           const struct pit_event *event)
{
    return exchange_sse_send(co, LIST_ENTRY(res, struct http_exchange, res),
                             &(struct exchange_sse_event){
                                 .id = str_c(event->id),
                                 .event = str_c(event->event),
                                 .data = str_c(event->data),
                                 .retry_ms = event->retry_ms,
                             });
}

static const struct site_host host = {read_body, write_bytes, send_event};

static void
introduce(struct http_exchange *exchange)
{
    exchange->req.err = &exchange->err;
    exchange->req.site_host = &host;
    exchange->res.site_host = &host;
}

static enum status
run_view(struct co *co, struct http_exchange *exchange, void *arg)
{
    introduce(exchange);
    return site_run(co, arg, &exchange->req, &exchange->res);
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

enum status
views_other(struct co *co, struct http_exchange *exchange,
            const struct views *views, enum route_result result, uint32_t allow)
{
    if (!views || is_reserved(str_c(exchange->req.path)))
        return site_refuse(result, allow, &exchange->req, &exchange->res);
    introduce(exchange);
    return site_other(co, views->site, result, allow, &exchange->req,
                      &exchange->res);
}

/* ---- routes ---- */

static enum status
refuse_reserved(const char *route, struct error *err)
{
    return error_set(err, ST_FORBIDDEN,
                     "the route %s is Pitmaster's own: choose another", route);
}

enum status
views_route(const struct app *app, const struct settings *settings,
            struct route_table *table, struct views **ret, struct error *err)
{
    const struct site_defaults defaults = {.timeout_ms = settings->view_timeout,
                                           .body_max = settings->max_body};
    struct views *views =
        xcalloc(1, sizeof *views + app->views_len * sizeof(struct endpoint));

    enum status st = site_new(app, &defaults, &views->site, err);
    for (size_t i = 0; i < app->statics_len && st == ST_OK; i++)
        if (is_reserved(str_c(app->statics[i].route)))
            st = refuse_reserved(app->statics[i].route, err);
    for (; views->len < app->views_len && st == ST_OK; views->len++) {
        struct site_view *view = &views->site->views[views->len];
        struct endpoint *endpoint = &views->endpoints[views->len];

        *endpoint = (struct endpoint){run_view, view};
        if (is_reserved(str_c(view->table->route)))
            st = refuse_reserved(view->table->route, err);
        else
            st = route_add(table, view->table->method, view->table->route,
                           endpoint, err);
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
    if (!views)
        return;
    site_free(views->site);
    free(views);
}
