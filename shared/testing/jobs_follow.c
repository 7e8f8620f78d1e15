/* Following jobs: what the scripts on Redis write down for who listens is told
 * here as it happens, and kept, since a test is short. Lines of a job's log are
 * kept one by one beside the text that the test sees. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs_private.h"
#include "queue/changes.h"
#include "queue/queue_log.h"

enum { TOLD_MAX = 1 << 22 };

void
jobs_follow_init(struct pit_test *test)
{
    buf_init(&test->told, TOLD_MAX);
}

/* ---- what happens ---- */

/* As scripts/include/said.lua writes it. */
static const char *
code_of(enum job_state state)
{
    static const char *const codes[JOB_STATES] = {
        [JOB_SCHEDULED] = "N+", [JOB_READY] = "N",     [JOB_RUNNING] = "R",
        [JOB_RETRYING] = "W+",  [JOB_SUCCEEDED] = "S", [JOB_DEAD] = "D",
        [JOB_CANCELLED] = "C",  [JOB_EXPIRED] = "X",   [JOB_BLOCKED] = "B",
        [JOB_QUARANTINED] = "Q"};

    return codes[state];
}

static void
tell(struct job *job, const char *code)
{
    struct pit_test *test = job->test;
    char id[CHANGES_ID_MAX], line[ID_LOCAL_MAX + 32];

    int n = snprintf(line, sizeof line, "%s %s %d\n", job->spec.local.p, code,
                     job->public.attempt);
    snprintf(id, sizeof id, "%" PRId64 "-%" PRIu64, clock_wall_ms(),
             ++test->told_len);
    buf_addf(&test->told, "%s %s %s", job->public.queue, id, line);
    changes_tell(test->changes, job->spec.queue, str_c(id),
                 str_from(line, (size_t)n));
}

void
jobs_follow_state(struct job *job)
{
    if (job->told && job->told_state == job->state &&
        job->told_attempt == job->public.attempt)
        return;
    job->told = true;
    job->told_state = job->state;
    job->told_attempt = job->public.attempt;
    tell(job, code_of(job->state));
}

void
jobs_follow_progress(struct job *job, struct str progress)
{
    job->public.progress = client_copy_n(job->test, progress.p, progress.n);
    tell(job, "P");
}

void
jobs_follow_line(struct job *job, struct str text)
{
    struct job_line *line = client_alloc(job->test, sizeof *line);

    *line = (struct job_line){
        .at_ms = clock_wall_ms(),
        .number = ++job->lines_len,
        .attempt = job->public.attempt,
        .text = str_from(client_copy_n(job->test, text.p, text.n), text.n),
    };
    list_append(&job->lines, &line->link);
    tell(job, "L");
}

/* ---- what is asked, as app/outside.h has it ---- */

enum status
jobs_follow_logs(struct co *co, struct job_id id, struct str after,
                 size_t limit, struct queue_log_page *ret, struct error *err)
{
    struct pit_test *test = client_of(co);
    struct job *job = jobs_find_parts(test, id.queue, id.local);
    struct str number;
    int64_t behind = 0;

    *ret = (struct queue_log_page){.len = 0};
    if (!job)
        return error_set(err, ST_NOT_FOUND, "there is no job %.*s.%.*s",
                         STR_ARG(id.queue), STR_ARG(id.local));
    (void)str_cut(after, '-', &number);
    (void)str_to_i64(number, &behind);
    ret->total = job->lines_len;
    ret->lines = xcalloc(limit, sizeof *ret->lines);
    LIST_FOREACH (link, &job->lines) {
        const struct job_line *line = LIST_ENTRY(link, struct job_line, link);
        if (line->number <= behind)
            continue;
        ret->more = ret->len == limit;
        if (ret->more)
            break;
        struct queue_log_line *to = &ret->lines[ret->len++];
        *to = (struct queue_log_line){
            .at_ms = line->at_ms, .attempt = line->attempt, .text = line->text};
        snprintf(to->cursor, sizeof to->cursor, "%" PRId64 "-%" PRId64,
                 line->at_ms, line->number);
    }
    return ST_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum status
jobs_follow_names(struct co *co, char (**ret)[ID_QUEUE_MAX + 1], size_t *ret_n,
                  struct error *err)
{
    enum { MAX = 1000 };
    struct pit_test *test = client_of(co);
    char(*names)[ID_QUEUE_MAX + 1] = xcalloc(MAX, sizeof *names);
    size_t n = 0;

    (void)err;
    LIST_FOREACH (link, &test->jobs) {
        const struct job *job = LIST_ENTRY(link, struct job, link);
        size_t i = 0;
        while (i < n && strcmp(names[i], job->public.queue) != 0)
            i++;
        if (i == n && n < MAX)
            str_copy_to(job->spec.queue, names[n++], sizeof *names);
    }
    qsort(names, n, sizeof *names, compare_names);
    *ret = names;
    *ret_n = n;
    return ST_OK;
}

static void
count(const struct job *job, struct queue_counts *ret)
{
    bool well = job->state == JOB_SUCCEEDED;
    int ended = job->public.attempt - job->running;

    ret->enqueued++;
    ret->succeeded += well;
    ret->failed += ended - (well && ended > 0);
    /* As in Redis: what has ended so is counted together. */
    ret->count[job->state == JOB_CANCELLED || job->state == JOB_EXPIRED
                   ? JOB_SUCCEEDED
                   : job->state]++;
    if (job->state == JOB_READY &&
        ret->now_ms - job->created_ms > ret->oldest_ready_ms)
        ret->oldest_ready_ms = ret->now_ms - job->created_ms;
}

enum status
jobs_follow_counts(struct co *co, struct str queue, struct queue_counts *ret,
                   struct error *err)
{
    struct pit_test *test = client_of(co);

    (void)err;
    *ret =
        (struct queue_counts){.oldest_ready_ms = -1, .now_ms = clock_wall_ms()};
    str_copy_to(queue, ret->name, sizeof ret->name);
    LIST_FOREACH (link, &test->jobs) {
        const struct job *job = LIST_ENTRY(link, struct job, link);
        if (str_eq(job->spec.queue, queue))
            count(job, ret);
    }
    return ST_OK;
}

/* True for one that lies behind @id, or from those milliseconds on. */
static bool
is_behind(struct str own, struct str id)
{
    struct str own_number, number;
    int64_t own_ms = 0, ms = 0, own_n = 0, n = 0;

    (void)str_to_i64(str_cut(own, '-', &own_number), &own_ms);
    (void)str_to_i64(str_cut(id, '-', &number), &ms);
    (void)str_to_i64(own_number, &own_n);
    return str_to_i64(number, &n) ? own_ms > ms || (own_ms == ms && own_n > n)
                                  : own_ms >= ms;
}

enum status
jobs_follow_history(struct co *co, struct str queue, struct str id,
                    struct buf *dst, struct error *err)
{
    struct pit_test *test = client_of(co);
    struct str rest = buf_str(&test->told);
    struct state_change change;

    (void)err;
    while (changes_read(&rest, &change))
        if (str_eq(change.queue, queue) && is_behind(change.id, id))
            buf_addf(dst, "%.*s %.*s %.*s %.*s %d\n", STR_ARG(change.queue),
                     STR_ARG(change.id), STR_ARG(change.local),
                     STR_ARG(change.code), change.attempt);
    return ST_OK;
}
