/* pit/tasks.h - the tasks that can be enqueued here, as the applications of the
 * workers and web processes have told of them.
 *
 *     struct pit_tasks tasks PIT_TASKS = {0};
 *     st = pit_tasks_list(co, &tasks);
 *     for (size_t i = 0; st == PIT_OK && i < tasks.len; i++)
 *         puts(tasks.tasks[i].name);
 *
 * For views, async tasks and programs (pit/run.h). */
#ifndef PIT_TASKS_H
#define PIT_TASKS_H

#include "pit/queue.h"

/* A task with its policy, as struct pit_task (pit/app.h) has it; lent by the
 * struct pit_tasks that it is in. What its table leaves out is the standard
 * value. */
struct pit_task_info {
    const char *name;
    const char *queue;
    int64_t timeout_ms; /* of one attempt */
    int64_t backoff_ms; /* of the first retry */
    int64_t backoff_cap_ms;
    int64_t keep_ms;
    int32_t retries;
    int32_t priority; /* 0 to 9; 9 runs first */
    const char *about;
};

/* All of them. Zero it, or use PIT_TASKS; everything lent lives until
 * pit_tasks_clear(), or the next call with the same struct. */
struct pit_tasks {
    size_t len;
    const struct pit_task_info *tasks;
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_tasks_clear(struct pit_tasks *tasks);
#define PIT_TASKS __attribute__((cleanup(pit_tasks_clear)))

/* By name, at most 10,000. What another program put there and is no task's
 * entry is left out. Suspends for Redis. Errors: PIT_UNAVAILABLE (Redis is
 * away, or the process has no queues), PIT_CANCELLED, PIT_TIMEOUT. */
enum pit_status pit_tasks_list(struct pit_co *co, struct pit_tasks *ret);

#endif
