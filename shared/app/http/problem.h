/* problem.h - refusals and failures as application/problem+json (RFC 9457).
 *
 * One table says for each kind of problem: HTTP code, the last part of its type
 * URI, title, and whether the same request may succeed later. Another says
 * which kind an enum status is. Nothing else in the front maps errors. */
#ifndef APP_PROBLEM_H
#define APP_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/http/response.h"
#include "base/buf.h"
#include "base/error.h"

#define PROBLEM_TYPE_BASE "https://pitmaster.dev/problems/"
#define PROBLEM_CONTENT_TYPE "application/problem+json"

/* The name in the type URI is the constant's, in lower case with hyphens. */
enum problem_kind {
    PROBLEM_INVALID_REQUEST,         /* 400 */
    PROBLEM_MALFORMED_MESSAGE,       /* 400: not HTTP as we accept it; closes */
    PROBLEM_UNAUTHENTICATED,         /* 401 */
    PROBLEM_FORBIDDEN,               /* 403 */
    PROBLEM_NOT_FOUND,               /* 404 */
    PROBLEM_METHOD_NOT_ALLOWED,      /* 405 */
    PROBLEM_NOT_ACCEPTABLE,          /* 406 */
    PROBLEM_REQUEST_TIMEOUT,         /* 408 */
    PROBLEM_CONFLICT,                /* 409 */
    PROBLEM_DUPLICATE_JOB,           /* 409 */
    PROBLEM_LEASE_LOST,              /* 409 */
    PROBLEM_INVALID_STATE,           /* 409 */
    PROBLEM_JOB_DEAD,                /* 409 */
    PROBLEM_IDEMPOTENCY_IN_PROGRESS, /* 409 */
    PROBLEM_GONE,                    /* 410 */
    PROBLEM_PRECONDITION_FAILED,     /* 412 */
    PROBLEM_PAYLOAD_TOO_LARGE,       /* 413 */
    PROBLEM_URI_TOO_LONG,            /* 414 */
    PROBLEM_UNSUPPORTED_MEDIA_TYPE,  /* 415 */
    PROBLEM_EXPECTATION_FAILED,      /* 417 */
    PROBLEM_UNKNOWN_TASK,            /* 422 */
    PROBLEM_BAD_SCHEDULE,            /* 422 */
    PROBLEM_IDEMPOTENCY_KEY_REUSE,   /* 422 */
    PROBLEM_RATE_LIMITED,            /* 429 */
    PROBLEM_QUEUE_FULL,              /* 429 */
    PROBLEM_HEADERS_TOO_LARGE,       /* 431 */
    PROBLEM_INTERNAL_ERROR,          /* 500 */
    PROBLEM_NOT_IMPLEMENTED,         /* 501 */
    PROBLEM_STORE_UNAVAILABLE,       /* 503 */
    PROBLEM_STORE_READONLY,          /* 503 */
    PROBLEM_DURABILITY_NOT_REACHED,  /* 503 */
    PROBLEM_OUTCOME_UNKNOWN,         /* 503 */
    PROBLEM_OVERLOADED,              /* 503 */
    PROBLEM_SHUTTING_DOWN,           /* 503 */
    PROBLEM_TIMEOUT,                 /* 504 */
    PROBLEM_HTTP_VERSION,            /* 505 */
    PROBLEM_KINDS,
};

struct problem_type {
    int http;
    const char *name;  /* "lease-lost" */
    const char *title; /* one short sentence, the same every time */
    bool retryable;    /* the same request may succeed later */
    int retry_after_s; /* the usual one; 0: none */
};

/* Never NULL. */
const struct problem_type *problem_type(enum problem_kind kind);
/* The kind that a failed call's status stands for. @status is not ST_OK. */
enum problem_kind problem_of_status(enum status status);
/* The kind for an HTTP code that the parser or the front refuses with. */
enum problem_kind problem_of_http(int http);

/* What is left zero or NULL is left out of the document. */
struct problem {
    enum problem_kind kind;
    const char *detail;   /* what is wrong here and what to do */
    const char *pointer;  /* RFC 6901, to the field of the body; NULL or "":
                             none */
    const char *instance; /* the request's path, still percent-encoded */
    int retry_after_s;    /* 0: the kind's own */
    int64_t max_bytes;    /* > 0: the limit that was passed */
    const json_t *extra;  /* an object of further members; borrowed */
};

/* Appends the document. Invalid UTF-8 in the texts becomes U+FFFD. */
void problem_write(const struct problem *problem, struct buf *dst);
/* The kind of @err->status with its message and pointer. @err lives as long as
 * the result. @status is what counts when @err does not agree with it. */
struct problem problem_from_error(enum status status, const struct error *err);
/* Makes it the whole answer, replacing what was set: status, document, and
 * Retry-After where it has one. Returns ST_OK, or as response_take(). */
enum status problem_reply(struct pit_response *res,
                          const struct problem *problem);

#endif
