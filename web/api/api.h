/* api.h - the /v1 resources and the probes: what they share, and their routes.
 *
 * A process has one struct api, on its loop. Each resource is a file of its
 * own beside this one; a handler gets the api as its argument. Whatever a
 * handler refuses is a problem document with type, title, status, detail and
 * instance (RFC 9457). */
#ifndef WEB_API_API_H
#define WEB_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "api/leases/pull.h"
#include "app/app.h"
#include "app/document/catalog.h"
#include "app/http/problem.h"
#include "app/http/route.h"
#include "async/redis/rds.h"
#include "base/error.h"
#include "base/list.h"
#include "endpoint.h"
#include "http/exchange.h"
#include "queue/changes.h"
#include "queue/queue.h"
#include "settings.h"

struct idempotency; /* idempotency.h */

enum {
    API_ENDPOINTS_MAX = 128,
    API_BATCHES_MAX = 64, /* under way in one process; above it 503 */
    API_BODIES_MAX = 256 * 1024 * 1024, /* bytes of those held as a whole */
};

struct api {
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
    const struct settings *settings;
    struct task_catalog catalog;
    struct health *health;
    struct pull *pull;
    struct durability *durability;
    struct changes *changes;
    bool draining;
    bool foreign;        /* Redis holds another schema: enqueue nothing */
    unsigned batches;    /* under way */
    unsigned operations; /* under way, OPERATIONS_MAX */
    char runner[ID_ULID_LEN + 1]; /* who runs them: this process */
    struct loop_timer operations_timer;
    int64_t bodies;      /* bytes that they may hold, API_BODIES_MAX */
    struct list waiters; /* struct api_waiter: who holds a connection open */
    struct endpoint endpoints[API_ENDPOINTS_MAX];
    struct endpoint inner[API_ENDPOINTS_MAX]; /* behind a look at the body */
    size_t endpoints_len;
};

/* Everything is borrowed; @app may be NULL. */
void api_init(struct api *api, struct loop *loop, struct rds *rds,
              struct queues *queues, const struct app *app,
              const struct settings *settings);
void api_clear(struct api *api);
/* Adds every resource's routes. Errors: ST_CONFLICT as route_add(). */
CHECK enum status api_route(struct api *api, struct route_table *table,
                            struct error *err);
/* The process is going to stop: /readyz says so, and whoever waits for a job's
 * end is answered now with what is known. */
void api_drain(struct api *api);

/* Answers with @problem; its instance is filled in. Returns ST_OK, so that a
 * handler ends in `return api_refuse(...)`. */
CHECK enum status api_refuse(struct http_exchange *exchange,
                             struct problem *problem);
/* The same for a status and its words. A read has no outcome that could be
 * unclear: with @wrote false ST_UNCLEAR is an unavailable store. */
CHECK enum status api_fail(struct http_exchange *exchange, enum status status,
                           const struct error *err, bool wrote);
/* The same without a write, with words of one's own. */
PRINTF(3, 4)
enum status api_refuse_with(struct http_exchange *exchange,
                            enum problem_kind kind, const char *fmt, ...);
/* api_refuse() with one member more, a text: which job it is, say. */
CHECK enum status api_refuse_naming(struct http_exchange *exchange,
                                    struct problem *problem, const char *member,
                                    const char *text);

/* ST_INVALID for a query parameter other than @known (p may be NULL: none at
 * all), or for that one twice: a typo must not vanish. */
CHECK enum status api_query(const struct pit_request *req, struct str known,
                            struct error *err);
/* The same for any of @n names. */
CHECK enum status api_queries(const struct pit_request *req,
                              const struct str *known, size_t n,
                              struct error *err);
/* The query's limit, from 1 to @max; *ret stays as it is without one. Errors:
 * ST_INVALID. */
CHECK enum status api_limit(const struct pit_request *req, int64_t max,
                            int64_t *ret, struct error *err);
/* ST_INVALID for a path's {queue} that can be no queue's name. */
CHECK enum status api_queue(struct str name, struct error *err);
/* ST_OK when Redis can be written to at this moment; else ST_UNAVAILABLE at
 * once, before a body is read for nothing. */
CHECK enum status api_store(const struct api *api, struct error *err);
/* Looks the Idempotency-Key up, or takes it; the body must have been read.
 * *ret_refused: the answer is made, since the key belongs to other content
 * (422), its first request is under way (409), or Redis is away. Else
 * *ret_replay says that it was done before; if it was not, the caller ends with
 * idempotency_finish() or idempotency_fail(). Suspends. */
CHECK enum status api_begin_key(struct co *co, struct api *api,
                                struct http_exchange *exchange, struct str key,
                                struct idempotency *ret, bool *ret_replay,
                                bool *ret_refused);

/* Whoever holds a connection open for something to happen: draining cancels it
 * with ST_TIMEOUT, and then it answers from what is known; nothing can be
 * awaited any more. In the handler's storage. */
struct api_waiter {
    struct list link;
    struct co *co;
};
/* Errors: ST_TIMEOUT the process drains already. api_unhold() in any case. */
CHECK enum status api_hold(struct co *co, struct api *api,
                           struct api_waiter *waiter, struct error *err);
