/* Slot: take a job from the ring, run it, put the end into the ring.
 *
 * What the task writes to standard output goes to standard error, line by
 * line: that is where the worker's log is. SIGTERM and SIGINT do not end a
 * handler (a drain waits for it): their handler only notes them, and is a
 * function rather than SIG_IGN so that programs that a task executes get the
 * default back. The title says which task runs. */
#include "slot.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/loader.h"
#include "app/task/job_context.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "executors/executor.h"
#include "queue/job/id.h"

enum {
    RSS_EVERY_JOBS = 256, /* /proc is read once in so many short jobs */
    RSS_LONG_US = 10000,  /* and after each job that took longer */
};

static volatile sig_atomic_t asked_to_end;
/* Of the job that runs, for log lines; its threads may write some too. */
static struct log_tag running = {"", ""};

static void
note_signal(int signo)
{
    (void)signo;
    asked_to_end = 1;
}

struct slot {
    const struct slot_context *context;
    struct loader loader;
    struct ring_runner runner;
    char title[sizeof "pit-slot: " + ID_TASK_MAX];
    int64_t jobs;
};

/* The thread's name stays, so that top counts all slots under one. */
static void
set_title(struct slot *slot, struct str task)
{
    size_t n = sizeof "pit-slot: " - 1;

    if (strncmp(slot->title + n, task.p, task.n) == 0 &&
        slot->title[n + task.n] == '\0')
        return;
    snprintf(slot->title, sizeof slot->title, "pit-slot: %.*s", STR_ARG(task));
    process_set_name(slot->title);
    prctl(PR_SET_NAME, "pit-slot");
}

static void
progress_cb(void *arg, const struct job_progress *progress)
{
    struct slot *slot = arg;

    ring_progress_write(&slot->runner, progress->done, progress->total,
                        str_c(progress->text));
}

static bool
cancelled_cb(void *arg)
{
    const struct slot *slot = arg;

    return ring_cancelled(&slot->runner) != RING_RUN_ON;
}

static bool
log_cb(void *arg, struct str line)
{
    struct slot *slot = arg;

    return ring_log(&slot->runner, line);
}

static const struct job_ops ops = {
    .progress = progress_cb,
    .cancelled = cancelled_cb,
    .log = log_cb,
};

static struct log_tag
running_tag(void)
{
    return running;
}

static void
run_job(struct slot *slot, const struct ring_job *job)
{
    const struct app_task *task = app_task_find(&slot->loader.app, job->task);
    const struct executor *executor = task ? executor_for(task) : NULL;
    struct job_start start = {
        .id = job->id.p,
        .task = job->task.p,
        .attempt = job->attempt,
        .crashes = job->crashes,
        .args = job->args,
        .inputs = job->inputs,
        .traceparent = job->traceparent.p,
        .request_id = job->request_id.p,
        .ops = &ops,
        .arg = slot,
    };
    struct pit_job context;
    struct error err;

    if (!executor || !executor->run) {
        error_set(&err, ST_UNKNOWN_TASK,
                  "this worker's application %s has no task %.*s",
                  slot->loader.app.name, STR_ARG(job->task));
        ring_done(&slot->runner, err.status, STR_NULL, str_c(err.msg));
        return;
    }
    set_title(slot, job->task);
    running = (struct log_tag){job->id.p, job->request_id.p};
    job_context_init(&context, &start);
    enum status st = executor->run(task, &context);
    ring_retry_after(&slot->runner, context.retry_after_ms);
    running = (struct log_tag){"", ""};
    ring_done(&slot->runner, st,
              st == ST_OK ? buf_str(&context.result) : STR_NULL,
              st == ST_OK ? STR_NULL : str_c(context.error.msg));
    job_context_clear(&context);
    slot->jobs++;
}

/* A process that has grown, or has run long enough, makes way for a fresh one.
 */
static bool
worn_out(const struct slot *slot, int64_t run_us)
{
    const struct options *options = slot->context->options;

    if (options->max_jobs && slot->jobs >= options->max_jobs)
        return true;
    if (!options->max_rss ||
        (run_us < RSS_LONG_US && slot->jobs % RSS_EVERY_JOBS != 0))
        return false;
    int64_t rss = process_rss_bytes(getpid());
    if (rss <= options->max_rss)
        return false;
    log_info("slot ends after %lld jobs: it uses %lld bytes, more than "
             "--max-child-rss",
             (long long)slot->jobs, (long long)rss);
    return true;
}

static void
take_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal,
                               .sa_flags = SA_RESTART};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

int
slot_run(const struct slot_context *context)
{
    struct slot slot = {.context = context};
    struct ring_job job;
    struct error err;

    process_set_name("pit-slot");
    take_signals();
    fflush(stdout);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (loader_open(context->options->app, &slot.loader, &err) != ST_OK) {
        log_error("slot: %s", err.msg);
        return SLOT_EXIT_APP;
    }
    log_tag_from(running_tag);
    ring_runner_init(&slot.runner, context->ring, context->bell);
    for (;;) {
        if (!ring_pending(&slot.runner))
            set_title(&slot, STR("idle"));
        if (!ring_next(&slot.runner, &asked_to_end, &job))
            break;
        int64_t begin_us = clock_mono_us();
        run_job(&slot, &job);
        if (worn_out(&slot, clock_mono_us() - begin_us))
            break;
    }
    loader_close(&slot.loader);
    return 0;
}
