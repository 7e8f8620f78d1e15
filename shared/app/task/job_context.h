/* job_context.h - the struct behind the public pit_job: one attempt of one job.
 *
 * Whoever runs a task fills it, calls job_context_run() and reads result and
 * error from it. A worker's slot child does so with operations that talk to its
 * dispatcher, a test with operations of its own; the task sees no difference.
 * Belongs to the thread that runs the task. Nothing here suspends. */
#ifndef APP_JOB_CONTEXT_H
#define APP_JOB_CONTEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "async/co/co.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "pit/app.h"
#include "pit/job.h"

enum {
    JOB_CONTEXT_PROGRESS_MS = 200, /* between two reports: five a second */
    JOB_CONTEXT_TEXT_MAX = 200,    /* bytes of a progress text; cut above */
    JOB_CONTEXT_LOG_MAX = 1000,    /* bytes of a log line; cut above */
    JOB_CONTEXT_LOG_BURST = 100,   /* lines at once, and then */
    JOB_CONTEXT_LOG_RATE = 50,     /* lines a second */
};

struct job_progress {
    int64_t done;
    int64_t total;    /* 0: unknown */
    const char *text; /* "" for none; valid UTF-8; lives until the return */
};

/* How the task reaches its surroundings. Each may be NULL: nobody listens,
 * never cancelled. */
struct job_ops {
    /* Called at most every JOB_CONTEXT_PROGRESS_MS, and once more at the end
     * for what was still held back. */
    void (*progress)(void *arg, const struct job_progress *progress);
    /* Cheap: called from the task's inner loops. */
    bool (*cancelled)(void *arg);
    /* A line of the job's log: valid UTF-8 without line breaks, at most
     * JOB_CONTEXT_LOG_MAX bytes. False: it was lost. */
    bool (*log)(void *arg, struct str line);
};

/* What job_context_init() is told; everything is borrowed until
 * job_context_clear(). */
struct job_start {
    const char *id; /* "<queue>.<local id>" */
    const char *task;
    int attempt;       /* 1 is the first */
    int crashes;       /* so far */
    struct str args;   /* JSON text; followed by a NUL that is not counted.
                          Empty: no args */
    struct str inputs; /* the same: a JSON object, parent's id -> result */
    const char *traceparent; /* of its origin; NULL: none */
    const char *request_id;
    const struct job_ops *ops; /* NULL: no operations */
    void *arg;                 /* for ops */
};

struct pit_job {
    struct job_start start;
    json_t *args;       /* NULL until asked for */
    json_t *inputs;     /* the same */
    struct buf result;  /* JSON text; empty: none */
    struct error error; /* what pit_job_fail() or a refused result said */
    bool args_bad;      /* the args could not be parsed: see run */
    bool failed;        /* error is set */
    bool progress_held; /* the newest progress was not reported yet */
    int64_t progress_done;
    int64_t progress_total;
    int64_t progress_at_ms; /* monotonic; of the last report, 0: none */
    char progress_text[JOB_CONTEXT_TEXT_MAX + 1];
    int64_t log_at_us;      /* monotonic: when its allowance is whole again */
    uint64_t log_lost;      /* lines that were not let through */
    int64_t retry_after_ms; /* what pit_job_retry_after() said; 0: nothing */
};

void job_context_init(struct pit_job *job, const struct job_start *start);
/* Runs the task once. ST_OK: it succeeded, and job->result holds what it said
 * (empty: nothing). Otherwise the status that it ended with, and job->error
 * says why, never an empty message; a status that tasks cannot return counts as
 * ST_FAILED. Args that are no JSON end it with ST_PERMANENT, whatever the task
 * made of them. */
CHECK enum status job_context_run(struct pit_job *job, pit_task_fn *run);
/* The same for an async task. May suspend. */
CHECK enum status job_context_run_async(struct co *co, struct pit_job *job,
                                        pit_async_task_fn *run);
/* Has the coroutine work for the job: in its log lines, in what it sends, in
 * the jobs that it enqueues. job_context_run_async() does so itself. */
void job_context_enter(struct co *co, const struct pit_job *job);
/* The end of an attempt that was run in another way, and ended with @st. */
CHECK enum status job_context_end(struct pit_job *job, enum status st);
/* Cuts @text to whole UTF-8 characters, in place, and makes every byte that is
 * none a '?'. */
void job_context_make_utf8(char *text);
/* Frees result, args and inputs; the struct may be used again. NULL is fine. */
void job_context_clear(struct pit_job *job);

#endif
