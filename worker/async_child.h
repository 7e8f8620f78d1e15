/* async_child.h - the child that runs async tasks, hundreds at once.
 *
 * A process forked by the supervisor when the first async job is claimed. It
 * loads the application itself and runs one event loop, on which each job is a
 * coroutine with the awaits that a view has. Jobs come and go by its board
 * alone; what tasks themselves want of Redis goes over a connection of its own.
 * Nothing is caught: a task that crashes takes the other jobs that run here
 * down as well, and all of them are settled at once.
 *
 * It ends by itself, with nothing running, after --max-jobs-per-child jobs,
 * above --max-child-rss, and on SIGTERM. */
#ifndef WORKER_ASYNC_CHILD_H
#define WORKER_ASYNC_CHILD_H

#include "board.h"
#include "options.h"
#include "ring.h"

struct async_child_context {
    const struct options *options;
    struct board *board;
    const struct ring_bell *own_bell; /* rung for this child */
    const struct ring_bell *bell;     /* the dispatcher's */
};

/* The child's life; returns its exit status: SLOT_EXIT_APP when the application
 * cannot be loaded. */
int async_child_run(const struct async_child_context *context);

#endif
