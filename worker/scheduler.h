/* scheduler.h - fires the schedules of the queues that a worker serves.
 *
 * Every worker does this, without a leader: for each queue it knows from Redis
 * when the next fire is, sleeps until then, and fires what is due; all but one
 * of those who try are refused by the script. A schedule that fires sooner than
 * its queue's others is published when it is put, so that no timer is too late;
 * a look every few minutes is for a message that was lost. While nothing is
 * due, this costs Redis nothing.
 *
 * In the dispatcher's process and loop; never runs application code. */
#ifndef WORKER_SCHEDULER_H
#define WORKER_SCHEDULER_H

#include <stdbool.h>

struct dispatcher;
struct scheduler;

/* Listens on the connection that hears orders. Never NULL. */
struct scheduler *scheduler_new(struct dispatcher *d);
/* Ends what is under way; a coroutine of it may have to run to its end:
 * scheduler_busy(). NULL is fine. */
void scheduler_stop(struct scheduler *scheduler);
bool scheduler_busy(const struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler);
/* The worker has been admitted, maybe again after Redis was emptied: applies
 * the application's table, then as scheduler_look(). */
void scheduler_admitted(struct scheduler *scheduler);
/* Looks at every queue. */
void scheduler_look(struct scheduler *scheduler);

#endif
