/* Coroutine: an async task of an application, called in a coroutine. */
#include "executors/executor.h"

static bool
handles(const struct app_task *task)
{
    return task->async != NULL;
}

static enum status
run_async(struct co *co, const struct executor_context *context,
          const struct app_task *task, struct pit_job *job)
{
    (void)context;
    return job_context_run_async(co, job, task->async);
}

const struct executor coroutine_executor = {
    .name = "coroutine",
    .handles = handles,
    .run_async = run_async,
};
