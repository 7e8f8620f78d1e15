/* Apply: an application's table against what Redis has of it.
 *
 * `<prefix>:declared` HASH application -> the names that its table had when it
 * was applied last, so that what it has no more is found without looking at all
 * schedules. It is written last: who dies before is followed by one who does
 * all of it again. Several workers do this at once; a compare-and-set that was
 * lost is tried again on what the other one made. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "queue/queue_private.h"
#include "queue/schedule/schedules_private.h"

enum { TRIES = 5, NAMES_MAX = 128 * 1024 };

/* Reads what the table says. */
static enum status
read_declared(const struct schedules_declared *declared, struct schedule *ret,
              struct buf *text, struct error *err)
{
    /* What is stored begins with its version. */
    buf_reset(text);
    buf_add_c(text, "{\"version\":0,");
    buf_add_c(text, declared->json + 1);
    return schedule_decode(STR_NULL, str_c(declared->name), buf_str(text), ret,
                           err);
}

/* *s, which is stored, as it should be now; false: it is so already. */
static bool
merge(struct schedule *s, const struct schedule *table, struct str app,
      struct str json)
{
    bool changed = schedule_merge(s, table);

    s->app = app;
    s->declared = json;
    return changed;
}

static enum status
apply_one(struct co *co, struct queues *queues, struct str app,
          const struct schedules_declared *declared, struct error *err)
{
    struct schedule table;
    struct schedule_view view;
    struct buf text;
    enum status st = ST_CONFLICT;

    buf_init(&text, SCHEDULE_JSON_MAX);
    if (read_declared(declared, &table, &text, err) != ST_OK) {
        buf_clear(&text);
        return ST_BUG;
    }
    table.name = str_c(declared->name);
    table.app = app;
    table.declared = str_c(declared->json);
    for (int i = 0; i < TRIES && st == ST_CONFLICT; i++) {
        st = schedules_get(co, queues, table.name, &view, err);
        struct schedule s = view.schedule;
        if (st == ST_NOT_FOUND)
            st = schedules_put(co, queues, &table, &view, err);
        else if (st == ST_OK && s.app.n == 0)
            log_warn("schedule %s was made by hand: the one of the "
                     "application's table is not applied",
                     declared->name);
        else if (st == ST_OK && !str_eq(s.app, app))
            log_warn("schedule %s belongs to the application %.*s: the one of "
                     "this table is not applied",
                     declared->name, STR_ARG(s.app));
        else if (st == ST_OK && merge(&s, &table, app, str_c(declared->json)))
            st = schedules_put(co, queues, &s, &view, err);
        schedules_view_clear(&view);
    }
    schedule_clear(&table);
    buf_clear(&text);
    return st;
}

static bool
is_declared(struct str name, const struct schedules_declared *declared,
            size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(name, declared[i].name))
            return true;
    return false;
}

/* One that the table has no more, unless it is another's by now. */
static enum status
remove_one(struct co *co, struct queues *queues, struct str app,
           struct str name, struct error *err)
{
    struct schedule_view view;
    enum status st = ST_CONFLICT;

    for (int i = 0; i < TRIES && st == ST_CONFLICT; i++) {
        st = schedules_get(co, queues, name, &view, err);
        if (st == ST_OK && str_eq(view.schedule.app, app)) {
            log_info("schedule %.*s is no more in the table: removed",
                     STR_ARG(name));
            st = schedules_delete(co, queues, &view, err);
        }
        schedules_view_clear(&view);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
remove_old(struct co *co, struct queues *queues, struct str app,
           const struct schedules_declared *declared, size_t n, bool *ret_same,
           struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];
    size_t found = 0;

    keys_global(queues->prefix, "declared", key);
    enum status st =
        rds_await(co, queues->rds, &call, "HGET %s %b", key, app.p, app.n);
    if (st != ST_OK && err)
        *err = call.err;
    struct str rest = st == ST_OK ? schedules_text(call.reply) : STR_NULL;
    *ret_same = true;
    while (st == ST_OK && rest.n > 0) {
        struct str name = str_cut(rest, ' ', &rest);
        if (is_declared(name, declared, n))
            found++;
        else {
            *ret_same = false;
            st = remove_one(co, queues, app, name, err);
        }
    }
    *ret_same &= found == n;
    rds_call_clear(&call);
    return st;
}

/* What the table had, for the next time. */
static enum status
note_names(struct co *co, struct queues *queues, struct str app,
           const struct schedules_declared *declared, size_t n,
           struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];
    struct buf names;

    keys_global(queues->prefix, "declared", key);
    buf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < n; i++)
        buf_addf(&names, "%s%s", i > 0 ? " " : "", declared[i].name);
    enum status st = n == 0 ? rds_await(co, queues->rds, &call, "HDEL %s %b",
                                        key, app.p, app.n)
                            : rds_await(co, queues->rds, &call, "HSET %s %b %b",
                                        key, app.p, app.n, names.p, names.len);
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    buf_clear(&names);
    return st;
}

enum status
schedules_apply(struct co *co, struct queues *queues, struct str app,
                const struct schedules_declared *declared, size_t n,
                struct error *err)
{
    bool same;

    enum status st = remove_old(co, queues, app, declared, n, &same, err);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = apply_one(co, queues, app, &declared[i], err);
    if (st == ST_OK && !same)
        st = note_names(co, queues, app, declared, n, err);
    return st;
}
