/* task_entry.h - a task as the registry in Redis knows it (queue/registry.h).
 *
 * Every program with an application publishes its tasks there, so that others
 * can enqueue them with the right queue and policy without loading the object.
 * One JSON object a task: queue, timeout_ms, retries, backoff_ms,
 * backoff_cap_ms, keep_ms, priority, about; given: which of retries, backoff_ms
 * and backoff_cap_ms the table sets, which a queue then cannot. Pure functions
 * but for task_entry_publish(). */
#ifndef APP_TASK_ENTRY_H
#define APP_TASK_ENTRY_H

#include "app/app.h"
#include "base/buf.h"
#include "queue/registry.h"

/* What was read. task.queue and task.about point into the struct: do not copy
 * it. task.run is NULL, task.name is the caller's to set. */
struct task_entry {
    struct app_task task;
    char queue[ID_QUEUE_MAX + 1];
    char about[APP_ABOUT_MAX + 1];
};

void task_entry_write(const struct app_task *task, struct buf *dst);
/* A member that is absent gets its standard value; members that are not known
 * are passed over, so that a newer program can add some. Errors: ST_INVALID for
 * what is no entry, or out of range. */
CHECK enum status task_entry_read(struct str json, struct task_entry *ret,
                                  struct error *err);
/* Puts all of @app's tasks into the registry. May suspend. */
CHECK enum status task_entry_publish(struct co *co, struct queues *queues,
                                     const struct app *app, struct error *err);

/* A spec with the task's queue and policy: job_spec_init() and then these. What
 * the task does not say is left to the queue (retry_open). The spec borrows the
 * task's strings. */
void task_entry_spec(const struct app_task *task, struct job_spec *ret);

#endif