void api_unhold(struct api_waiter *waiter);

/* Suspends until the job has ended (ST_OK), at most @wait_ms; ST_TIMEOUT when
 * the time is up or the process drains. After the latter nothing can be awaited
 * any more: answer from what is known. Errors: as queue_wait(). */
CHECK enum status api_wait(struct co *co, struct api *api, struct job_id id,
                           int64_t wait_ms, struct error *err);

/* pull_claim() for as long as the process does not drain: ST_TIMEOUT then, and
 * nothing is held. */
CHECK enum status api_claim(struct co *co, struct api *api,
                            const struct pull_wish *wish,
                            struct pull_batch **ret, struct error *err);

/* ---- the resources ---- */

http_handler jobs_enqueue_post;     /* POST /v1/jobs */
http_handler jobs_enqueue_put;      /* PUT /v1/jobs/{id} */
http_handler jobs_batch_post;       /* POST /v1/jobs:batch */
http_handler jobs_get_job;          /* GET /v1/jobs/{id} */
http_handler jobs_get_result;       /* GET /v1/jobs/{id}/result */
http_handler jobs_list;             /* GET /v1/jobs */
http_handler jobs_control_cancel;   /* POST /v1/jobs/{id}:cancel */
http_handler jobs_control_retry;    /* POST /v1/jobs/{id}:retry */
http_handler jobs_control_promote;  /* POST /v1/jobs/{id}:promote */
http_handler jobs_control_release;  /* POST /v1/jobs/{id}:release */
http_handler jobs_control_edit;     /* PATCH /v1/jobs/{id} */
http_handler jobs_control_delete;   /* DELETE /v1/jobs/{id} */
http_handler jobs_logs;             /* GET /v1/jobs/{id}/logs */
http_handler jobs_bulk_retry;       /* POST /v1/jobs:retry */
http_handler jobs_bulk_cancel;      /* POST /v1/jobs:cancel */
http_handler jobs_bulk_delete;      /* POST /v1/jobs:delete */
http_handler jobs_bulk_purge;       /* POST /v1/queues/{queue}:purge */
http_handler operations_list;       /* GET /v1/operations */
http_handler operations_show;       /* GET /v1/operations/{id} */
http_handler operations_cancel;     /* POST /v1/operations/{id}:cancel */
http_handler tasks_list;            /* GET /v1/tasks */
http_handler queues_list;           /* GET /v1/queues */
http_handler queues_show;           /* GET /v1/queues/{queue} */
http_handler queues_edit;           /* PATCH /v1/queues/{queue} */
http_handler queues_pause;          /* POST /v1/queues/{queue}:pause */
http_handler queues_resume;         /* POST /v1/queues/{queue}:resume */
http_handler sse_all;               /* GET /v1/events */
http_handler sse_job;               /* GET /v1/jobs/{id}/events */
http_handler leases_post;           /* POST /v1/leases */
http_handler leases_finish;         /* POST /v1/leases:finish */
http_handler leases_extend;         /* POST /v1/jobs/{id}:extend */
http_handler leases_ack;            /* POST /v1/jobs/{id}:ack */
http_handler leases_fail;           /* POST /v1/jobs/{id}:fail */
http_handler leases_progress;       /* POST /v1/jobs/{id}:progress */
http_handler leases_log;            /* POST /v1/jobs/{id}:log */
http_handler health_alive;          /* GET /healthz */
http_handler health_ready;          /* GET /readyz */
http_handler flows_post;            /* POST /v1/flows */
http_handler flows_list;            /* GET /v1/flows */
http_handler flows_show;            /* GET /v1/flows/{id} */
http_handler flows_cancel;          /* POST /v1/flows/{id}:cancel */
http_handler schedules_list_all;    /* GET /v1/schedules */
http_handler schedules_get_one;     /* GET /v1/schedules/{name} */
http_handler schedules_put_one;     /* PUT /v1/schedules/{name} */
http_handler schedules_edit;        /* PATCH /v1/schedules/{name} */
http_handler schedules_delete_one;  /* DELETE /v1/schedules/{name} */
http_handler schedules_pause;       /* POST /v1/schedules/{name}:pause */
http_handler schedules_resume;      /* POST /v1/schedules/{name}:resume */
http_handler schedules_trigger_one; /* POST /v1/schedules/{name}:trigger */
http_handler schedules_fires;       /* GET /v1/schedules/{name}/fires */
http_handler workers_list;          /* GET /v1/workers */
http_handler workers_show;          /* GET /v1/workers/{id} */
http_handler workers_quiet;         /* POST /v1/workers/{id}:quiet */
http_handler workers_resume;        /* POST /v1/workers/{id}:resume */
http_handler workers_stop;          /* POST /v1/workers/{id}:stop */
http_handler jobs_explain;          /* GET /v1/jobs/{id}/explain */
http_handler queues_scale;          /* GET /v1/queues/{queue}/scale */
http_handler metrics_get;           /* GET /metrics */

#endif
