/* executor.h - the ways in which a task can be run.
 *
 * Each way is one struct executor in a file of its own; executor.c has the
 * table. An executor runs one attempt, in a slot child or in the async child,
 * and returns how it ended, with result and error in the job context. */
#ifndef WORKER_EXECUTORS_EXECUTOR_H
#define WORKER_EXECUTORS_EXECUTOR_H

#include <stdbool.h>

#include "app/app.h"
#include "app/task/job_context.h"
#include "async/co/co.h"

struct webhook;

/* What an executor may need of its process; borrowed. */
struct executor_context {
    const struct webhook *webhook; /* the async child has one */
};

struct executor {
    const char *name;
    bool (*handles)(const struct app_task *task);
    /* One of the two. The first is called in a slot child: it may block, and
     * may end the process, which counts as a crash of the attempt. The second
     * is called in a coroutine of the async child: it may suspend and must not
     * block. Status: as job_context_run(). */
    enum status (*run)(const struct app_task *task, struct pit_job *job);
    enum status (*run_async)(struct co *co,
                             const struct executor_context *context,
                             const struct app_task *task, struct pit_job *job);
};

/* The C function of an application. */
extern const struct executor function_executor;
/* The async function of an application. */
extern const struct executor coroutine_executor;
/* Pitmaster's own pit.callback: a signed webhook. */
extern const struct executor callback_executor;

/* NULL when no executor can run it. */
const struct executor *executor_for(const struct app_task *task);
/* A task that is Pitmaster's own, with its policy; NULL: there is none of that
 * name. All of them are async. */
const struct app_task *executor_builtin(struct str name);
/* The same, or the application's. */
const struct app_task *executor_task(const struct app *app, struct str name);

#endif
