/* Cron: each field becomes a set of bits; the next time is found from the
 * largest unit down, so that a line which fits once in eight years costs a look
 * at a hundred months and not at four million minutes. */
#include "base/cron.h"

#include <assert.h>
#include <stdio.h>

#include "base/civil.h"

enum {
    DAY_MINUTES = 24 * 60,
    MONTHS_LOOKED_AT = 12 * 41, /* a 29 February that is a Sunday: 2088, 2128 */
    FIELDS = 5,
    NUMBER_MAX = 9999,
    SHOWN_MAX = 40,
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may",
                                     "jun", "jul", "aug", "sep", "oct",
                                     "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed",
                                       "thu", "fri", "sat", NULL};

static const struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of the values from min on; NULL: none */
} fields[FIELDS] = {
    {"minute", 0, 59, NULL},         {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},   {"month", 1, 12, months},
    {"day of week", 0, 7, weekdays},
};

static const struct {
    const char *name;
    const char *line;
} macros[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* ---- reading ---- */

/* What is wrong with a part, in its field's name. */
PRINTF(4, 5)
static enum status
refuse(struct error *err, const struct field *field, struct str part,
       const char *fmt, ...)
{
    char why[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return error_set(err, ST_INVALID, "%s \"%.*s\": %s", field->name,
                     part.n < SHOWN_MAX ? (int)part.n : SHOWN_MAX, part.p, why);
}

static bool
all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* A number or a name; @part is what the complaint shows. */
static enum status
read_value(const struct field *field, struct str part, struct str text,
           int *ret, struct error *err)
{
    int64_t value;

    if (all_digits(text)) {
        if (text.n > 4 || !str_to_i64(text, &value) || value < field->min ||
            value > field->max)
            return refuse(err, field, part, "%.*s is not within %d-%d",
                          text.n < SHOWN_MAX ? (int)text.n : SHOWN_MAX, text.p,
                          field->min, field->max);
        *ret = (int)value;
        return ST_OK;
    }
    for (int i = 0; field->names && field->names[i]; i++)
        if (str_eq_nocase(text, str_c(field->names[i]))) {
            *ret = field->min + i;
            return ST_OK;
        }
    if (text.n == 0)
        return refuse(err, field, part,
                      "a value is missing; it is *, a number, a range 1-5, a "
                      "step */10 or a list 1,3 of these");
    return refuse(err, field, part, "%.*s is no number%s%s%s",
                  text.n < SHOWN_MAX ? (int)text.n : SHOWN_MAX, text.p,
                  field->names ? " and no name such as " : "",
                  field->names ? field->names[0] : "",
                  field->names ? "" : "; there are no names here");
}

/* "*", "a", "a-b", with "/n" behind the first and the last. */
static enum status
read_part(const struct field *field, struct str part, uint64_t *bits,
          struct error *err)
{
    struct str step_text, last_text;
    struct str range = str_cut(part, '/', &step_text);
    struct str first_text = str_cut(range, '-', &last_text);
    int first = field->min, last = field->max;
    int64_t step = 1;
    enum status st;

    if (!str_eq(range, STR("*"))) {
        st = read_value(field, part, first_text, &first, err);
        if (st == ST_OK && last_text.p)
            st = read_value(field, part, last_text, &last, err);
        if (st != ST_OK)
            return st;
        if (!last_text.p && step_text.p)
            return refuse(err, field, part,
                          "a step needs a range: write %.*s-%d/%.*s",
                          STR_ARG(range), field->max,
                          step_text.n < 4 ? (int)step_text.n : 4, step_text.p);
        if (!last_text.p)
            last = first;
        /* "fri-sun" ends on the Sunday that is 7. */
        if (field->names == weekdays && last == 0 && first > 0)
            last = 7;
        if (last < first)
            return refuse(err, field, part,
                          "a range must not go backwards: write %d-%d,%d-%d",
                          first, field->max, field->min, last);
    } else if (field->names == weekdays)
        last = 6; /* 7 would be Sunday again, out of step */
    if (step_text.p &&
        (!all_digits(step_text) || step_text.n > 4 ||
         !str_to_i64(step_text, &step) || step < 1 || step > field->max))
        return refuse(err, field, part,
                      "the step must be a number from 1 to "
                      "%d",
                      field->max);
    for (int64_t value = first; value <= last; value += step)
        *bits |= UINT64_C(1) << value;
    return ST_OK;
}

static enum status
read_field(const struct field *field, struct str text, uint64_t *ret,
           struct error *err)
{
    uint64_t bits = 0;

    while (text.p) {
        enum status st =
            read_part(field, str_cut(text, ',', &text), &bits, err);
        if (st != ST_OK)
            return st;
    }
    *ret = bits;
    return ST_OK;
}

/* The next word of @rest; empty at the end. */
static struct str
take_word(struct str *rest)
{
    size_t from = 0, to;

    while (from < rest->n && (rest->p[from] == ' ' || rest->p[from] == '\t'))
        from++;
    for (to = from; to < rest->n && rest->p[to] != ' ' && rest->p[to] != '\t';)
        to++;
    struct str word = str_from(rest->p + from, to - from);
    *rest = str_skip(*rest, to);
    return word;
}

static enum status
expand_macro(struct str *text, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(macros); i++)
        if (str_eq_nocase(*text, str_c(macros[i].name))) {
            *text = str_c(macros[i].line);
            return ST_OK;
        }
    if (str_starts(*text, STR("@every")))
        return error_set(err, ST_INVALID,
                         "@every is no cron line: give an interval, such as "
                         "\"every\": \"5m\"");
    return error_set(err, ST_INVALID,
                     "there is no \"%.*s\": it is @hourly, @daily, @weekly, "
                     "@monthly or @yearly, or five fields",
                     text->n < SHOWN_MAX ? (int)text->n : SHOWN_MAX, text->p);
}

/* Does any of the dates exist? Only 29 to 31 can miss. */
static bool
has_dates(const struct cron *cron)
{
    if (!cron->any_day && !cron->any_weekday)
        return true; /* the weekday alone is enough */
    for (int month = 1; month <= 12; month++)
        if (cron->months >> month & 1)
            for (int day = 1; day <= civil_month_days(2000, month); day++)
                if (cron->days >> day & 1)
                    return true;
    return false;
}

static enum status
count_fields(struct str text, struct error *err)
{
    int n = 0;

    while (take_word(&text).n > 0)
        n++;
    if (n == FIELDS)
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "a cron line has five fields, this one has %d: minute, "
                     "hour, day of month, month, day of week%s",
                     n, n > FIELDS ? "; for seconds give an interval" : "");
}

