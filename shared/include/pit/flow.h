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

/* ---- looking ---- */

enum pit_flow_state {
    PIT_FLOW_RUNNING = 1,
    PIT_FLOW_SUCCEEDED, /* from here on all of its jobs have ended */
    PIT_FLOW_FAILED,
    PIT_FLOW_CANCELLED,
};

/* A job of a flow, as it was at one moment. */
struct pit_flow_step {
    const char *name;
    const char *id; /* for pit_jobs_get() */
    const char *task;
    enum pit_state state;   /* 0: on its way into its queue, or past its
                               retention */
    const char *state_name; /* "ready"; "pending" or "gone" for a 0 */
    bool go_on;
    const char *const *after; /* names, ends with NULL */
};

/* A flow, lent by the struct pit_flows that it is in. Times are milliseconds
 * since the epoch, 0: none. */
struct pit_flow_info {
    const char *id;
    const char *name; /* "" */
    const char *queue;
    enum pit_flow_state state;
    const char *state_name; /* "running" */
    int64_t jobs_total;
    int64_t jobs_left; /* that have not ended */
    int64_t created_ms;
    int64_t ended_ms;
    const struct pit_flow_step *jobs; /* in the order of adding; in a list:
                                         NULL */
    size_t jobs_len;
};

/* Some flows. Zero it, or use PIT_FLOWS; everything lent lives until
 * pit_flows_clear(), or the next call with the same struct. */
struct pit_flows {
    size_t len;
    const struct pit_flow_info *flows;
    const char *next; /* what gets the page after this one; NULL: there is none
                       */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_flows_clear(struct pit_flows *flows);
#define PIT_FLOWS __attribute__((cleanup(pit_flows_clear)))

/* One flow with its jobs: ret->flows[0]. @id as a ticket has it. Suspends.
 * Errors: PIT_INVALID no id; PIT_NOT_FOUND, also past its retention;
 * PIT_UNAVAILABLE, PIT_CANCELLED, PIT_TIMEOUT. */
enum pit_status pit_flows_get(struct pit_co *co, const char *id,
                              struct pit_flows *ret);
/* Those whose home is @queue (NULL: all queues), the newest first, behind
 * @cursor (pit_flows.next; NULL: from the newest on), at most @limit (1 to
 * 1,000; 0: 50). Suspends. Errors: PIT_INVALID; as above. */
enum pit_status pit_flows_list(struct pit_co *co, const char *queue,
                               const char *cursor, int limit,
                               struct pit_flows *ret);
/* Cancels all of its jobs that have not ended, and shows it as it is then; *ret
 * may be NULL. Those that run are asked to stop: it goes on running until they
 * have. Suspends. Errors: PIT_CONFLICT it has ended; PIT_NOT_FOUND; Redis':
 * some may be cancelled, do it again. */
enum pit_status pit_flows_cancel(struct pit_co *co, const char *id,
                                 struct pit_flows *ret);

#endif
