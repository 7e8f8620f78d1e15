/* views.h - the application's views, as endpoints of the route table.
 *
 * A view runs in the coroutine of its exchange: the body is read first, up to
 * the view's own limit, then its deadline starts. What it returns becomes the
 * answer by the table of pit/status.h. Built once per process after the
 * application was loaded. */
#ifndef WEB_VIEWS_H
#define WEB_VIEWS_H

#include "app/app.h"
#include "base/error.h"
#include "route.h"
#include "settings.h"

struct views;

/* Adds a route for each view of @app, which must stay loaded; both @app and
 * @settings are borrowed. *ret is to be freed after the table.
 * Errors: ST_CONFLICT when a view's route is taken, ST_FORBIDDEN when it lies
 * in what is ours (/v1, /ui, /healthz, /readyz, /metrics, /openapi.json),
 * ST_INVALID for a pattern that is none; each names it. */
CHECK enum status views_route(const struct app *app,
                              const struct settings *settings,
                              struct route_table *table, struct views **ret,
                              struct error *err);
/* NULL is fine. */
void views_free(struct views *views);

#endif
