/* courier.h - carries the messages of the queues that a worker serves.
 *
 * What a job's end means for jobs elsewhere lies in its queue's outbox
 * (queue/flow/outbox.h). Each answer of a work call says whether there is
 * something; then one coroutine delivers it. A message that nobody takes at
 * present is tried again after a second. Belongs to the dispatcher's loop. */
#ifndef WORKER_COURIER_H
#define WORKER_COURIER_H

#include <stdbool.h>

struct dispatcher;
struct source;

/* There is something in the outbox of @source. */
void courier_call(struct source *source);
/* Delivers what was called for; also when Redis is back. */
void courier_run(struct dispatcher *d);
/* No more from now on; the coroutine ends with its next await. */
void courier_stop(struct dispatcher *d);

#endif
