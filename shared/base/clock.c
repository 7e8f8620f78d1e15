/* Clock: dates are computed (base/civil.h), not asked of libc: this stands on
 * the enqueue path. */
#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/civil.h"

enum { DAY_S = CIVIL_DAY_S };

/* Threads read the clock too. Never changes outside of tests. */
static _Atomic int64_t skipped_us;

static int64_t
read_us(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);

    assert(!failed);
    (void)failed;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 +
           clock_skipped_us();
}

void
clock_skip(int64_t us)
{
    if (us > 0)
        atomic_fetch_add_explicit(&skipped_us, us, memory_order_relaxed);
}

int64_t
clock_skipped_us(void)
{
    return atomic_load_explicit(&skipped_us, memory_order_relaxed);
}

int64_t
clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t
clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

/* Writes @value as @width digits. */
static char *
put(char *p, int64_t value, int width)
{
    for (int i = width; i-- > 0; value /= 10)
        p[i] = (char)('0' + value % 10);
    return p + width;
}

void
clock_format(int64_t ms, char dst[CLOCK_TIME_LEN + 1])
{
    assert(ms >= 0 && ms <= CLOCK_LAST_MS);
    int64_t s = ms / 1000;
    struct civil c = civil_date(s / DAY_S);
    char *p = dst;

    p = put(p, c.year, 4);
    *p++ = '-';
    p = put(p, c.month, 2);
    *p++ = '-';
    p = put(p, c.day, 2);
    *p++ = 'T';
    p = put(p, s % DAY_S / 3600, 2);
    *p++ = ':';
    p = put(p, s % 3600 / 60, 2);
    *p++ = ':';
    p = put(p, s % 60, 2);
    *p++ = '.';
    p = put(p, ms % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
}

/* Takes @width digits, a value up to @max and the byte @after them ('\0': no
 * such byte) off the front of @s. */
static bool
take(struct str *s, size_t width, int max, char after, int *ret)
{
    int value = 0;

    if (s->n < width + (after != '\0'))
        return false;
    for (size_t i = 0; i < width; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        value = value * 10 + (s->p[i] - '0');
    }
    if (value > max || (after && s->p[width] != after))
        return false;
    *s = str_skip(*s, width + (after != '\0'));
    *ret = value;
    return true;
}

static bool
take_date(struct str *s, struct civil *ret)
{
    int year, month, day;

    if (!take(s, 4, 9999, '-', &year) || !take(s, 2, 12, '-', &month) ||
        !take(s, 2, 31, '\0', &day) || month < 1 || day < 1)
        return false;
    if (day > civil_month_days(year, month))
        return false;
    *ret = (struct civil){year, month, day};
    return true;
}

/* "[.digits]" as milliseconds; none is 0. */
static bool
take_fraction(struct str *s, int *ret_ms)
{
    int ms = 0, scale = 100;
    size_t n = 0;

    *ret_ms = 0;
    if (s->n == 0 || s->p[0] != '.')
        return true;
    *s = str_skip(*s, 1);
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, scale /= 10)
        ms += (s->p[n] - '0') * scale;
    *s = str_skip(*s, n);
    *ret_ms = ms;
    return n >= 1 && n <= 9;
}

/* "Z" or "+hh:mm", which must be all that is left, as seconds east of UTC. */
static bool
take_offset(struct str s, int *ret_s)
{
    int hours, minutes;

    *ret_s = 0;
    if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z'))
        return true;
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-'))
        return false;
    int sign = s.p[0] == '-' ? -1 : 1;
    s = str_skip(s, 1);
    if (!take(&s, 2, 23, ':', &hours) || !take(&s, 2, 59, '\0', &minutes))
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool
clock_parse(struct str s, int64_t *ret_ms)
{
    struct civil date;
    int hour, minute, second, ms, offset_s;

    if (!take_date(&s, &date) || s.n == 0 || (s.p[0] != 'T' && s.p[0] != 't'))
        return false;
    s = str_skip(s, 1);
    if (!take(&s, 2, 23, ':', &hour) || !take(&s, 2, 59, ':', &minute) ||
        !take(&s, 2, 60, '\0', &second) || !take_fraction(&s, &ms) ||
        !take_offset(s, &offset_s))
        return false;
    int64_t at_s = civil_days(date) * DAY_S + hour * 3600 + minute * 60 +
                   second - offset_s;
    /* RFC 3339 section 5.7: a leap second is the last of a month in UTC. */
    if (second == 60 &&
        (at_s < 0 || at_s % DAY_S != 0 || civil_date(at_s / DAY_S).day != 1))
        return false;
    if (at_s < 0 || at_s > CLOCK_LAST_MS / 1000)
        return false;
    *ret_ms = at_s * 1000 + ms;
    return true;
}

/* Two at most, since nobody reads a third. */
static const char *
two_units(int64_t n, int64_t per, const char *large, const char *small,
          char dst[CLOCK_WORDS_SIZE])
{
    if (n % per)
        snprintf(dst, CLOCK_WORDS_SIZE, "%" PRId64 "%s %" PRId64 "%s", n / per,
                 large, n % per, small);
    else
        snprintf(dst, CLOCK_WORDS_SIZE, "%" PRId64 "%s", n / per, large);
    return dst;
}

const char *
clock_words(int64_t ms, char dst[CLOCK_WORDS_SIZE])
{
    int64_t seconds = ms / 1000;

    if (ms < 0)
        snprintf(dst, CLOCK_WORDS_SIZE, "-");
    else if (ms < 1000)
        snprintf(dst, CLOCK_WORDS_SIZE, "%" PRId64 "ms", ms);
    else if (ms < 10000 && ms % 1000)
        snprintf(dst, CLOCK_WORDS_SIZE, "%.1fs", (double)ms / 1000);
    else if (seconds < 60)
        snprintf(dst, CLOCK_WORDS_SIZE, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        return two_units(seconds, 60, "m", "s", dst);
    else if (seconds < 24 * 3600)
        return two_units(seconds / 60, 60, "h", "m", dst);
    else
        return two_units(seconds / 3600, 24, "d", "h", dst);
    return dst;
}
