/* Running jobs: one attempt each when the test says so, or by a worker that
 * takes what falls due while the clock goes on. A C task runs on a thread, as
 * it may block; an async one as a coroutine. */
#include <stdio.h>
#include <stdlib.h>

#include "app/task/job_context.h"
#include "async/threads.h"
#include "base/clock.h"
#include "base/log.h"
#include "jobs_private.h"

enum { INPUTS_MAX = 1 << 20, PROGRESS_MAX = 2048 };

struct attempt {
    struct job *job;
    struct pit_job context;
    size_t log_from;     /* of the job's log: where its lines begin */
    struct buf progress; /* JSON; its own, as a thread writes it */
};

/* ---- what a task may ask for ---- */

/* An async task is followed at once; what a thread says, when it has ended. */
static bool
log_cb(void *arg, struct str line)
{
    struct attempt *attempt = arg;

    buf_add_str(&attempt->job->log, line);
    buf_add_char(&attempt->job->log, '\n');
    if (attempt->job->task->async)
        jobs_follow_line(attempt->job, line);
    return !attempt->job->log.failed;
}

static void
progress_cb(void *arg, const struct job_progress *progress)
{
    struct attempt *attempt = arg;

    buf_reset(&attempt->progress);
    buf_addf(&attempt->progress, "{\"done\":%lld,\"total\":%lld,\"message\":",
             (long long)progress->done, (long long)progress->total);
    buf_add_json_string(&attempt->progress, str_c(progress->text));
    buf_add_char(&attempt->progress, '}');
    if (attempt->job->task->async)
        jobs_follow_progress(attempt->job, buf_str(&attempt->progress));
}

static const struct job_ops ops = {.log = log_cb, .progress = progress_cb};

/* The results of its parents, by their ids. */
static struct str
inputs_of(const struct job *job)
{
    struct buf text;

    if (job->parents_len == 0)
        return STR("");
    buf_init(&text, INPUTS_MAX);
    for (size_t i = 0; i < job->parents_len; i++) {
        const struct pit_test_job *parent = &job->parents[i]->public;
        buf_addf(&text, "%s\"%s\":%s", i ? "," : "{", parent->id,
                 parent->result[0] ? parent->result : "null");
    }
    buf_add_char(&text, '}');
    if (text.failed)
        client_give_up("the results that %s follows are too large",
                       job->public.id);
    const char *copy = client_copy_n(job->test, text.p, text.len);
    struct str ret = str_from(copy, text.len);
    buf_clear(&text);
    return ret;
}

/* ---- one attempt ---- */

static enum status
run_on_thread(void *arg)
{
    struct attempt *attempt = arg;

    return job_context_run(&attempt->context, attempt->job->task->run);
}

static enum status
run_attempt(struct co *co, void *arg)
{
    struct attempt *attempt = arg;
    struct job *job = attempt->job;

    job->co = co;
    job_context_enter(co, &attempt->context);
    if (job->task->run)
        return co_thread(co, job->task->name, run_on_thread, attempt, NULL);
    co_deadline_ms(co, job->spec.timeout_ms);
    return job_context_run_async(co, &attempt->context, job->task->async);
}

static struct attempt *
begin(struct job *job)
{
    struct attempt *attempt = xcalloc(1, sizeof *attempt);
    const struct job_start start = {
        .id = job->public.id,
        .task = job->public.task,
        .attempt = ++job->public.attempt,
        .args = job->spec.args,
        .inputs = inputs_of(job),
        .traceparent = job->spec.origin.traceparent.p,
        .request_id = job->spec.origin.request_id.p,
        .ops = &ops,
        .arg = attempt,
    };

    attempt->job = job;
    attempt->log_from = job->log.len;
    buf_init(&attempt->progress, PROGRESS_MAX);
    job_context_init(&attempt->context, &start);
    if (job->spec.unique.hold == UNIQUE_WAITING)
        job->holds_key = false;
    job->running = true;
    job->state = JOB_RUNNING;
    job->started_ms = clock_wall_ms();
    job->began_ms = clock_mono_ms();
    jobs_publish(job);
    return attempt;
}

static void
try_again(struct job *job, int64_t least_ms)
{
    int64_t delay_ms =
        backoff_delay_ms(&job->spec.backoff, (uint32_t)job->retries, 0);

    job->retries++;
    job->due_ms = clock_mono_ms() + (delay_ms > least_ms ? delay_ms : least_ms);
    jobs_wait(job);
}

static void
follow_lines(const struct attempt *attempt)
{
    struct job *job = attempt->job;
    struct str rest = str_from(job->log.p, job->log.len);

    for (rest = str_skip(rest, attempt->log_from); rest.n > 0;)
        jobs_follow_line(job, str_cut(rest, '\n', &rest));
}

