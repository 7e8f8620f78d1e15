/* An application's schedules: each becomes a struct schedule with its task's
 * policy, so that a bad line, zone or task ends the program at start. */
#include "app/app_schedules.h"

#include <assert.h>

#include "app/task/task_entry.h"
#include "base/jsontext.h"
#include "base/log.h"

_Static_assert((int)PIT_MISFIRE_ALL == (int)SCHEDULE_MISFIRE_ALL &&
                   (int)PIT_MISFIRE_ONCE == (int)SCHEDULE_MISFIRE_ONCE &&
                   (int)PIT_OVERLAP_SKIP == (int)SCHEDULE_OVERLAP_SKIP &&
                   (int)PIT_OVERLAP_BUFFER == (int)SCHEDULE_OVERLAP_BUFFER,
               "the public words are ours");

/* "schedule NAME: what": the pointer names a field of a document otherwise. */
static enum status
refuse(const struct pit_schedule *from, const struct error *why,
       struct error *err)
{
    return error_set(err, why->status, "schedule %s: %s%s%s", from->name,
                     why->pointer[0] ? why->pointer + 1 : "",
                     why->pointer[0] ? ": " : "", why->msg);
}

static enum status
resolve_times(const struct pit_schedule *from, struct schedule *to,
              struct error *err)
{
    enum status st = ST_OK;

    if (!from->cron == !from->every_ms)
        return error_set(err, ST_INVALID,
                         "set either .cron or .every_ms, and not both");
    if (from->cron)
        st = schedule_set_cron(to, str_c(from->cron), err);
    if (st == ST_OK && (from->cron || from->timezone))
        st = schedule_set_timezone(
            to, from->timezone ? str_c(from->timezone) : STR("UTC"), err);
    if (!from->cron)
        to->when = SCHEDULE_EVERY, to->every_ms = from->every_ms;
    return st;
}

static enum status
resolve_job(const struct pit_schedule *from, const struct app *app,
            struct schedule *to, struct error *err)
{
    const char *name = from->task ? from->task : "";
    const struct app_task *task = app_task_find(app, str_c(name));
    struct jsontext args;

    if (!task)
        return error_set(err, ST_INVALID, "the table has no task \"%.80s\"",
                         name);
    task_entry_spec(task, &to->spec);
    if (from->queue)
        to->spec.queue = str_c(from->queue);
    if (!from->args)
        return ST_OK;
    enum status st = jsontext_check(str_c(from->args), &args, err);
    if (st == ST_OK)
        to->spec.args = args.raw;
    return st;
}

static enum status
resolve(const struct pit_schedule *from, const struct app *app,
        struct schedule *to, struct error *err)
{
    struct error why = {.status = ST_OK};

    schedule_init(to);
    to->name = str_c(from->name);
    to->app = str_c(app->name);
    to->jitter_ms = from->jitter_ms;
    to->note = str_c(from->note);
    enum status st = ST_OK;
    if (from->misfire < PIT_MISFIRE_SKIP || from->misfire > PIT_MISFIRE_ALL ||
        from->overlap < PIT_OVERLAP_ALLOW || from->overlap > PIT_OVERLAP_BUFFER)
        st = error_set(&why, ST_INVALID, ".misfire or .overlap is none");
    to->misfire = (enum schedule_misfire)from->misfire;
    to->overlap = (enum schedule_overlap)from->overlap;
    if (st == ST_OK)
        st = resolve_job(from, app, to, &why);
    if (st == ST_OK)
        st = resolve_times(from, to, &why);
    if (st == ST_OK)
        st = schedule_check(to, &why);
    return st == ST_OK ? ST_OK : refuse(from, &why, err);
}

enum status
app_schedules_resolve(const struct pit_app *table, struct app *app,
                      struct error *err)
{
    const struct pit_schedule *schedules = table->schedules;
    size_t n = 0;

    while (schedules && n <= APP_SCHEDULES_MAX && schedules[n].name)
        n++;
    if (n > APP_SCHEDULES_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "%s: more than %d schedules, or {0} is missing at the "
                         "end of the table",
                         table->name, APP_SCHEDULES_MAX);
    app->schedules = xcalloc(n + 1, sizeof *app->schedules);
    app->schedules_len = n;
    for (size_t i = 0; i < n; i++) {
        enum status st = resolve(&schedules[i], app, &app->schedules[i], err);
        for (size_t j = 0; j < i && st == ST_OK; j++)
            if (str_eq(app->schedules[i].name, app->schedules[j].name))
                st = error_set(err, ST_CONFLICT,
                               "%s: the schedule %s stands twice in the table",
                               table->name, schedules[i].name);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}
