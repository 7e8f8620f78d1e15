/* pit/jobs.h - jobs that are there already: look at them, stop them, run them
 * again, forget them. For views and async tasks; pit/queue.h puts jobs there.
 *
 *     struct pit_jobs dead PIT_JOBS = {0};
 *     st = pit_jobs_list(co, &(struct pit_list){"mail", PIT_DEAD}, &dead);
 *     for (size_t i = 0; st == PIT_OK && i < dead.len; i++)
 *         st = pit_jobs_retry(co, dead.jobs[i].id, NULL, NULL);
 *
 * Whatever is said to suspend does so for Redis. Each has, beside its own, the
 * errors PIT_UNAVAILABLE (Redis is away, or the process has no queues),
 * PIT_CANCELLED and PIT_TIMEOUT of the coroutine; a change also PIT_READ_ONLY,
 * PIT_LIMIT (nothing was changed) and PIT_UNCLEAR: it may have happened. Doing
 * it again does no harm. docs/control.md says what each step means. */
#ifndef PIT_JOBS_H
#define PIT_JOBS_H

#include "pit/queue.h"

/* ---- looking ---- */

/* One attempt that has ended. */
struct pit_attempt {
    int number;          /* 1 is the first */
    const char *outcome; /* "succeeded", "failed", "timeout", "crashed", "lost",
                            "released", "cancelled" */
    const char *message; /* the task's own words, or ""  */
    const char *worker;
    int64_t started_ms;
    int64_t ended_ms;
};

/* A job as it was at one moment; lent by the struct pit_jobs that it is in.
 * Times are milliseconds since the epoch, 0: none. Strings are "" where there
 * is nothing to say. */
struct pit_job_info {
    const char *id; /* "<queue>.<local id>" */
    const char *task;
    const char *queue;
    enum pit_state state;
    const char *state_name; /* "succeeded" */
    int priority;           /* 0 to 9; 9 runs first */
    const char *tags;       /* "nightly,report" */
    const char *request_id; /* of the request that it was enqueued for, where
                               the client had named it */
    const json_t *args;     /* borrowed; NULL: none */
    const json_t *value;    /* what the task said; NULL: nothing */
    const json_t *progress; /* {"done","total","message"}; NULL: none */
    const char *cause;      /* why it has not succeeded, as pit_result has it */
    const char *message;    /* in the task's own words */
    int attempt;            /* how often it was started */
    int retries;            /* how many of its retries are used */
    int crashes;
    int64_t created_ms;
    int64_t run_at_ms; /* when it is, or was, due */
    int64_t expires_at_ms;
    int64_t started_ms; /* the present or last attempt */
    int64_t ended_ms;
    int64_t cancel_asked_ms; /* it runs, and was asked to stop then */
    const char *worker;
    const struct pit_attempt *attempts; /* the newest 20, in order */
    size_t attempts_len;
    const void *private_;
};

/* Some jobs. Zero it, or use PIT_JOBS; everything lent lives until
 * pit_jobs_clear(), or the next call with the same struct. */
struct pit_jobs {
    size_t len;
    const struct pit_job_info *jobs;
    const char *next; /* what gets the page after this one; NULL: there is none
                       */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};

/* One job: ret->jobs[0]. Suspends. Errors: PIT_INVALID no id; PIT_NOT_FOUND;
 * PIT_GONE past its retention. */
enum pit_status pit_jobs_get(struct pit_co *co, const char *id,
                             struct pit_jobs *ret);

struct pit_list {
    const char *queue;    /* one queue */
    enum pit_state state; /* one state, or PIT_ENDED */
    int limit;            /* jobs of a page, 1 to 1,000; 0: 50 */
    const char *cursor;   /* pit_jobs.next of the page before; NULL: the first
                             page */
};
/* A page of the jobs of one queue in one state. It may be short, even empty,
 * while there is a next one; it ends early at 2 MiB of args and results. A job
 * that stays where it is is met once, whatever comes and goes in between.
 * docs/control.md says in which order. Suspends. Errors: PIT_INVALID. */
