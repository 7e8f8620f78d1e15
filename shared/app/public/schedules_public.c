/* Public schedules: pit/schedules.h on top of queue/schedule/schedules.h. All
 * that is shown lies in one arena; what a struct had before is dropped last,
 * since an argument may be lent by it. */
#include "pit/schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/document/schedule_json.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"
#include "base/jsontext.h"
#include "queue/schedule/schedules_change.h"

enum { LIST_STANDARD = 50, LIST_MAX = 1000, ARENA_MAX = 256 * 1024 * 1024 };
_Static_assert((int)PIT_MISFIRE_ALL == (int)SCHEDULE_MISFIRE_ALL &&
                   (int)PIT_OVERLAP_BUFFER == (int)SCHEDULE_OVERLAP_BUFFER &&
                   ARRAY_LEN(((struct pit_schedule_info *)NULL)->next_ms) ==
                       SCHEDULE_JSON_NEXT,
               "the public words are ours");

void
pit_schedules_clear(struct pit_schedules *schedules)
{
    shown_free(schedules->private_);
    *schedules = (struct pit_schedules){.len = 0};
}

/* ---- what is shown ---- */

static json_t *
tree(struct shown *shown, struct str s)
{
    struct jsontext value;

    if (s.n == 0 || jsontext_check(s, &value, NULL) != ST_OK)
        return NULL;
    json_t *json = json_loadb(s.p, s.n, JSON_DECODE_ANY, NULL);
    json_t *kept = shown_json(shown, json);
    json_decref(json);
    return kept;
}

static const struct pit_fire *
fires(struct shown *shown, const struct schedule_view *view)
{
    struct pit_fire *ret =
        shown_alloc(shown, (view->fires_len + 1) * sizeof *ret);
    char id[ID_JOB_MAX + 1];

    for (size_t i = 0; i < view->fires_len && ret; i++) {
        const struct schedule_fire *fire = &view->fires[i];
        int n = snprintf(id, sizeof id, "%s.%.*s", view->queue,
                         STR_ARG(fire->local));
        ret[i] = (struct pit_fire){
            .nominal_ms = fire->nominal_ms,
            .fired_ms = fire->at_ms,
            .outcome = schedules_fire_name(fire->what),
            .job = fire->local.n > 0
                       ? shown_text(shown, str_from(id, (size_t)n))
                       : "",
            .missed = fire->missed,
        };
    }
    return ret;
}

/* What is left to the queue stays so. */
static void
take_retry(const struct job_spec *spec, struct pit_enqueue *ret)
{
    const struct backoff *backoff = &spec->backoff;
    unsigned said = ~spec->retry_open;

    if (said & JOB_RETRY_MAX)
        ret->retries = spec->retries ? spec->retries : PIT_NO_RETRY;
    if (said & JOB_RETRY_BACKOFF)
        ret->backoff = backoff->kind == BACKOFF_FIXED ? PIT_BACKOFF_FIXED
                                                      : PIT_BACKOFF_EXPONENTIAL;
    if (said & JOB_RETRY_BASE)
        ret->backoff_ms = backoff->base_ms;
    if (said & JOB_RETRY_CAP)
        ret->backoff_cap_ms = backoff->cap_ms;
    if (said & JOB_RETRY_JITTER)
        ret->backoff_jitter =
            backoff->jitter > 0 ? backoff->jitter : PIT_NO_JITTER;
}

/* The options that make this spec of any task's policy. */
static const struct pit_enqueue *
job_options(struct shown *shown, const struct job_spec *spec)
{
    static const enum pit_unique_while whiles[] = {
        [UNIQUE_WAITING] = PIT_UNIQUE_WAITING,
        [UNIQUE_RUNNING] = PIT_UNIQUE_RUNNING,
        [UNIQUE_ENDED] = PIT_UNIQUE_ENDED,
    };
    struct pit_enqueue *ret = shown_alloc(shown, sizeof *ret);

    if (!ret)
        return NULL;
    *ret = (struct pit_enqueue){
        .queue = shown_text_or_null(shown, spec->queue),
        .timeout_ms = spec->timeout_ms,
        .keep_ms = spec->keep_ms ? spec->keep_ms : PIT_NO_KEEP,
        .priority = PIT_PRIORITY(spec->priority),
        .tags = shown_text_or_null(shown, spec->tags),
        .callback = shown_text_or_null(shown, spec->callback.url),
        .callback_on = !spec->callback.on_dead        ? PIT_CALLBACK_SUCCEEDED
                       : !spec->callback.on_succeeded ? PIT_CALLBACK_DEAD
                                                      : PIT_CALLBACK_BOTH,
    };
    take_retry(spec, ret);
    if (spec->unique.hold != UNIQUE_NEVER)
        ret->unique = (struct pit_unique){
            .key = shown_text_or_null(shown, spec->unique.key),
            .until = whiles[spec->unique.hold],
            .ttl_ms = spec->unique.ttl_ms};
    if (spec->limit.key.n > 0)
        ret->limit = (struct pit_limit){
            .key = shown_text_or_null(shown, spec->limit.key),
            .concurrency = spec->limit.concurrency,
            .rate = spec->limit.rate,
            .rate_period_ms = spec->limit.rate_period_ms};
    return ret;
}

