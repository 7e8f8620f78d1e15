/* task_catalog.h - which tasks there are, and what each asks for by default.
 *
 * The application's own tasks come first and need no look-up. Others are asked
 * for in Redis' registry, where every program with an application puts its
 * tasks; the answer is kept for TASK_CATALOG_KNOWN_MS, "there is none" for
 * TASK_CATALOG_UNKNOWN_MS. A process has one, on its loop. */
#ifndef APP_TASK_CATALOG_H
#define APP_TASK_CATALOG_H

#include "app/app.h"
#include "app/task/task_entry.h"
#include "queue/queue.h"

#define TASK_CATALOG_KNOWN_MS INT64_C(5000)
#define TASK_CATALOG_UNKNOWN_MS INT64_C(1000)
enum { TASK_CATALOG_SLOTS = 512 };

struct task_catalog_slot {
    char name[ID_TASK_MAX + 1]; /* "": free */
    bool known;
    int64_t until_ms; /* monotonic */
    struct task_entry entry;
};

struct task_catalog {
    struct queues *queues; /* borrowed */
    const struct app *app; /* borrowed; NULL: none */
    struct task_catalog_slot *slots;
};

void task_catalog_init(struct task_catalog *catalog, struct queues *queues,
                       const struct app *app);
void task_catalog_clear(struct task_catalog *catalog);

/* Finds the task @name. *ret is the application's own entry, or one in @room,
 * which the caller provides and which must live as long as *ret is used. May
 * suspend for one Redis command.
 * Errors: ST_UNKNOWN_TASK with the pointer /task, or Redis' status. */
CHECK enum status task_catalog_find(struct co *co, struct task_catalog *catalog,
                                    struct str name, struct task_entry *room,
                                    const struct app_task **ret,
                                    struct error *err);

#endif
