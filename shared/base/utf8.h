/* utf8.h - where a UTF-8 character ends, and whether it is one.
 *
 * RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Pure functions of bytes that the caller owns. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool
utf8_is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The length (1..4) of the character at @p, or 0 when the bytes before @end
 * are none. @p < @end. */
static inline size_t
utf8_length(const char *p, const char *end)
{
    unsigned char c = (unsigned char)p[0];
    size_t n = (size_t)(end - p);

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4 || n < 2 || !utf8_is_tail(p[1]))
        return 0;
    if (c < 0xe0)
        return 2;
    unsigned char d = (unsigned char)p[1];
    if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) ||
        (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
        return 0;
    if (n < 3 || !utf8_is_tail(p[2]))
        return 0;
    if (c < 0xf0)
        return 3;
    return n < 4 || !utf8_is_tail(p[3]) ? 0 : 4;
}

/* The largest length <= @len at which @p may be cut without splitting a
 * character. Text that is not UTF-8 loses at most three bytes. */
static inline size_t
utf8_floor(const char *p, size_t len)
{
    size_t lead = len;

    for (int back = 0; back < 4 && lead > 0; back++) {
        lead--;
        if (!utf8_is_tail(p[lead]))
            return utf8_length(p + lead, p + len) ? len : lead;
    }
    return len;
}

#endif
