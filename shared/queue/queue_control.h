/* queue_control.h - what an operator does to one job.
 *
 * Each is one script call and happens wholly or not at all; doing it again does
 * no harm. A job that runs is not taken from its worker: cancelling asks the
 * worker to stop it, which holds across the worker's restart. */
#ifndef QUEUE_QUEUE_CONTROL_H
#define QUEUE_QUEUE_CONTROL_H

#include "queue/queue.h"

enum control_verb {
    CONTROL_CANCEL,  /* waits, quarantined: ends now. Runs: is asked to */
    CONTROL_RETRY,   /* dead, cancelled, expired, retrying: ready, with all its
                        retries */
    CONTROL_PROMOTE, /* scheduled, retrying: ready now */
    CONTROL_RELEASE, /* quarantined: ready */
    CONTROL_EDIT,    /* waits: another time or priority */
    CONTROL_DELETE,  /* ended or waits: forgotten at once */
};
enum { CONTROL_VERBS = CONTROL_DELETE + 1 };
/* "cancel", ... */
const char *queue_control_verb_name(enum control_verb verb);

#define CONTROL_GRACE_MAX_MS INT64_C(3600000)
#define CONTROL_GRACE_STANDARD_MS INT64_C(10000)

enum control_outcome {
    CONTROL_DONE,
    CONTROL_SAME,    /* it was so already */
    CONTROL_ASKED,   /* it runs: its worker was told to stop it */
    CONTROL_REFUSED, /* not in this state, see `state` */
    CONTROL_CHANGED, /* it is not any more as it was seen */
    CONTROL_HELD,    /* its unique key is another job's, see `holder` */
    CONTROL_EXPIRED, /* its expires_at has passed: it would not run */
};

/* What changes in a job's life, as one saw it; lends from the view. */
struct control_seen {
    int priority;
    struct str state; /* its history's text */
    struct str due;
    struct str progress;
};
void queue_control_seen(const struct job_view *view, struct control_seen *ret);

struct control {
    struct rds_call call; /* call.op is what to await, or has the callback */
    /* in */
    enum control_verb verb;
    struct job_id id;
    const struct control_seen *seen; /* only if it is still like that; NULL: as
                                        it may be. Lives until it is sent */
    int64_t grace_ms;  /* CANCEL: before it is killed, 0..CONTROL_GRACE_MAX_MS
                        */
    struct str reason; /* CANCEL: text, or empty */
    int64_t run_at_ms; /* EDIT: -1 leaves it; 0 is now */
    int priority;      /* EDIT: -1 leaves it */
    /* out, by queue_control_result() */
    enum control_outcome outcome;
    enum job_state state; /* how it was before; valid for all but HELD */
    char holder[ID_LOCAL_MAX + 1];
};

/* Sends; with on_settled NULL, await it. */
void queue_control_send(struct queues *queues, struct control *control,
                        void (*on_settled)(struct op *), void *arg);
/* Reads the reply of a settled one. Errors: ST_NOT_FOUND, ST_GONE as
 * queue_get(); Redis' status. Then rds_call_clear(&control->call). */
CHECK enum status queue_control_result(struct control *control,
                                       struct error *err);
/* Has it happened? ST_OK: it has, it was so already, or the worker was asked.
 * Else ST_CONFLICT with words that say why not, and for which jobs it is. For
 * one that queue_control_result() could read. */
CHECK enum status queue_control_verdict(const struct control *control,
                                        struct error *err);
/* Both, and clears. */
CHECK enum status queue_control_await(struct co *co, struct queues *queues,
                                      struct control *control,
                                      struct error *err);

#endif
