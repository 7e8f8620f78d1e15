/* queue_retry.h - a queue's own policy of retries: what holds for a job when
 * neither the job nor its task says it.
 *
 * Kept in the queue's `meta` (queue/queue_settings.h). Field by field: the
 * job's own, then what the task's table sets, then the queue's, then the
 * standard. It is filled in when the job is enqueued and is part of its record
 * from then on, so a change holds for jobs enqueued after it; a schedule's jobs
 * are filled in when they fire (scripts/include/retry_record.lua).
 *
 * A process asks for it once in QUEUE_RETRY_KNOWN_MS a queue and not for each
 * job: it hears of a change made by another process up to that much later. */
#ifndef QUEUE_QUEUE_RETRY_H
#define QUEUE_QUEUE_RETRY_H

#include "queue/queue.h"

#define QUEUE_RETRY_KNOWN_MS INT64_C(5000)

/* Only what `set` names is meant. */
struct queue_retry {
    unsigned set; /* of enum job_retry */
    int32_t retries;
    struct backoff backoff;
};

/* One field of `meta`: retry_max, retry_backoff (f or e), retry_base and
 * retry_cap (ms), retry_jitter (%). False: not one of these, or out of range;
 * *retry is then as it was. */
bool queue_retry_read(struct queue_retry *retry, struct str name,
                      struct str value);
/* The name in `meta` of one field. */
const char *queue_retry_name(enum job_retry field);

/* Fills what @spec leaves open with what @retry sets; nothing is open then. A
 * cap below the base gives way when it was open, else the base does. */
void queue_retry_apply(const struct queue_retry *retry, struct job_spec *spec);
/* The same with the policy of @spec's queue, asked for when it is not known. To
 * be called once all else of the spec is checked, which it stays. May suspend
 * for one command of Redis.
 * Errors: Redis' status, ST_UNAVAILABLE in place of ST_UNCLEAR. */
CHECK enum status queue_retry_fill(struct co *co, struct queues *queues,
                                   struct job_spec *spec, struct error *err);
/* This process has just changed it: the next job asks anew. */
void queue_retry_forget(struct queues *queues, struct str queue);

#endif
