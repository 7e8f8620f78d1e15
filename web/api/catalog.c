/* Catalog: a direct-mapped table over the registry. Two names that share a slot
 * take it from each other; that costs a look-up, never a wrong answer. */
#include "api/catalog.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/registry.h"

void
catalog_init(struct catalog *catalog, struct queues *queues,
             const struct app *app)
{
    *catalog = (struct catalog){
        .queues = queues,
        .app = app,
        .slots = xcalloc(CATALOG_SLOTS, sizeof(struct catalog_slot)),
    };
}

void
catalog_clear(struct catalog *catalog)
{
    free(catalog->slots);
    *catalog = (struct catalog){0};
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
look_up(struct co *co, struct catalog *catalog, struct str name,
        struct catalog_slot *ret, struct error *err)
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
    ret->until_ms =
        clock_mono_ms() + (known ? CATALOG_KNOWN_MS : CATALOG_UNKNOWN_MS);
    return ST_OK;
}

enum status
catalog_complete(struct co *co, struct catalog *catalog, struct arena *arena,
                 struct envelope *envelope, struct error *err)
{
    struct str name = envelope->spec.task;
    const struct app_task *own =
        catalog->app ? app_task_find(catalog->app, name) : NULL;
    struct catalog_slot *slot = &catalog->slots[str_hash(name) % CATALOG_SLOTS];

    if (own)
        return envelope_complete(envelope, own, err);
    if (!str_eq_c(name, slot->name) || clock_mono_ms() >= slot->until_ms) {
        enum status st = look_up(co, catalog, name, slot, err);
        if (st != ST_OK)
            return st;
    }
    if (!slot->known)
        return refuse(name, err);
    /* The slot may be another task's by the time that the job is sent. */
    struct app_task task = slot->entry.task;
    task.queue = arena_copy(arena, str_c(task.queue));
    if (!task.queue)
        return error_set(err, ST_TOO_LARGE, "the request is too large");
    return envelope_complete(envelope, &task, err);
}
