/* Public jobs: pit/jobs.h' looks, each one verb of queue/ and a copy of what
 * came. What a struct had before is dropped last: an argument may be lent by
 * it. */
#include "app/public/jobs_public.h"

#include <stdlib.h>

#include "app/document/job_info.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "base/log.h"
#include "queue/queue_explain.h"
#include "queue/queue_list.h"
#include "queue/queue_log.h"

enum {
    LIST_STANDARD = 50,
    LOGS_STANDARD = 100,
    PAGE_BYTES = 2 * 1024 * 1024,
};
_Static_assert((int)PIT_WORDS_SIZE == (int)EXPLAIN_TEXT_SIZE &&
                   ARRAY_LEN(((struct pit_explanation *)NULL)->reasons) ==
                       EXPLAIN_REASONS_MAX,
               "the public header has room for each reason");

/* ---- jobs ---- */

void
pit_jobs_clear(struct pit_jobs *jobs)
{
    job_info_free(jobs->private_);
    *jobs = (struct pit_jobs){.len = 0};
}

/* Takes over @infos, which may be NULL. */
static enum pit_status
end_jobs(struct co *co, enum status st, const struct error *err,
         struct job_infos *infos, struct pit_jobs *ret)
{
    pit_jobs_clear(ret);
    if (st != ST_OK) {
        job_info_free(infos);
    } else if (infos) {
        ret->len = infos->len;
        ret->jobs = infos->jobs;
        ret->next = infos->next;
        ret->private_ = infos;
    }
    return queue_public_end(co, st, false, err, ret->error);
}

enum pit_status
pit_jobs_get(struct pit_co *public, const char *id, struct pit_jobs *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct job_infos *infos = NULL;
    struct job_view view = {0};
    struct queues *queues;
    struct job_id parts;

    enum status st = queue_public_begin_id(co, id, &queues, &parts, &err);
    if (st == ST_OK)
        st = queue_get(co, queues, parts, &view, &err);
    if (st == ST_OK) {
        infos = job_info_new(1);
        if (!job_info_add(infos, &view))
            st = error_set(&err, ST_LIMIT, "out of memory");
    }
    queue_view_clear(&view);
    return end_jobs(co, st, &err, infos, ret);
}

/* ---- a list ---- */

/* The core's number for a public state, or -1. */
int
jobs_public_state(enum pit_state state)
{
    if (state == PIT_ENDED)
        return LIST_ENDED;
    for (int i = 0; i < JOB_STATES; i++)
        if (job_info_state((enum job_state)i) == state)
            return i;
    return -1;
}

static enum status
check_list(const struct pit_list *list, size_t *ret_limit, struct error *err)
{
    enum status st = queue_public_name(list->queue, "/queue", err);

    if (st != ST_OK)
        return st;
    if (jobs_public_state(list->state) < 0)
        return error_set_at(err, "/state", "name one state, or PIT_ENDED");
    return queue_public_limit(list->limit, LIST_STANDARD, QUEUE_LIST_MAX,
                              ret_limit, err);
}

struct taking {
    struct job_infos *infos;
    bool failed;
};

static size_t
take_job(const struct job_view *view, void *arg)
{
    struct taking *taking = arg;

    taking->failed |= !job_info_add(taking->infos, view);
    return taking->failed ? SIZE_MAX : taking->infos->bytes;
}

static enum status
list_jobs(struct co *co, struct queues *queues, const struct pit_list *list,
          size_t limit, struct job_infos *infos, struct error *err)
{
    struct taking taking = {.infos = infos};
    struct list_page page = {0};
    char cursor[QUEUE_CURSOR_SIZE];
    struct str next = STR_NULL;

    enum status st = queue_list(co, queues, str_c(list->queue),
                                jobs_public_state(list->state),
                                str_c(list->cursor), limit, false, &page, err);
    if (st == ST_OK)
        st = queue_list_each(co, queues, str_c(list->queue), &page, PAGE_BYTES,
                             take_job, &taking, &next, err);
    if (st == ST_OK && next.n > 0) {
        queue_list_cursor(next, cursor);
        infos->next = arena_copy(&infos->arena, str_c(cursor));
        taking.failed |= !infos->next;
    }
    if (st == ST_OK && taking.failed)
        st = error_set(err, ST_LIMIT, "out of memory: ask for fewer jobs");
    queue_list_clear(&page);
    return st;
}

