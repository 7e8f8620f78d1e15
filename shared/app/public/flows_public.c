/* Public flows, looked at and cancelled: pit/flow.h on top of flow_report.h.
 * What a struct had before is dropped last, since an argument may be lent by
 * it. */
#include <stdio.h>
#include <stdlib.h>

#include "app/document/flow_report.h"
#include "app/http/arena.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "base/log.h"
#include "pit/flow.h"
#include "queue/flow/flow_list.h"

enum { LIST_STANDARD = 50, ARENA_MAX = 64 * 1024 * 1024 };

struct flow_infos {
    struct arena arena;
    struct pit_flow_info *flows;
    size_t len;
    char next[FLOW_LIST_CURSOR_SIZE];
    bool failed; /* out of memory */
};

static struct flow_infos *
infos_new(size_t n)
{
    struct flow_infos *infos = xcalloc(1, sizeof *infos);

    arena_init(&infos->arena, NULL, 0, ARENA_MAX);
    infos->flows = xcalloc(n, sizeof *infos->flows);
    return infos;
}

static void
infos_free(struct flow_infos *infos)
{
    if (!infos)
        return;
    arena_clear(&infos->arena);
    free(infos->flows);
    free(infos);
}

void
pit_flows_clear(struct pit_flows *flows)
{
    infos_free(flows->private_);
    *flows = (struct pit_flows){.len = 0};
}

/* ---- what is shown ---- */

static void *
take(struct flow_infos *infos, size_t n)
{
    void *p = arena_alloc(&infos->arena, n);

    infos->failed |= !p;
    return p;
}

static const char *
text(struct flow_infos *infos, struct str s)
{
    const char *copy = s.n > 0 ? arena_copy(&infos->arena, s) : NULL;

    infos->failed |= s.n > 0 && !copy;
    return copy ? copy : "";
}

static const char *
member(struct flow_infos *infos, const json_t *object, const char *name)
{
    return text(infos, str_c(json_string_value(json_object_get(object, name))));
}

