/* catalog.h - an envelope's missing fields, as its task has them.
 *
 * The tasks and their defaults are in app/task/task_catalog.h. */
#ifndef APP_CATALOG_H
#define APP_CATALOG_H

#include "app/document/envelope.h"
#include "app/task/task_catalog.h"

/* Finds the task of @envelope and completes the envelope with its policy,
 * copied to @arena where it does not belong to the application. May suspend for
 * one Redis command.
 * Errors: ST_UNKNOWN_TASK with the pointer /task, ST_INVALID as
 * envelope_complete(), or Redis' status. */
CHECK enum status catalog_complete(struct co *co, struct task_catalog *catalog,
                                   struct arena *arena,
                                   struct envelope *envelope,
                                   struct error *err);
#endif
