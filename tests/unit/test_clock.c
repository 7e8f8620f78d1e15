/* Clocks and dates: the calendar is compared with libc's, day by day. */
#include "base/clock.h"
#include "harness/slowness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"

static void
test_mono_never_goes_back(void **state)
{
    int64_t before = clock_mono_us();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_us();
        assert_true(now >= before);
        before = now;
    }
    int64_t ms = clock_mono_ms();
    assert_true(ms >= before / 1000 && ms <= clock_mono_us() / 1000);
}

static void
test_wall_agrees_with_time(void **state)
{
    (void)state;
    int64_t before = time(NULL);
    int64_t ms = clock_wall_ms();
    /* time() reads a coarser clock, which lags by one tick. */
    assert_true(ms / 1000 >= before && ms / 1000 <= time(NULL) + 1);
}

static void
test_format_agrees_with_libc(void **state)
{
    const int64_t days = INT64_C(253402300800) / 86400;

    (void)state;
    for (int64_t day = 0; day < days; day += slowness()) {
        time_t at = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char want[64], got[CLOCK_TIME_LEN + 1];
        gmtime_r(&at, &tm);
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec, (int)(day % 1000));
        int64_t ms = (int64_t)at * 1000 + day % 1000, parsed = -1;
        clock_format(ms, got);
        assert_string_equal(got, want);
        assert_true(clock_parse(str_c(got), &parsed));
        assert_true(parsed == ms);
    }
}

static void
test_parse_accepts(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.001999999Z", 1},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:00:00-01:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2026-11-23T09:00:00.000Z", INT64_C(1795424400000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        /* Leap seconds that were, as the second after. */
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"1990-12-31T15:59:60-08:00", INT64_C(662688000000)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -1;
        if (!clock_parse(str_c(rows[i].text), &got) || got != rows[i].want)
            fail_msg("%s: %lld", rows[i].text, (long long)got);
    }
}

static void
test_parse_refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "2026-11-23",
        "2026-11-23T09:00:00",
        "2026-11-23T09:00Z",
        "2026-11-23 09:00:00Z",
        "2026-11-23T09:00:00.Z",
        "2026-11-23T09:00:00.1234567890Z",
        "2026-11-23T09:00:00,5Z",
        "2026-11-23T09:00:00Zx",
        "2026-11-23T09:00:00Z ",
        " 2026-11-23T09:00:00Z",
        "2026-11-23T09:00:00+1:00",
        "2026-11-23T09:00:00+0100",
        "2026-11-23T09:00:00+24:00",
        "2026-11-23T09:00:00+01:60",
        "2026-11-23T24:00:00Z",
        "2026-11-23T09:60:00Z",
        "2026-11-23T09:00:61Z",
        "2026-11-23T09:00:60Z",
        "2026-11-23T23:59:60Z",
        "2026-00-23T09:00:00Z",
        "2026-13-23T09:00:00Z",
        "2026-11-00T09:00:00Z",
        "2026-11-31T09:00:00Z",
        "2026-02-29T09:00:00Z",
        "2100-02-29T09:00:00Z",
        "26-11-23T09:00:00Z",
        "+2026-11-23T09:00:00Z",
        "2026-1-23T09:00:00Z",
        "20261123T090000Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -7;
        if (clock_parse(str_c(rows[i]), &got) || got != -7)
            fail_msg("\"%s\" was taken: %lld", rows[i], (long long)got);
    }
}

static void
test_words(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {-1, "-"},
        {0, "0ms"},
        {999, "999ms"},
        {1000, "1s"},
        {1500, "1.5s"},
        {59999, "59s"},
        {60000, "1m"},
        {200000, "3m 20s"},
        {3600000, "1h"},
        {7500000, "2h 5m"},
        {86400000, "1d"},
        {349200000, "4d 1h"},
        {INT64_MAX, "106751991167d 7h"},
    };
    char words[CLOCK_WORDS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(clock_words(rows[i].ms, words), rows[i].want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_mono_never_goes_back),
        cmocka_unit_test(test_wall_agrees_with_time),
        cmocka_unit_test(test_format_agrees_with_libc),
        cmocka_unit_test(test_parse_accepts),
        cmocka_unit_test(test_parse_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
