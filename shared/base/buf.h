/* buf.h - bytes that grow, up to a maximum that must be given.
 *
 * A write that would pass the maximum, or that runs out of memory, sets
 * `failed` and changes nothing more; so a caller may append many times and ask
 * once at the end. One owner, no locks. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct buf {
    char *p;    /* owned; NULL until the first byte */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* never more than that in use */
    bool failed;
};

/* Empty, without an allocation. @max > 0 bytes. */
void buf_init(struct buf *b, size_t max);
/* Frees the bytes; the buffer may be used again. NULL is fine. */
void buf_clear(struct buf *b);
/* Empties it and forgets a failure, keeps the memory. */
void buf_reset(struct buf *b);
/* Makes room for @n more bytes and returns where they go, or NULL (failed).
 * buf_grew() then says how many were written. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, struct str s);
void buf_add_c(struct buf *b, const char *c);
void buf_add_char(struct buf *b, char c);
PRINTF(2, 3) void buf_addf(struct buf *b, const char *fmt, ...);
PRINTF(2, 0) void buf_addv(struct buf *b, const char *fmt, va_list ap);
/* A JSON string with its quotes: escapes what RFC 8259 section 7 demands, and
 * replaces bytes that are not UTF-8 by U+FFFD. */
void buf_add_json_string(struct buf *b, struct str s);
/* RFC 3339 UTC with milliseconds, without quotes ("2026-11-23T09:00:00.000Z").
 * @ms since the epoch, 0 .. CLOCK_LAST_MS. */
void buf_add_time(struct buf *b, int64_t ms);
/* The same as a JSON string, or null: for 0, and for what is no such time,
 * since a record may say anything. */
void buf_add_json_time(struct buf *b, int64_t ms);
/* Drops the first @n bytes, moving the rest down. */
void buf_consume(struct buf *b, size_t n);
/* Lends the content, until the next change. */
static inline struct str
buf_str(const struct buf *b)
{
    return str_from(b->p, b->len);
}

#endif
