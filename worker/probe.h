/* probe.h - what tasks and schedules an application has, learnt in a process of
 * its own.
 *
 * Loading an application runs its code, and neither supervisor nor dispatcher
 * may ever do that. So a child loads it, says what is in its table, and ends.
 * It also tells at start, in one line, that an application cannot be loaded. */
#ifndef WORKER_PROBE_H
#define WORKER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct probe_task {
    const char *name;
    const char *queue;
    const char *json; /* for the registry of tasks */
    bool async;
};

struct probe_schedule {
    const char *name;
    const char *queue;
    const char *json; /* as schedule_declare() has it */
};

struct probe {
    const char *app;          /* its name */
    struct probe_task *tasks; /* owned; ordered by name */
    size_t tasks_len;
    struct probe_schedule *schedules; /* owned */
    size_t schedules_len;
    char *text; /* owned; the strings above are in it */
};

/* Errors: those of loader_open(); ST_FAILED when the child crashed, ST_TIMEOUT
 * when it took longer than 30 s. Before any thread is started. */
CHECK enum status probe_app(const char *path, struct probe *ret,
                            struct error *err);
void probe_clear(struct probe *probe);
/* By binary search; NULL: the application has no such task. */
const struct probe_task *probe_find(const struct probe *probe, struct str name);

#endif
