/* site.h - what an application answers over HTTP: its views, with the
 * middleware around them, and its static folders.
 *
 * Built once per process after the application was loaded; then only read.
 * Whoever routes (pit-web, the test client) calls site_run() for a path that
 * belongs to a view, and site_other() for one that belongs to none. Neither
 * knows a socket: what must reach the client before the answer is complete goes
 * through struct site_host.
 *
 * The layers, from the outside: the deadline, the application's middleware, the
 * view's own, the body, the view. The deadline is about the application's work:
 * while a body is read or a static file is sent its time stands still. Loop
 * thread only. */
#ifndef APP_SITE_H
#define APP_SITE_H

#include <stdint.h>

#include "app/app.h"
#include "app/http/request.h"
#include "app/http/response.h"
#include "app/http/route.h"
#include "async/co/co.h"
#include "base/error.h"

struct site;
struct static_folder;

/* What the surroundings of a request can do. All may suspend and return ST_OK
 * or the status to give up with. req->site_host; NULL: there is nobody. */
struct site_host {
    /* The whole body into req->body, at most @max bytes. */
    enum status (*read_body)(struct co *co, struct pit_request *req,
                             int64_t max);
    /* As exchange_write() and exchange_sse_send() of pit-web. */
    enum status (*write)(struct co *co, struct pit_response *res,
                         struct str bytes);
    enum status (*send_event)(struct co *co, struct pit_response *res,
                              const struct pit_event *event);
};

struct site_view {
    const struct site *site;
    const struct pit_view *table;
    char *label; /* "GET /orders/{id:int}", for the watchdog and dumps */
    int64_t timeout_ms;
    int64_t body_max;
    bool bare; /* no middleware is around it */
};

struct site {
    const struct app *app; /* borrowed */
    struct site_view *views;
    size_t views_len;
    int64_t timeout_ms;            /* for what no view answers */
    struct static_folder *folders; /* app->statics_len of them */
};

/* What a zero in the table stands for. */
struct site_defaults {
    int64_t timeout_ms;
    int64_t body_max;
};

/* *ret is to be freed. Errors: ST_NOT_FOUND for a static folder that is not
 * there, with its name. */
CHECK enum status site_new(const struct app *app,
                           const struct site_defaults *defaults,
                           struct site **ret, struct error *err);
/* NULL is fine. */
void site_free(struct site *site);

/* Answers by a view. ST_OK: @res is the answer (or it was streamed); every
 * other status is to become a problem document, with the words in *req->err. */
CHECK enum status site_run(struct co *co, const struct site_view *view,
                           struct pit_request *req, struct pit_response *res);
/* Answers a path that no view took: a static file, or 404, 405, OPTIONS, 400,
 * as @result and @allow (route.h) say; through the application's middleware. */
CHECK enum status site_other(struct co *co, const struct site *site,
                             enum route_result result, uint32_t allow,
                             struct pit_request *req, struct pit_response *res);
/* The same without an application. Never suspends. */
CHECK enum status site_refuse(enum route_result result, uint32_t allow,
                              struct pit_request *req,
                              struct pit_response *res);

#endif
