/* Jobs: kept in the order in which they were enqueued, in the states that they
 * would have in Redis.
 *
 * What an enqueue may say was checked by the same code as in pit-web; here it
 * is remembered, and played by the test's clock. Lists are short in a test, so
 * everything is found by walking. */
#include "jobs_private.h"

#include <stdio.h>

#include "app/document/job_info.h"
#include "app/public/queue_public.h"
#include "app/task/task_entry.h"
#include "async/waiter.h"
#include "base/clock.h"
#include "queue/flow/flow.h"

enum { MESSAGE_MAX = 4096, LOG_MAX = 1 << 22 };

/* At most so many jobs may wait in a queue. */
struct queue_max {
    struct list link;
    const char *queue;
    size_t max;
};

void
jobs_init(struct pit_test *test)
{
    list_init(&test->jobs);
    list_init(&test->queue_maxima);
    jobs_follow_init(test);
}

void
jobs_clear(struct pit_test *test)
{
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        json_decref(job->args);
        buf_clear(&job->log);
    }
    buf_clear(&test->told);
}

struct job *
jobs_find(const struct pit_test *test, const char *id)
{
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (strcmp(job->public.id, id) == 0)
            return job;
    }
    return NULL;
}

struct job *
jobs_find_parts(const struct pit_test *test, struct str queue, struct str local)
{
    char id[ID_JOB_MAX + 1];

    snprintf(id, sizeof id, "%.*s.%.*s", STR_ARG(queue), STR_ARG(local));
    return jobs_find(test, id);
}

/* ---- states ---- */

void
jobs_publish(struct job *job)
{
    job->public.state = job_info_state(job->state);
    job->public.ended = job_state_ended(job->state);
    jobs_follow_state(job);
}

static bool
parents_ended(const struct job *job, bool *ret_well)
{
    *ret_well = true;
    for (size_t i = 0; i < job->parents_len; i++) {
        if (!job_state_ended(job->parents[i]->state))
            return false;
        *ret_well &= job->parents[i]->state == JOB_SUCCEEDED;
    }
    return true;
}

void
jobs_wait(struct job *job)
{
    bool well;

    if (!parents_ended(job, &well))
        job->state = JOB_BLOCKED;
    else if (!well && !job->go_on) {
        jobs_end(job, JOB_CANCELLED, "a job that it follows did not succeed");
        return;
    } else if (job->due_ms > clock_mono_ms())
        job->state = job->retries > 0 ? JOB_RETRYING : JOB_SCHEDULED;
    else
        job->state = JOB_READY;
    jobs_publish(job);
    jobs_run_look(job);
}

static bool
follows(const struct job *job, const struct job *parent)
{
    for (size_t i = 0; i < job->parents_len; i++)
        if (job->parents[i] == parent)
            return true;
    return false;
}

void
jobs_end(struct job *job, enum job_state state, const char *why)
{
    struct pit_test *test = job->test;

    job->state = state;
    job->ended_ms = clock_wall_ms();
    if (*why)
        job->public.error = client_copy(test, why);
    if (job->spec.unique.hold == UNIQUE_ENDED)
        job->key_until_ms = clock_mono_ms() + job->spec.unique.ttl_ms;
    else
        job->holds_key = false;
    loop_timer_stop(&job->timer);
    jobs_publish(job);
    waiter_settle_all(&job->waiters, ST_OK);
    LIST_FOREACH (link, &test->jobs) {
        struct job *other = LIST_ENTRY(link, struct job, link);
        if (other->state == JOB_BLOCKED && follows(other, job))
            jobs_wait(other);
    }
    jobs_run_look_all(test); /* what its limit held back */
}

void
pit_test_end_job(struct pit_test *test, const char *id, enum pit_status status,
                 const char *text)
{
    struct job *job = jobs_find(test, id);

    if (!job || job->running || job->public.ended)
        client_give_up("pit_test_end_job(\"%s\"): %s", id,
                       !job           ? "there is no such job"
                       : job->running ? "it runs"
                                      : "it has ended already");
    job->public.status = status;
    if (status == PIT_OK && text)
        job->public.result = client_copy(test, text);
    jobs_end(job, status == PIT_OK ? JOB_SUCCEEDED : JOB_DEAD,
             status == PIT_OK ? ""
             : text           ? text
                              : status_name((enum status)status));
}

