/* dispatcher.h - the process of a worker that talks to Redis.
 *
 * One event loop that claims jobs, hands them to the slot children through
 * their rings, finishes them, renews their leases and watches their time. It
 * never runs application code, so no handler can make it miss a renewal.
 * Whatever happens to Redis, it goes on: jobs run, their ends are kept, and
 * everything is sent once Redis is back. */
#ifndef WORKER_DISPATCHER_H
#define WORKER_DISPATCHER_H

#include "board.h"
#include "options.h"
#include "probe.h"
#include "queue/job/id.h"
#include "ring.h"

struct dispatcher_context {
    const struct options *options;
    const struct probe *probe;
    struct ring *const *rings; /* one a slot */
    size_t slots;
    struct board *board;                /* NULL: no async tasks */
    const struct ring_bell *board_bell; /* the async child's */
    const struct ring_bell *bell;
    int link; /* to the supervisor */
};

/* A queue of --queues. */
struct dispatcher_queue {
    char name[ID_QUEUE_MAX + 1];
    int32_t weight;
};

enum { DISPATCHER_EXIT_CONFIG = 78 }; /* would not get better by a restart */

/* Which queues are served: --queues, or those of the application's tasks and
 * "default" with equal weights. At most OPTIONS_QUEUES_MAX.
 * Errors: ST_INVALID, one line, names the flag. */
CHECK enum status dispatcher_queues(const struct options *options,
                                    const struct probe *probe,
                                    struct dispatcher_queue *ret, size_t *ret_n,
                                    struct error *err);

/* The process' life; returns its exit status, 0 after a drain. */
int dispatcher_run(const struct dispatcher_context *context);

#endif
