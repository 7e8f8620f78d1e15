/* Zone rule: a year has two edges; the ones around a time decide. */
#include "base/zone_rule.h"

#include "base/civil.h"

enum { HOUR_S = 3600, OFFSET_HOURS_MAX = 24, TIME_HOURS_MAX = 167 };

/* ---- reading ---- */

static bool
take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* Up to three digits, from @min to @max. */
static bool
take_number(struct str *s, int min, int max, int *ret)
{
    int value = 0;
    size_t n = 0;

    for (; n < s->n && n < 3 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        value = value * 10 + (s->p[n] - '0');
    if (n == 0 || value < min || value > max)
        return false;
    *s = str_skip(*s, n);
    *ret = value;
    return true;
}

/* "[+-]hh[:mm[:ss]]" */
static bool
take_time(struct str *s, int hours_max, int32_t *ret_s)
{
    int hours, minutes = 0, seconds = 0;
    bool negative = take_char(s, '-');

    if (!negative)
        (void)take_char(s, '+');
    if (!take_number(s, 0, hours_max, &hours))
        return false;
    if (take_char(s, ':')) {
        if (!take_number(s, 0, 59, &minutes))
            return false;
        if (take_char(s, ':') && !take_number(s, 0, 59, &seconds))
            return false;
    }
    *ret_s = hours * HOUR_S + minutes * 60 + seconds;
    if (negative)
        *ret_s = -*ret_s;
    return true;
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "CET" or "<+0330>"; what it is called is of no interest. */
static bool
skip_name(struct str *s)
{
    size_t n = 0;

    if (take_char(s, '<')) {
        while (n < s->n && s->p[n] != '>')
            n++;
        if (n == 0 || n == s->n)
            return false;
        *s = str_skip(*s, n + 1);
        return true;
    }
    while (n < s->n && is_letter(s->p[n]))
        n++;
    *s = str_skip(*s, n);
    return n >= 3;
}

static bool
take_edge(struct str *s, struct zone_edge *ret)
{
    struct zone_edge edge = {.kind = ZONE_EDGE_DAY, .at_s = 2 * HOUR_S};
    bool ok;

    if (take_char(s, 'M')) {
        edge.kind = ZONE_EDGE_WEEKDAY;
        ok = take_number(s, 1, 12, &edge.month) && take_char(s, '.') &&
             take_number(s, 1, 5, &edge.week) && take_char(s, '.') &&
             take_number(s, 0, 6, &edge.day);
    } else if (take_char(s, 'J')) {
        edge.kind = ZONE_EDGE_JULIAN;
        ok = take_number(s, 1, 365, &edge.day);
    } else
        ok = take_number(s, 0, 365, &edge.day);
    if (ok && take_char(s, '/'))
        ok = take_time(s, TIME_HOURS_MAX, &edge.at_s);
    if (ok)
        *ret = edge;
    return ok;
}

bool
zone_rule_parse(struct str text, struct zone_rule *ret)
{
    struct zone_rule rule = {0};
    int32_t west_s;

    if (!skip_name(&text) || !take_time(&text, OFFSET_HOURS_MAX, &west_s))
        return false;
    rule.standard_s = -west_s; /* POSIX counts to the west */
    if (text.n == 0) {
        *ret = rule;
        return true;
    }
    rule.daylight = true;
    rule.daylight_s = rule.standard_s + HOUR_S;
    if (!skip_name(&text))
        return false;
    if (text.n > 0 && text.p[0] != ',') {
        if (!take_time(&text, OFFSET_HOURS_MAX, &west_s))
            return false;
        rule.daylight_s = -west_s;
    }
    /* Without dates they would be up to the implementation. */
    if (!take_char(&text, ',') || !take_edge(&text, &rule.start) ||
        !take_char(&text, ',') || !take_edge(&text, &rule.end) || text.n > 0)
        return false;
    *ret = rule;
    return true;
}

/* ---- asking ---- */

/* The day of @edge in @year, as days since 1970-01-01. */
static int64_t
edge_day(const struct zone_edge *edge, int64_t year)
{
    int64_t first = civil_days((struct civil){year, 1, 1});
    int64_t day;

    switch (edge->kind) {
    case ZONE_EDGE_JULIAN: /* 29 February is never counted */
        return first + edge->day - 1 +
               (edge->day >= 60 && civil_month_days(year, 2) == 29);
    case ZONE_EDGE_DAY:
        return first + edge->day;
    default:
        first = civil_days((struct civil){year, edge->month, 1});
        day = first + civil_rest(edge->day - civil_weekday(first), 7) +
              INT64_C(7) * (edge->week - 1);
        return day < first + civil_month_days(year, edge->month) ? day
                                                                 : day - 7;
    }
}

static int64_t
edge_at(const struct zone_edge *edge, int64_t year, int32_t offset_s)
{
    return edge_day(edge, year) * CIVIL_DAY_S + edge->at_s - offset_s;
}

static int64_t
year_of(int64_t at_s)
{
    return civil_date(civil_floor(at_s, CIVIL_DAY_S)).year;
}

int32_t
zone_rule_offset(const struct zone_rule *rule, int64_t at_s)
{
    int64_t last = INT64_MIN;
    int32_t offset_s = rule->standard_s;

    if (!rule->daylight)
        return rule->standard_s;
    for (int64_t year = year_of(at_s) - 1, i = 0; i < 3; i++, year++) {
        int64_t end = edge_at(&rule->end, year, rule->daylight_s);
        int64_t start = edge_at(&rule->start, year, rule->standard_s);
        if (end <= at_s && end > last)
            last = end, offset_s = rule->standard_s;
        /* At the end's own moment: it never ends (RFC 8536, 3.3.1). */
        if (start <= at_s && start >= last)
            last = start, offset_s = rule->daylight_s;
        if (end <= at_s && end > last)
            last = end, offset_s = rule->standard_s;
    }
    return offset_s;
}

int64_t
zone_rule_next(const struct zone_rule *rule, int64_t at_s)
{
    int64_t next = INT64_MAX;

    if (!rule->daylight)
        return INT64_MAX;
    for (int64_t year = year_of(at_s) - 1, i = 0; i < 4; i++, year++) {
        int64_t start = edge_at(&rule->start, year, rule->standard_s);
        int64_t end = edge_at(&rule->end, year, rule->daylight_s);
        if (start > at_s && start < next)
            next = start;
        if (end > at_s && end < next)
            next = end;
    }
    return next;
}