enum pit_status
pit_jobs_list(struct pit_co *public, const struct pit_list *list,
              struct pit_jobs *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct job_infos *infos = NULL;
    struct queues *queues;
    size_t limit = 0;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = check_list(list, &limit, &err);
    if (st == ST_OK) {
        infos = job_info_new(limit);
        st = list_jobs(co, queues, list, limit, infos, &err);
    }
    return end_jobs(co, st, &err, infos, ret);
}

/* ---- logs ---- */

struct log_lines {
    struct queue_log_page page;
    struct pit_log_line *lines;
    char next[QUEUE_LOG_CURSOR_MAX];
};

static void
log_lines_free(struct log_lines *lines)
{
    if (!lines)
        return;
    queue_log_page_clear(&lines->page);
    free(lines->lines);
    free(lines);
}

void
pit_log_lines_clear(struct pit_log_lines *lines)
{
    log_lines_free(lines->private_);
    *lines = (struct pit_log_lines){.len = 0};
}

/* @after: where the page begins, for when it is empty. */
static void
fill_lines(struct log_lines *from, struct str after, struct pit_log_lines *ret)
{
    const struct queue_log_page *page = &from->page;

    from->lines = xcalloc(page->len + 1, sizeof *from->lines);
    for (size_t i = 0; i < page->len; i++)
        from->lines[i] = (struct pit_log_line){
            .at_ms = page->lines[i].at_ms,
            .attempt = page->lines[i].attempt,
            .text = page->lines[i].text.p ? page->lines[i].text.p : "",
            .text_len = page->lines[i].text.n,
        };
    str_copy_to(page->len > 0 ? str_c(page->lines[page->len - 1].cursor)
                              : after,
                from->next, sizeof from->next);
    pit_log_lines_clear(ret);
    *ret = (struct pit_log_lines){
        .len = page->len,
        .lines = from->lines,
        .total = page->total,
        .more = page->more,
        .next = from->next[0] ? from->next : NULL,
        .private_ = from,
    };
}

enum pit_status
pit_jobs_logs(struct pit_co *public, const char *id, const char *cursor,
              int limit, struct pit_log_lines *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct log_lines *lines = xcalloc(1, sizeof *lines);
    struct queues *queues;
    struct job_id parts;
    size_t n = 0;

    enum status st = queue_public_begin_id(co, id, &queues, &parts, &err);
    if (st == ST_OK && cursor && !queue_log_cursor_valid(str_c(cursor)))
        st = error_set_at(&err, "/cursor",
                          "none of ours: take what the lines before said, or "
                          "begin with NULL");
    if (st == ST_OK)
        st = queue_public_limit(limit, LOGS_STANDARD, QUEUE_LOG_KEPT, &n, &err);
    if (st == ST_OK)
        st = queue_log_read(co, queues, parts, str_c(cursor), n, &lines->page,
                            &err);
    if (st == ST_OK) {
        fill_lines(lines, str_c(cursor), ret);
    } else {
        pit_log_lines_clear(ret);
        log_lines_free(lines);
    }
    return queue_public_end(co, st, false, &err, ret->error);
}

/* ---- explain ---- */

enum pit_status
pit_jobs_explain(struct pit_co *public, const char *id,
                 struct pit_explanation *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct explanation explanation;
    struct queues *queues;
    struct job_id parts;

    enum status st = queue_public_begin_id(co, id, &queues, &parts, &err);
    if (st == ST_OK)
        st = queue_explain(co, queues, parts, &explanation, &err);
    *ret = (struct pit_explanation){.state_name = "", .position = -1};
    if (st == ST_OK) {
        ret->state = job_info_state(explanation.state);
        ret->state_name = job_state_name(explanation.state);
        ret->position = explanation.position;
        ret->position_at_least = explanation.position_least;
        ret->len = explanation.len;
        for (size_t i = 0; i < explanation.len; i++) {
            const struct explain_reason *reason = &explanation.reasons[i];
            ret->reasons[i].code = reason->code;
            ret->reasons[i].until_ms = reason->until_ms;
            str_copy_to(str_c(reason->text), ret->reasons[i].text,
                        sizeof ret->reasons[i].text);
        }
    }
    return queue_public_end(co, st, false, &err, ret->error);
}
