/* job_json.h - a job as one JSON document, as the API answers and `pit job
 * --json` prints it: every field always there, null where there is nothing to
 * say.
 *
 * Written straight into a buffer, without a tree: the answer to an enqueue is
 * the hottest document there is. What other programs may have put into Redis
 * (args, result, progress, messages) is checked to be JSON before it is
 * embedded, and shown as null when it is none. Pure functions. */
#ifndef APP_JOB_JSON_H
#define APP_JOB_JSON_H

#include <stdint.h>

#include "base/buf.h"
#include "queue/queue.h"

enum { JOB_JSON_ETAG_SIZE = 24 };

/* Appends the document of a job as it is stored. */
void job_json_write(const struct job_view *view, struct buf *dst);
/* Appends the document of one that was enqueued a moment ago. @spec has passed
 * job_spec_check(); its `local` is not looked at. */
void job_json_write_new(const struct job_spec *spec, struct str local,
                        int64_t created_ms, struct buf *dst);
/* Bytes that job_json_write_new() needs at most, for one allocation. */
size_t job_json_size_new(const struct job_spec *spec);
/* Why the job is not, or not yet, a success; lent by the view. */
struct job_failure {
    const char *cause;  /* "failed", "expired", ...; NULL: nothing went wrong */
    struct str message; /* a JSON string with its quotes, or empty */
};
struct job_failure job_json_failure(const struct job_view *view);
/* When it is, or was, due; since the epoch. */
int64_t job_json_run_at(const struct job_view *view);
/* Appends {"cause": ..., "message": ...}: why the job is not, or not yet, a
 * success; null when nothing went wrong. */
void job_json_write_error(const struct job_view *view, struct buf *dst);

/* A strong entity tag with its quotes (RFC 9110 section 8.8.3): another one
 * whenever the document differs. */
void job_json_etag(const struct job_view *view, char dst[JOB_JSON_ETAG_SIZE]);

#endif
