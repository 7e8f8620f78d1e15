/* held.h - a job that this worker has claimed, until its end is in Redis.
 *
 * Made from a claim's reply, owned by the dispatcher, freed once the finish was
 * taken (or refused: then it is somebody else's). At any time it is in exactly
 * one place:
 *
 *   waiting --> in a ring or board --> to finish --> in a call under way -->
 * freed ^             |  (taken back)     ^               | (it did not happen)
 *      '-------------'                   '---------------'
 *
 * and besides in the list of leases to renew, unless its lease is lost. */
#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "queue/queue.h"
#include "ring.h"

struct source;
struct lane;

enum held_place {
    HELD_NEW,
    HELD_WAITING,
    HELD_LANE,
    HELD_ASYNC_WAITING,
    HELD_ASYNC,
    HELD_FINISH,
    HELD_CALL,
};

struct held {
    enum held_place place;
    struct lane *lane;    /* HELD_LANE */
    uint32_t async_place; /* HELD_ASYNC */
    struct list link;     /* waiting, to finish, or of a call */
    struct list lease;    /* by renewed_ms, oldest first */
    struct source *source;
    struct str id; /* "<queue>.<local>"; the slices are in the same memory */
    struct str local;
    struct str task;
    struct str args;
    struct str traceparent; /* of its origin, or empty */
    struct str request_id;
    char token[QUEUE_TOKEN_MAX + 1];
    int priority;
    int attempt;
    int retries;
    int crashes;
    int64_t timeout_ms;
    int64_t keep_ms;
    int32_t retries_max;
    struct backoff backoff;
    int64_t renewed_ms; /* monotonic: when its lease was last pushed back */
    int32_t cost_us;    /* what it was expected to take, of a lane's budget */
    bool alone;   /* a child died with it: no other shares a ring with it now */
    bool lost;    /* the lease is another's: not to be finished */
    bool unclear; /* its finish was sent once, with no answer */
    /* how it ended */
    enum outcome outcome;
    int64_t delay_ms;
    struct buf inputs; /* the results of its parents, JSON, or empty */
    struct buf result;
    struct buf message; /* a JSON string, or empty */
};

/* Copies the claim. Errors: ST_INVALID when the record cannot be read: *ret can
 * only be finished then. */
CHECK enum status held_new(struct source *source, struct str queue,
                           const struct claimed *claimed, struct held **ret,
                           struct error *err);
/* As it is handed to a child; lent from it. */
struct ring_job held_job(const struct held *held);
/* Unlinks it from both lists. NULL is fine. */
void held_free(struct held *held);
/* @text: for people, made a JSON string. */
void held_say(struct held *held, struct str text);

#endif
