/* Async child: one coroutine a job.
 *
 * The hook that runs before the loop sleeps takes the words out of the inbox:
 * jobs are started, cancellations passed on. Then it arms the bell and looks
 * once more, as the dispatcher does on its side.
 *
 * A cancelled job hears of it twice: its awaits return PIT_CANCELLED (or
 * PIT_TIMEOUT), and pit_job_cancelled() reads the place's own word, so that a
 * task which computes for long sees it without an await.
 *
 * When the child is worn out it takes nothing more; what was put in meanwhile
 * goes back uncounted once it has ended. */
#include "async_child.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/loader.h"
#include "app/task/job_context.h"
#include "async/loop.h"
#include "base/log.h"
#include "base/process.h"
#include "executors/executor.h"
#include "lines.h"
#include "reach.h"
#include "slot.h"
#include "webhook.h"

enum {
    RSS_EVERY_JOBS = 256,    /* /proc is read once in so many jobs */
    COROUTINES_EXTRA = 8192, /* for what jobs await at once */
    END_MS = 500,            /* for detached coroutines, when it ends */
};

struct async_child {
    const struct async_child_context *context;
    struct loader loader;
    struct webhook webhook;
    struct reach reach;
    struct executor_context executor;
    struct loop *loop;
    struct loop_hook hook;
    struct board_runner runner;
    struct async_job *jobs[BOARD_PLACES_MAX]; /* by place, while they run */
    uint32_t running;
    int64_t ended; /* jobs so far */
    bool worn;     /* takes nothing more */
};

struct async_job {
    struct async_child *child;
    uint32_t place;
    uint32_t owner; /* in lines.h, and in a cancellation */
    struct co *co;  /* NULL until it runs */
    const struct app_task *task;
    const struct executor *executor;
    struct pit_job context;
};

/* --- what a task may ask for ------------------------------------------------
 */

static void
progress_cb(void *arg, const struct job_progress *progress)
{
    struct async_job *job = arg;

    board_progress_write(&job->child->runner, job->place, progress->done,
                         progress->total, str_c(progress->text));
}

static bool
cancelled_cb(void *arg)
{
    const struct async_job *job = arg;

    return board_cancelled(&job->child->runner, job->place) != RING_RUN_ON;
}

static bool
log_cb(void *arg, struct str line)
{
    struct async_job *job = arg;

    return lines_write(board_lines(job->child->context->board), job->owner,
                       line);
}

static const struct job_ops ops = {
    .progress = progress_cb,
    .cancelled = cancelled_cb,
    .log = log_cb,
};

/* --- jobs -------------------------------------------------------------------
 */

static void
end_if_worn(struct async_child *child)
{
    const struct options *options = child->context->options;

    if (!child->worn && options->max_jobs && child->ended >= options->max_jobs)
        child->worn = true;
    if (!child->worn && options->max_rss &&
        child->ended % RSS_EVERY_JOBS == 0 &&
        process_rss_bytes(getpid()) > options->max_rss) {
        log_info("the async child ends after %lld jobs: it uses more than "
                 "--max-child-rss",
                 (long long)child->ended);
        child->worn = true;
    }
    if (child->worn && child->running == 0)
        loop_stop(child->loop);
}

static void
ended_cb(void *arg, enum status st)
{
    struct async_job *job = arg;
    struct async_child *child = job->child;
    struct board_runner *runner = &child->runner;

    child->jobs[job->place] = NULL;
    child->running--;
    child->ended++;
    board_retry_after(runner, job->place, job->context.retry_after_ms);
    board_done(runner, job->place, st,
               st == ST_OK ? buf_str(&job->context.result) : STR_NULL,
               st == ST_OK ? STR_NULL : str_c(job->context.error.msg));
    job_context_clear(&job->context);
    free(job);
    end_if_worn(child);
}

static enum status
run_cb(struct co *co, void *arg)
{
    struct async_job *job = arg;

    job->co = co;
    return job->executor->run_async(co, &job->child->executor, job->task,
                                    &job->context);
}

static void
refuse(struct async_child *child, uint32_t place, const struct error *err)
{
    board_done(&child->runner, place, err->status, STR_NULL, str_c(err->msg));
}