static struct pit_plan
plan_of(struct shown *shown, const struct schedule *s)
{
    bool cron = s->when == SCHEDULE_CRON;

    return (struct pit_plan){
        .cron = cron ? shown_text_or_null(shown, s->cron_text) : NULL,
        .timezone = cron ? shown_text_or_null(shown, s->timezone) : NULL,
        .every_ms = s->when == SCHEDULE_EVERY ? s->every_ms : 0,
        .at_ms = s->when == SCHEDULE_AT ? s->at_ms : 0,
        .misfire = (enum pit_misfire)s->misfire,
        .overlap = (enum pit_overlap)s->overlap,
        .jitter_ms = s->jitter_ms,
        .paused = s->paused,
        .note = shown_text_or_null(shown, s->note),
        .job = job_options(shown, &s->spec),
    };
}

static void
add(struct shown *shown, const struct schedule_view *view)
{
    const struct schedule *s = &view->schedule;
    struct pit_schedule_info *info =
        (struct pit_schedule_info *)shown->items + shown->len++;

    *info = (struct pit_schedule_info){
        .name = shown_text(shown, str_c(view->name)),
        .task = shown_text(shown, s->spec.task),
        .queue = shown_text(shown, str_c(view->queue)),
        .args = tree(shown, s->spec.args),
        .plan = plan_of(shown, s),
        .app = shown_text(shown, s->app),
        .modified = s->modified,
        .created_ms = s->created_ms,
        .updated_ms = s->updated_ms,
        .version = s->version,
        .buffered_ms = view->buffered_ms,
        .fires = fires(shown, view),
        .fires_len = view->fires_len,
    };
    info->next_len =
        schedule_json_next(view, info->next_ms, SCHEDULE_JSON_NEXT);
    for (size_t i = 0; i < info->next_len; i++)
        info->next_ms[i] = schedule_times_fire(s, info->next_ms[i]);
}

/* Takes over @shown, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct shown *shown, struct pit_schedules *ret)
{
    shown = shown_settle(shown, ret, &st,
                         "out of memory: ask for fewer schedules", err);
    if (!ret)
        return queue_public_end(co, st, wrote, err, NULL);
    pit_schedules_clear(ret);
    if (shown)
        *ret = (struct pit_schedules){
            .len = shown->len,
            .schedules = shown->items,
            .next = shown->next,
            .private_ = shown,
        };
    return queue_public_end(co, st, wrote, err, ret->error);
}

/* *ret is made when there is one. */
static enum status
look(struct co *co, struct queues *queues, struct str name, struct shown **ret,
     struct error *err)
{
    struct schedule_view view;

    enum status st = schedules_get(co, queues, name, &view, err);
    if (st == ST_OK) {
        *ret = shown_new(1, sizeof(struct pit_schedule_info), ARENA_MAX);
        add(*ret, &view);
    }
    schedules_view_clear(&view);
    return st;
}

/* After a change: how it is then, where that is wanted. The change stands
 * whatever becomes of the look. */
static enum pit_status
end_change(struct co *co, struct queues *queues, const char *name,
           enum status st, bool wrote, struct error *err,
           struct pit_schedules *ret)
{
    struct shown *shown = NULL;

    if (st == ST_OK && ret)
        (void)!look(co, queues, str_c(name), &shown, err);
    return end(co, st, wrote, err, shown, ret);
}

enum pit_status
pit_schedules_get(struct pit_co *public, const char *name,
                  struct pit_schedules *ret)
{
    struct co *co = co_public_core(public);
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = look(co, queues, str_c(name), &shown, &err);
    return end(co, st, false, &err, shown, ret);
}

