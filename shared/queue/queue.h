/* queue.h - the queue's verbs: enqueue, work (finish and claim), renew, look.
 *
 * Each verb is one script in scripts/, so it happens wholly or not at all. A
 * struct queues is a process' access to all queues over one rds connection; it
 * belongs to that connection's loop. Operations are settled like every other
 * (async/co/co.h): await them, or give a callback. Statuses are those of struct
 * rds_call unless a verb adds its own. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "async/redis/rds.h"
#include "queue/job/job.h"

struct queues;

enum {
    QUEUE_CLAIM_MAX = 64,       /* jobs of one queue_work() call */
    QUEUE_FINISH_MAX = 64,      /* finishes of one queue_work() call */
    QUEUE_INPUTS_MAX = 1 << 20, /* of parents' results; as work.lua */
    QUEUE_RENEW_MAX = 100,      /* leases of one queue_renew() call */
    QUEUE_ENQUEUE_MAX = 128,    /* jobs of one script call; more are split */
    QUEUE_TOKEN_MAX = 40,       /* bytes of an attempt token */
    QUEUE_WORKER_MAX = 32,      /* bytes of a worker's name */
    QUEUE_LIST_MAX = 1000,      /* jobs of one page */
};

/* @prefix: of every key, "pit" by default (NULL). Never fails. */
struct queues *queues_new(struct rds *rds, struct loop *loop,
                          const char *prefix);
void queues_free(struct queues *queues);
struct rds *queues_rds(struct queues *queues);
const char *queues_prefix(const struct queues *queues);

/* --- enqueue ------------------------------------------------------------- */

enum enqueue_outcome {
    ENQUEUE_NEW,       /* stored now */
    ENQUEUE_SAME,      /* stood there already, with the same content */
    ENQUEUE_OTHER,     /* the id is taken by other content: nothing changed */
    ENQUEUE_GONE,      /* the id was used and is past its retention */
    ENQUEUE_DUPLICATE, /* `holder` has its unique key: nothing was stored.
                          With UNIQUE_RETURN that is the answer, else a refusal
                        */
};

/* One job on its way in; owned by the caller until it is settled. The record is
 * encoded when it is sent, so @spec's slices must live until then (end of the
 * loop turn). */
struct enqueue {
    struct op op; /* ST_OK, or the reason why nothing was stored */
    struct job_spec spec;
    char local[ID_LOCAL_MAX + 1]; /* out: the id, chosen before the write */
    bool named; /* in: @local is given, and may exist (own id, or a repeat) */
    enum enqueue_outcome outcome;
    /* out, of a job with a unique key: DUPLICATE: who has it; NEW: the job that
     * it replaced, or empty */
    char holder[ID_LOCAL_MAX + 1];
    struct error err;
    struct list link; /* queue_enqueue.c's, as `private` */
    void *private;
};

/* Errors beside those of every verb: ST_QUEUE_FULL, the queue has as many jobs
 * waiting as it may, or takes none at present (docs/limits-and-uniqueness.md).
 *
 * Gathers: the enqueues of one loop turn and one queue leave in one script call
 * each QUEUE_ENQUEUE_MAX. The spec must have passed job_spec_check(). When
 * @named is false a ULID is put into @local at once. */
void queue_enqueue(struct queues *queues, struct enqueue *e,
                   void (*on_settled)(struct op *), void *arg);
/* The same and awaits. */
CHECK enum status queue_enqueue_await(struct co *co, struct queues *queues,
                                      struct enqueue *e);
/* All or nothing: @n jobs of one queue, 1..QUEUE_ENQUEUE_MAX, in one script.
 * With a taken id, or a unique key that another has and that its job does not
 * take the holder for (UNIQUE_RETURN), nothing is stored: ST_CONFLICT, and the
 * outcomes say which. */
CHECK enum status queue_enqueue_all(struct co *co, struct queues *queues,
                                    struct enqueue *const *jobs, size_t n,
                                    struct error *err);
/* Whether a job for @queue that waits for @parents others can be one of them,
 * where the first is for @first. Errors: ST_INVALID, with the field. */
CHECK enum status queue_enqueue_together(struct str queue, size_t parents,
                                         struct str first, struct error *err);

/* --- work: finish and claim ---------------------------------------------- */

/* What became of an attempt. Slices are borrowed until queue_work() returns. */
struct finish {
    struct str local;
    struct str token;
    int priority;         /* of the job: with local it is its entry */
    enum outcome outcome; /* not OUTCOME_EXPIRED */
    int64_t delay_ms;     /* FAILED, TIMEOUT: >= 0 retry after; < 0: dead */
    int64_t keep_ms;    /* of the job's spec; 0: forgotten once it succeeded */
    struct str result;  /* SUCCEEDED: JSON, or empty */
    struct str message; /* a JSON string with its quotes, or empty */
};

/* A job that was claimed; the slices lend from the reply of the call. */
struct claimed {
    struct str local;
    struct str record;
    int priority;
    int attempt;
    int retries;
    int crashes;
    const redisReply *inputs; /* of a job that waited for others, else NULL */
    char token[QUEUE_TOKEN_MAX + 1];
};

