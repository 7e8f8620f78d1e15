/* pit/queue.h - jobs, from a view or an async task: enqueue, look, wait.
 *
 *     struct pit_ticket ticket;
 *     enum pit_status st = pit_enqueue(co, "reports.packages",
 *                                      pit_args("{s:i}", "top", 20),
 *                                      &(struct pit_enqueue){
 *                                          .delay_ms = 30000,
 *                                          .ticket = &ticket});
 *     if (st != PIT_OK)
 *         return pit_reply_problem(res, st, "%s", ticket.error);
 *     return pit_reply_json(res, 202, "{s:s}", "id", ticket.id);
 *
 * PIT_OK is said only once Redis has the job. When the connection is lost
 * between the write and its answer nobody can know: PIT_UNCLEAR, with the id
 * that was chosen before. The traceparent of the request (or of the job that
 * runs) goes along, and its X-Request-Id where the client chose it. What is
 * said here to suspend does so for Redis. */
#ifndef PIT_QUEUE_H
#define PIT_QUEUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pit/app.h"
#include "pit/co.h"
#include "pit/status.h"

enum {
    PIT_JOB_ID_SIZE = 130, /* "<queue>.<local id>" with its NUL */
    PIT_WORDS_SIZE = 240,
};

/* The args of a job, @fmt as jansson's json_pack(). Never NULL: a format that
 * does not fit its values makes pit_enqueue() return PIT_INVALID. The reference
 * goes to whoever it is passed to. Never suspends. */
json_t *pit_args(const char *fmt, ...);

/* What became of an enqueue. */
struct pit_ticket {
    char id[PIT_JOB_ID_SIZE]; /* also of one that failed or is unclear; "" when
                                 it was refused before an id was chosen */
    bool existed; /* stood there already, with the same content, or holds the
                     unique key (PIT_UNIQUE_RETURN) */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
};

enum pit_backoff { PIT_BACKOFF_EXPONENTIAL = 1, PIT_BACKOFF_FIXED };

/* Only one job of the queue may hold a key: docs/limits-and-uniqueness.md. */
enum pit_unique_while {
    PIT_UNIQUE_RUNNING, /* until it has ended: what a zero means */
    PIT_UNIQUE_WAITING, /* until it is started for the first time */
    PIT_UNIQUE_ENDED,   /* until ttl_ms past its end */
};
enum pit_unique_conflict {
    PIT_UNIQUE_REJECT,  /* PIT_CONFLICT, and the ticket's id is the holder's */
    PIT_UNIQUE_RETURN,  /* PIT_OK with the holder's id */
    PIT_UNIQUE_REPLACE, /* a holder that waits is cancelled; else as REJECT */
};
struct pit_unique {
    const char *key; /* 1 to 128 visible ASCII characters; NULL: none */
    enum pit_unique_while until;
    enum pit_unique_conflict on_conflict;
    int64_t ttl_ms; /* ENDED: 0 is keep_ms; else the longest that it is held,
                       0: no bound */
};
/* The queue's jobs of one key share it, over all workers. */
struct pit_limit {
    const char *key;        /* as above; NULL: none */
    int32_t concurrency;    /* at once; 0: any number */
    int32_t rate;           /* starts in rate_period_ms; 0: any number */
    int64_t rate_period_ms; /* at most a day */
};

enum pit_callback_on {
    PIT_CALLBACK_BOTH, /* what a zero means */
    PIT_CALLBACK_SUCCEEDED,
    PIT_CALLBACK_DEAD,
};

/* How safe a job must be before it is said to be there. */
enum pit_durability {
    PIT_AS_CONFIGURED, /* the server: what a zero means */
    PIT_FSYNC,         /* in its append-only file, synced */
    PIT_REPLICA,       /* in the memory of so many of its replicas */
};

/* All optional: zero what is not set, and the task's own policy counts. Strings
 * are borrowed for the call. */
struct pit_enqueue {
    const char *queue;
    const char *id;        /* a local id of one's own, [A-Za-z0-9_:-]{1,64}: the
                              same job twice is one */
    int64_t delay_ms;      /* from now, at most ten years; or */
    int64_t run_at_ms;     /* since the epoch */
    int64_t expires_at_ms; /* since the epoch: it is not started later */
    int64_t timeout_ms;    /* of one attempt, at most a week */
    int64_t keep_ms;       /* how long it can be looked up once it has ended, at
                              most a year; PIT_NO_KEEP: not at all */
    int32_t priority;      /* PIT_PRIORITY(0..9), 9 first */
    int32_t retries;       /* 1..1000, or PIT_NO_RETRY */
    enum pit_backoff backoff;
    int64_t backoff_ms;     /* of the first retry */
    int64_t backoff_cap_ms; /* of any */
    double backoff_jitter;  /* the part of it that is random, up to 1, or
                               PIT_NO_JITTER */
    const char *tags;       /* "nightly,report": at most 16 */
    struct pit_unique unique;
    struct pit_limit limit;
    const char *const *after; /* ids of jobs that must have succeeded before;
                                 at most 64, ends with NULL; NULL: none */
    const char *callback;     /* http(s) URL that is sent a signed request when
                                 it succeeded or is dead; NULL: none */
    enum pit_callback_on callback_on;
    /* Of pit_enqueue() alone. What the server cannot do is refused before
     * anything is stored (docs/operations.md). */
    enum pit_durability durability;
    int32_t replicas;          /* PIT_REPLICA: 1..16; 0: 1 */
    struct pit_ticket *ticket; /* is filled in, whatever happens */
};
enum { PIT_NO_KEEP = -1, PIT_NO_JITTER = -1 };

