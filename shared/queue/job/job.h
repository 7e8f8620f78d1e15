/* job.h - the job model: what is enqueued, what is stored, what comes out.
 *
 *   enqueue --> scheduled --(due)--> ready --claim--> running --+--> succeeded
 *        \-------------------------->  ^                        +--> dead
 *                                      |<--- crash, lost, drain-+--> expired
 *                                      |<--(due)-- retrying <---+-->
 * quarantined
 *
 * A job is in exactly one of the ready lists, `due`, `retrying`, `blocked`,
 * `leased`, `dead`, `done`, `quarantined` between any two script calls; that
 * membership *is* its state. Its record (the definition) is written once; its
 * state line is written from the first claim on. Both are text, so that a
 * client in any language can read them: docs/protocol.md has the grammar. */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "queue/job/backoff.h"
#include "queue/job/id.h"
#include "queue/job/job_options.h"

enum {
    JOB_ARGS_MAX = 1024 * 1024,   /* bytes of JSON */
    JOB_RESULT_MAX = 1024 * 1024, /* bytes of JSON */
    JOB_ERROR_MAX = 2048,         /* bytes of an attempt's error message */
    JOB_TAGS_MAX = 16,
    JOB_TAG_LEN_MAX = 64,
    JOB_ATTEMPTS_KEPT = 20, /* of the history, the newest */
    JOB_PRIORITY_MAX = 9,
    JOB_PRIORITY_STANDARD = 5,
    JOB_RETRIES_MAX = 1000,
    JOB_CRASHES_MAX = 3, /* then it is quarantined */
    JOB_LOST_MAX = 10,   /* leases that ran out; then it is quarantined */
};

#define JOB_DELAY_MAX_MS INT64_C(315360000000) /* ten years */
#define JOB_TIMEOUT_MAX_MS INT64_C(604800000)  /* a week */
#define JOB_KEEP_MAX_MS INT64_C(31536000000)   /* a year */
#define JOB_TIMEOUT_STANDARD_MS INT64_C(60000)
#define JOB_KEEP_STANDARD_MS INT64_C(3600000)
#define JOB_RETRIES_STANDARD 3

/* What a policy of retries is made of: a bit each. */
enum job_retry {
    JOB_RETRY_MAX = 1 << 0,
    JOB_RETRY_BACKOFF = 1 << 1, /* its kind */
    JOB_RETRY_BASE = 1 << 2,
    JOB_RETRY_CAP = 1 << 3,
    JOB_RETRY_JITTER = 1 << 4,
    JOB_RETRY_ALL = (1 << 5) - 1,
};

enum { JOB_REQUEST_ID_MAX = 64 };

/* The request that it was enqueued for, or the one that the job was enqueued
 * for that enqueued it. Not a part of what the job is: job_same() passes over
 * it. Each may be empty. */
struct job_origin {
    struct str traceparent; /* W3C trace context */
    struct str request_id;  /* X-Request-Id, where the client chose it;
                               [A-Za-z0-9_.:-]{1,64} */
};

/* What is enqueued. Slices are borrowed. */
struct job_spec {
    struct str queue;
    struct str task;
    struct str local;      /* the caller's own id, or empty: one is made */
    struct str args;       /* valid JSON, or empty for null */
    int priority;          /* 0..9 */
    int64_t delay_ms;      /* >= 0, from now by Redis' clock; or */
    int64_t run_at_ms;     /* since the epoch; 0: now */
    int64_t expires_at_ms; /* 0: never */
    int64_t timeout_ms;    /* of one attempt */
    int64_t keep_ms;       /* how long it can be looked up once ended */
    int32_t retries;       /* 0..JOB_RETRIES_MAX */
    struct backoff backoff;
    unsigned retry_open; /* of enum job_retry: neither the job nor its task says
                            it, so the queue may (queue/queue_retry.h) */
    struct str tags;     /* comma-separated, each [A-Za-z0-9_.:-]{1,64} */
    struct job_origin origin;
    struct job_unique unique;
    struct job_limit limit;
    struct job_callback callback;
    struct job_kin kin;
};