/* ---- what comes in ---- */

static struct str
copied(struct pit_test *test, struct str text)
{
    return text.n > 0 ? str_from(client_copy_n(test, text.p, text.n), text.n)
                      : STR_NULL;
}

static int64_t
due_of(const struct job_spec *spec)
{
    int64_t delay_ms = spec->delay_ms;

    if (spec->run_at_ms > 0)
        delay_ms = spec->run_at_ms - clock_wall_ms();
    return clock_mono_ms() + (delay_ms > 0 ? delay_ms : 0);
}

static struct job *
job_new(struct pit_test *test, const struct job_spec *spec, const char *local)
{
    struct job *job = client_alloc(test, sizeof *job);
    const char *queue = client_copy_n(test, spec->queue.p, spec->queue.n);
    char id[ID_JOB_MAX + 1];

    snprintf(id, sizeof id, "%s.%s", queue, local);
    *job = (struct job){.test = test, .spec = *spec};
    job->task = app_task_find(&test->app, spec->task);
    job->spec.queue = str_c(queue);
    job->spec.local = str_c(client_copy(test, local));
    job->spec.task = copied(test, spec->task);
    job->spec.args = copied(test, spec->args.n ? spec->args : STR("null"));
    job->spec.tags = copied(test, spec->tags);
    job->spec.origin.traceparent = copied(test, spec->origin.traceparent);
    job->spec.origin.request_id = copied(test, spec->origin.request_id);
    job->spec.unique.key = copied(test, spec->unique.key);
    job->spec.limit.key = copied(test, spec->limit.key);
    job->args =
        json_loadb(job->spec.args.p, job->spec.args.n, JSON_DECODE_ANY, NULL);
    if (!job->args)
        client_give_up("the args of %.*s are no JSON: %.*s",
                       STR_ARG(spec->task), STR_ARG(spec->args));
    job->created_ms = clock_wall_ms();
    job->due_ms = due_of(spec);
    job->holds_key = spec->unique.hold != UNIQUE_NEVER;
    list_init(&job->waiters);
    buf_init(&job->log, LOG_MAX);
    list_init(&job->lines);
    job->public = (struct pit_test_job){
        .id = client_copy(test, id),
        .task = job->spec.task.p,
        .queue = queue,
        .flow = "",
        .args = job->spec.args.p,
        .args_json = job->args,
        .delay_ms = spec->delay_ms,
        .result = "",
        .progress = "",
        .error = "",
        .log = "",
    };
    list_append(&test->jobs, &job->link);
    return job;
}

struct job *
jobs_add(struct pit_test *test, const struct app_task *task, struct str args)
{
    struct job_spec spec;
    char local[ID_LOCAL_MAX + 1];

    task_entry_spec(task, &spec);
    spec.task = str_c(task->name);
    spec.args = args;
    snprintf(local, sizeof local, "test-%llu",
             (unsigned long long)++test->jobs_len);
    struct job *job = job_new(test, &spec, local);
    jobs_wait(job);
    return job;
}

enum status
jobs_find_task(struct co *co, struct str name, struct task_entry *room,
               const struct app_task **ret, struct error *err)
{
    const struct app_task *own = app_task_find(&client_of(co)->app, name);

    /* One of another application, with the usual policy. */
    if (!own && task_entry_read(STR("{}"), room, err) != ST_OK)
        client_give_up("a task without a policy: %s", err->msg);
    *ret = own ? own : &room->task;
    return ST_OK;
}

static enum status
refused(const struct pit_test *test, struct error *err)
{
    if (test->enqueue_status == PIT_OK)
        return ST_OK;
    return error_set(err, (enum status)test->enqueue_status,
                     "the test's queue: %s",
                     status_name((enum status)test->enqueue_status));
}

