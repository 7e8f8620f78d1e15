/* queue_scale.h - how fast jobs come and go, and how many workers that asks
 * for.
 *
 * From `samples`, the queue's totals every 10 s while something happens: the
 * rates are those of about the last minute. */
#ifndef QUEUE_QUEUE_SCALE_H
#define QUEUE_QUEUE_SCALE_H

#include "queue/queue.h"

struct queue_rates {
    double enqueued_per_s;
    double succeeded_per_s;
    double failed_per_s; /* attempts: failed, timed out, crashed, lost */
    double ended_per_s;  /* attempts that ended, however */
    double window_s;     /* over so long; 0: nothing is known yet */
};

struct queue_scale {
    struct queue_rates rates;
    int64_t waiting; /* ready now */
    int64_t running;
    double drain_s;   /* until nothing waits at these rates; -1: never, or
                         nobody knows */
    double attempt_s; /* how long one runs on average; -1: nobody knows */
    int64_t workers;  /* alive, and serving the queue */
    int64_t slots;    /* of those, for all of their queues */
    int64_t wanted;   /* slots that keep up with what comes and take care of
                         what waits within the target */
};

enum {
    QUEUE_SCALE_TARGET_STANDARD_MS = 60000,
    QUEUE_SCALE_TARGET_MIN_MS = 1000,
    QUEUE_SCALE_TARGET_MAX_MS = 86400000,
    QUEUE_SCALE_SLOTS_MAX = 10000, /* of one worker */
};

/* Errors: Redis' status. */
CHECK enum status queue_rates(struct co *co, struct queues *queues,
                              const struct queue_counts *counts,
                              struct queue_rates *ret, struct error *err);
/* @target_ms > 0: in which what waits should be done. */
CHECK enum status queue_scale(struct co *co, struct queues *queues,
                              const struct queue_counts *counts,
                              int64_t target_ms, struct queue_scale *ret,
                              struct error *err);

/* How many workers of @slots_each have the slots that are wanted; 0: each has
 * what those alive have on average, or one where there is none. */
int64_t queue_scale_wanted_workers(const struct queue_scale *scale,
                                   int64_t slots_each);

/* What queue_scale() computes by; for tests. @ret has rates, waiting, running,
 * workers and slots. */
void queue_scale_judge(int64_t target_ms, struct queue_scale *ret);

/* Workers that are alive and serve @queue (all queues when it is empty), and
 * their slots. */
CHECK enum status queue_scale_workers(struct co *co, struct queues *queues,
                                      struct str queue, int64_t *ret_workers,
                                      int64_t *ret_slots, struct error *err);

#endif