static void
finish(struct attempt *attempt, enum status st)
{
    struct job *job = attempt->job;
    struct pit_test *test = job->test;
    struct pit_test_job *public = &job->public;
    struct str result = buf_str(&attempt->context.result);
    int64_t retry_after_ms = attempt->context.retry_after_ms;

    job->running = false;
    job->co = NULL;
    public->status = (enum pit_status)st;
    public->result = client_copy_n(test, result.p, st == ST_OK ? result.n : 0);
    public->error =
        client_copy(test, st == ST_OK ? "" : attempt->context.error.msg);
    public->log = client_copy_n(test, job->log.p, job->log.len);
    public->progress =
        client_copy_n(test, attempt->progress.p, attempt->progress.len);
    if (job->task->run)
        follow_lines(attempt);
    job_context_clear(&attempt->context);
    buf_clear(&attempt->progress);
    free(attempt);
    if (st == ST_OK)
        jobs_end(job, JOB_SUCCEEDED, "");
    else if (st == ST_PERMANENT || job->retries >= job->spec.retries)
        jobs_end(job, JOB_DEAD, "");
    else
        try_again(job, retry_after_ms);
}

static void
run_once(struct job *job)
{
    struct attempt *attempt = begin(job);

    finish(attempt,
           client_run(job->test, job->public.task, run_attempt, attempt));
}

/* One that is too old is not started. */
static bool
expires(struct job *job)
{
    if (job->spec.expires_at_ms == 0 ||
        clock_wall_ms() <= job->spec.expires_at_ms)
        return false;
    jobs_end(job, JOB_EXPIRED, "");
    return true;
}

size_t
pit_test_run_jobs(struct pit_test *test)
{
    size_t ran = 0;

    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (!job->task || job->public.ended || job->running ||
            job->state == JOB_BLOCKED || expires(job))
            continue;
        loop_timer_stop(&job->timer);
        run_once(job);
        ran++;
    }
    return ran;
}

static struct job *
add(struct pit_test *test, const char *task, const char *args)
{
    const struct app_task *found = app_task_find(&test->app, str_c(task));

    if (!found)
        client_give_up("the application has no task %s", task);
    return jobs_add(test, found, str_c(args));
}

const struct pit_test_job *
pit_test_enqueue(struct pit_test *test, const char *task, const char *args)
{
    return &add(test, task, args)->public;
}

const struct pit_test_job *
pit_test_run(struct pit_test *test, const char *task, const char *args)
{
    struct job *job = add(test, task, args);

    loop_timer_stop(&job->timer);
    job->spec.retries = 0;
    run_once(job);
    return &job->public;
}

/* ---- the worker ---- */

static bool
shares_limit(const struct job *job, const struct job *other)
{
    return job != other && str_eq(job->spec.queue, other->spec.queue) &&
           str_eq(job->spec.limit.key, other->spec.limit.key);
}

/* How long its limit holds it back: 0 not at all, -1 until another ends. */
static int64_t
held_back_ms(const struct job *job)
{
    const struct job_limit *limit = &job->spec.limit;
    int64_t now_ms = clock_mono_ms(), oldest_ms = now_ms;
    int running = 0, started = 0;

    if (limit->key.n == 0)
        return 0;
    LIST_FOREACH (link, &job->test->jobs) {
        const struct job *other = LIST_ENTRY(link, struct job, link);
        if (!shares_limit(job, other) || other->public.attempt == 0)
            continue;
        running += other->running;
        if (other->began_ms > now_ms - limit->rate_period_ms) {
            started++;
            if (other->began_ms < oldest_ms)
                oldest_ms = other->began_ms;
        }
    }
    if (limit->concurrency > 0 && running >= limit->concurrency)
        return -1;
    if (limit->rate > 0 && started >= limit->rate)
        return oldest_ms + limit->rate_period_ms - now_ms;
    return 0;
}

static void
ended_cb(void *arg, enum status st)
{
    finish(arg, st);
}

static void
due_cb(struct loop_timer *timer)
{
    struct job *job = LIST_ENTRY(timer, struct job, timer);
    int64_t held_ms = held_back_ms(job);

    if (expires(job) || held_ms < 0)
        return;
    if (held_ms > 0) {
        loop_timer_start(job->test->loop, timer, held_ms, due_cb);
        return;
    }
    struct attempt *attempt = begin(job);
    if (co_spawn(job->test->loop, job->task->name, run_attempt, attempt,
                 ended_cb) != ST_OK)
        client_give_up("too many coroutines");
}

void
jobs_run_look(struct job *job)
{
    int64_t left_ms = job->due_ms - clock_mono_ms();

    if (!job->test->works || !job->task || job->running || job->public.ended ||
        job->state == JOB_BLOCKED)
        return;
    loop_timer_start(job->test->loop, &job->timer, left_ms > 0 ? left_ms : 0,
                     due_cb);
}

void
jobs_run_look_all(struct pit_test *test)
{
    if (!test->works)
        return;
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (!loop_timer_active(&job->timer))
            jobs_run_look(job);
    }
}

void
pit_test_worker(struct pit_test *test, bool works)
{
    test->works = works;
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        loop_timer_stop(&job->timer);
        jobs_run_look(job);
    }
}

void
jobs_stop(struct pit_test *test)
{
    pit_test_worker(test, false);
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (job->co)
            co_cancel(job->co, ST_CANCELLED);
    }
}
