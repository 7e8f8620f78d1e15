/* catalog.h - which tasks there are, and what each asks for by default.
 *
 * The application's own tasks come first and need no look-up. Others are asked
 * for in Redis' registry, where every program with an application puts its
 * tasks; the answer is kept for CATALOG_KNOWN_MS, "there is none" for
 * CATALOG_UNKNOWN_MS. A process has one, on its loop. */
#ifndef WEB_API_CATALOG_H
#define WEB_API_CATALOG_H

#include "api/envelope.h"
#include "app/app.h"
#include "app/task_entry.h"
#include "queue/queue.h"

#define CATALOG_KNOWN_MS INT64_C(5000)
#define CATALOG_UNKNOWN_MS INT64_C(1000)
enum { CATALOG_SLOTS = 512 };

struct catalog_slot {
    char name[ID_TASK_MAX + 1]; /* "": free */
    bool known;
    int64_t until_ms; /* monotonic */
    struct task_entry entry;
};

struct catalog {
    struct queues *queues; /* borrowed */
    const struct app *app; /* borrowed; NULL: none */
    struct catalog_slot *slots;
};

void catalog_init(struct catalog *catalog, struct queues *queues,
                  const struct app *app);
void catalog_clear(struct catalog *catalog);

/* Finds the task of @envelope and completes the envelope with its policy,
 * copied to @arena where it does not belong to the application. May suspend for
 * one Redis command.
 * Errors: ST_UNKNOWN_TASK with the pointer /task, ST_INVALID as
 * envelope_complete(), or Redis' status. */
CHECK enum status catalog_complete(struct co *co, struct catalog *catalog,
                                   struct arena *arena,
                                   struct envelope *envelope,
                                   struct error *err);
#endif