enum pit_status pit_jobs_list(struct pit_co *co, const struct pit_list *list,
                              struct pit_jobs *ret);
/* Harmless on a zeroed one, and twice. */
void pit_jobs_clear(struct pit_jobs *jobs);
/* Clears it at the end of the block. */
#define PIT_JOBS __attribute__((cleanup(pit_jobs_clear)))

/* What a job's attempts said by pit_job_log(). */
struct pit_log_line {
    int64_t at_ms; /* since the epoch, by Redis' clock */
    int attempt;
    const char *text; /* as it came; lent */
    size_t text_len;
};
struct pit_log_lines {
    size_t len;
    const struct pit_log_line *lines; /* oldest first */
    int64_t total;                    /* that there ever were; 1,000 are kept */
    bool more;                        /* others follow behind these */
    const char *next; /* what gets those after these, also those that are not
                         said yet; NULL: there was none at all */
    char error[PIT_WORDS_SIZE];
    void *private_;
};
/* Lines behind @cursor (pit_log_lines.next; NULL: from the oldest kept), at
 * most @limit (1 to 1,000; 0: 100). @cursor may be lent by *ret itself.
 * Suspends. Errors: as pit_jobs_get(). */
enum pit_status pit_jobs_logs(struct pit_co *co, const char *id,
                              const char *cursor, int limit,
                              struct pit_log_lines *ret);
void pit_log_lines_clear(struct pit_log_lines *lines);
#define PIT_LOG_LINES __attribute__((cleanup(pit_log_lines_clear)))

/* Why a job does not run: the gravest reason first. */
struct pit_reason {
    const char *code; /* "paused"; stable, docs/control.md has them all */
    char text[PIT_WORDS_SIZE]; /* one sentence: what it is and what to do */
    int64_t until_ms; /* when this may be over, since the epoch; 0: nobody
                         knows */
};
struct pit_explanation {
    enum pit_state state;
    const char *state_name;
    int64_t position;       /* jobs before it; -1: it waits in no list */
    bool position_at_least; /* there are more than that */
    size_t len;
    struct pit_reason reasons[10];
    char error[PIT_WORDS_SIZE];
};
/* *ret owns nothing. Suspends. Errors: as pit_jobs_get(). */
enum pit_status pit_jobs_explain(struct pit_co *co, const char *id,
                                 struct pit_explanation *ret);

/* ---- changing one ---- */

enum { PIT_NO_GRACE = -1, PIT_NOW = -1 };

/* All optional: zero what is not needed. Borrowed for the call. */
struct pit_control {
    const struct pit_job_info *seen; /* only if nothing about the job has
                                        changed since: else PIT_CONFLICT */
    int64_t grace_ms;   /* cancel: until its process is killed, at most an hour;
                           0: 10 s; PIT_NO_GRACE: at once */
    const char *reason; /* cancel: kept with the job, 1 to 500 bytes */
    int64_t run_at_ms;  /* edit: since the epoch, or PIT_NOW; 0: as it is */
    int32_t priority;   /* edit: PIT_PRIORITY(0..9); 0: as it is */
};

/* What became of it. */
struct pit_changed {
    enum pit_state before;        /* how the job was; 0: nobody knows */
    bool same;                    /* it was so already */
    bool asked;                   /* cancel: it runs, its worker was told */
    char holder[PIT_JOB_ID_SIZE]; /* retry: who has its unique key; else "" */
    char error[PIT_WORDS_SIZE];   /* for people; "" when all is well */
};

/* Each suspends, and happens wholly or not at all. @control and @ret may be
 * NULL. Errors: PIT_INVALID no id, or a value out of range; PIT_NOT_FOUND;
 * PIT_GONE past its retention; PIT_CONFLICT its state does not allow it, and
 * ret->error says which would. */