static enum status
check_room(const struct pit_test *test, struct str queue, struct error *err)
{
    size_t waiting = 0;

    LIST_FOREACH (link, &test->jobs) {
        const struct job *job = LIST_ENTRY(link, struct job, link);
        waiting += str_eq(job->spec.queue, queue) && !job->running &&
                   !job->public.ended;
    }
    LIST_FOREACH (link, &test->queue_maxima) {
        const struct queue_max *limit =
            LIST_ENTRY(link, struct queue_max, link);
        if (str_eq_c(queue, limit->queue))
            return waiting < limit->max
                       ? ST_OK
                       : error_set(err, ST_QUEUE_FULL,
                                   "the queue %s has as many jobs waiting as "
                                   "it may",
                                   limit->queue);
    }
    return ST_OK;
}

/* Who has the key of @spec; NULL: nobody. */
static struct job *
holder_of(const struct pit_test *test, const struct job_spec *spec)
{
    if (spec->unique.hold == UNIQUE_NEVER)
        return NULL;
    LIST_FOREACH (link, &test->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        if (job->holds_key && str_eq(job->spec.queue, spec->queue) &&
            str_eq(job->spec.unique.key, spec->unique.key) &&
            (!job->public.ended || job->key_until_ms > clock_mono_ms()))
            return job;
    }
    return NULL;
}

static enum status
find_parents(struct pit_test *test, const struct job_id *after, size_t n,
             struct job ***ret, struct error *err)
{
    struct job **parents = client_alloc(test, (n + 1) * sizeof *parents);

    for (size_t i = 0; i < n; i++) {
        parents[i] = jobs_find_parts(test, after[i].queue, after[i].local);
        if (!parents[i])
            return error_set_at(err, "/after", "there is no job %.*s.%.*s",
                                STR_ARG(after[i].queue),
                                STR_ARG(after[i].local));
    }
    *ret = parents;
    return ST_OK;
}

/* True: the key is free now; else the outcome says whose it is. */
static bool
take_key(struct pit_test *test, struct enqueue *e)
{
    struct job *holder = holder_of(test, &e->spec);

    if (!holder)
        return true;
    if (e->spec.unique.on_conflict == UNIQUE_REPLACE && !holder->running &&
        !holder->public.ended) {
        holder->holds_key = false;
        jobs_end(holder, JOB_CANCELLED,
                 "replaced by another of its unique key");
        return true;
    }
    e->outcome = ENQUEUE_DUPLICATE;
    str_copy_to(holder->spec.local, e->holder, sizeof e->holder);
    return false;
}

enum status
jobs_enqueue(struct co *co, struct enqueue *e, const struct job_id *after,
             size_t after_len)
{
    struct pit_test *test = client_of(co);
    struct job **parents = NULL;

    enum status st = refused(test, &e->err);
    if (st == ST_OK && !e->named)
        snprintf(e->local, sizeof e->local, "test-%llu",
                 (unsigned long long)++test->jobs_len);
    if (st != ST_OK)
        return st;
    struct job *there = jobs_find_parts(test, e->spec.queue, str_c(e->local));
    e->outcome = ENQUEUE_NEW;
    if (there) {
        struct str args = e->spec.args.n ? e->spec.args : STR("null");
        bool same = str_eq(args, there->spec.args) &&
                    str_eq(e->spec.task, there->spec.task);
        e->outcome = same ? ENQUEUE_SAME : ENQUEUE_OTHER;
        return ST_OK;
    }
    st = find_parents(test, after, after_len, &parents, &e->err);
    if (st == ST_OK)
        st = check_room(test, e->spec.queue, &e->err);
    if (st != ST_OK || !take_key(test, e))
        return st;
    struct job *job = job_new(test, &e->spec, e->local);
    job->parents = parents;
    job->parents_len = after_len;
    jobs_wait(job);
    return ST_OK;
}

