/* flow_report.h - a flow with its jobs: as one JSON document, and cancelled.
 *
 * What GET /v1/flows/{id} answers and `pit flows show` prints. A flow knows
 * from its jobs' messages which have ended and how; the others are asked for
 * their state, a queue at a time, and those that should have expired are ended
 * then, as GET of the job does. Loop thread only. */
#ifndef APP_FLOW_REPORT_H
#define APP_FLOW_REPORT_H

#include <jansson.h>

#include "base/buf.h"
#include "queue/flow/flow.h"

/* A flow as it is at one moment. Zero it; clear it in every case. */
struct flow_report {
    struct flow_view view;
    json_t *document; /* view.document, read */
    char *states; /* scripts/look.lua's letters, '-' on its way; one a job */
    size_t jobs;
};

/* Suspends. Errors: ST_NOT_FOUND as flow_get(), Redis' status. */
CHECK enum status flow_report_load(struct co *co, struct queues *queues,
                                   struct job_id id, struct flow_report *ret,
                                   struct error *err);
void flow_report_clear(struct flow_report *report);

/* "running", "succeeded", "failed" or "cancelled". */
const char *flow_report_state(const struct flow_view *view);
/* The name of a job's letter: "ready", ..., "pending", "gone". */
const char *flow_report_job_state(char letter);
/* Appends the document. */
void flow_report_write(const struct flow_report *report, struct buf *dst);
/* Appends a list's line of it: without its jobs. */
void flow_report_write_line(const struct flow_view *view, struct buf *dst);

/* Cancels every job that has not ended, those that wait for others first, and
 * marks the flow. Suspends. *ret_running: jobs that run were asked to stop, and
 * have not yet. Errors: ST_CONFLICT the flow has ended; ST_NOT_FOUND; Redis'
 * status: some may be cancelled, ask again. */
CHECK enum status flow_report_cancel(struct co *co, struct queues *queues,
                                     struct job_id id, size_t *ret_running,
                                     struct error *err);

#endif