/* One that waits or is quarantined has ended then; one that runs is asked to
 * stop (ret->asked), and killed after the grace. */
enum pit_status pit_jobs_cancel(struct pit_co *co, const char *id,
                                const struct pit_control *control,
                                struct pit_changed *ret);
/* Dead, cancelled or expired: ready, with all its retries. Waiting for a retry:
 * ready now. PIT_CONFLICT also when its unique key is another job's by now, or
 * when it would expire at once. */
enum pit_status pit_jobs_retry(struct pit_co *co, const char *id,
                               const struct pit_control *control,
                               struct pit_changed *ret);
/* Scheduled, or waiting for a retry: ready now. */
enum pit_status pit_jobs_promote(struct pit_co *co, const char *id,
                                 const struct pit_control *control,
                                 struct pit_changed *ret);
/* Quarantined: ready. */
enum pit_status pit_jobs_release(struct pit_co *co, const char *id,
                                 const struct pit_control *control,
                                 struct pit_changed *ret);
/* One that waits gets another time, another priority, or both. PIT_INVALID when
 * @control names neither. */
enum pit_status pit_jobs_edit(struct pit_co *co, const char *id,
                              const struct pit_control *control,
                              struct pit_changed *ret);
/* Waits or has ended: forgotten. PIT_OK also for one that is gone. */
enum pit_status pit_jobs_delete(struct pit_co *co, const char *id,
                                const struct pit_control *control,
                                struct pit_changed *ret);

/* ---- changing many ---- */

/* A set of states: PIT_IN(PIT_DEAD) | PIT_IN(PIT_QUARANTINED). */
#define PIT_IN(state) (1u << (state))

/* Which jobs. All but queue and states may be zero. Borrowed for the call. */
struct pit_filter {
    const char *queue; /* one queue, and */
    unsigned states;   /* at least one state of PIT_IN(): nothing is assumed */
    const char *task;  /* only those of this task */
    const char *tag;   /* only those with this tag */
    int64_t older_ms;  /* enqueued so long ago at least */
    int64_t limit;     /* so many at most, in the order of a list */
    bool dry_run;      /* counts what matches, changes nothing */
    int32_t rate;      /* so many in rate_period_ms; 0: as fast as it goes */
    int64_t rate_period_ms; /* 1 ms to a day */
    /* Instead of all of the above but dry_run and rate: these jobs. */
    const char *const *ids; /* at most 1,000, ends with NULL */
    /* As struct pit_control has them; for cancel alone. */
    int64_t grace_ms;
    const char *reason;
};

/* How far it came, also when it failed. */
struct pit_bulk {
    int64_t seen;    /* jobs that were looked at */
    int64_t matched; /* of those, by the filter */
    int64_t done;    /* of those, changed */
    int64_t refused; /* of those, in another state by then, or gone */
    char error[PIT_WORDS_SIZE];
};

/* Each goes through the queue a page at a time and suspends until it is
 * through, which may take long: a view that should answer before calls it from
 * pit_detach(), or with a limit. Jobs that arrive meanwhile may or may not be
 * met. *ret (may be NULL) is how far it came, whatever ended it; what was done
 * is done, and the same filter again finds the rest. Errors: PIT_INVALID a
 * filter without queue or states, or with a state that the step is not for. */

/* Dead, cancelled, expired, retrying and (released) quarantined ones. */
enum pit_status pit_jobs_retry_all(struct pit_co *co,
                                   const struct pit_filter *filter,
                                   struct pit_bulk *ret);
/* All that have not ended, and quarantined ones. */
enum pit_status pit_jobs_cancel_all(struct pit_co *co,
                                    const struct pit_filter *filter,
                                    struct pit_bulk *ret);
/* All but those that run. */
enum pit_status pit_jobs_delete_all(struct pit_co *co,
                                    const struct pit_filter *filter,
                                    struct pit_bulk *ret);

#endif
