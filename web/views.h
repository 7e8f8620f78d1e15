/* views.h - the application's views, as endpoints of the route table.
 *
 * A view runs in the coroutine of its exchange, inside of its deadline and its
 * middleware (app/http/site.h); the body is read before, up to the view's own
 * limit. What it returns becomes the answer by the table of pit/status.h. Built
 * once per process after the application was loaded. */
#ifndef WEB_VIEWS_H
#define WEB_VIEWS_H

#include "app/app.h"
#include "app/http/route.h"
#include "base/error.h"
#include "http/exchange.h"
#include "settings.h"

struct views;

/* Adds a route for each view of @app, which must stay loaded; both @app and
 * @settings are borrowed. *ret is to be freed after the table.
 * Errors: ST_CONFLICT when a view's route is taken, ST_FORBIDDEN when it lies
 * in what is ours (/v1, /ui, /healthz, /readyz, /metrics, /openapi.json),
 * ST_INVALID for a pattern that is none, ST_NOT_FOUND for a static folder that
 * is not there; each names it. */
CHECK enum status views_route(const struct app *app,
                              const struct settings *settings,
                              struct route_table *table, struct views **ret,
                              struct error *err);
/* Answers a path that no route took: by @views' static files and middleware,
 * or plainly where the path is ours, or @views NULL. */
CHECK enum status views_other(struct co *co, struct http_exchange *exchange,
                              const struct views *views,
                              enum route_result result, uint32_t allow);
/* NULL is fine. */
void views_free(struct views *views);

#endif
