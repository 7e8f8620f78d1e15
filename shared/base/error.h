/* error.h - status codes and the caller-owned error that explains one.
 *
 * A fallible function returns an enum status and takes a struct error *err as
 * its last parameter. It fills *err exactly when it returns something else than
 * ST_OK; err may be NULL where the caller does not care. Nothing here
 * allocates: an error can always be reported. Thread-safe: no shared state. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

#include "pit/status.h"

#define CHECK __attribute__((warn_unused_result))
/* What is rare and needs much of the stack: in line, all calls of whoever calls
 * it would pay for that. */
#define APART __attribute__((noinline))
/* Where a call would cost as much as what it does, and each request makes it.
 */
#define ALWAYS_INLINE __attribute__((always_inline)) inline
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))

/* The same values as the public enum, under the short names that core code
 * uses; error.c asserts that they agree. */
enum status {
    ST_OK = PIT_OK,
    ST_INVALID = PIT_INVALID,
    ST_NOT_FOUND = PIT_NOT_FOUND,
    ST_CONFLICT = PIT_CONFLICT,
    ST_GONE = PIT_GONE,
    ST_TOO_LARGE = PIT_TOO_LARGE,
    ST_UNKNOWN_TASK = PIT_UNKNOWN_TASK,
    ST_LEASE_LOST = PIT_LEASE_LOST,
    ST_LIMIT = PIT_LIMIT,
    ST_UNAVAILABLE = PIT_UNAVAILABLE,
    ST_UNCLEAR = PIT_UNCLEAR,
    ST_TIMEOUT = PIT_TIMEOUT,
    ST_CANCELLED = PIT_CANCELLED,
    ST_FORBIDDEN = PIT_FORBIDDEN,
    ST_READ_ONLY = PIT_READ_ONLY,
    ST_FAILED = PIT_FAILED,
    ST_PERMANENT = PIT_PERMANENT,
    ST_BUG = PIT_BUG,
    ST_QUEUE_FULL = PIT_QUEUE_FULL,
};

enum { ERROR_MSG_SIZE = 240 };

struct error {
    enum status status;
    int sys;                  /* errno at the time, or 0 */
    char pointer[96];         /* RFC 6901 JSON pointer to the field, or "" */
    char msg[ERROR_MSG_SIZE]; /* what is wrong and what to do, no newline */
};

/* Fills *err (which may be NULL) and returns @status, so that callers write
 * `return error_set(err, ST_INVALID, "...")`. Over-long text is cut. */
PRINTF(3, 4)
enum status error_set(struct error *err, enum status status, const char *fmt,
                      ...);

/* As error_set(), and appends ": <strerror(sys)>" and keeps @sys. */
PRINTF(4, 5)
enum status error_set_sys(struct error *err, enum status status, int sys,
                          const char *fmt, ...);

/* As error_set() with ST_INVALID, for a field of a document: @pointer is the
 * RFC 6901 pointer to it ("/retry/max"). */
PRINTF(3, 4)
enum status error_set_at(struct error *err, const char *pointer,
                         const char *fmt, ...);

#ifdef __clang_analyzer__
/* The analyzer looks into one file at a time: that each of them returns the
 * status it was given is told to it here. */
static inline enum status
error_given(enum status returned, enum status given)
{
    (void)returned;
    return given;
}
#define error_set(err, status, ...) \
    error_given(error_set(err, status, __VA_ARGS__), status)
#define error_set_sys(err, status, ...) \
    error_given(error_set_sys(err, status, __VA_ARGS__), status)
#define error_set_at(err, ...) \
    error_given(error_set_at(err, __VA_ARGS__), ST_INVALID)
#endif

/* The status' stable lower-case name with hyphens ("lease-lost"), for logs
 * and records. Never NULL; "unknown" for a value out of range. */
const char *status_name(enum status status);

#endif
