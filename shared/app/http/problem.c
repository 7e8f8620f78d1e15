/* Problem: three tables and a writer.
 *
 * The documents are written by hand rather than by jansson: they are flat, and
 * a refusal must be cheap, since it is what a server under attack sends. */
#include "app/http/problem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { PROBLEM_MAX = 64 * 1024 }; /* bytes of one document */

static const struct problem_type types[PROBLEM_KINDS] = {
    [PROBLEM_INVALID_REQUEST] = {400, "invalid-request",
                                 "The request cannot be honoured as it is",
                                 false, 0},
    [PROBLEM_MALFORMED_MESSAGE] = {400, "malformed-message",
                                   "The message is not valid HTTP/1.1", false,
                                   0},
    [PROBLEM_UNAUTHENTICATED] = {401, "unauthenticated",
                                 "A valid key is needed", false, 0},
    [PROBLEM_FORBIDDEN] = {403, "forbidden", "This is not allowed", false, 0},
    [PROBLEM_NOT_FOUND] = {404, "not-found", "There is no such resource", false,
                           0},
    [PROBLEM_METHOD_NOT_ALLOWED] = {405, "method-not-allowed",
                                    "The resource does not know this method",
                                    false, 0},
    [PROBLEM_NOT_ACCEPTABLE] = {406, "not-acceptable",
                                "There is no representation as asked for",
                                false, 0},
    [PROBLEM_REQUEST_TIMEOUT] = {408, "request-timeout",
                                 "The request did not arrive in time", true, 0},
    [PROBLEM_CONFLICT] = {409, "conflict",
                          "The resource exists with other content, or its "
                          "state does not allow this",
                          false, 0},
    [PROBLEM_DUPLICATE_JOB] = {409, "duplicate-job",
                               "A job with this id or key exists already",
                               false, 0},
    [PROBLEM_LEASE_LOST] = {409, "lease-lost", "Another attempt holds the job",
                            false, 0},
    [PROBLEM_INVALID_STATE] = {409, "invalid-state",
                               "The job's state does not allow this", false, 0},
    [PROBLEM_JOB_DEAD] = {409, "job-dead",
                          "The job failed for good and has no result", false,
                          0},
    [PROBLEM_IDEMPOTENCY_IN_PROGRESS] = {409, "idempotency-in-progress",
                                         "The first request with this key is "
                                         "still under way",
                                         true, 1},
    [PROBLEM_GONE] = {410, "gone", "The resource is past its retention", false,
                      0},
    [PROBLEM_PRECONDITION_FAILED] = {412, "precondition-failed",
                                     "The resource has changed", false, 0},
    [PROBLEM_PAYLOAD_TOO_LARGE] = {413, "payload-too-large",
                                   "It is larger than allowed", false, 0},
    [PROBLEM_URI_TOO_LONG] = {414, "uri-too-long",
                              "The request line is longer than allowed", false,
                              0},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported-media-type",
                                        "The body's type or coding is not "
                                        "known here",
                                        false, 0},
    [PROBLEM_EXPECTATION_FAILED] = {417, "expectation-failed",
                                    "The Expect field cannot be honoured",
                                    false, 0},
    [PROBLEM_UNKNOWN_TASK] = {422, "unknown-task",
                              "No task of this name is registered", false, 0},
    [PROBLEM_BAD_SCHEDULE] = {422, "bad-schedule",
                              "The schedule cannot be understood", false, 0},
    [PROBLEM_IDEMPOTENCY_KEY_REUSE] = {422, "idempotency-key-reuse",
                                       "The key was used with other content",
                                       false, 0},
    [PROBLEM_RATE_LIMITED] = {429, "rate-limited", "Too many requests", true,
                              1},
    [PROBLEM_QUEUE_FULL] = {429, "queue-full", "The queue is at its limit",
                            true, 1},
    [PROBLEM_HEADERS_TOO_LARGE] = {431, "headers-too-large",
                                   "The header is larger than allowed", false,
                                   0},
    [PROBLEM_INTERNAL_ERROR] = {500, "internal-error",
                                "Something broke on this side", true, 0},
    [PROBLEM_NOT_IMPLEMENTED] = {501, "not-implemented",
                                 "The server does not know how to do this",
                                 false, 0},
    [PROBLEM_STORE_UNAVAILABLE] = {503, "store-unavailable",
                                   "Redis, or an upstream, cannot be reached",
                                   true, 1},
    [PROBLEM_STORE_READONLY] = {503, "store-readonly",
                                "Nothing can be written at the moment", true,
                                5},
    [PROBLEM_DURABILITY_NOT_REACHED] = {503, "durability-not-reached",
                                        "Stored, but not as durably as asked "
                                        "for",
                                        true, 1},
    [PROBLEM_OUTCOME_UNKNOWN] = {503, "outcome-unknown",
                                 "It may or may not have happened", true, 1},
    [PROBLEM_OVERLOADED] = {503, "overloaded",
                            "This process is at one of its limits", true, 1},
    [PROBLEM_SHUTTING_DOWN] = {503, "shutting-down",
                               "This process is about to end", true, 1},
    [PROBLEM_TIMEOUT] = {504, "timeout", "It took longer than allowed", true,
                         0},
    [PROBLEM_HTTP_VERSION] = {505, "http-version",
                              "Only HTTP/1.0 and HTTP/1.1 are spoken here",
                              false, 0},
};

