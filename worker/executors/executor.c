/* Executors: the table; the first that handles a task runs it. */
#include "executors/executor.h"

#include <stddef.h>

static const struct executor *const executors[] = {
    &function_executor,
    &coroutine_executor,
    &callback_executor,
};

static const struct app_task builtins[] = {
    {.name = "pit.callback",
     .queue = APP_QUEUE,
     .timeout_ms = 30 * 1000,
     .retries = 10,
     .backoff_ms = 5 * 1000,
     .backoff_cap_ms = APP_BACKOFF_CAP_MS,
     .retry_given = JOB_RETRY_ALL,
     .keep_ms = JOB_KEEP_STANDARD_MS,
     .priority = JOB_PRIORITY_STANDARD,
     .about = "sends a signed webhook about another job's end"},
};

const struct executor *
executor_for(const struct app_task *task)
{
    for (size_t i = 0; i < ARRAY_LEN(executors); i++)
        if (executors[i]->handles(task))
            return executors[i];
    return NULL;
}

const struct app_task *
executor_builtin(struct str name)
{
    if (!str_starts(name, STR(APP_TASK_RESERVED)))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
        if (str_eq_c(name, builtins[i].name))
            return &builtins[i];
    return NULL;
}

const struct app_task *
executor_task(const struct app *app, struct str name)
{
    const struct app_task *task = executor_builtin(name);

    return task ? task : app_task_find(app, name);
}
