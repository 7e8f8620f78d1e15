/* supervisor.h - the first process of a worker: forks the others and waits.
 *
 * It makes the rings, forks the dispatcher and, when that asks for them, the
 * slot children, tells the dispatcher of each death at once, and starts again
 * what died. When the dispatcher dies, all slots are killed and everything
 * starts anew: its jobs are covered by their leases. SIGTERM and SIGINT drain,
 * a second one hands back at once. */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include "options.h"
#include "probe.h"

/* Returns the program's exit status. @options->slots is 1..OPTIONS_SLOTS_MAX.
 */
int supervisor_run(const struct options *options, const struct probe *probe);

#endif
