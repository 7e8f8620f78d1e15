/* operations.h - work on many jobs that goes on behind the answer.
 *
 * An operation runs in the process that took the request and says in Redis how
 * far it is, `<prefix>:operation:<id>`, once a second and at its end; so every
 * process can show it. Kept for a day. If the process dies half way it stands
 * there as interrupted: what was done is done, and the same filter sent again
 * finds the rest. */
#ifndef WEB_API_OPERATIONS_H
#define WEB_API_OPERATIONS_H

#include "api/api.h"
#include "api/body.h"
#include "queue/queue_bulk.h"

enum {
    OPERATIONS_MAX = 8, /* under way in one process; above it 503 */
    OPERATIONS_KEPT_S = 86400,
};
/* Not heard of for so long: its process is gone. */
#define OPERATIONS_SILENT_MS INT64_C(15000)

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

/* Stores the operation, starts it and answers 202 with its Location. Takes over
 * what @spec owns, in every case. */
CHECK enum status operations_start(struct co *co, struct api *api,
                                   struct http_exchange *exchange,
                                   struct operation_spec *spec);

#endif