enum status
jobs_accept(struct co *co, const struct flow *flow, struct error *err)
{
    struct pit_test *test = client_of(co);
    struct job **jobs = client_alloc(test, flow->len * sizeof *jobs);
    char id[ID_JOB_MAX + 1];

    enum status st = refused(test, err);
    if (st != ST_OK)
        return st;
    flow_id(flow, id);
    for (size_t i = 0; i < flow->len; i++) {
        const struct flow_job *from = &flow->jobs[i];
        jobs[i] = job_new(test, &from->spec, from->local);
        jobs[i]->public.flow = client_copy(test, id);
        jobs[i]->go_on = from->go_on;
        jobs[i]->state = JOB_BLOCKED;
        jobs[i]->parents =
            client_alloc(test, (from->parents + 1) * sizeof *jobs);
    }
    for (size_t i = 0; i < flow->links_len; i++) {
        struct job *to = jobs[flow->links[i].to];
        to->parents[to->parents_len++] = jobs[flow->links[i].from];
    }
    for (size_t i = 0; i < flow->len; i++)
        jobs_wait(jobs[i]);
    return ST_OK;
}

void
pit_test_enqueue_status(struct pit_test *test, enum pit_status status)
{
    test->enqueue_status = status;
}

void
pit_test_queue_max(struct pit_test *test, const char *queue, size_t max)
{
    struct queue_max *limit = client_alloc(test, sizeof *limit);

    *limit = (struct queue_max){.queue = client_copy(test, queue), .max = max};
    list_prepend(&test->queue_maxima, &limit->link); /* the newest counts */
}

const struct pit_test_job *
pit_test_enqueued(const struct pit_test *test, size_t n)
{
    LIST_FOREACH (link, &test->jobs)
        if (n-- == 0)
            return &LIST_ENTRY(link, struct job, link)->public;
    return NULL;
}

const struct pit_test_job *
pit_test_find_job(const struct pit_test *test, const char *id)
{
    struct job *job = jobs_find(test, id);

    return job ? &job->public : NULL;
}

/* ---- looking and waiting ---- */

static struct job *
known(struct co *co, struct job_id id, struct error *err)
{
    struct job *job = jobs_find_parts(client_of(co), id.queue, id.local);

    if (!job)
        (void)error_set(err, ST_NOT_FOUND, "there is no job %.*s.%.*s",
                        STR_ARG(id.queue), STR_ARG(id.local));
    return job;
}

enum status
jobs_look(struct co *co, struct job_id id, struct job_view *ret,
          struct error *err)
{
    struct job *job = known(co, id, err);
    struct buf message;

    *ret = (struct job_view){.state = JOB_READY};
    if (!job)
        return ST_NOT_FOUND;
    ret->spec = job->spec;
    ret->created_ms = job->created_ms;
    ret->state = job->state;
    ret->result = str_c(job->public.result);
    ret->progress = str_c(job->public.progress);
    ret->history = (struct job_history){
        .attempt = job->public.attempt,
        .retries = job->retries,
        .started_ms = job->started_ms,
        .ended_ms = job->ended_ms,
    };
    if (!job->public.error[0])
        return ST_OK;
    buf_init(&message, MESSAGE_MAX);
    buf_add_json_string(&message, str_c(job->public.error));
    ret->history.attempts_len = 1;
    ret->history.attempts[0] = (struct job_attempt){
        .number = job->public.attempt,
        .outcome = job->public.status == PIT_TIMEOUT ? OUTCOME_TIMEOUT
                                                     : OUTCOME_FAILED,
        .started_ms = job->started_ms,
        .ended_ms = job->ended_ms,
        .worker = STR("test"),
        .message = copied(job->test, buf_str(&message)),
    };
    buf_clear(&message);
    return ST_OK;
}

enum status
jobs_wait_end(struct co *co, struct job_id id, int64_t timeout_ms,
              struct error *err)
{
    static const struct op_class class = {"job end", waiter_cancel};
    struct job *job = known(co, id, err);
    struct waiter waiter = {.timer = {0}};

    if (!job || job->public.ended)
        return job ? co_cancelled(co) : ST_NOT_FOUND;
    waiter_start(&waiter, job->test->loop, &class, &job->waiters, timeout_ms);
    return co_await(co, &waiter.op);
}
