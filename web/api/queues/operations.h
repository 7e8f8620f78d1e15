/* operations.h - work on many jobs that goes on behind the answer.
 *
 * An operation runs in the process that took the request and says in Redis how
 * far it is (queue/operation.h), once a second and at its end; so every process
 * can show it, and ask it to stop. When its process dies, or stops, another one
 * goes on with it: each looks for such every OPERATIONS_LOOK_MS. */
#ifndef WEB_API_OPERATIONS_H
#define WEB_API_OPERATIONS_H

#include "api/api.h"
#include "api/body.h"
#include "queue/queue_bulk.h"

enum { OPERATIONS_MAX = 8 /* under way in one process; above it 503 */ };
#define OPERATIONS_LOOK_MS INT64_C(10000)

/* What is to be run. Moved into the operation. */
struct operation_spec {
    struct bulk bulk;   /* its slices lend from body and ids */
    struct body body;   /* taken over */
    struct job_id *ids; /* taken over; NULL: none */
    int64_t rate;       /* steps in rate_period_ms at most; 0: as fast as it
                           goes, page by page */
    int64_t rate_period_ms;
};
void operations_spec_clear(struct operation_spec *spec);
/* Reads a body that another process has accepted: kind and body.root are set;
 * @queue is the queue of a purge. */
CHECK enum status jobs_bulk_restore(struct operation_spec *spec,
                                    struct str queue, struct error *err);

/* Stores the operation, starts it and answers 202 with its Location; or 200
 * with the one that the first request with this Idempotency-Key began. The body
 * must have been read. Takes over what @spec owns, in every case. */
CHECK enum status operations_start(struct co *co, struct api *api,
                                   struct http_exchange *exchange,
                                   struct operation_spec *spec);

/* Has this process look for operations that nobody goes on with. */
void operations_watch(struct api *api);
void operations_unwatch(struct api *api);

#endif
