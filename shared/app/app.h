/* app.h - an application's table, checked, with every default filled in.
 *
 * The struct behind `--app`: what pit-web routes by, what pit-worker runs, and
 * what `pit tasks` and GET /v1/tasks print. Built once, at start, and then only
 * read, so any thread may look at it. It borrows the table's strings and
 * functions: whoever loaded the table (app/loader.h) keeps it loaded as long.
 * A table that cannot be honoured is refused with one line that names the
 * entry; nothing of it is used then. */
#ifndef APP_APP_H
#define APP_APP_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "pit/app.h"
#include "queue/job/job.h"
#include "queue/schedule/schedule.h"

enum {
    APP_TASKS_MAX = 1000,
    APP_SCHEDULES_MAX = 1000,
    APP_VIEWS_MAX = 1000,
    APP_ROUTE_MAX = 256,     /* bytes */
    APP_MIDDLEWARE_MAX = 32, /* of the application, and of each view */
    APP_STATICS_MAX = 64,
    APP_MAX_AGE_MAX_S = 365 * 24 * 3600,
    APP_ABOUT_MAX = 200, /* bytes */
};

/* Tasks that Pitmaster has itself; no application's may begin so. */
#define APP_TASK_RESERVED "pit."

/* What a zero in struct pit_task stands for; the rest is in queue/job/job.h. */
#define APP_QUEUE "default"
enum { APP_BACKOFF_MS = 2 * 1000, APP_BACKOFF_CAP_MS = 60 * 60 * 1000 };
/* The most that a view's timeout and its body can be. */
#define APP_VIEW_TIMEOUT_MAX_MS INT64_C(3600000) /* an hour */
#define APP_BODY_MAX (INT64_C(1) << 30)          /* bytes */

struct app_task {
    const char *name;
    pit_task_fn *run;         /* NULL: */
    pit_async_task_fn *async; /* it is an async task */
    const char *queue;
    int64_t timeout_ms;     /* of one attempt, > 0 */
    int32_t retries;        /* 0 .. JOB_RETRIES_MAX */
    int64_t backoff_ms;     /* > 0 */
    int64_t backoff_cap_ms; /* >= backoff_ms */
    unsigned retry_given;   /* of enum job_retry: what the table itself says */
    int64_t keep_ms;        /* > 0 */
    int32_t priority;       /* 0..9, 9 first */
    const char *about;      /* "" when the table has none */
};

struct app {
    const char *name;
    const struct pit_view *views; /* the application's own table */
    size_t views_len;
    const struct pit_middleware *middleware; /* its own table; NULL: none */
    const struct pit_static *statics;
    size_t statics_len;
    struct app_task *tasks; /* owned; ordered by name */
    size_t tasks_len;
    struct schedule *schedules; /* owned; each borrows from table and tasks */
    size_t schedules_len;
};

/* Checks @table and fills *ret. Errors, each naming the entry: ST_INVALID for
 * another ABI, a bad name, route or range, a missing function; ST_CONFLICT for
 * a task or a route that stands twice; ST_TOO_LARGE for too many. *ret is
 * untouched on failure. */
CHECK enum status app_init(struct app *ret, const struct pit_app *table,
                           struct error *err);
/* Frees what it owns, leaves it empty. NULL is fine. */
void app_clear(struct app *app);

/* By binary search; NULL when there is no such task. */
const struct app_task *app_task_find(const struct app *app, struct str name);

#endif
