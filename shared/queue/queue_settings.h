/* queue_settings.h - what a queue can be told: pause, limits, retention, its
 * jobs' retries, a note.
 *
 * Kept in the queue's `meta`, read by the scripts themselves, so a change holds
 * from the next call of any worker or front on. */
#ifndef QUEUE_QUEUE_SETTINGS_H
#define QUEUE_QUEUE_SETTINGS_H

#include "queue/queue.h"
#include "queue/queue_retry.h"

enum { QUEUE_NOTE_MAX = 500 /* bytes */ };

/* What holds; -1: no limit. */
struct queue_settings {
    bool paused; /* nothing is claimed */
    bool closed; /* nothing is enqueued */
    char note[QUEUE_NOTE_MAX + 1];
    int64_t len_max;     /* jobs that may wait; more are refused */
    int64_t bytes_max;   /* of the records of jobs that wait */
    int64_t concurrency; /* jobs that may run at once, over all workers */
    int64_t rate;        /* jobs that may start in rate_period_ms */
    int64_t rate_period_ms;
    int64_t done_max;        /* ended jobs that are kept at most */
    int64_t dead_max;        /* dead jobs that are kept at most */
    int64_t dead_ms;         /* how long a dead job is kept */
    int64_t quarantined_max; /* the same of quarantined ones */
    int64_t quarantined_ms;
    struct queue_retry retry;
    bool any; /* something is set; or it was changed, and was there before */
};

/* What holds where nothing is set; scripts/work.lua and its
 * include/work_retention.lua have the same numbers. */
#define QUEUE_DONE_STANDARD INT64_C(100000)
#define QUEUE_DEAD_STANDARD INT64_C(10000)
#define QUEUE_DEAD_STANDARD_MS INT64_C(2592000000)

#define QUEUE_QUARANTINED_STANDARD INT64_C(10000)
#define QUEUE_QUARANTINED_STANDARD_MS INT64_C(2592000000)

#define QUEUE_LEN_LIMIT_MAX INT64_C(1000000000)
#define QUEUE_BYTES_LIMIT_MAX (INT64_C(1) << 50)

/* One change: a name of meta and its value; empty removes it. */
struct queue_setting {
    const char *name;
    char value[QUEUE_NOTE_MAX + 1];
};
enum { QUEUE_SETTINGS_MAX = 24 };

/* Applies @n changes (0: none, it only reads) in one step and reads what holds
 * now. The queue need not exist; it does from the first change on. What this
 * process enqueues next goes by the change.
 * Errors: Redis' status. */
CHECK enum status queue_settings_apply(struct co *co, struct queues *queues,
                                       struct str queue,
                                       const struct queue_setting *changes,
                                       size_t n, struct queue_settings *ret,
                                       struct error *err);

/* The changes of a pause (of @dispatch, of @intake, or of both), or of its end;
 * neither is what most want: a pause of the dispatch alone, so that what comes
 * in is kept and runs later, an end of both. @note: p NULL leaves it to a
 * pause, and goes with its end. Returns how many; @dst has room for
 * QUEUE_SWITCH_MAX. */
enum { QUEUE_SWITCH_MAX = 3 };
size_t queue_settings_switch(bool pause, bool dispatch, bool intake,
                             struct str note, struct queue_setting *dst);

/* "100/m": the rate as job_rate_parse() reads it. */
enum { QUEUE_RATE_SIZE = 48 };
const char *queue_settings_rate(const struct queue_settings *settings,
                                char dst[QUEUE_RATE_SIZE]);

#endif
