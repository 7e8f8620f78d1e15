/* pit/flow.h - many jobs that wait for each other, started as one.
 *
 *     st = pit_group(co,
 *                    (const struct pit_flow_job[]){
 *                        {"report.section", pit_args("{s:s}", "name", "a")},
 *                        {"report.section", pit_args("{s:s}", "name", "b")}},
 *                    2, &(struct pit_flow_job){"report.bind"}, NULL, &ticket);
 *
 * PIT_OK is said once Redis has all of it; from then on nothing is lost or done
 * twice, whichever process dies (docs/flows.md). Each suspends, and takes over
 * the references to the args of all jobs, whatever it returns. */
#ifndef PIT_FLOW_H
#define PIT_FLOW_H

#include "pit/queue.h"

/* A job of a flow. All but task may be zero. Borrowed for the call, but for the
 * args. */
struct pit_flow_job {
    const char *task;
    json_t *args;                      /* as pit_args() makes them */
    const struct pit_enqueue *options; /* without id and ticket */
    const char *name;         /* 1 to 32 of A-Z a-z 0-9 _ -; else its number */
    const char *const *after; /* pit_flow() alone: names, ends with NULL */
    bool go_on; /* runs even if one that it follows did not succeed */
};

/* Of the flow as a whole. */
struct pit_flow_options {
    const char *name;  /* for people, up to 128 bytes of UTF-8 */
    const char *queue; /* its home; NULL: that of the first job */
    int64_t keep_ms;   /* after its end; 0: a day */
};

/* Each: @options and @ticket may be NULL; ticket->id is the flow's, for GET
 * /v1/flows/{id}. Errors: as pit_enqueue(); PIT_INVALID also for a cycle, a
 * name that stands twice or is not there; PIT_TOO_LARGE above 2,000 jobs. */

/* One after the other. */
enum pit_status pit_chain(struct pit_co *co, const struct pit_flow_job *jobs,
                          size_t n, const struct pit_flow_options *options,
                          struct pit_ticket *ticket);
/* Side by side, and @then (may be NULL) when all have ended. */
enum pit_status pit_group(struct pit_co *co, const struct pit_flow_job *jobs,
                          size_t n, const struct pit_flow_job *then,
                          const struct pit_flow_options *options,
                          struct pit_ticket *ticket);
/* Any graph without a cycle, by `after`. */
enum pit_status pit_flow(struct pit_co *co, const struct pit_flow_job *jobs,
                         size_t n, const struct pit_flow_options *options,
                         struct pit_ticket *ticket);

#endif
