/* figures.h - what all web processes of this server did, added up.
 *
 * Whoever scrapes /metrics reaches one process, by chance. So they keep their
 * counts in memory that all of them share: totals are only ever added to, and
 * what is now (connections, requests under way) stands in a place of each
 * process, which counts for nothing once that process has died.
 *
 * One for a server, made before anything is forked; without figures_share() a
 * process counts for itself. Loop thread only. */
#ifndef WEB_FIGURES_H
#define WEB_FIGURES_H

#include <stdint.h>

#include "async/loop.h"
#include "async/threads.h"
#include "http/front.h"

struct figures_threads {
    uint32_t running; /* functions now */
    uint32_t waiting; /* for a thread */
    uint64_t refused; /* total */
};

struct figures {
    uint64_t connections; /* totals since the server started */
    uint64_t requests;
    uint64_t refused;
    uint64_t hung_up;
    uint64_t timed_out;
    uint32_t processes; /* alive now */
    uint32_t open;      /* connections now */
    uint32_t in_flight; /* requests now */
    int64_t resident_bytes;
    struct figures_threads threads[THREADS_POOLS];
};

/* In the supervisor, before the first fork. Without memory for it each process
 * counts for itself, and a line in the log says so. */
void figures_share(void);
/* In a process: looks at @front, which is borrowed, once a second until
 * figures_stop(). */
void figures_start(struct loop *loop, const struct front *front);
void figures_stop(void);
/* All that there is, this process' own up to this moment. */
struct figures figures_read(void);

#endif