static const char *const *
names(struct flow_infos *infos, const json_t *array)
{
    size_t n = json_array_size(array);
    const char **ret = take(infos, (n + 1) * sizeof *ret);

    for (size_t i = 0; i < n && ret; i++)
        ret[i] =
            text(infos, str_c(json_string_value(json_array_get(array, i))));
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
steps(struct flow_infos *infos, const struct flow_report *report)
{
    const json_t *jobs = json_object_get(report->document, "jobs");
    struct pit_flow_step *ret = take(infos, report->jobs * sizeof *ret);

    for (size_t i = 0; i < report->jobs && ret; i++) {
        const json_t *job = json_array_get(jobs, i);
        ret[i] = (struct pit_flow_step){
            .name = member(infos, job, "name"),
            .id = member(infos, job, "id"),
            .task = member(infos, job, "task"),
            .state = state_of(report->states[i]),
            .state_name = flow_report_job_state(report->states[i]),
            .go_on = json_is_true(json_object_get(job, "go_on")),
            .after = names(infos, json_object_get(job, "after")),
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
add(struct flow_infos *infos, const struct flow_view *view)
{
    struct pit_flow_info *info = &infos->flows[infos->len++];
    char id[ID_JOB_MAX + 1];

    snprintf(id, sizeof id, "%.*s.%.*s", STR_ARG(view->id.queue),
             STR_ARG(view->id.local));
    *info = (struct pit_flow_info){
        .id = text(infos, str_c(id)),
        .name = text(infos, view->title),
        .queue = text(infos, view->id.queue),
        .state = flow_state(view),
        .state_name = flow_report_state(view),
        .jobs_total = view->jobs,
        .jobs_left = view->left,
        .created_ms = view->created_ms,
        .ended_ms = view->ended_ms,
    };
    return info;
}

/* Takes over @infos, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct flow_infos *infos, struct pit_flows *ret)
{
    char words[PIT_WORDS_SIZE];

    if (st == ST_OK && infos && infos->failed)
        st = error_set(err, ST_LIMIT, "out of memory");
    if (ret)
        pit_flows_clear(ret);
    if (ret && st == ST_OK && infos) {
        *ret = (struct pit_flows){
            .len = infos->len,
            .flows = infos->flows,
            .next = infos->next[0] ? infos->next : NULL,
            .private_ = infos,
        };
    } else {
        infos_free(infos);
    }
    return queue_public_end(co, st, wrote, err, ret ? ret->error : words);
}

/* *ret is made when there is one. */
static enum status
look(struct co *co, struct queues *queues, struct job_id id,
     struct flow_infos **ret, struct error *err)
{
    struct flow_report report = {0};

    enum status st = flow_report_load(co, queues, id, &report, err);
    if (st == ST_OK) {
        *ret = infos_new(1);
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
    struct flow_infos *infos = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id parts;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = id_split(str_c(id), &parts, &err);
    if (st == ST_OK)
        st = look(co, queues, parts, &infos, &err);
    return end(co, st, false, &err, infos, ret);
}

enum pit_status
pit_flows_cancel(struct pit_co *public, const char *id, struct pit_flows *ret)
{
    struct co *co = co_public_core(public);
    struct flow_infos *infos = NULL;
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id parts;
    size_t running = 0;
    bool sent = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = id_split(str_c(id), &parts, &err);
    if (st == ST_OK) {
        sent = true;
        st = flow_report_cancel(co, queues, parts, &running, &err);
    }
    /* The cancel stands whatever becomes of the look. */
    if (st == ST_OK && ret && look(co, queues, parts, &infos, &err) != ST_OK)
        infos = NULL;
    return end(co, st, sent, &err, infos, ret);
}

/* ---- the list ---- */

static enum status
list(struct co *co, struct queues *queues, struct str queue,
     const struct flow_listed *after, size_t limit, struct flow_infos *infos,
     struct error *err)
{
    struct flow_found *found = NULL;
    size_t n = 0;

    enum status st =
        flow_list_newest(co, queues, queue, after, limit, &found, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct job_id id = {str_c(found[i].queue), str_c(found[i].flow.local)};
        struct flow_view view;
        st = flow_get(co, queues, id, &view, err);
        if (st == ST_OK)
            (void)add(infos, &view);
        else if (st == ST_NOT_FOUND) /* past its retention */
            st = ST_OK;
        flow_view_clear(&view);
    }
    if (st == ST_OK && n == limit)
        flow_list_cursor(&found[n - 1].flow, infos->next);
    free(found);
    return st;
}

enum pit_status
pit_flows_list(struct pit_co *public, const char *queue, const char *cursor,
               int limit, struct pit_flows *ret)
{
    struct co *co = co_public_core(public);
    struct flow_infos *infos = NULL;
    struct error err = {.msg = ""};
    struct flow_listed after;
    struct queues *queues;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK && queue && !id_queue_valid(str_c(queue)))
        st = error_set_at(&err, "/queue",
                          "a queue's name is 1 to %d characters A-Z a-z 0-9 _ "
                          ". : -",
                          ID_QUEUE_MAX);
    if (st == ST_OK && cursor && !flow_list_cursor_parse(str_c(cursor), &after))
        st = error_set_at(&err, "/cursor",
                          "none of ours: take what the page before said, or "
                          "begin with NULL");
    if (st == ST_OK && (limit < 0 || limit > FLOW_LIST_MAX))
        st = error_set_at(&err, "/limit", "must be 1 to %d", FLOW_LIST_MAX);
    if (st == ST_OK) {
        size_t n = limit ? (size_t)limit : LIST_STANDARD;
        infos = infos_new(n);
        st = list(co, queues, str_c(queue), cursor ? &after : NULL, n, infos,
                  &err);
    }
    return end(co, st, false, &err, infos, ret);
}
