/* queue_after.h - enqueue a job that waits for others to succeed.
 *
 * The others may live in other queues, so this is several steps: each of them
 * learns of the job first, then the job is stored with their number, then what
 * those that have ended already had to say is carried over. A crash in between
 * leaves either no job (and a few words to nobody, which are dropped after a
 * day), or one that workers carry on with. */
#ifndef QUEUE_QUEUE_AFTER_H
#define QUEUE_QUEUE_AFTER_H

#include "queue/queue.h"

/* As queue_enqueue_await(), for a job that waits for @n others, none twice;
 * e->spec.kin.parents becomes @n. Unless e->named a new id is chosen, as there.
 * Errors besides: ST_INVALID, with the pointer /after/<index>, for one that is
 * not there, is past its retention, is the job itself, or has too many that
 * wait for it. The text is in e->err. */
CHECK enum status queue_after_enqueue(struct co *co, struct queues *queues,
                                      struct enqueue *e,
                                      const struct job_id *parents, size_t n);

#endif