/* Suspends. Takes the reference to @args (NULL: no args); @options may be NULL.
 * Errors: PIT_INVALID an option out of range, or args that could not be made;
 * PIT_UNKNOWN_TASK; PIT_TOO_LARGE args above 1 MiB; PIT_CONFLICT the id belongs
 * to a job with other content, or the unique key to another one; PIT_GONE the
 * id belongs to one that is past its retention; PIT_QUEUE_FULL the queue takes
 * no more at present; PIT_UNAVAILABLE, PIT_READ_ONLY, PIT_LIMIT: not stored;
 * PIT_UNCLEAR: it may be stored, enqueue again under the same id to be sure;
 * also a job that is stored, but is not as durable as asked for in 1.5 s;
 * PIT_CANCELLED, PIT_TIMEOUT. In a process without queues: PIT_UNAVAILABLE. */
enum pit_status pit_enqueue(struct pit_co *co, const char *task, json_t *args,
                            const struct pit_enqueue *options);

/* One of many. */
struct pit_enqueue_job {
    const char *task;
    json_t *args;                      /* as pit_args() makes them */
    const struct pit_enqueue *options; /* NULL: none; its ticket has the id */
    enum pit_status status;            /* out: as pit_enqueue() returns it */
};
/* Enqueues @n jobs, each for itself, in few round trips: of the jobs of one
 * queue 128 go in one step. Suspends. Takes the references to all args. Each
 * job has its own status and ticket; PIT_OK when all are PIT_OK, else the first
 * that is not. Once the coroutine is cancelled, or its deadline has passed, the
 * rest is not sent, and says so. */
enum pit_status pit_enqueue_many(struct pit_co *co,
                                 struct pit_enqueue_job *jobs, size_t n);
/* All or nothing: 1 to 128 jobs of one queue, at most 2 MiB of args, in one
 * step. Otherwise as above: with one that is refused nothing is stored, each
 * job has a status that says so, and the tickets say which one was at fault.
 * Errors besides: PIT_INVALID jobs of several queues, or with `after` (make a
 * flow of them); PIT_TOO_LARGE. When all of them stand there already, under ids
 * of one's own and with the same content, that is PIT_OK. */
enum pit_status pit_enqueue_all(struct pit_co *co, struct pit_enqueue_job *jobs,
                                size_t n);

/* ---- looking ---- */

enum pit_state {
    PIT_SCHEDULED = 1,
    PIT_READY,
    PIT_BLOCKED,
    PIT_RUNNING,
    PIT_RETRYING,
    PIT_SUCCEEDED, /* from here on it has ended */
    PIT_DEAD,
    PIT_JOB_CANCELLED,
    PIT_EXPIRED,
    PIT_QUARANTINED,
    PIT_ENDED, /* for filters: succeeded, cancelled or expired */
};

/* A job as it is at one moment. Zero it, or use PIT_RESULT; everything lent
 * lives until pit_result_clear(). */
struct pit_result {
    enum pit_state state;   /* 0: it is not known */
    const char *state_name; /* "succeeded" */
    int attempt;            /* how often it was started */
    const json_t *value;    /* what the task said, NULL: nothing. Borrowed */
    const json_t *progress; /* {"done","total","message"}; NULL: none */
    const char *cause;   /* why it failed last: "failed", "timeout", "crashed",
                            "lost", "cancelled", "expired"; "" */
    const char *message; /* in the task's own words; "" */
    char error[PIT_WORDS_SIZE]; /* why it could not be looked at; "" */
    void *private_;
};

/* Suspends. @id "<queue>.<local id>", as a ticket has it. Errors: PIT_INVALID,
 * PIT_NOT_FOUND, PIT_GONE past its retention, PIT_UNAVAILABLE. A further call
 * with the same struct drops what it had. */
enum pit_status pit_result_get(struct pit_co *co, const char *id,
                               struct pit_result *ret);
/* Suspends until the job has ended, at most @timeout_ms: PIT_OK, also for one
 * that is dead. PIT_TIMEOUT: not yet, and *ret is how it was then (unless the
 * coroutine's own deadline passed). Else as pit_result_get(). Costs no
 * polling. */
enum pit_status pit_result_wait(struct pit_co *co, const char *id,
                                int64_t timeout_ms, struct pit_result *ret);
/* Harmless on a zeroed one, and twice. */
void pit_result_clear(struct pit_result *result);
/* Clears it at the end of the block. */
#define PIT_RESULT __attribute__((cleanup(pit_result_clear)))

#endif
