/* pit/job.h - a job, as the task that runs it sees it.
 *
 * A C task runs in a worker's child process, one job at a time; it may block
 * and burn CPU. An async task runs beside others in one process, and must not
 * block. Either is run at least once: pit_job_attempt() > 1 says that it ran
 * before, and pit_job_id() is the same in every attempt, so that effects can be
 * made idempotent. What the task returns ends the attempt: PIT_OK succeeds,
 * PIT_PERMANENT goes to the dead letters, everything else is retried as the
 * job's policy says. Nothing here suspends. */
#ifndef PIT_JOB_H
#define PIT_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pit/status.h"

enum { PIT_RESULT_MAX = 1024 * 1024 }; /* bytes of JSON */

struct pit_job;

/* "<queue>.<local id>"; lent until the task returns, as all that follows. */
const char *pit_job_id(const struct pit_job *job);
const char *pit_job_task(const struct pit_job *job);
/* 1 the first time; counts every time that the job was started. */
int pit_job_attempt(const struct pit_job *job);
/* How often it crashed its child so far. */
int pit_job_crashes(const struct pit_job *job);
/* Where it comes from: the X-Request-Id that a client gave to the request which
 * enqueued it, and that request's W3C traceparent; "" for none. An async task's
 * pit_fetch() passes both on by itself, as do the jobs that it enqueues. */
const char *pit_job_request_id(const struct pit_job *job);
const char *pit_job_traceparent(const struct pit_job *job);
/* The args; parsed at the first call, never NULL (a JSON null when there are
 * none). Borrowed: do not decref. */
const json_t *pit_job_args(struct pit_job *job);
/* The args as the bytes that were enqueued. */
const char *pit_job_args_text(const struct pit_job *job, size_t *ret_len);
/* True once the job was cancelled, its timeout is over, or its lease was lost:
 * return PIT_CANCELLED soon; the child is killed after a grace time. Cheap
 * enough for an inner loop; also sends a progress that was held back. */
bool pit_job_cancelled(struct pit_job *job);
/* What GET /v1/jobs/{id} shows as progress. @total 0: unknown. Cheap; only the
 * newest is kept, sent at most five times a second. @fmt may be NULL. */
__attribute__((format(printf, 4, 5))) void
pit_job_progress(struct pit_job *job, int64_t done, int64_t total,
                 const char *fmt, ...);
/* A line for the job's log, which GET /v1/jobs/{id}/logs shows; each line break
 * begins another. Cut at 1,000 bytes. At most 50 lines a second (100 at once)
 * and the newest 1,000 of a job are kept; how many were lost is said in the
 * log. Cheap, never waits. */
__attribute__((format(printf, 2, 3))) void pit_job_log(struct pit_job *job,
                                                       const char *fmt, ...);
/* What the jobs that this one waited for (its parents in a flow) have come to:
 * how many there are; the result of one by its id; the @index-th, from 0, and
 * its id into *ret_id (may be NULL). NULL where there is none. A parent without
 * a result, or one that did not succeed, gives a JSON null; so do those behind
 * the first 1 MiB of results: look these up by their ids. Borrowed. */
size_t pit_job_inputs(struct pit_job *job);
const json_t *pit_job_input(struct pit_job *job, const char *id);
const json_t *pit_job_input_at(struct pit_job *job, size_t index,
                               const char **ret_id);
/* If this attempt fails, the next one comes not before @ms from its end; else
 * the job's back-off alone decides. Up to ten years. */
void pit_job_retry_after(struct pit_job *job, int64_t ms);
/* The result, replacing an earlier one; @fmt as jansson's json_pack(). Returns
 * PIT_OK, so that a task ends in `return pit_job_result(...)`; PIT_INVALID for
 * a bad format, PIT_TOO_LARGE above PIT_RESULT_MAX. */
enum pit_status pit_job_result(struct pit_job *job, const char *fmt, ...);
/* The same with bytes that are JSON already. */
enum pit_status pit_job_result_text(struct pit_job *job, const char *json,
                                    size_t len);
/* Says why; returns @status, so that a task ends in
 * `return pit_job_fail(job, PIT_FAILED, "no such file: %s", path)`. */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_job_fail(struct pit_job *job, enum pit_status status, const char *fmt, ...);

#endif
