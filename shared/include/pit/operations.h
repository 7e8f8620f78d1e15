/* pit/operations.h - work on many jobs that web processes do behind an answer:
 * what POST /v1/jobs:retry, :cancel, :delete and a purge over HTTP have begun
 * (docs/control.md). For views, async tasks and programs (pit/run.h).
 *
 * From C nothing is begun so: pit_jobs_retry_all() and its like (pit/jobs.h)
 * are through when they return.
 *
 * Each suspends for Redis and has, beside its own, the errors PIT_UNAVAILABLE
 * (Redis is away, or the process has no queues), PIT_CANCELLED and PIT_TIMEOUT
 * of the coroutine. */
#ifndef PIT_OPERATIONS_H
#define PIT_OPERATIONS_H

#include "pit/queue.h"

enum pit_operation_state {
    PIT_OPERATION_RUNNING = 1,
    PIT_OPERATION_INTERRUPTED, /* its process went away, another goes on */
    PIT_OPERATION_DONE,        /* from here on it has ended */
    PIT_OPERATION_CANCELLED,
    PIT_OPERATION_FAILED,
};

/* An operation as it was at one moment; lent by the struct pit_operations that
 * it is in. Times are milliseconds since the epoch, 0: none. Strings are ""
 * where there is nothing to say. */
struct pit_operation_info {
    const char *id;
    const char *kind; /* "retry", "cancel", "delete", "purge" */
    enum pit_operation_state state;
    const char *state_name; /* "running" */
    bool cancel_asked;      /* it runs, and was asked to stop */
    const char *queue;      /* "": its jobs were named by ids */
    bool dry_run;
    const json_t *filter; /* as it was sent; NULL: none */
    int64_t seen;         /* jobs that were looked at */
    int64_t matched;      /* of those, by the filter */
    int64_t done;         /* of those, changed */
    int64_t refused;      /* of those, in another state by then, or gone */
    const char *message;  /* why it failed */
    int64_t created_ms;
    int64_t updated_ms;
    int64_t ended_ms;
};

/* Some operations. Zero it, or use PIT_OPERATIONS; everything lent lives until
 * pit_operations_clear(), or the next call with the same struct. */
struct pit_operations {
    size_t len;
    const struct pit_operation_info *operations;
    const char *next; /* what gets the page after this one; NULL: there is none
                       */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_operations_clear(struct pit_operations *operations);
#define PIT_OPERATIONS __attribute__((cleanup(pit_operations_clear)))

/* One: ret->operations[0]. Errors: PIT_NOT_FOUND, also a day after its end. */
enum pit_status pit_operations_get(struct pit_co *co, const char *id,
                                   struct pit_operations *ret);
/* The newest first, behind @cursor (pit_operations.next; NULL: from the newest
 * on), at most @limit (1 to 100; 0: 50). Errors: PIT_INVALID. */
enum pit_status pit_operations_list(struct pit_co *co, const char *cursor,
                                    int limit, struct pit_operations *ret);
/* It goes no further, and *ret (may be NULL) is as it is then; what it did is
 * done. Errors: PIT_NOT_FOUND; PIT_CONFLICT it has ended; PIT_READ_ONLY;
 * PIT_UNCLEAR it may have been asked: doing it again does no harm. */
enum pit_status pit_operations_cancel(struct pit_co *co, const char *id,
                                      struct pit_operations *ret);

#endif
