/* Task catalog: a direct-mapped table over the registry. Two names that share a
 * slot take it from each other; that costs a look-up, never a wrong answer. */
#include "app/task/task_catalog.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/registry.h"

void
task_catalog_init(struct task_catalog *catalog, struct queues *queues,
                  const struct app *app)
{
    *catalog = (struct task_catalog){
        .queues = queues,
        .app = app,
        .slots = xcalloc(TASK_CATALOG_SLOTS, sizeof(struct task_catalog_slot)),
    };
}

void
task_catalog_clear(struct task_catalog *catalog)
{
    free(catalog->slots);
    *catalog = (struct task_catalog){0};
}

static enum status
refuse(struct str name, struct error *err)
{
    (void)error_set_at(err, "/task",
                       "no application here has a task \"%.*s\": mind the "
                       "spelling, GET /v1/tasks lists them",
                       STR_ARG(name));
    if (err)
        err->status = ST_UNKNOWN_TASK;
    return ST_UNKNOWN_TASK;
}

/* Asks the registry. The slot is written only once the answer is there: others
 * may use it in the meantime. */
static enum status
look_up(struct co *co, struct task_catalog *catalog, struct str name,
        struct task_catalog_slot *ret, struct error *err)
{
    struct rds_call call = {0};
    struct error why;
    bool known = false;

    enum status st = registry_get_task(co, catalog->queues, name, &call, err);
    if (st == ST_OK) {
        known = task_entry_read(str_from(call.reply->str, call.reply->len),
                                &ret->entry, &why) == ST_OK;
        if (!known)
            log_warn("task %.*s: %s", STR_ARG(name), why.msg);
    }
    rds_call_clear(&call);
    if (st == ST_UNCLEAR) { /* a read has no outcome that could be unclear */
        st = ST_UNAVAILABLE;
        if (err)
            err->status = st;
    }
    if (st != ST_OK && st != ST_UNKNOWN_TASK)
        return st;
    str_copy_to(name, ret->name, sizeof ret->name);
    ret->known = known;
    ret->until_ms = clock_mono_ms() +
                    (known ? TASK_CATALOG_KNOWN_MS : TASK_CATALOG_UNKNOWN_MS);
    return ST_OK;
}

enum status
task_catalog_find(struct co *co, struct task_catalog *catalog, struct str name,
                  struct task_entry *room, const struct app_task **ret,
                  struct error *err)
{
    const struct app_task *own =
        catalog->app ? app_task_find(catalog->app, name) : NULL;
    struct task_catalog_slot *slot =
        &catalog->slots[str_hash(name) % TASK_CATALOG_SLOTS];

    if (own) {
        *ret = own;
        return ST_OK;
    }
    if (!str_eq_c(name, slot->name) || clock_mono_ms() >= slot->until_ms) {
        enum status st = look_up(co, catalog, name, slot, err);
        if (st != ST_OK)
            return st;
    }
    if (!slot->known)
        return refuse(name, err);
    /* The slot may be another task's by the time that the job is sent. */
    *room = slot->entry;
    room->task.queue = room->queue;
    room->task.about = room->about;
    *ret = &room->task;
    return ST_OK;
}
