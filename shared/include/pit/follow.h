/* pit/follow.h - jobs followed: what happens to one of them, or in a queue, as
 * it happens. For views, async tasks and programs (pit/run.h).
 *
 *     struct pit_follow follow PIT_FOLLOW = {0};
 *     st = pit_follow_job(co, pit_request_param(req, "id"),
 *                         pit_sse_last_id(req), &follow);
 *     while (st == PIT_OK && !follow.over) {
 *         st = pit_follow_next(co, &follow, PIT_FOR_EVER);
 *         if (st == PIT_OK)
 *             st = pit_sse_send(co, res, &follow.change->sse);
 *     }
 *
 * is GET /v1/jobs/{id}/events (docs/events.md) in a view of one's own. Nothing
 * is polled: while somebody follows, the queue's scripts write down what
 * changes, and one connection of the process, opened by the first who follows,
 * reads it for all of them. At most 1,000 follow at a time.
 *
 * Whatever is said to suspend does so for Redis. Each has, beside its own, the
 * errors PIT_UNAVAILABLE (Redis is away, or the process has no queues),
 * PIT_CANCELLED and PIT_TIMEOUT of the coroutine. */
#ifndef PIT_FOLLOW_H
#define PIT_FOLLOW_H

#include "pit/http.h"
#include "pit/queue.h"

enum { PIT_FOR_EVER = -1 };

enum pit_change_kind {
    PIT_CHANGE_STATE = 1, /* first that of one job, and after each change */
    /* of one job */
    PIT_CHANGE_PROGRESS, /* as the task reported it */
    PIT_CHANGE_LOG,      /* a line of pit_job_log() */
    PIT_CHANGE_END,      /* it has ended, and nothing follows */
    /* of queues */
    PIT_CHANGE_COUNTERS, /* how a queue stands */
    PIT_CHANGE_LOST,     /* some changes may be missing (Redis was away, a queue
                            is new, this coroutine was 256 KiB behind, or what
                            follows `after` is not kept any more): look again */
};

/* How a queue stood. */
struct pit_counters {
    bool paused;
    int64_t count[PIT_ENDED + 1];        /* as pit_queue_info has them */
    int64_t enqueued, succeeded, failed; /* since the queue exists */
};

/* What happened. All of it is lent until the next call with the same follower;
 * what a kind says nothing of is 0, "" or NULL. */
struct pit_change {
    enum pit_change_kind kind;
    struct pit_event sse; /* the same as the HTTP API sends it, ready for
                             pit_sse_send(): a name, JSON, and the id that one
                             goes on behind later (NULL: this one has none) */
    const char *job;      /* "<queue>.<local id>" */
    const char *queue;
    enum pit_state state; /* STATE, PROGRESS, END; 0: it was deleted */
    const char *state_name;
    int attempt;          /* the same, and of a log line */
    int retries, crashes; /* of one job: STATE, PROGRESS, END */
    const json_t *value;  /* PROGRESS: {"done","total","message"}; END: what the
                             task said, NULL: nothing */
    const char *cause;    /* END: why it has not succeeded, as pit_result has
                             it */
    const char *message;  /* END: in the task's own words */
    int64_t at_ms;        /* LOG: since the epoch, by Redis' clock */
    const char *text;     /* LOG: as it came */
    size_t text_len;
    const struct pit_counters *counters; /* COUNTERS */
};

/* Somebody who follows. Zero it, or use PIT_FOLLOW; one coroutine at a time, of
 * the process (or the pit_run()) that it began in. */
struct pit_follow {
    const struct pit_change *change; /* the last one; NULL: none yet */
    bool over; /* PIT_CHANGE_END was said, now or before `after` */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};

/* Follows one job until it has ended. What it says first is how it is now, and
 * the lines of its log behind @after: the id of a change that was seen before
 * (the newest 1,000 lines are kept), NULL for all of them. Nothing is lost but
 * states that followed fast on each other. Suspends. Errors: PIT_INVALID no id;
 * PIT_NOT_FOUND; PIT_GONE past its retention; PIT_LIMIT too many follow. */
enum pit_status pit_follow_job(struct pit_co *co, const char *id,
                               const char *after, struct pit_follow *ret);

/* All optional: zero what is not needed. Borrowed for the call. */
struct pit_follow_queues {
    const char *queue; /* NULL: all of them, up to 1,000 */
    const char *after; /* the id of a change that was seen before: what came
                          since is said first, of about the last 1,000 changes
                          of a queue, as far as somebody followed then. Over all
                          queues a change may come twice */
    bool counters;     /* PIT_CHANGE_COUNTERS of every queue first, and then of
                          those where something changed, at most once a second */
};
/* Follows all jobs of one queue, or of all: ids and states, never args or
 * results. What happens from the return on is said. @what may be NULL. Never
 * over. Suspends. Errors: PIT_INVALID no queue's name; PIT_LIMIT. */
enum pit_status pit_follow_queues(struct pit_co *co,
                                  const struct pit_follow_queues *what,
                                  struct pit_follow *ret);

/* Suspends until there is something to say, at most @timeout_ms (0: what is
 * there now; PIT_FOR_EVER), and sets follow->change. PIT_TIMEOUT: there was
 * nothing (or the coroutine's own deadline passed: pit_cancelled() tells).
 * PIT_UNAVAILABLE: sleep a moment and go on, nothing is left out. Errors
 * besides: PIT_NOT_FOUND, PIT_GONE the job was deleted meanwhile, or is over;
 * PIT_INVALID nothing is followed. */
enum pit_status pit_follow_next(struct pit_co *co, struct pit_follow *follow,
                                int64_t timeout_ms);
/* Never suspends. Harmless on a zeroed one, and twice. */
void pit_follow_clear(struct pit_follow *follow);
/* Clears it at the end of the block. */
#define PIT_FOLLOW __attribute__((cleanup(pit_follow_clear)))

#endif
