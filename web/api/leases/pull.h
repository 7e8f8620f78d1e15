/* pull.h - jobs for workers that ask over HTTP, and their waiting.
 *
 * A process has one struct pull. Whoever asks for jobs and finds none waits
 * here; all of them share one connection to Redis that blocks on the queues'
 * wake tokens (docs/protocol.md, "Waking and idling"). A token is the promise
 * that somebody looks: it goes to one who waits, on to the next when that one
 * has hung up, and back to Redis when there is none.
 *
 * Claiming is done by a coroutine of its own, so that a client that hangs up in
 * the middle loses nothing: what was claimed for it is handed back at once.
 * Loop thread only. */
#ifndef WEB_API_PULL_H
#define WEB_API_PULL_H

#include "queue/queue.h"

struct pull;

enum {
    PULL_QUEUES_MAX = 16,   /* of one request */
    PULL_SOURCES_MAX = 512, /* queues that somebody waits for */
    PULL_NAME_MAX = 16,     /* bytes of a worker's own name */
};

/* What one request asks for. Borrowed for the call. */
struct pull_wish {
    struct str queues[PULL_QUEUES_MAX]; /* the first one is asked first */
    size_t queues_len;
    int max; /* jobs in all, 1..QUEUE_CLAIM_MAX */
    int64_t lease_ms;
    int64_t wait_ms;   /* for the first job; 0: not at all */
    struct str worker; /* [A-Za-z0-9_-]{1,16}, shown with the job */
};

/* What came of one queue. */
struct pull_part {
    char queue[ID_QUEUE_MAX + 1];
    struct work work;
};

/* Jobs that were claimed. */
struct pull_batch;
size_t pull_batch_parts(const struct pull_batch *batch);
const struct pull_part *pull_batch_part(const struct pull_batch *batch,
                                        size_t i);
/* As shown in the jobs' states: "<name>-<what makes it unique>". */
const char *pull_batch_worker(const struct pull_batch *batch);
void pull_batch_free(struct pull_batch *batch);

/* @redis_url is copied; nothing connects before somebody waits. */
struct pull *pull_new(struct loop *loop, struct queues *queues,
                      const char *redis_url);
/* Nobody may be waiting. NULL is fine. */
void pull_free(struct pull *pull);

/* Suspends until there are jobs, or the time is up: then *ret has none of them.
 * *ret is the caller's; what it holds are leases. Errors: ST_LIMIT too many
 * claims are under way, or queues waited for; the coroutine's cancellation, and
 * then nothing is held; Redis' status. */
CHECK enum status pull_claim(struct co *co, struct pull *pull,
                             const struct pull_wish *wish,
                             struct pull_batch **ret, struct error *err);
/* Hands all of it back, in the background; takes @batch over. */
void pull_give_back(struct pull *pull, struct pull_batch *batch);
/* Delivers what lies in the outbox of @queue, in the background. */
void pull_deliver(struct pull *pull, struct str queue);

#endif
