/* pit/status.h - how a call into Pitmaster ended.
 *
 * One status for everything: views, tasks, awaits and the queue. Code decides
 * on the status; the text that comes with an error is for people. The front
 * maps each status to one HTTP answer (docs/errors.md has the table). */
#ifndef PIT_STATUS_H
#define PIT_STATUS_H

enum pit_status {
    PIT_OK = 0,
    PIT_INVALID,      /* the caller's input cannot be honoured: 400 */
    PIT_NOT_FOUND,    /* 404 */
    PIT_CONFLICT,     /* exists with other content, or is in a state that
                         does not allow it: 409 */
    PIT_GONE,         /* was there, is past its retention: 410 */
    PIT_TOO_LARGE,    /* 413 */
    PIT_UNKNOWN_TASK, /* 422 */
    PIT_LEASE_LOST,   /* another attempt holds the job: 409 */
    PIT_LIMIT,        /* a cap of this process is reached, try again: 503 */
    PIT_UNAVAILABLE,  /* Redis, or an upstream, cannot be reached: 503 */
    PIT_UNCLEAR,      /* sent, but the answer never came: it may have
                         happened: 503 with outcome-unknown */
    PIT_TIMEOUT,      /* the deadline passed: 504 */
    PIT_CANCELLED,    /* the client hung up, or the process shuts down */
    PIT_FORBIDDEN,    /* 403 */
    PIT_READ_ONLY,    /* the store refuses writes (disk full, memory full,
                         replica): 503 */
    PIT_FAILED,       /* the handler itself says that it failed: retried */
    PIT_PERMANENT,    /* failed, and another attempt would not help: dead */
    PIT_BUG,          /* a promise inside Pitmaster was broken: 500 */
    PIT_QUEUE_FULL,   /* the queue takes no more jobs at the moment: 429 */
};

#endif