static void
start(struct async_child *child, uint32_t place, uint32_t owner,
      const struct ring_job *text)
{
    const struct app_task *task = executor_task(&child->loader.app, text->task);
    const struct executor *executor = task ? executor_for(task) : NULL;
    struct error err;

    if (!executor || !executor->run_async) {
        error_set(&err, ST_UNKNOWN_TASK,
                  "this worker's application %s has no async task %.*s",
                  child->loader.app.name, STR_ARG(text->task));
        refuse(child, place, &err);
        return;
    }
    struct async_job *job = xcalloc(1, sizeof *job);
    const struct job_start begin = {
        .id = text->id.p,
        .task = text->task.p,
        .attempt = text->attempt,
        .crashes = text->crashes,
        .args = text->args,
        .inputs = text->inputs,
        .traceparent = text->traceparent.p,
        .request_id = text->request_id.p,
        .ops = &ops,
        .arg = job,
    };
    job->child = child;
    job->place = place;
    job->owner = owner;
    job->task = task;
    job->executor = executor;
    job_context_init(&job->context, &begin);
    child->jobs[place] = job;
    child->running++;
    /* The name says in the log which task blocks the others. */
    if (co_spawn(child->loop, task->name, run_cb, job, ended_cb) == ST_OK)
        return;
    job->context.error.status = ST_LIMIT;
    snprintf(job->context.error.msg, sizeof job->context.error.msg,
             "too many coroutines in the async child");
    ended_cb(job, ST_LIMIT);
}

static void
cancel(struct async_child *child, uint32_t place, uint32_t owner)
{
    struct async_job *job =
        place < BOARD_PLACES_MAX ? child->jobs[place] : NULL;

    if (!job || job->owner != owner)
        return; /* it has ended meanwhile */
    bool timeout =
        board_cancelled(&child->runner, place) == RING_CANCEL_TIMEOUT;
    co_cancel(job->co, timeout ? ST_TIMEOUT : ST_CANCELLED);
}

static void
take_words(struct async_child *child)
{
    enum board_word word;
    struct ring_job text;
    uint32_t place, owner;

    while (!child->worn &&
           (word = board_next(&child->runner, &place, &owner, &text)))
        if (word == BOARD_JOB)
            start(child, place, owner, &text);
        else
            cancel(child, place, owner);
}

/* --- life -------------------------------------------------------------------
 */

static void
hook_cb(struct loop_hook *hook)
{
    struct async_child *child = LIST_ENTRY(hook, struct async_child, hook);
    const struct ring_bell *bell = child->context->own_bell;

    ring_bell_disarm(bell);
    take_words(child);
    ring_bell_arm(bell);
    if (!child->worn && board_pending(&child->runner))
        ring_bell_ring(bell);
}

static void
bell_cb(evutil_socket_t fd, short what, void *arg)
{
    struct async_child *child = arg;

    (void)fd;
    (void)what;
    ring_bell_drain(child->context->own_bell);
}

static void
signal_cb(int signo, void *arg)
{
    struct async_child *child = arg;

    (void)signo;
    loop_stop(child->loop);
}

/* Jobs that still run are not unwound: the dispatcher has given them up. */
static void
dispose(struct async_child *child, struct event *bell)
{
    loop_hook_remove(&child->hook);
    event_free(bell);
    if (child->running > 0)
        return;
    co_drain(child->loop, END_MS);
    reach_clear(&child->reach);
    loop_free(child->loop);
    loader_close(&child->loader);
    webhook_clear(&child->webhook);
}

int
async_child_run(const struct async_child_context *context)
{
    const struct loop_options loop_options = {
        .coroutines_max = BOARD_PLACES_MAX + COROUTINES_EXTRA,
    };
    struct async_child *child = xcalloc(1, sizeof *child);
    struct error err;

    process_set_name("pit-async");
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    fflush(stdout);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);
    child->context = context;
    enum status st = webhook_init(&child->webhook, context->options, &err);
    if (st == ST_OK)
        st = loader_open(context->options->app, &child->loader, &err);
    if (st != ST_OK) {
        log_error("async child: %s", err.msg);
        return SLOT_EXIT_APP;
    }
    child->executor.webhook = &child->webhook;
    child->loop = loop_new(&loop_options);
    st = reach_init(&child->reach, child->loop, context->options,
                    &child->loader.app, &err);
    if (st != ST_OK)
        log_fatal("async child: %s", err.msg); /* it was checked before */
    loop_on_signal(child->loop, SIGTERM, signal_cb, child);
    loop_on_signal(child->loop, SIGINT, signal_cb, child);
    struct event *bell =
        event_new(loop_base(child->loop), context->own_bell->fd,
                  EV_READ | EV_PERSIST, bell_cb, child);
    if (!bell || event_add(bell, NULL) < 0)
        log_fatal("out of memory: an event");
    board_runner_init(&child->runner, context->board, context->bell);
    child->hook.fn = hook_cb;
    loop_hook_add(child->loop, &child->hook);
    hook_cb(&child->hook); /* a turn begins with its sleep */
    loop_run(child->loop);
    dispose(child, bell);
    free(child);
    return 0;
}