const struct problem_type *
problem_type(enum problem_kind kind)
{
    assert((unsigned)kind < PROBLEM_KINDS);
    return &types[kind];
}

enum problem_kind
problem_of_status(enum status status)
{
    switch (status) {
    case ST_INVALID:
        return PROBLEM_INVALID_REQUEST;
    case ST_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case ST_CONFLICT:
        return PROBLEM_CONFLICT;
    case ST_GONE:
        return PROBLEM_GONE;
    case ST_TOO_LARGE:
        return PROBLEM_PAYLOAD_TOO_LARGE;
    case ST_UNKNOWN_TASK:
        return PROBLEM_UNKNOWN_TASK;
    case ST_LEASE_LOST:
        return PROBLEM_LEASE_LOST;
    case ST_LIMIT:
        return PROBLEM_OVERLOADED;
    case ST_UNAVAILABLE:
        return PROBLEM_STORE_UNAVAILABLE;
    case ST_UNCLEAR:
        return PROBLEM_OUTCOME_UNKNOWN;
    case ST_TIMEOUT:
        return PROBLEM_TIMEOUT;
    case ST_CANCELLED: /* with somebody left to answer: we are stopping */
        return PROBLEM_SHUTTING_DOWN;
    case ST_FORBIDDEN:
        return PROBLEM_FORBIDDEN;
    case ST_READ_ONLY:
        return PROBLEM_STORE_READONLY;
    case ST_QUEUE_FULL:
        return PROBLEM_QUEUE_FULL;
    case ST_OK:
    case ST_FAILED:
    case ST_PERMANENT:
    case ST_BUG:
        break;
    }
    return PROBLEM_INTERNAL_ERROR;
}

enum problem_kind
problem_of_http(int http)
{
    switch (http) {
    case 400:
        return PROBLEM_MALFORMED_MESSAGE;
    case 501:
        return PROBLEM_NOT_IMPLEMENTED;
    case 503:
        return PROBLEM_OVERLOADED;
    default:
        break;
    }
    for (unsigned kind = 0; kind < PROBLEM_KINDS; kind++)
        if (types[kind].http == http)
            return (enum problem_kind)kind;
    return PROBLEM_INTERNAL_ERROR;
}

static void
write_string_member(struct buf *dst, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_addf(dst, ",\"%s\":", name);
    buf_add_json_string(dst, str_c(value));
}

/* The members of @extra without its braces. */
static void
write_extra(struct buf *dst, const json_t *extra)
{
    if (!json_is_object(extra) || json_object_size(extra) == 0)
        return;
    char *text = json_dumps(extra, JSON_COMPACT);
    if (!text) {
        dst->failed = true;
        return;
    }
    struct str s = str_c(text);
    buf_add_char(dst, ',');
    buf_add(dst, s.p + 1, s.n - 2);
    free(text);
}

static int
retry_after(const struct problem *problem)
{
    return problem->retry_after_s > 0
               ? problem->retry_after_s
               : problem_type(problem->kind)->retry_after_s;
}

void
problem_write(const struct problem *problem, struct buf *dst)
{
    const struct problem_type *type = problem_type(problem->kind);

    buf_addf(dst,
             "{\"type\":\"" PROBLEM_TYPE_BASE
             "%s\",\"title\":\"%s\",\"status\":%d",
             type->name, type->title, type->http);
    write_string_member(dst, "detail", problem->detail);
    write_string_member(dst, "instance", problem->instance);
    write_string_member(dst, "pointer", problem->pointer);
    if (problem->max_bytes > 0)
        buf_addf(dst, ",\"max_bytes\":%" PRId64, problem->max_bytes);
    if (retry_after(problem) > 0)
        buf_addf(dst, ",\"retry_after\":%d", retry_after(problem));
    buf_addf(dst, ",\"retryable\":%s", type->retryable ? "true" : "false");
    write_extra(dst, problem->extra);
    buf_add_char(dst, '}');
}

struct problem
problem_from_error(enum status status, const struct error *err)
{
    struct problem problem = {.kind = problem_of_status(status)};

    if (err && err->status == status) {
        problem.detail = err->msg;
        problem.pointer = err->pointer;
    }
    return problem;
}

enum status
problem_reply(struct pit_response *res, const struct problem *problem)
{
    struct buf body;

    if (res->sealed)
        return ST_INVALID;
    buf_init(&body, PROBLEM_MAX);
    problem_write(problem, &body);
    if (retry_after(problem) > 0) {
        enum status st =
            response_setf(res, "Retry-After", "%d", retry_after(problem));
        if (st != ST_OK) {
            buf_clear(&body);
            return st;
        }
    }
    return response_take(res, problem_type(problem->kind)->http,
                         PROBLEM_CONTENT_TYPE, &body);
}
