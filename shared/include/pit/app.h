/* pit/app.h - what an application is: one table of views, middleware, static
 * folders, tasks and schedules.
 *
 * An application is a shared object that exports `const struct pit_app
 * pit_app`. pit-web loads it for its views, pit-worker for its tasks, both with
 * --app. The table is checked at start: a duplicate name, a bad route or a
 * value out of range ends the program with one line that says which. */
#ifndef PIT_APP_H
#define PIT_APP_H

#include <stdint.h>

#include "pit/co.h"
#include "pit/http.h"
#include "pit/job.h"
#include "pit/status.h"

/* Raised with every change that an old shared object could not be run with. */
#define PIT_ABI 3

/* An async view: must not block (use await or a task for what does). */
typedef enum pit_status pit_view_fn(struct pit_co *co, struct pit_request *req,
                                    struct pit_response *res);
/* A sync view: runs on a thread of the process, so it may block while others
 * are answered. A hang-up or the timeout does not interrupt it; its end is then
 * waited for, and its answer dropped. A process has few threads for them
 * (--sync-threads). */
typedef enum pit_status pit_sync_view_fn(struct pit_request *req,
                                         struct pit_response *res);
/* An async middleware: calls pit_next() to have the request answered by what is
 * inside of it, or answers it itself and does not. What it returns counts as a
 * view's status would. Must not block. */
typedef enum pit_status pit_middleware_fn(struct pit_co *co,
                                          struct pit_request *req,
                                          struct pit_response *res,
                                          struct pit_next *next);
/* A C task: may block; runs in a child process. */
typedef enum pit_status pit_task_fn(struct pit_job *job);
/* An async task: runs beside hundreds of others in one process, so it must not
 * block; it waits with the same awaits as a view, and shares functions with
 * one. */
typedef enum pit_status pit_async_task_fn(struct pit_co *co,
                                          struct pit_job *job);

/* What every request passes on its way to a view and back: the first in the
 * table is the outermost. It also sees the answers that no view gives: static
 * files, 404, 405, OPTIONS; not what is Pitmaster's own (/v1, /ui, ...).
 * Exactly one of the two kinds; the entry {0} ends the table. */
struct pit_middleware {
    pit_middleware_fn *run;
    /* A sync middleware, on a thread: `before` what is inside of it; when it
     * sets a status (pit_reply_...) that is the answer already, and when it
     * returns anything but PIT_OK that is. `after` sees the answer and may add
     * to its head. Either may be NULL. */
    pit_sync_view_fn *before;
    pit_sync_view_fn *after;
    const char *only; /* "/orders/": only paths that begin with it */
};

struct pit_view {
    enum pit_method method; /* 0 ends the table */
    const char *route;      /* "/orders/{id:int}"; a final slash counts. Types:
                               {name} one segment, {name:int} 1..18 digits,
                               {name:uuid}, {name:slug} 1 to 64 of A-Z a-z 0-9
                               - _ . without a dot in front, {name:path} all the
                               rest */
    pit_view_fn *view;      /* or */
    pit_sync_view_fn *blocking;
    int64_t timeout_ms; /* for the view and its middleware, without the time
                           that the body takes; 0: --view-timeout */
    int64_t body_max;   /* bytes, 0: the program's --max-body */
    const struct pit_middleware *middleware; /* of this view alone, inside of
                                                the application's; NULL: none */
};

/* A folder whose files are served as they are, by GET and HEAD: with ETag,
 * ranges, and NAME.br or NAME.gz in its stead where the client takes it. Never
 * a path that leads out of the folder, nor a name that begins with a dot. */
struct pit_static {
    const char *route;  /* "/assets/": begins and ends with a slash; NULL ends
                           the table */
    const char *folder; /* must be there at start */
    const char *index;  /* "index.html", for a path that ends with a slash;
                           NULL: none */
    int64_t max_age_s;  /* how long clients may keep it unasked; 0: they ask */
};

struct pit_task {
    const char *name;   /* [A-Za-z0-9_.:-]{1,64}, not "pit."; NULL ends it */
    pit_task_fn *run;   /* either this or `async` */
    const char *queue;  /* default "default"; the same characters */
    int64_t timeout_ms; /* of one attempt; 0: 60 s */
    int32_t retries;    /* 0: 3; PIT_NO_RETRY: none; at most 1000 */
    int64_t backoff_ms; /* of the first retry, doubled each time; 0: 2 s */
    int64_t backoff_cap_ms; /* 0: 1 h */
    int64_t keep_ms;        /* how long an ended job can be looked up; 0: 1 h */
    int32_t priority;       /* PIT_PRIORITY(0..9), 9 first; 0: 5 */
    const char *about;      /* one line for `pit tasks` and GET /v1/tasks */
    pit_async_task_fn *async; /* instead of `run` */
};

enum { PIT_NO_RETRY = -1 };
#define PIT_PRIORITY(p) ((p) + 1)

/* Times that passed while no worker was there. */
enum pit_misfire {
    PIT_MISFIRE_SKIP, /* the last one, if it is a minute late at most */
    PIT_MISFIRE_ONCE, /* the last one, however late */
    PIT_MISFIRE_ALL,  /* each, the last hundred of them */
};

/* A time that comes while the job of the one before has not ended. */
enum pit_overlap {
    PIT_OVERLAP_ALLOW,  /* they run side by side */
    PIT_OVERLAP_SKIP,   /* this time is left out */
    PIT_OVERLAP_BUFFER, /* it waits for the end; while one waits, more are left
                           out */
};

/* A job that is enqueued again and again, each time once however many workers
 * there are. A worker that starts makes Redis' schedules agree with its table:
 * what the table changed is changed, what it has no more is removed, and fields
 * that were changed by hand (API, `pit schedules`) stay as they are. */
struct pit_schedule {
    const char *name;     /* [A-Za-z0-9_.:-]{1,64}; NULL ends the table */
    const char *cron;     /* "0 3 * * *", "@daily"; or every_ms */
    const char *timezone; /* IANA name, for cron; NULL: UTC */
    const char *task;     /* of this table */
    int64_t every_ms;     /* 1 s to 366 days */
    const char *args;     /* JSON, at most 64 KiB; NULL: null */
    const char *queue;    /* NULL: the task's */
    enum pit_misfire misfire;
    enum pit_overlap overlap;
    int64_t jitter_ms; /* each time is late by 0 to that; at most a day */
    const char *note;  /* one line for people; may be NULL */
};

struct pit_app {
    uint32_t abi;  /* PIT_ABI, first: an old object is refused, not run */
    uint32_t size; /* of the table as the application was built */
    const char *name;
    const struct pit_view *views;            /* may be NULL */
    const struct pit_task *tasks;            /* may be NULL */
    const struct pit_middleware *middleware; /* may be NULL */
    const struct pit_static *statics;        /* may be NULL */
    const struct pit_schedule *schedules;    /* may be NULL */
};

#define PIT_APP(app_name) \
    .abi = PIT_ABI, .size = (uint32_t)sizeof(struct pit_app), .name = (app_name)

/* The object's one export: PIT_EXPORT const struct pit_app pit_app = {...}; */
#define PIT_EXPORT __attribute__((visibility("default")))

#endif
