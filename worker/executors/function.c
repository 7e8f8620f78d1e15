/* Function: a task that is a C function, called on the child's own stack. */
#include "executors/executor.h"

static bool
handles(const struct app_task *task)
{
    return task->run != NULL;
}

static enum status
run(const struct app_task *task, struct pit_job *job)
{
    return job_context_run(job, task->run);
}

const struct executor function_executor = {
    .name = "function",
    .handles = handles,
    .run = run,
};
