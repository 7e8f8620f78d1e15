/* Catalog: the task's queue is copied, since the registry's answer is kept for
 * a moment only. */
#include "app/document/catalog.h"

enum status
catalog_complete(struct co *co, struct task_catalog *catalog,
                 struct arena *arena, struct envelope *envelope,
                 struct error *err)
{
    struct task_entry room;
    const struct app_task *found = NULL;

    enum status st =
        task_catalog_find(co, catalog, envelope->spec.task, &room, &found, err);
    if (st != ST_OK)
        return st;
    if (found != &room.task)
        return envelope_complete(envelope, found, err);
    struct app_task task = room.task;
    task.queue = arena_copy(arena, str_c(task.queue));
    if (!task.queue)
        return error_set(err, ST_TOO_LARGE, "the request is too large");
    return envelope_complete(envelope, &task, err);
}
