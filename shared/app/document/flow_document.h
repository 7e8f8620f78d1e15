/* flow_document.h - the body of POST /v1/flows, read into a flow.
 *
 *   {"chain": [job, {"group": [job, {"chain": [...]}]}, job]}
 *   {"group": [job, job], "then": job}
 *   {"jobs": {"a": job, "b": {..., "after": ["a"]}}}
 *
 * with "name", "queue" (home), "keep", "on_failure" ("stop" or "go_on") and
 * "durability" beside. A job is an enqueue's envelope, and may have "name" and
 * "on_failure" of its own. Strict as the envelope: what is wrong is refused
 * with a pointer to it. */
#ifndef APP_FLOW_DOCUMENT_H
#define APP_FLOW_DOCUMENT_H

#include "app/document/catalog.h"
#include "base/buf.h"
#include "queue/durability.h"
#include "queue/flow/flow.h"

enum { FLOW_DOCUMENT_DEPTH_MAX = 8 }; /* chains within groups within ... */

/* What @flow's slices lend from, besides the body and the arena. Zero it first;
 * it must live as long as the flow. */
struct flow_document {
    struct buf texts;
    struct durability_wish durability; /* of the whole */
};
void flow_document_clear(struct flow_document *document);

/* Reads @body into @flow, which flow_init() was called on, and closes it.
 * Suspends for tasks that are not the application's own. Errors: ST_INVALID,
 * ST_UNKNOWN_TASK, ST_TOO_LARGE, with the pointer; Redis' status. */
CHECK enum status flow_document_read(struct co *co, struct str body,
                                     struct task_catalog *catalog,
                                     struct arena *arena,
                                     struct job_origin origin,
                                     struct flow_document *document,
                                     struct flow *flow, struct error *err);

#endif
