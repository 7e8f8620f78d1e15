/* slot.h - a slot child: runs the application's tasks, one at a time.
 *
 * A process forked by the supervisor. It loads the application itself, so a
 * crash in it costs this process alone, and nothing of it is ever in the
 * supervisor or the dispatcher. It talks to nobody but its ring. Nothing is
 * caught: a handler that crashes or calls exit() ends the process, and the
 * supervisor sees that at once.
 *
 * It ends by itself, between two jobs, after --max-jobs-per-child jobs, above
 * --max-child-rss, and on SIGTERM. */
#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include "options.h"
#include "ring.h"

enum { SLOT_EXIT_APP = 78 }; /* the application cannot be loaded (EX_CONFIG) */

struct slot_context {
    const struct options *options;
    struct ring *ring;
    const struct ring_bell *bell;
};

/* The child's life; returns its exit status. */
int slot_run(const struct slot_context *context);

#endif
