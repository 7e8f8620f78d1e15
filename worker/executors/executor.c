/* Executors: the table; the first that handles a task runs it. */
#include "executors/executor.h"

#include <stddef.h>

static const struct executor *const executors[] = {
    &function_executor,
};

const struct executor *
executor_for(const struct app_task *task)
{
    for (size_t i = 0; i < ARRAY_LEN(executors); i++)
        if (executors[i]->handles(task))
            return executors[i];
    return NULL;
}