struct work {
    struct rds_call call;  /* call.op is what to await, or has the callback */
    struct queues *queues; /* of queue_work(), and when that was sent */
    int64_t sent_ms;
    /* in */
    struct str queue;
    int claim;            /* 0..QUEUE_CLAIM_MAX */
    int64_t lease_ms;     /* 1,000 .. 3,600,000 */
    const char *worker;   /* instance name, [A-Za-z0-9_-]{1,32} */
    uint64_t token_first; /* the n-th job claimed gets "<worker>.<first + n>";
                             never used twice by one worker instance */
    /* out, by queue_work_result() */
    int64_t now_ms;  /* Redis' clock */
    bool clock_off;  /* it is not what it should be: it was set, or Redis was
                        away; all queues want to be worked */
    int64_t next_ms; /* until something falls due (delay, retry, lease) in this
                        queue, -1: nothing; at most a day */
    bool more;       /* ready jobs were left behind */
    bool outbox;     /* messages for other jobs wait to be delivered */
    size_t claimed_len;
    struct claimed claimed[QUEUE_CLAIM_MAX];
    size_t stale_len; /* finishes that were refused: the lease was lost */
    struct str stale[QUEUE_FINISH_MAX]; /* their tokens, in order */
};

/* Finishes @n attempts (0..QUEUE_FINISH_MAX), reaps leases that ran out,
 * promotes what is due, claims up to work->claim. One script, atomic. */
void queue_work(struct queues *queues, struct work *work,
                const struct finish *finishes, size_t n,
                void (*on_settled)(struct op *), void *arg);
/* Reads the reply of a settled call. Lent until rds_call_clear(&work->call). */
CHECK enum status queue_work_result(struct work *work, struct error *err);
/* Adds the results of the jobs that @claimed waited for: a JSON object, id of
 * the parent -> its result or null, and null from where they are more than
 * QUEUE_INPUTS_MAX bytes. Nothing for a job that waited for none. */
void queue_work_inputs(const struct claimed *claimed, struct buf *dst);

/* One lease that is held. */
struct lease {
    struct str local;
    struct str token;
    int priority;
};
/* Pushes deadlines back to now + @lease_ms. The reply is an array of the tokens
 * whose lease is lost: stop their handlers. 1..QUEUE_RENEW_MAX leases. */
void queue_renew(struct queues *queues, struct rds_call *call, struct str queue,
                 int64_t lease_ms, const struct lease *leases, size_t n,
                 void (*on_settled)(struct op *), void *arg);
/* Stores what the handler says about its progress (JSON), fenced: the reply is
 * 1, or 0 when the lease is lost. */
void queue_progress(struct queues *queues, struct rds_call *call,
                    struct str queue, const struct lease *lease,
                    struct str progress, void (*on_settled)(struct op *),
                    void *arg);
/* The Redis key on which an idle worker blocks (BLPOP) for @queue. */
void queue_wake_key(const struct queues *queues, struct str queue,
                    char dst[160]);

/* --- look ---------------------------------------------------------------- */

/* A job with everything that is kept of it; lends from `call`. */
struct job_view {
    struct rds_call call;
    struct job_spec spec; /* with queue and local */
    int64_t created_ms;
    enum job_state state;
    int64_t due_ms;          /* scheduled, retrying: when; else 0 */
    int64_t cancel_asked_ms; /* it runs and was asked to stop: when; else 0 */
    struct job_history history;
    struct str result;   /* JSON or empty */
    struct str progress; /* JSON or empty */
};
/* Errors: ST_NOT_FOUND never was (as far as is known), ST_GONE past its
 * retention (known for the last 10,000 of a queue). Clear in every case. */
CHECK enum status queue_get(struct co *co, struct queues *queues,
                            struct job_id id, struct job_view *ret,
                            struct error *err);
void queue_view_clear(struct job_view *view);
/* Ends a job that waits and whose expires_at has passed, by Redis' clock: no
 * worker may be there to meet it. Does nothing to another. Suspends. Errors:
 * Redis' status. */
CHECK enum status queue_expire(struct co *co, struct queues *queues,
                               struct job_id id, struct error *err);

/* Suspends until the job has ended (or is not there at all: queue_get() tells),
 * or @timeout_ms passed (ST_TIMEOUT). Needs queues_listen(). */
CHECK enum status queue_wait(struct co *co, struct queues *queues,
                             struct job_id id, int64_t timeout_ms,
                             struct error *err);
/* Gives queue_wait() a connection of its own to hear of ends by (Pub/Sub). */
CHECK enum status queues_listen(struct queues *queues, const char *redis_url,
                                struct error *err);
/* The same, once somebody waits; the URL is copied. */
void queues_listen_later(struct queues *queues, const char *redis_url);
/* True once one of the two was called. */
bool queues_listening(const struct queues *queues);

struct queue_counts {
    char name[ID_QUEUE_MAX + 1];
    bool paused;
    int64_t count[JOB_STATES];
    int64_t oldest_ready_ms; /* age of the oldest waiting job; -1: none */
    int64_t now_ms;          /* Redis' clock */
    /* totals since the queue exists */
    int64_t enqueued, succeeded, failed, retried, dead, crashed, lost, timeout,
        released, expired, quarantined;
};
CHECK enum status queue_counts(struct co *co, struct queues *queues,
                               struct str queue, struct queue_counts *ret,
                               struct error *err);
/* The names of all queues, sorted; at most 1,000. *ret is one allocation, freed
 * by the caller with free(). */
CHECK enum status queue_names(struct co *co, struct queues *queues,
                              char (**ret)[ID_QUEUE_MAX + 1], size_t *ret_n,
                              struct error *err);

#endif
