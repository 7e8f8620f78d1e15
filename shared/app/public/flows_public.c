/* Public flows, looked at and cancelled: pit/flow.h on top of flow_report.h.
 * What a struct had before is dropped last, since an argument may be lent by
 * it. */
#include <stdio.h>
#include <stdlib.h>

#include "app/document/flow_report.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"
#include "pit/flow.h"
#include "queue/flow/flow_list.h"

enum { LIST_STANDARD = 50, ARENA_MAX = 64 * 1024 * 1024 };

void
pit_flows_clear(struct pit_flows *flows)
{
    shown_free(flows->private_);
    *flows = (struct pit_flows){.len = 0};
}

/* ---- what is shown ---- */

static const char *const *
names(struct shown *shown, const json_t *array)
{
    size_t n = json_array_size(array);
    const char **ret = shown_alloc(shown, (n + 1) * sizeof *ret);

    for (size_t i = 0; i < n && ret; i++)
        ret[i] = shown_text(shown,
                            str_c(json_string_value(json_array_get(array, i))));
    if (ret)
        ret[n] = NULL;
    return ret;
}

static enum pit_state
state_of(char letter)
{
    static const struct {
        char letter;
        enum pit_state state;
    } states[] = {
        {'B', PIT_BLOCKED},   {'d', PIT_SCHEDULED}, {'N', PIT_READY},
        {'W', PIT_READY},     {'R', PIT_RUNNING},   {'w', PIT_RETRYING},
        {'S', PIT_SUCCEEDED}, {'D', PIT_DEAD},      {'C', PIT_JOB_CANCELLED},
        {'X', PIT_EXPIRED},   {'O', PIT_EXPIRED},   {'Q', PIT_QUARANTINED},
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (states[i].letter == letter)
            return states[i].state;
    return 0;
}

static const struct pit_flow_step *
steps(struct shown *shown, const struct flow_report *report)
{
    const json_t *jobs = json_object_get(report->document, "jobs");
    struct pit_flow_step *ret = shown_alloc(shown, report->jobs * sizeof *ret);

    for (size_t i = 0; i < report->jobs && ret; i++) {
        const json_t *job = json_array_get(jobs, i);
        ret[i] = (struct pit_flow_step){
            .name = shown_member(shown, job, "name"),
            .id = shown_member(shown, job, "id"),
            .task = shown_member(shown, job, "task"),
            .state = state_of(report->states[i]),
            .state_name = flow_report_job_state(report->states[i]),
            .go_on = json_is_true(json_object_get(job, "go_on")),
            .after = names(shown, json_object_get(job, "after")),
        };
    }
    return ret;
}

static enum pit_flow_state
flow_state(const struct flow_view *view)
{
    if (view->left > 0)
        return PIT_FLOW_RUNNING;
    if (!view->failed)
        return PIT_FLOW_SUCCEEDED;
    return view->cancelled ? PIT_FLOW_CANCELLED : PIT_FLOW_FAILED;
}

static struct pit_flow_info *
add(struct shown *shown, const struct flow_view *view)
{
    struct pit_flow_info *info =
        (struct pit_flow_info *)shown->items + shown->len++;
    char id[ID_JOB_MAX + 1];

    snprintf(id, sizeof id, "%.*s.%.*s", STR_ARG(view->id.queue),
             STR_ARG(view->id.local));
    *info = (struct pit_flow_info){
        .id = shown_text(shown, str_c(id)),
        .name = shown_text(shown, view->title),
        .queue = shown_text(shown, view->id.queue),
        .state = flow_state(view),
        .state_name = flow_report_state(view),
        .jobs_total = view->jobs,
        .jobs_left = view->left,
        .created_ms = view->created_ms,
        .ended_ms = view->ended_ms,
    };
    return info;
}

/* Takes over @shown, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct shown *shown, struct pit_flows *ret)
{
    shown = shown_settle(shown, ret, &st, "out of memory", err);
    if (!ret)
        return queue_public_end(co, st, wrote, err, NULL);
    pit_flows_clear(ret);
    if (shown)
        *ret = (struct pit_flows){
            .len = shown->len,
            .flows = shown->items,
            .next = shown->next,
            .private_ = shown,
        };
    return queue_public_end(co, st, wrote, err, ret->error);
}

/* *ret is made when there is one. */
static enum status
look(struct co *co, struct queues *queues, struct job_id id, struct shown **ret,
     struct error *err)
{
    struct flow_report report = {0};

    enum status st = flow_report_load(co, queues, id, &report, err);
    if (st == ST_OK) {
        *ret = shown_new(1, sizeof(struct pit_flow_info), ARENA_MAX);
        struct pit_flow_info *info = add(*ret, &report.view);
        info->jobs = steps(*ret, &report);
        info->jobs_len = report.jobs;
    }
    flow_report_clear(&report);
    return st;
}

enum pit_status
pit_flows_get(struct pit_co *public, const char *id, struct pit_flows *ret)
{
    struct co *co = co_public_core(public);
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id parts;

    enum status st = queue_public_begin_id(co, id, &queues, &parts, &err);
    if (st == ST_OK)
        st = look(co, queues, parts, &shown, &err);
    return end(co, st, false, &err, shown, ret);
}

enum pit_status
pit_flows_cancel(struct pit_co *public, const char *id, struct pit_flows *ret)
{
    struct co *co = co_public_core(public);
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id parts;
    size_t running = 0;
    bool sent = false;

    enum status st = queue_public_begin_id(co, id, &queues, &parts, &err);
    if (st == ST_OK) {
        sent = true;
        st = flow_report_cancel(co, queues, parts, &running, &err);
    }
    /* The cancel stands whatever becomes of the look. */
    if (st == ST_OK && ret)
        (void)!look(co, queues, parts, &shown, &err);
    return end(co, st, sent, &err, shown, ret);
}

/* ---- the list ---- */

static enum status
list(struct co *co, struct queues *queues, struct str queue,
     const struct flow_listed *after, size_t limit, struct shown *shown,
     struct error *err)
{
    struct flow_found *found = NULL;
    char next[FLOW_LIST_CURSOR_SIZE];
    size_t n = 0;

    enum status st =
        flow_list_newest(co, queues, queue, after, limit, &found, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct job_id id = {str_c(found[i].queue), str_c(found[i].flow.local)};
        struct flow_view view;
        st = flow_get(co, queues, id, &view, err);
        if (st == ST_OK)
            (void)add(shown, &view);
        else if (st == ST_NOT_FOUND) /* past its retention */
            st = ST_OK;
        flow_view_clear(&view);
    }
    if (st == ST_OK && n == limit) {
        flow_list_cursor(&found[n - 1].flow, next);
        shown->next = shown_text_or_null(shown, str_c(next));
    }
    free(found);
    return st;
}

enum pit_status
pit_flows_list(struct pit_co *public, const char *queue, const char *cursor,
               int limit, struct pit_flows *ret)
{
    struct co *co = co_public_core(public);
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct flow_listed after;
    struct queues *queues;
    size_t n = 0;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK && queue)
        st = queue_public_name(queue, "/queue", &err);
    if (st == ST_OK && cursor && !flow_list_cursor_parse(str_c(cursor), &after))
        st = error_set_at(&err, "/cursor",
                          "none of ours: take what the page before said, or "
                          "begin with NULL");
    if (st == ST_OK)
        st = queue_public_limit(limit, LIST_STANDARD, FLOW_LIST_MAX, &n, &err);
    if (st == ST_OK) {
        shown = shown_new(n, sizeof(struct pit_flow_info), ARENA_MAX);
        st = list(co, queues, str_c(queue), cursor ? &after : NULL, n, shown,
                  &err);
    }
    return end(co, st, false, &err, shown, ret);
}