/* ---- the list ---- */

static enum status
list(struct co *co, struct queues *queues, const char *after, size_t limit,
     struct shown *shown, struct error *err)
{
    struct schedule_place *places = NULL;
    size_t n = 0, i = 0;

    enum status st = schedules_list(co, queues, &places, &n, err);
    while (st == ST_OK && after && i < n && strcmp(places[i].name, after) <= 0)
        i++;
    for (; i < n && st == ST_OK && shown->len < limit; i++) {
        struct schedule_view view;
        st = schedules_get(co, queues, str_c(places[i].name), &view, err);
        if (st == ST_OK)
            add(shown, &view);
        else if (st == ST_NOT_FOUND || st == ST_INVALID)
            st =
                ST_OK; /* deleted meanwhile, or damaged: the others are shown */
        schedules_view_clear(&view);
    }
    if (st == ST_OK && i > 0 && i < n)
        shown->next = shown_text_or_null(shown, str_c(places[i - 1].name));
    free(places);
    return st;
}

enum pit_status
pit_schedules_list(struct pit_co *public, const char *after, int limit,
                   struct pit_schedules *ret)
{
    struct co *co = co_public_core(public);
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;
    size_t n = 0;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK && after && !schedule_name_valid(str_c(after)))
        st = error_set_at(&err, "/after",
                          "must be what the page before said, or NULL");
    if (st == ST_OK)
        st = queue_public_limit(limit, LIST_STANDARD, LIST_MAX, &n, &err);
    if (st == ST_OK) {
        shown = shown_new(n, sizeof(struct pit_schedule_info), ARENA_MAX);
        st = list(co, queues, after, n, shown, &err);
    }
    return end(co, st, false, &err, shown, ret);
}

/* ---- putting ---- */

/* One put on its way; what the schedule lends from. */
struct putting {
    struct co *co;
    struct task_catalog *catalog;
    const struct pit_plan *plan;
    struct task_entry room;
    struct job_spec spec;
    struct buf args;
    bool sent;
};

static enum status
take_times(const struct pit_plan *plan, struct schedule *to, struct error *err)
{
    enum status st = ST_OK;

    if (!!plan->cron + !!plan->every_ms + !!plan->at_ms != 1)
        return error_set(err, ST_INVALID,
                         "a schedule has exactly one of cron, every_ms and "
                         "at_ms");
    if (plan->cron)
        st = schedule_set_cron(to, str_c(plan->cron), err);
    if (st == ST_OK && (plan->cron || plan->timezone))
        st = schedule_set_timezone(
            to, plan->timezone ? str_c(plan->timezone) : STR("UTC"), err);
    if (plan->every_ms) {
        to->when = SCHEDULE_EVERY;
        to->every_ms = plan->every_ms;
    } else if (plan->at_ms) {
        to->when = SCHEDULE_AT;
        to->at_ms = plan->at_ms;
    }
    return st;
}

static enum status
take_plan(const struct pit_plan *plan, struct schedule *to, struct error *err)
{
    if (plan->misfire < PIT_MISFIRE_SKIP || plan->misfire > PIT_MISFIRE_ALL)
        return error_set_at(err, "/misfire", "not one of enum pit_misfire");
    if (plan->overlap < PIT_OVERLAP_ALLOW || plan->overlap > PIT_OVERLAP_BUFFER)
        return error_set_at(err, "/overlap", "not one of enum pit_overlap");
    to->misfire = (enum schedule_misfire)plan->misfire;
    to->overlap = (enum schedule_overlap)plan->overlap;
    to->jitter_ms = plan->jitter_ms;
    to->paused = plan->paused;
    to->note = str_c(plan->note);
    enum status st = take_times(plan, to, err);
    return st == ST_OK ? schedule_check(to, err) : st;
}

static enum status
take_job(struct putting *p, const char *task, struct error *err)
{
    const struct pit_enqueue *job = p->plan->job;

    if (job && (job->id || job->ticket || job->after || job->durability))
        return error_set(err, ST_INVALID,
                         "a schedule's job cannot have an id, a ticket, a "
                         "durability or jobs that it comes after");
    enum status st = queue_public_policy(p->co, p->catalog, task, job, &p->room,
                                         &p->spec, err);
    p->spec.args = buf_str(&p->args);
    return st;
}

