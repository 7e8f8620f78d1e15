/* Error: text is formatted aside and copied into the caller's struct last, so
 * that a message may quote the very error it replaces:
 *     return error_set(err, err->status, "reading %s: %s", path, err->msg);
 * What lands in msg is one line of whole characters: control characters from
 * input become spaces, and a cut never splits a UTF-8 sequence. */
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Here they are what they are, for the analyzer too. */
#undef error_set
#undef error_set_sys
#undef error_set_at

#define SAME(name) \
    _Static_assert((int)ST_##name == (int)PIT_##name, "status values differ")
SAME(OK);
SAME(INVALID);
SAME(NOT_FOUND);
SAME(CONFLICT);
SAME(GONE);
SAME(TOO_LARGE);
SAME(UNKNOWN_TASK);
SAME(LEASE_LOST);
SAME(LIMIT);
SAME(UNAVAILABLE);
SAME(UNCLEAR);
SAME(TIMEOUT);
SAME(CANCELLED);
SAME(FORBIDDEN);
SAME(READ_ONLY);
SAME(FAILED);
SAME(PERMANENT);
SAME(BUG);
SAME(QUEUE_FULL);

static const char cut_mark[] = "...";

static const char *const names[] = {
    [ST_OK] = "ok",
    [ST_INVALID] = "invalid",
    [ST_NOT_FOUND] = "not-found",
    [ST_CONFLICT] = "conflict",
    [ST_GONE] = "gone",
    [ST_TOO_LARGE] = "too-large",
    [ST_UNKNOWN_TASK] = "unknown-task",
    [ST_LEASE_LOST] = "lease-lost",
    [ST_LIMIT] = "limit",
    [ST_UNAVAILABLE] = "unavailable",
    [ST_UNCLEAR] = "unclear",
    [ST_TIMEOUT] = "timeout",
    [ST_CANCELLED] = "cancelled",
    [ST_FORBIDDEN] = "forbidden",
    [ST_READ_ONLY] = "read-only",
    [ST_FAILED] = "failed",
    [ST_PERMANENT] = "permanent",
    [ST_BUG] = "bug",
    [ST_QUEUE_FULL] = "queue-full",
};

/* The text with ": <strerror>" behind it, in one line. @dst may be the source
 * of one of the arguments. */
PRINTF(3, 0)
static void
format(char dst[ERROR_MSG_SIZE], int sys, const char *fmt, va_list ap)
{
    char text[ERROR_MSG_SIZE];
    char reason[96];
    bool cut = false;

    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof text) {
        len = sizeof text - 1;
        cut = true;
    }
    if (sys && !cut) {
        n = snprintf(text + len, sizeof text - len, ": %s",
                     strerror_r(sys, reason, sizeof reason));
        len += n < 0 ? 0 : (size_t)n;
        if (len >= sizeof text)
            cut = true;
    }
    if (cut) {
        len = utf8_floor(text, sizeof text - sizeof cut_mark);
        memcpy(text + len, cut_mark, sizeof cut_mark - 1);
        len += sizeof cut_mark - 1;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = ' ';
    memcpy(dst, text, len);
    dst[len] = '\0';
}

PRINTF(5, 0)
static enum status
fill(struct error *err, enum status status, int sys, const char *pointer,
     const char *fmt, va_list ap)
{
    if (!err)
        return status;
    format(err->msg, sys, fmt, ap);
    /* The pointer may be err->pointer itself. */
    size_t len = strnlen(pointer, sizeof err->pointer - 1);
    memmove(err->pointer, pointer, len);
    err->pointer[len] = '\0';
    err->status = status;
    err->sys = sys;
    return status;
}

enum status
error_set(struct error *err, enum status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, status, 0, "", fmt, ap);
    va_end(ap);
    return status;
}

enum status
error_set_sys(struct error *err, enum status status, int sys, const char *fmt,
              ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, status, sys, "", fmt, ap);
    va_end(ap);
    return status;
}

enum status
error_set_at(struct error *err, const char *pointer, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, ST_INVALID, 0, pointer, fmt, ap);
    va_end(ap);
    return ST_INVALID;
}

const char *
status_name(enum status status)
{
    if ((size_t)status >= ARRAY_LEN(names))
        return "unknown";
    return names[status];
}
