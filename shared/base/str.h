/* str.h - a borrowed slice of bytes. By value; never owns, never ends in NUL.
 *
 * Whoever hands out a struct str says until when its bytes live. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* may be NULL when n is 0 */
    size_t n;
};

#define STR_NULL ((struct str){NULL, 0})
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str
str_from(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* NULL gives the empty slice. */
static inline struct str
str_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_eq_c(struct str a, const char *c)
{
    return str_eq(a, str_c(c));
}

/* ASCII letters compare equal whatever their case. */
bool str_eq_nocase(struct str a, struct str b);

static inline bool
str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n &&
           (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* The part from @from on; empty when @from is past the end. */
static inline struct str
str_skip(struct str s, size_t from)
{
    return from >= s.n ? STR_NULL : str_from(s.p + from, s.n - from);
}

/* 0 to 15 for a hexadecimal digit of either case, else -1. */
static inline int
str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The part before the first @sep, and *rest behind it. Without @sep the whole
 * of @s, and *rest is empty with p == NULL. */
struct str str_cut(struct str s, char sep, struct str *rest);

/* Without spaces, tabs, CR and LF at either end. */
struct str str_trim(struct str s);

/* Decimal digits only (no sign, no space), at most 19 of them; false leaves
 * *ret untouched. */
bool str_to_i64(struct str s, int64_t *ret);

/* A duration: a bare number of seconds ("30", "0.5") or a number with a unit
 * ms, s, m, h, d ("500ms", "2h"). Result in milliseconds, 0 .. 10 years; false
 * leaves *ret_ms untouched. */
bool str_to_duration_ms(struct str s, int64_t *ret_ms);

/* Copies into @dst with a final NUL, cutting to @size - 1 bytes. */
void str_copy_to(struct str s, char *dst, size_t size);

/* FNV-1a, 64 bit: for tables in memory, never for anything that is stored. */
uint64_t str_hash(struct str s);

#endif