/* The standard values: priority 5, timeout 60 s, keep 1 h, 3 retries from 2 s
 * doubled to 1 h with jitter 0.2. */
void job_spec_init(struct job_spec *spec);
/* Ranges and names. Errors: ST_INVALID with the pointer of the field. */
CHECK enum status job_spec_check(const struct job_spec *spec,
                                 struct error *err);

/* Appends the record of @spec as of @created_ms. */
void job_encode(const struct job_spec *spec, int64_t created_ms,
                struct buf *dst);
/* Reads a record; the slices lend from @record. `queue`, `local` are left
 * empty; run_at_ms is the time it was first scheduled for, delay_ms the delay.
 * Errors: ST_INVALID for a record that is none. */
CHECK enum status job_decode(struct str record, struct job_spec *ret,
                             int64_t *ret_created_ms, struct error *err);
/* Do both records enqueue the same (but for created_ms and origin)? For PUT. */
bool job_same(struct str record, struct str other);

enum job_state {
    JOB_SCHEDULED,
    JOB_READY,
    JOB_RUNNING,
    JOB_RETRYING,
    JOB_BLOCKED, /* waits for other jobs */
    JOB_SUCCEEDED,
    JOB_DEAD,
    JOB_CANCELLED,
    JOB_EXPIRED,
    JOB_QUARANTINED,
};
enum { JOB_STATES = JOB_QUARANTINED + 1 };
const char *job_state_name(enum job_state state);
/* Succeeded, dead, cancelled or expired: it will not run again by itself.
 * Quarantined counts too: a waiting client must not wait for an operator. */
bool job_state_ended(enum job_state state);

/* How an attempt ended. The letters stand in the state's history. */
enum outcome {
    OUTCOME_SUCCEEDED = 's',
    OUTCOME_FAILED = 'f',
    OUTCOME_TIMEOUT = 't',
    OUTCOME_CRASHED = 'c',  /* its child died; not a retry */
    OUTCOME_LOST = 'l',     /* its lease ran out */
    OUTCOME_RELEASED = 'r', /* handed back; the attempt is refunded */
    OUTCOME_CANCELLED = 'x',
    OUTCOME_EXPIRED = 'e', /* never ran: it was past expires_at */
};
/* "succeeded", "failed", ...; "unknown" for another letter. */
const char *job_outcome_name(int outcome);

/* One attempt of the history; slices lend from the state text. */
struct job_attempt {
    int number;
    int outcome; /* enum outcome */
    int64_t started_ms;
    int64_t ended_ms;
    struct str worker;
    struct str message; /* a JSON string with its quotes, or empty */
};

/* The state text, read. */
struct job_history {
    int code; /* 'R' running, 'W' waiting again, 'S' succeeded, 'D' dead,
                 'C' cancelled, 'X' expired, 'Q' quarantined; 0: never claimed
               */
    struct str token; /* of the present or last attempt */
    int attempt;
    int retries;
    int crashes;
    int lost;
    int64_t started_ms; /* of the present or last attempt */
    int64_t ended_ms;   /* 0 until it has ended */
    struct str worker;
    int attempts_len;
    struct job_attempt attempts[JOB_ATTEMPTS_KEPT]; /* ended ones, in order */
};
/* The empty text gives the history of a job that was never claimed.
 * Errors: ST_INVALID for a text that is none. */
CHECK enum status job_history_decode(struct str text, struct job_history *ret,
                                     struct error *err);
/* The state of a job with that code. What the code leaves open, membership
 * decides: @due_ms, when it falls due, 0 or less when it is not in `due` or
 * `retrying`; @blocked, whether it waits for its parents. */
enum job_state job_history_state(int code, int64_t due_ms, bool blocked);

#endif
