/* registry.h - what lives around the queues: their names, the tasks that are
 * known and the workers that are alive.
 *
 * `<prefix>:queues` SET of the queues that have had a job or a setting;
 * `<prefix>:tasks` HASH name -> JSON, written at start by every program that
 * loaded an application; `<prefix>:workers` HASH instance -> JSON with
 * "seen_ms", written by each worker's heartbeat. A worker unseen for
 * REGISTRY_WORKER_DEAD_MS is not alive; whoever lists them removes what is
 * unseen for an hour. */
#ifndef QUEUE_REGISTRY_H
#define QUEUE_REGISTRY_H

#include "queue/queue.h"

#define REGISTRY_HEARTBEAT_MS INT64_C(20000)
#define REGISTRY_WORKER_DEAD_MS INT64_C(60000)
enum { REGISTRY_TASKS_MAX = 10000, REGISTRY_JSON_MAX = 8192 };

/* Adds the name of a queue. Only asks when it is known, so that a server that
 * is full refuses nothing then. *ret_known (may be NULL): was it there before?
 * Errors: Redis' status. */
CHECK enum status registry_put_queue(struct co *co, struct queues *queues,
                                     struct str queue, bool *ret_known,
                                     struct error *err);
/* Adds or replaces one task. @json: {"queue","timeout_ms","retries",...}. */
CHECK enum status registry_put_task(struct co *co, struct queues *queues,
                                    struct str name, struct str json,
                                    struct error *err);
/* Errors: ST_UNKNOWN_TASK. On ST_OK the JSON is call->reply->str, until
 * rds_call_clear(call). */
CHECK enum status registry_get_task(struct co *co, struct queues *queues,
                                    struct str name, struct rds_call *call,
                                    struct error *err);
/* call->reply: name, JSON, name, JSON, ..., by name. */
CHECK enum status registry_tasks(struct co *co, struct queues *queues,
                                 struct rds_call *call, struct error *err);
/* One command. @json must hold "seen_ms": <wall clock ms>. */
void registry_heartbeat(struct queues *queues, struct rds_call *call,
                        const char *worker, struct str json,
                        void (*on_settled)(struct op *), void *arg);
/* A worker that stops for good says so. */
void registry_leave(struct queues *queues, struct rds_call *call,
                    const char *worker, void (*on_settled)(struct op *),
                    void *arg);
/* call->reply: instance, JSON, ... dead ones included: compare seen_ms. */
CHECK enum status registry_workers(struct co *co, struct queues *queues,
                                   struct rds_call *call, struct error *err);

#endif
