/* Clock: dates are computed, not asked of libc: gmtime() and timegm() read the
 * environment's TZ and locks for it, and this stands on the enqueue path.
 *
 * The civil calendar is counted in years that begin on 1 March, so that the
 * leap day is a year's last and every month's offset is a linear formula. A
 * cycle of the Gregorian calendar is 400 years or 146,097 days. */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

enum { DAY_S = 86400, CYCLE_DAYS = 146097, EPOCH_DAYS = 719468 };

/* 9999-12-31T23:59:59.999Z */
static const int64_t last_ms = INT64_C(253402300799999);

struct civil {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};

static int64_t
read_us(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);

    assert(!failed);
    (void)failed;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
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

/* Days since 1970-01-01 of a date within years 0..9999. */
static int64_t
days_of(struct civil c)
{
    int64_t year = c.month <= 2 ? c.year - 1 : c.year;
    if (year < 0)
        return -EPOCH_DAYS;
    int64_t cycle = year / 400, of_cycle = year % 400;
    int64_t month = (c.month + 9) % 12; /* March is 0 */
    int64_t of_year = (153 * month + 2) / 5 + c.day - 1;

    return cycle * CYCLE_DAYS + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 +
           of_year - EPOCH_DAYS;
}

/* The date of a day since the epoch, for days >= 0. */
static struct civil
civil_of(int64_t days)
{
    days += EPOCH_DAYS;
    int64_t cycle = days / CYCLE_DAYS, d = days % CYCLE_DAYS;
    int64_t of_cycle = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t of_year = d - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct civil c = {
        .year = cycle * 400 + of_cycle + (month >= 10),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
    };

    return c;
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
    assert(ms >= 0 && ms <= last_ms);
    int64_t s = ms / 1000;
    struct civil c = civil_of(s / DAY_S);
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
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    int year, month, day;

    if (!take(s, 4, 9999, '-', &year) || !take(s, 2, 12, '-', &month) ||
        !take(s, 2, 31, '\0', &day) || month < 1 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && leap))
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
    int64_t at_s =
        days_of(date) * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    /* RFC 3339 section 5.7: a leap second is the last of a month in UTC. */
    if (second == 60 &&
        (at_s < 0 || at_s % DAY_S != 0 || civil_of(at_s / DAY_S).day != 1))
        return false;
    if (at_s < 0 || at_s > last_ms / 1000)
        return false;
    *ret_ms = at_s * 1000 + ms;
    return true;
}