static enum status
check_seen(const struct pit_plan *plan, const struct schedule_view *view,
           bool is_new, struct error *err)
{
    if (plan->only_new && !is_new)
        return error_set(err, ST_CONFLICT, "there is a schedule %s already",
                         view->name);
    if (plan->seen && (is_new || plan->seen->version != view->schedule.version))
        return error_set(err, ST_CONFLICT,
                         "the schedule %s is not any more as it was seen: look "
                         "at it again",
                         view->name);
    return ST_OK;
}

/* One try. */
static enum status
put(struct putting *p, const char *name, struct error *err)
{
    struct queues *queues = p->catalog->queues;
    struct schedule_view view;
    struct schedule s;

    enum status st = schedules_get(p->co, queues, str_c(name), &view, err);
    bool is_new = st == ST_NOT_FOUND;
    if (is_new)
        st = ST_OK;
    if (st == ST_OK)
        st = check_seen(p->plan, &view, is_new, err);
    if (st == ST_OK) {
        schedules_change_begin(&view, &s);
        s.spec = p->spec;
        st = take_plan(p->plan, &s, err);
    }
    if (st == ST_OK) {
        p->sent = true;
        st = schedules_put(p->co, queues, &s, &view, err);
    }
    schedules_view_clear(&view);
    return st;
}

enum pit_status
pit_schedules_put(struct pit_co *public, const char *name, const char *task,
                  json_t *args, const struct pit_plan *plan,
                  struct pit_schedules *ret)
{
    struct co *co = co_public_core(public);
    struct putting p = {
        .co = co, .plan = plan, .catalog = queue_public_catalog(co_loop(co))};
    struct error err = {.msg = ""};
    struct queues *queues = NULL;

    buf_init(&p.args, JOB_ARGS_MAX);
    enum status st = queue_public_args(args, &p.args, &err);
    if (st == ST_OK)
        st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = take_job(&p, task, &err);
    if (st == ST_OK)
        st = put(&p, name, &err);
    bool again = !plan->seen && !plan->only_new;
    for (int i = 1; i < SCHEDULES_TRIES && again && st == ST_CONFLICT; i++)
        st = put(&p, name, &err);
    enum pit_status status =
        end_change(co, queues, name, st, p.sent, &err, ret);
    buf_clear(&p.args);
    return status;
}

/* ---- the other changes ---- */

enum pit_status
pit_schedules_delete(struct pit_co *public, const char *name,
                     struct pit_schedules *ret)
{
    struct co *co = co_public_core(public);
    struct schedule_view view;
    struct error err = {.msg = ""};
    struct queues *queues;
    bool sent = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK) {
        st = schedules_get(co, queues, str_c(name), &view, &err);
        sent = st == ST_OK;
        if (st == ST_OK)
            st = schedules_change_delete(co, queues, &view, &err);
        schedules_view_clear(&view);
    }
    return end(co, st, sent, &err, NULL, ret);
}

static enum pit_status
set_paused(struct pit_co *public, const char *name, bool paused,
           const char *note, struct pit_schedules *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queues *queues = NULL;
    bool sent = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK) {
        sent = true;
        st = schedules_change_paused(co, queues, str_c(name), paused,
                                     str_c(note), &err);
    }
    return end_change(co, queues, name, st, sent, &err, ret);
}

enum pit_status
pit_schedules_pause(struct pit_co *co, const char *name, const char *note,
                    struct pit_schedules *ret)
{
    return set_paused(co, name, true, note, ret);
}

enum pit_status
pit_schedules_resume(struct pit_co *co, const char *name,
                     struct pit_schedules *ret)
{
    return set_paused(co, name, false, NULL, ret);
}

enum pit_status
pit_schedules_trigger(struct pit_co *public, const char *name,
                      struct pit_ticket *ticket)
{
    struct co *co = co_public_core(public);
    struct schedule_view view;
    struct error err = {.msg = ""};
    char local[ID_LOCAL_MAX + 1] = "";
    struct queues *queues;
    bool sent = false;

    if (ticket)
        *ticket = (struct pit_ticket){.id = ""};
    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK) {
        st = schedules_get(co, queues, str_c(name), &view, &err);
        if (st == ST_OK) {
            sent = true;
            st = schedules_trigger(co, queues, &view, local, &err);
            if (ticket)
                snprintf(ticket->id, sizeof ticket->id, "%s.%s", view.queue,
                         local);
        }
        schedules_view_clear(&view);
    }
    return queue_public_end(co, st, sent, &err, ticket ? ticket->error : NULL);
}