enum status
cron_parse(struct str text, struct cron *ret, struct error *err)
{
    uint64_t sets[FIELDS];
    struct str words[FIELDS];

    if (text.n > CRON_TEXT_MAX)
        return error_set(err, ST_INVALID,
                         "a cron line has at most %d characters",
                         CRON_TEXT_MAX);
    text = str_trim(text);
    enum status st = ST_OK;
    if (text.n > 0 && text.p[0] == '@')
        st = expand_macro(&text, err);
    if (st == ST_OK)
        st = count_fields(text, err);
    for (int i = 0; i < FIELDS && st == ST_OK; i++) {
        words[i] = take_word(&text);
        st = read_field(&fields[i], words[i], &sets[i], err);
    }
    if (st != ST_OK)
        return st;
    struct cron cron = {
        .minutes = sets[0],
        .hours = (uint32_t)sets[1],
        .days = (uint32_t)sets[2],
        .months = (uint16_t)sets[3],
        .weekdays = (uint8_t)((sets[4] | sets[4] >> 7) & 0x7f),
        .any_day = words[2].p[0] == '*',
        .any_weekday = words[4].p[0] == '*',
    };
    if (!has_dates(&cron))
        return error_set(err, ST_INVALID,
                         "no month named here has such a day: it would never "
                         "fire");
    *ret = cron;
    return ST_OK;
}

/* ---- asking ---- */

static bool
day_fits(const struct cron *cron, struct civil date, int64_t days)
{
    bool day = cron->days >> date.day & 1;
    bool weekday = cron->weekdays >> civil_weekday(days) & 1;

    if (cron->any_day || cron->any_weekday)
        return day && weekday;
    return day || weekday;
}

/* The first bit from @from on, or -1. */
static int
first_bit(uint64_t bits, int from)
{
    bits = from > 63 ? 0 : bits >> from << from;
    return bits ? __builtin_ctzll(bits) : -1;
}

/* The first fitting minute of a day from @from on, or -1. */
static int
minute_of_day(const struct cron *cron, int from)
{
    int hour = first_bit(cron->hours, from / 60);

    if (hour == from / 60) {
        int minute = first_bit(cron->minutes, from % 60);
        if (minute >= 0)
            return hour * 60 + minute;
        hour = first_bit(cron->hours, hour + 1);
    }
    return hour < 0 ? -1 : hour * 60 + first_bit(cron->minutes, 0);
}

int64_t
cron_next(const struct cron *cron, int64_t minute)
{
    int64_t days = civil_floor(minute + 1, DAY_MINUTES);
    int from = (int)civil_rest(minute + 1, DAY_MINUTES);
    struct civil date = civil_date(days);

    for (int looked_at = 0; looked_at <= MONTHS_LOOKED_AT; looked_at++) {
        int last = civil_month_days(date.year, date.month);
        if (cron->months >> date.month & 1)
            for (; date.day <= last; date.day++, days++, from = 0) {
                if (!day_fits(cron, date, days))
                    continue;
                int found = minute_of_day(cron, from);
                if (found >= 0)
                    return days * DAY_MINUTES + found;
            }
        else
            days += last - date.day + 1;
        from = 0;
        date.day = 1;
        date.month = date.month % 12 + 1;
        date.year += date.month == 1;
    }
    assert(!"cron_parse() takes no line without dates");
    return INT64_MAX;
}
