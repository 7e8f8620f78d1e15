/* Buf: grows by doubling, never past max.
 *
 * Invariants: len <= max, len <= cap, cap <= max + 1. The one byte above max
 * is for the NUL that vsnprintf() insists on; it never counts as content.
 * Once failed, every write is a no-op until buf_reset() or buf_clear(). */
#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"

enum { FIRST_CAP = 64 };

void
buf_init(struct buf *b, size_t max)
{
    assert(max > 0 && max < SIZE_MAX / 2);
    *b = (struct buf){.max = max};
}

void
buf_clear(struct buf *b)
{
    if (!b)
        return;
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void
buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

/* Room for @n bytes of content and @spare that are not. */
static char *
reserve(struct buf *b, size_t n, size_t spare)
{
    assert(b->max > 0 && b->len <= b->max && spare <= 1);
    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    size_t need = b->len + n + spare;
    if (need <= b->cap && b->p)
        return b->p + b->len;

    size_t cap = b->cap ? b->cap : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    if (cap > b->max + 1)
        cap = b->max + 1;
    char *p = realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return NULL;
    }
    b->p = p;
    b->cap = cap;
    return p + b->len;
}

/* True when @n more bytes fit without an allocation: the common case, which is
 * worth not calling anything for. */
static inline bool
fits(const struct buf *b, size_t n)
{
    return !b->failed && b->p && n <= b->cap - b->len && n <= b->max - b->len;
}

char *
buf_room(struct buf *b, size_t n)
{
    return fits(b, n) ? b->p + b->len : reserve(b, n, 0);
}

void
buf_grew(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->len && n <= b->max - b->len);
    b->len += n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
    char *to = fits(b, n) ? b->p + b->len : reserve(b, n, 0);

    if (!to || n == 0)
        return;
    memcpy(to, p, n);
    b->len += n;
}

void
buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void
buf_add_c(struct buf *b, const char *c)
{
    buf_add(b, c, strlen(c));
}

void
buf_add_char(struct buf *b, char c)
{
    char *to = fits(b, 1) ? b->p + b->len : reserve(b, 1, 0);

    if (!to)
        return;
    *to = c;
    b->len++;
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_addv(b, fmt, ap);
    va_end(ap);
}

void
buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;

    if (!reserve(b, 0, 0))
        return;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->p + b->len, room, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < room) {
        b->len += (size_t)n;
    } else if (reserve(b, (size_t)n, 1)) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

/* What stands for a byte that cannot stand for itself. */
static void
add_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char unicode[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    char brief[] = {'\\', 0};

    switch (c) {
    case '"':
    case '\\':
        brief[1] = (char)c;
        break;
    case '\b':
        brief[1] = 'b';
        break;
    case '\f':
        brief[1] = 'f';
        break;
    case '\n':
        brief[1] = 'n';
        break;
    case '\r':
        brief[1] = 'r';
        break;
    case '\t':
        brief[1] = 't';
        break;
    default:
        if (c < ' ')
            buf_add(b, unicode, sizeof unicode);
        else
            buf_add_c(b, "\xef\xbf\xbd"); /* U+FFFD */
        return;
    }
    buf_add(b, brief, sizeof brief);
}

void
buf_add_json_string(struct buf *b, struct str s)
{
    const char *p = s.n ? s.p : "", *end = p + s.n, *run = p;

    buf_add_char(b, '"');
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        if (c >= ' ' && c != '"' && c != '\\') {
            size_t n = c < 0x80 ? 1 : utf8_length(p, end);
            if (n) {
                p += n;
                continue;
            }
        }
        buf_add(b, run, (size_t)(p - run));
        add_escape(b, c);
        run = ++p;
    }
    buf_add(b, run, (size_t)(p - run));
    buf_add_char(b, '"');
}

void
buf_add_time(struct buf *b, int64_t ms)
{
    char text[CLOCK_TIME_LEN + 1];

    clock_format(ms, text);
    buf_add(b, text, CLOCK_TIME_LEN);
}

void
buf_add_json_time(struct buf *b, int64_t ms)
{
    char text[CLOCK_TIME_LEN + 2];

    if (ms <= 0 || ms > CLOCK_LAST_MS) {
        buf_add(b, "null", 4);
        return;
    }
    text[0] = '"';
    clock_format(ms, text + 1);
    text[CLOCK_TIME_LEN + 1] = '"'; /* where its NUL is */
    buf_add(b, text, sizeof text);
}

void
buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->p, b->p + n, b->len);
}
