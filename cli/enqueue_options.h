/* enqueue_options.h - what pit enqueue is told of a job, beside task and args.
 *
 * What is not given is the task's own. Pure functions. */
#ifndef CLI_ENQUEUE_OPTIONS_H
#define CLI_ENQUEUE_OPTIONS_H

#include "queue/job/job.h"
#include "session.h"

struct enqueue_options {
    struct session_options session;
    const char *args;
    const char *queue;
    const char *id;
    int64_t delay_ms;
    int64_t wait_ms;
    int64_t priority;    /* -1: the task's */
    int64_t retries;     /* -1: the task's */
    int64_t time_ms;     /* of an attempt; 0: the task's */
    const char *backoff; /* NULL: the task's, as the three below */
    const char *backoff_base;
    const char *backoff_cap;
    const char *backoff_jitter;
    const char *keep; /* NULL: the task's */
    const char *run_at;
    const char *expires_at;
    const char *tags;
    const char *unique;
    const char *unique_while;
    const char *on_conflict;
    int64_t unique_ttl_ms;
    const char *limit;
    int64_t concurrency;
    const char *rate;
    const char *callback;
    const char *callback_on;
    const char *durability;
    const char *after;
    const char *batch;
    bool atomic;
    bool force;
};

/* Puts what was given over what @spec has from its task; it lends from
 * @options. Not checked as a whole: job_spec_check() is next. Errors:
 * ST_INVALID, with words that name the option. */
CHECK enum status enqueue_options_apply(const struct enqueue_options *options,
                                        struct job_spec *spec,
                                        struct error *err);

#endif
