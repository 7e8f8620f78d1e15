/* Cron lines: what they say, what is refused, and when they come next. The
 * times are checked against every single minute; tests/integration checks them
 * again in Python, with time zones. */
#include "base/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/civil.h"

static int64_t
minute_of(int year, int month, int day, int hour, int minute)
{
    return civil_days((struct civil){year, month, day}) * 1440 + hour * 60 +
           minute;
}

static struct cron
line(const char *text)
{
    struct cron cron = {0};
    struct error err;

    if (cron_parse(str_c(text), &cron, &err) != ST_OK)
        fail_msg("%s: %s", text, err.msg);
    return cron;
}

static void
test_next(void **state)
{
    static const struct {
        const char *line;
        int from[5], want[5];
    } rows[] = {
        {"0 3 * * *", {2026, 3, 1, 3, 0}, {2026, 3, 2, 3, 0}},
        {"*/15 * * * *", {2026, 12, 31, 23, 50}, {2027, 1, 1, 0, 0}},
        {"5-20/7 8,20 * * *", {2026, 1, 1, 8, 12}, {2026, 1, 1, 8, 19}},
        {"5-20/7 8,20 * * *", {2026, 1, 1, 8, 19}, {2026, 1, 1, 20, 5}},
        {"0 0 29 2 *", {2026, 1, 1, 0, 0}, {2028, 2, 29, 0, 0}},
        {"0 0 29 2 *", {2096, 3, 1, 0, 0}, {2104, 2, 29, 0, 0}},
        {"0 0 29 2 */7", {2088, 3, 1, 0, 0}, {2128, 2, 29, 0, 0}},
        {"0 0 31 * *", {2026, 4, 1, 0, 0}, {2026, 5, 31, 0, 0}},
        /* either day field is enough when both are restricted */
        {"0 0 13 * fri", {2026, 11, 1, 0, 0}, {2026, 11, 6, 0, 0}},
        {"0 0 13 * FRI", {2026, 12, 11, 0, 0}, {2026, 12, 13, 0, 0}},
        {"0 0 30 2 mon", {2026, 2, 1, 0, 0}, {2026, 2, 2, 0, 0}},
        /* both must fit behind a star */
        {"0 0 */2 * mon", {2026, 11, 1, 0, 0}, {2026, 11, 9, 0, 0}},
        {"0 0 * jan-mar,DEC 7", {2026, 4, 1, 0, 0}, {2026, 12, 6, 0, 0}},
        {"0 0 * * fri-sun", {2026, 11, 28, 0, 0}, {2026, 11, 29, 0, 0}},
        {"0 0 * * 5-7", {2026, 11, 29, 0, 0}, {2026, 12, 4, 0, 0}},
        {"@hourly", {2026, 1, 1, 0, 59}, {2026, 1, 1, 1, 0}},
        {"@Daily", {2026, 1, 1, 0, 0}, {2026, 1, 2, 0, 0}},
        {"@weekly", {2026, 11, 25, 0, 0}, {2026, 11, 29, 0, 0}},
        {"@monthly", {2026, 11, 25, 0, 0}, {2026, 12, 1, 0, 0}},
        {"@yearly", {2026, 1, 1, 0, 0}, {2027, 1, 1, 0, 0}},
        {" \t0\t 0  1 1 * ", {2026, 1, 1, 0, 0}, {2027, 1, 1, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cron cron = line(rows[i].line);
        const int *f = rows[i].from, *w = rows[i].want;
        int64_t got = cron_next(&cron, minute_of(f[0], f[1], f[2], f[3], f[4]));
        int64_t want = minute_of(w[0], w[1], w[2], w[3], w[4]);
        if (got != want)
            fail_msg("%s: %lld minutes off", rows[i].line,
                     (long long)(got - want));
    }
}

static void
test_refused(void **state)
{
    static const struct {
        const char *line;
        const char *says;
    } rows[] = {
        {"", "five fields"},
        {"* * * *", "this one has 4"},
        {"0 * * * * *", "for seconds give an interval"},
        {"60 * * * *", "minute \"60\": 60 is not within 0-59"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day of month"},
        {"* * * 13 *", "month"},
        {"* * * * 8", "day of week"},
        {"* * * foo *", "no name such as jan"},
        {"x * * * *", "no number"},
        {"5/15 * * * *", "write 5-59/15"},
        {"*/0 * * * *", "the step"},
        {"*/60 * * * *", "the step"},
        {"*/-1 * * * *", "the step"},
        {"* 22-2 * * *", "write 22-23,0-2"},
        {"1,,2 * * * *", "missing"},
        {"1, * * * *", "missing"},
        {"-1 * * * *", "missing"},
        {"1- * * * *", "missing"},
        {"1-2-3 * * * *", "no number"},
        {"99999999999999999999 * * * *", "not within"},
        {"0 0 30 2 *", "never fire"},
        {"0 0 31 4,6,9,11 *", "never fire"},
        {"0 0 30 2 */2", "never fire"},
        {"? * * * *", "no number"},
        {"@every 5m", "interval"},
        {"@reboot", "@hourly"},
        {"@", "@hourly"},
    };
    struct cron cron = {.minutes = 77};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (cron_parse(str_c(rows[i].line), &cron, &err) != ST_INVALID)
            fail_msg("\"%s\" was taken", rows[i].line);
        if (!strstr(err.msg, rows[i].says))
            fail_msg("\"%s\": %s", rows[i].line, err.msg);
        assert_int_equal(cron.minutes, 77);
    }
}

/* One bit of each set in a random line, minute by minute for some days. */
static void
test_agrees_with_every_minute(void **state)
{
    static const char *const lines[] = {
        "*/7 3-5 * * *",   "59 23 28-31 * *", "0,30 */5 1,15 * mon",
        "13 13 13 * 5",    "0 0 */3 2 *",     "1-59/29 0,12 * */2 1-5",
        "10 4 */10 * */2", "0 0 1 1 *",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct cron cron = line(lines[i]);
        int64_t from = minute_of(2027, 1, 25, 0, 0), next = from;
        for (int64_t m = from + 1; m < from + 1440 * 400; m++) {
            struct civil date = civil_date(civil_floor(m, 1440));
            bool day = cron.days >> date.day & 1;
            bool weekday =
                cron.weekdays >> civil_weekday(civil_floor(m, 1440)) & 1;
            bool fits = (cron.minutes >> (m % 60) & 1) &&
                        (cron.hours >> (m / 60 % 24) & 1) &&
                        (cron.months >> date.month & 1) &&
                        (cron.any_day || cron.any_weekday ? day && weekday
                                                          : day || weekday);
            if (fits) {
                next = cron_next(&cron, next);
                assert_int_equal(next, m);
            }
        }
        assert_true(next > from);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_agrees_with_every_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
