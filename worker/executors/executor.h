/* executor.h - the ways in which a task can be run.
 *
 * Each way is one struct executor in a file of its own; executor.c has the
 * table. An executor runs one attempt in a slot child and returns how it ended,
 * with result and error in the job context. */
#ifndef WORKER_EXECUTORS_EXECUTOR_H
#define WORKER_EXECUTORS_EXECUTOR_H

#include <stdbool.h>

#include "app/app.h"
#include "app/job_context.h"

struct executor {
    const char *name;
    bool (*handles)(const struct app_task *task);
    /* May block, and may end the process: the attempt counts as a crash then.
     * Status: as job_context_run(). */
    enum status (*run)(const struct app_task *task, struct pit_job *job);
};

/* The C function of an application. */
extern const struct executor function_executor;

/* NULL when no executor can run it. */
const struct executor *executor_for(const struct app_task *task);

#endif
