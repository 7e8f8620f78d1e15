/* outbox.h - messages of one queue for jobs and flows of others.
 *
 * A script reaches one queue only. What it has to tell another one (a job has
 * ended, a flow's jobs are to be enqueued) it leaves in `<prefix>:{q}:outbox`,
 * in the same step; somebody with a connection carries it over, and deletes it
 * once it has arrived. Carrying the same message twice changes nothing, so any
 * number of processes may do it, and whoever dies at it loses nothing:
 *
 *   kind enqueue, (job <full id>, record <record>)...
 *   kind end, to <full id>, from <full id>, code <S|C|X|D>, result <JSON>
 *
 * Workers deliver whenever work says that the outbox is not empty (struct work,
 * outbox); pit-web delivers what it caused itself, at once. Loop thread only.
 */
#ifndef QUEUE_OUTBOX_H
#define QUEUE_OUTBOX_H

#include "queue/queue.h"

enum {
    OUTBOX_READ_MAX = 64,       /* messages of one read */
    OUTBOX_DELIVER_MAX = 10000, /* messages of one outbox_deliver() */
};

/* Delivers what lies in the outbox of @queue, and what comes of that there.
 * Suspends. *ret_left (may be NULL): messages are left, since there were too
 * many, or a queue that they are for refuses them (full, closed, out of reach);
 * try again in a second. Errors: Redis' status, of the first failure; what had
 * arrived before is gone from the outbox. A message that can never arrive
 * (damaged, or its id belongs to another job) is logged and dropped. */
CHECK enum status outbox_deliver(struct co *co, struct queues *queues,
                                 struct str queue, bool *ret_left,
                                 struct error *err);

/* Lets @child (a full id) hear of the end of @parent; see scripts/attach.lua.
 * Suspends. *ret_ended: it has ended, the message lies in its outbox: deliver
 * it once the child is stored. Errors: ST_NOT_FOUND, ST_GONE, ST_LIMIT too many
 * wait for it; Redis' status. */
CHECK enum status outbox_attach(struct co *co, struct queues *queues,
                                struct job_id parent, struct str child,
                                bool *ret_ended, struct error *err);

#endif
