/* Jobs: kept in the order in which they were enqueued, run by the test. A C
 * task runs on a thread, as it may block; an async one as a coroutine. */
#include <stdio.h>

#include "app/co_public.h"
#include "app/job_context.h"
#include "app/queue_public.h"
#include "async/threads.h"
#include "base/log.h"
#include "client_private.h"

struct job {
    struct list link;
    struct pit_test_job public;
    struct pit_test *test;
    const struct app_task *task; /* NULL: another application's */
    json_t *args;
    int retries;
    struct buf log;
};

void
jobs_init(struct pit_test *test)
{
    list_init(&test->jobs);
}

void
jobs_clear(struct pit_test *test)
{
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        json_decref(job->args);
        buf_clear(&job->log);
    }
}

/* ---- enqueue ---- */

static struct job *
find_job(const struct pit_test *test, const char *id)
{
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (strcmp(job->public.id, id) == 0)
            return job;
    }
    return NULL;
}

static int
retries_of(const struct app_task *task, const struct pit_enqueue *o)
{
    if (o->retries)
        return o->retries == PIT_NO_RETRY ? 0 : o->retries;
    return task ? task->retries : JOB_RETRIES_STANDARD;
}

static struct job *
job_new(struct pit_test *test, const char *task, struct str args,
        const struct pit_enqueue *o, const char *id)
{
    struct job *job = client_alloc(test, sizeof *job);

    *job = (struct job){.test = test};
    job->task = app_task_find(&test->app, str_c(task));
    job->args = json_loadb(args.n ? args.p : "null", args.n ? args.n : 4,
                           JSON_DECODE_ANY, NULL);
    if (!job->args)
        client_give_up("the args of %s are no JSON: %.*s", task, STR_ARG(args));
    job->retries = retries_of(job->task, o);
    buf_init(&job->log, 1 << 22);
    job->public = (struct pit_test_job){
        .id = client_copy(test, id),
        .task = client_copy(test, task),
        .queue = client_copy(test, o->queue    ? o->queue
                                   : job->task ? job->task->queue
                                               : APP_QUEUE),
        .args = args.n ? client_copy_n(test, args.p, args.n) : "null",
        .args_json = job->args,
        .delay_ms = o->delay_ms,
        .ended = job->task == NULL,
        .result = "",
        .error = "",
        .log = "",
    };
    list_append(&test->jobs, &job->link);
    return job;
}

static enum status
enqueue(struct pit_test *test, const char *task, struct str args,
        const struct pit_enqueue *o, struct pit_ticket *ticket,
        struct error *err)
{
    const struct app_task *found = app_task_find(&test->app, str_c(task));
    const char *queue = o->queue ? o->queue : found ? found->queue : APP_QUEUE;

    if (!id_task_valid(str_c(task)))
        return error_set(err, ST_INVALID, "no task's name: %.80s", task);
    if (test->enqueue_status != PIT_OK)
        return error_set(err, (enum status)test->enqueue_status,
                         "the test's queue: %s",
                         status_name((enum status)test->enqueue_status));
    if (o->id)
        snprintf(ticket->id, sizeof ticket->id, "%s.%s", queue, o->id);
    else
        snprintf(ticket->id, sizeof ticket->id, "%s.test-%llu", queue,
                 (unsigned long long)++test->jobs_len);
    struct job *there = find_job(test, ticket->id);
    ticket->existed = there != NULL;
    if (!there)
        (void)job_new(test, task, args, o, ticket->id);
    else if (!str_eq_c(args, there->public.args) ||
             strcmp(task, there->public.task) != 0)
        return error_set(err, ST_CONFLICT,
                         "the id belongs to a job with other content");
    return ST_OK;
}

enum pit_status
jobs_enqueue(struct co *co, const char *task, json_t *args,
             const struct pit_enqueue *options)
{
    static const struct pit_enqueue none;
    const struct pit_enqueue *o = options ? options : &none;
    struct pit_ticket ticket = {.id = ""};
    struct error err = {.msg = ""};
    struct buf text;

    buf_init(&text, JOB_ARGS_MAX);
    enum status st = queue_public_args(args, &text, &err);
    if (st == ST_OK)
        st = co_cancelled(co);
    if (st == ST_OK)
        st = enqueue(client_of(co), task, buf_str(&text), o, &ticket, &err);
    str_copy_to(str_c(err.msg), ticket.error, sizeof ticket.error);
    if (o->ticket)
        *o->ticket = ticket;
    buf_clear(&text);
    return (enum pit_status)st;
}

void
pit_test_enqueue_status(struct pit_test *test, enum pit_status status)
{
    test->enqueue_status = status;
}

const struct pit_test_job *
pit_test_enqueued(const struct pit_test *test, size_t n)
{
    LIST_FOREACH (link, &test->jobs)
        if (n-- == 0)
            return &LIST_ENTRY(link, struct job, link)->public;
    return NULL;
}

/* ---- running ---- */

static bool
log_cb(void *arg, struct str line)
{
    struct job *job = arg;

    buf_add_str(&job->log, line);
    buf_add_char(&job->log, '\n');
    return !job->log.failed;
}

static const struct job_ops ops = {.log = log_cb};

struct attempt {
    struct job *job;
    struct pit_job context;
};

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
    const struct app_task *task = attempt->job->task;

    job_context_enter(co, &attempt->context);
    if (task->run)
        return co_thread(co, task->name, run_on_thread, attempt, NULL);
    co_deadline_ms(co, task->timeout_ms);
    return job_context_run_async(co, &attempt->context, task->async);
}

static void
run_once(struct job *job)
{
    struct pit_test *test = job->test;
    struct pit_test_job *public = &job->public;
    struct attempt attempt = {.job = job};
    const struct job_start start = {
        .id = public->id,
        .task = public->task,
        .attempt = ++public->attempt,
        .args = str_c(public->args),
        .ops = &ops,
        .arg = job,
    };

    job_context_init(&attempt.context, &start);
    enum status st = client_run(test, public->task, run_attempt, &attempt);
    struct str result = buf_str(&attempt.context.result);
    public->status = (enum pit_status)st;
    public->result = client_copy_n(test, result.p, st == ST_OK ? result.n : 0);
    public->error =
        client_copy(test, st == ST_OK ? "" : attempt.context.error.msg);
    public->log = client_copy_n(test, job->log.p, job->log.len);
    public->ended =
        st == ST_OK || st == ST_PERMANENT || public->attempt > job->retries;
    job_context_clear(&attempt.context);
}

size_t
pit_test_run_jobs(struct pit_test *test)
{
    size_t ran = 0;

    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (job->public.ended)
            continue;
        run_once(job);
        ran++;
    }
    return ran;
}

const struct pit_test_job *
pit_test_run(struct pit_test *test, const char *task, const char *args)
{
    const struct pit_enqueue options = {.retries = PIT_NO_RETRY};
    struct pit_ticket ticket = {.id = ""};
    struct error err;

    if (!app_task_find(&test->app, str_c(task)))
        client_give_up("the application has no task %s", task);
    enum pit_status before = test->enqueue_status;
    test->enqueue_status = PIT_OK;
    if (enqueue(test, task, str_c(args), &options, &ticket, &err) != ST_OK)
        client_give_up("%s", err.msg);
    test->enqueue_status = before;
    struct job *job = find_job(test, ticket.id);
    run_once(job);
    return &job->public;
}
