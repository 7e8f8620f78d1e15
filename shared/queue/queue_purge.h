/* queue_purge.h - empty a queue, some jobs at a time.
 *
 * Each step is one short script, so that a million jobs hold up nobody; what is
 * enqueued meanwhile may be removed too, or stay. */
#ifndef QUEUE_QUEUE_PURGE_H
#define QUEUE_QUEUE_PURGE_H

#include "queue/queue.h"

enum { QUEUE_PURGE_STEP = 200 };

/* Removes up to QUEUE_PURGE_STEP jobs in @state: READY, SCHEDULED, RETRYING,
 * BLOCKED, DEAD, QUARANTINED, or LIST_ENDED of queue_list.h for all that ended.
 * *ret_removed are those that it was; *ret_left that there are more. Errors:
 * Redis' status. */
CHECK enum status queue_purge(struct co *co, struct queues *queues,
                              struct str queue, int state, int64_t *ret_removed,
                              bool *ret_left, struct error *err);

#endif
