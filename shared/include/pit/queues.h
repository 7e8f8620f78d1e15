/* pit/queues.h - the queues themselves: how deep they are, what they are told,
 * stopped, emptied. For views and async tasks.
 *
 *     st = pit_queues_pause(co, "mail",
 *                           &(struct pit_pause){.note = "provider is down"},
 *                           NULL);
 *
 * Whatever is said to suspend does so for Redis. Each has, beside its own, the
 * errors PIT_INVALID for what is no queue's name, PIT_UNAVAILABLE (Redis is
 * away, or the process has no queues), PIT_CANCELLED and PIT_TIMEOUT of the
 * coroutine; a change also PIT_READ_ONLY, PIT_LIMIT (nothing was changed) and
 * PIT_UNCLEAR: it may have happened. Doing it again does no harm. */
#ifndef PIT_QUEUES_H
#define PIT_QUEUES_H

#include "pit/jobs.h"

enum { PIT_NO_LIMIT = -1, PIT_STANDARD = -2 };

/* What a queue is told. When it is set: zero leaves a field as it is,
 * PIT_NO_LIMIT takes a limit away, and PIT_STANDARD goes back to what holds
 * where nothing is set. When it is shown: what holds, PIT_NO_LIMIT where there
 * is no limit, and zero for what the queue says nothing of. */
struct pit_queue_settings {
    int64_t len_max;   /* jobs that may wait, at most 10^9; more are refused */
    int64_t bytes_max; /* of their records, at most 2^50 */
    int64_t concurrency; /* jobs that run at once, at most 100,000 */
    int64_t rate;        /* jobs that start in rate_period_ms, at most 10^6 */
    int64_t rate_period_ms; /* 1 ms to a day */
    int64_t ended_max;      /* ended jobs that are kept at most; else 100,000 */
    int64_t dead_max;       /* dead ones; else 10,000 */
    int64_t dead_ms; /* how long one is kept, 1 s to a year; else 30 days */
    int64_t quarantined_max; /* the same of quarantined ones */
    int64_t quarantined_ms;
    /* For jobs whose task and options say nothing of it (docs/control.md). */
    int32_t retries;          /* 1..1000, or PIT_NO_RETRY */
    enum pit_backoff backoff; /* or PIT_STANDARD */
    int64_t backoff_ms;       /* of the first retry, at most ten years */
    int64_t backoff_cap_ms;   /* of any; not below backoff_ms */
    double backoff_jitter;    /* in hundredths up to 1, or PIT_NO_JITTER */
    const char *note; /* for people, at most 500 bytes; "": none; NULL leaves
                         it */
};

/* A queue as it was at one moment; lent by the struct pit_queues that it is in.
 */
struct pit_queue_info {
    const char *name;
    bool paused; /* nothing is started */
    bool closed; /* nothing is taken in */
    /* Jobs in a state, by enum pit_state; those that succeeded, were cancelled
     * or expired are counted together, under PIT_ENDED. */
    int64_t count[PIT_ENDED + 1];
    int64_t oldest_ready_ms; /* age of the oldest that waits; -1: none does */
    struct {
        int64_t enqueued, succeeded, failed, retried, dead, crashed, lost,
            timeout, released, expired, quarantined;
    } total; /* since the queue exists */
    struct {
        double enqueued_per_s;
        double succeeded_per_s;
        double failed_per_s; /* attempts, however they failed */
        double window_s;     /* over so long; 0: nothing is known yet */
    } rate;
    struct pit_queue_settings settings;
};

/* Some queues. Zero it, or use PIT_QUEUES; everything lent lives until
 * pit_queues_clear(), or the next call with the same struct. */
struct pit_queues {
    size_t len;
    const struct pit_queue_info *queues;
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_queues_clear(struct pit_queues *queues);
#define PIT_QUEUES __attribute__((cleanup(pit_queues_clear)))

/* One queue: ret->queues[0]. Suspends. Errors: PIT_NOT_FOUND no job was ever
 * put into it, and nothing was set. */
enum pit_status pit_queues_get(struct pit_co *co, const char *name,
                               struct pit_queues *ret);
/* All of them by name, at most 1,000. Suspends, some commands a queue. */
enum pit_status pit_queues_list(struct pit_co *co, struct pit_queues *ret);

/* Each changes the queue in one step, and shows it as it is then: *ret as
 * pit_queues_get() fills it, or NULL. The queue need not exist before. Changes
 * hold from the next call of any worker or front on. Suspends. */

/* Errors: PIT_INVALID also for a value out of range, and when nothing is to be
 * changed. */
enum pit_status pit_queues_set(struct pit_co *co, const char *name,
                               const struct pit_queue_settings *settings,
                               struct pit_queues *ret);

/* What is meant; NULL, or neither: a pause stops the dispatch alone (what comes
 * in is kept, and runs later), a resume ends both. */
struct pit_pause {
    bool dispatch;    /* nothing is started; what runs goes on */
    bool intake;      /* nothing is taken in: PIT_QUEUE_FULL */
    const char *note; /* why, at most 500 bytes; NULL: as it is. A resume
                         without one takes it away */
};
enum pit_status pit_queues_pause(struct pit_co *co, const char *name,
                                 const struct pit_pause *pause,
                                 struct pit_queues *ret);
enum pit_status pit_queues_resume(struct pit_co *co, const char *name,
                                  const struct pit_pause *pause,
                                  struct pit_queues *ret);

/* Removes the jobs of a queue in @states (PIT_IN() of ready, scheduled,
 * retrying, blocked, dead, quarantined, ended; 0: all that waits), some hundred
 * a step. Jobs that run are never touched; what is enqueued meanwhile may be
 * removed too, or stay. *ret (may be NULL) is how far it came, whatever ended
 * it. Suspends until it is through. Errors: PIT_INVALID a state that cannot be
 * purged. */
enum pit_status pit_queues_purge(struct pit_co *co, const char *name,
                                 unsigned states, struct pit_bulk *ret);

/* How many workers it takes. Rates are those of about the last minute. */
struct pit_scale {
    double enqueued_per_s;
    double succeeded_per_s;
    double failed_per_s;
    double window_s;
    int64_t waiting; /* ready now */
    int64_t running;
    double drain_s; /* until nothing waits at these rates; -1: never, or nobody
                       knows */
    double attempt_s; /* how long one runs on average; -1: nobody knows */
    int64_t workers;  /* alive, and serving the queue */
    int64_t slots;    /* of those, for all of their queues */
    int64_t wanted;   /* slots that keep up with what comes, and take care of
                         what waits within the target */
    char error[PIT_WORDS_SIZE];
};
/* @target_ms: in which what waits should be done, 1 s to a day; 0: a minute.
 * Suspends. A queue that is not there wants nothing. */
enum pit_status pit_queues_scale(struct pit_co *co, const char *name,
                                 int64_t target_ms, struct pit_scale *ret);

#endif
