/* Str: number parsing works on digits alone, never on strtol() or strtod(),
 * which need a NUL, skip spaces, take signs and follow the locale. */
#include "base/str.h"

#include "base/error.h"

/* 10 years of 365 days: far beyond any job's delay, far below overflow. */
static const int64_t duration_max_ms = INT64_C(3650) * 24 * 3600 * 1000;
enum { I64_DIGITS = 19, DURATION_DIGITS = 12, FRACTION_DIGITS = 9 };

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

struct str
str_cut(struct str s, char sep, struct str *rest)
{
    const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;

    if (!at) {
        *rest = STR_NULL;
        return s;
    }
    size_t before = (size_t)(at - s.p);
    *rest = str_from(at + 1, s.n - before - 1);
    return str_from(s.p, before);
}

struct str
str_trim(struct str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
str_to_i64(struct str s, int64_t *ret)
{
    uint64_t value = 0;

    if (s.n == 0 || s.n > I64_DIGITS)
        return false;
    /* 19 digits always fit 64 bits without a sign. */
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return false;
        value = value * 10 + (uint64_t)(s.p[i] - '0');
    }
    if (value > INT64_MAX)
        return false;
    *ret = (int64_t)value;
    return true;
}

/* Milliseconds of a unit; 0 for what is none. */
static int64_t
unit_ms(struct str unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"", 1000},   {"ms", 1},      {"s", 1000},
        {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_c(unit, units[i].name))
            return units[i].ms;
    return 0;
}

static size_t
count_digits(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n;
}

bool
str_to_duration_ms(struct str s, int64_t *ret_ms)
{
    int64_t whole, fraction = 0, scale = 1;
    size_t n = count_digits(s);

    if (n == 0 || n > DURATION_DIGITS || !str_to_i64(str_from(s.p, n), &whole))
        return false;
    s = str_skip(s, n);
    if (s.n && s.p[0] == '.') {
        s = str_skip(s, 1);
        for (n = 0; n < s.n && is_digit(s.p[n]); n++, scale *= 10) {
            if (n == FRACTION_DIGITS)
                return false;
            fraction = fraction * 10 + (s.p[n] - '0');
        }
        if (n == 0)
            return false;
        s = str_skip(s, n);
    }
    int64_t unit = unit_ms(s);
    if (unit == 0 || whole > duration_max_ms / unit)
        return false;
    /* A day times nine digits of fraction is below 2^63. */
    int64_t ms = whole * unit + fraction * unit / scale;
    if (ms > duration_max_ms)
        return false;
    *ret_ms = ms;
    return true;
}

void
str_copy_to(struct str s, char *dst, size_t size)
{
    if (size == 0)
        return;
    size_t n = s.n < size ? s.n : size - 1;
    if (n)
        memcpy(dst, s.p, n);
    dst[n] = '\0';
}

uint64_t
str_hash(struct str s)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < s.n; i++) {
        hash ^= (unsigned char)s.p[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}
