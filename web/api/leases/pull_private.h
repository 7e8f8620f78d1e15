/* pull_private.h - what pull.c and pull_wait.c share. Nobody else includes it.
 */
#ifndef WEB_API_PULL_PRIVATE_H
#define WEB_API_PULL_PRIVATE_H

#include "api/leases/pull.h"
#include "async/redis/rds_blocker.h"
#include "base/list.h"
#include "queue/keys.h"

struct pull {
    struct loop *loop;
    struct queues *queues;
    char *redis_url;
    char stem[11];   /* hex, of this process */
    uint64_t tokens; /* the next one that was never used */
    /* pull_wait.c */
    struct rds_blocker sleeper; /* zero until somebody waits */
    struct loop_timer pause;    /* after a failure */
    bool changed;        /* somebody waits for a queue that is not slept on */
    struct list pollers; /* struct poller, longest waiting first */
    struct list sources; /* struct source: what they wait for */
    size_t sources_len;
};

struct pull_batch {
    struct op op; /* settled by the claimer */
    struct pull *pull;
    int max;
    int64_t lease_ms;
    char queues[PULL_QUEUES_MAX][ID_QUEUE_MAX + 1];
    size_t queues_len;
    char worker[QUEUE_WORKER_MAX + 1];
    struct pull_part *parts[PULL_QUEUES_MAX]; /* owned */
    size_t parts_len;
    size_t jobs;
    int64_t next_ms; /* until something falls due in one of the queues; -1 */
    bool abandoned;
    int holders;
    struct error err;
};

/* Suspends until it is worth while to look at @batch's queues again (ST_OK), or
 * @left_ms are over (ST_TIMEOUT). Errors: ST_LIMIT; the cancellation. */
CHECK enum status pull_wait(struct co *co, struct pull *pull,
                            const struct pull_batch *batch, int64_t left_ms,
                            struct error *err);
void pull_wait_clear(struct pull *pull);

#endif
