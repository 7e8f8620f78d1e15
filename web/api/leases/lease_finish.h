/* lease_finish.h - attempts that workers ended over HTTP, by id and token.
 *
 * The worker knows the job's id and the token of its lease; priority, retention
 * and policy of retries are in the record. A finish that comes again, because
 * its answer was lost, is answered as the first time. Loop thread only. */
#ifndef WEB_API_LEASE_FINISH_H
#define WEB_API_LEASE_FINISH_H

#include "api/leases/pull.h"
#include "app/http/problem.h"

enum { LEASE_FINISHES_MAX = 256 };

struct lease_finish {
    /* in; borrowed */
    struct job_id id;
    struct str token;
    enum outcome outcome; /* SUCCEEDED, FAILED, RELEASED, CANCELLED */
    struct str result;    /* SUCCEEDED: JSON, or empty */
    struct str message;   /* text, or empty; cut at JOB_ERROR_MAX */
    bool final;           /* FAILED: no retry */
    int64_t delay_ms;     /* FAILED: until the retry; -1: as the job's policy */
    /* out */
    bool refused; /* by `kind`: the lease was lost, or there is no such job */
    enum problem_kind kind;
    enum job_state state; /* the job's, after it */
    int64_t retry_in_ms;  /* state JOB_RETRYING */
};

/* Ends all of them, those of one queue in one call of 64. Suspends. Errors:
 * Redis' status, also when only some could be ended: what was not stands as
 * refused with PROBLEM_STORE_UNAVAILABLE or PROBLEM_OUTCOME_UNKNOWN, and can be
 * sent again. */
CHECK enum status lease_finish(struct co *co, struct queues *queues,
                               struct pull *pull, struct lease_finish *finishes,
                               size_t n, struct error *err);

#endif
