/* Zones: changes from the table and from the rule, and the two hours a year
 * that do not go by without questions. Uses the system's tzdata;
 * tests/integration compares many zones with Python's. */
#include "base/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/civil.h"
#include "base/zone_rule.h"

static int64_t
seconds(int year, int month, int day, int hour, int minute)
{
    return civil_days((struct civil){year, month, day}) * CIVIL_DAY_S +
           hour * 3600 + minute * 60;
}

static const struct zone *
zone_of(const char *name)
{
    const struct zone *zone = NULL;
    struct error err;

    if (zone_find(str_c(name), &zone, &err) != ST_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(zone_name(zone), name);
    return zone;
}

static void
test_offsets(void **state)
{
    const struct zone *berlin = zone_of("Europe/Berlin");

    (void)state;
    assert_int_equal(zone_offset(berlin, seconds(2026, 1, 1, 0, 0)), 3600);
    assert_int_equal(zone_offset(berlin, seconds(2026, 7, 1, 0, 0)), 7200);
    /* far behind the table's end */
    assert_int_equal(zone_offset(berlin, seconds(2150, 1, 1, 0, 0)), 3600);
    assert_int_equal(zone_offset(berlin, seconds(2150, 7, 1, 0, 0)), 7200);
    assert_int_equal(zone_next(berlin, seconds(2026, 1, 1, 0, 0)),
                     seconds(2026, 3, 29, 1, 0));
    assert_int_equal(zone_next(berlin, seconds(2026, 3, 29, 1, 0)),
                     seconds(2026, 10, 25, 1, 0));
    assert_int_equal(
        zone_offset(zone_of("Asia/Kathmandu"), seconds(2026, 1, 1, 0, 0)),
        20700);
    assert_int_equal(zone_offset(zone_of("UTC"), 0), 0);
    assert_int_equal(zone_next(zone_of("UTC"), 0), INT64_MAX);
    assert_ptr_equal(zone_of("Europe/Berlin"), berlin);
}

static void
test_gap(void **state)
{
    const struct zone *berlin = zone_of("Europe/Berlin");
    int64_t gap = seconds(2026, 3, 29, 1, 0); /* 02:00 becomes 03:00 */

    (void)state;
    assert_int_equal(zone_instant(berlin, seconds(2026, 3, 29, 1, 59)),
                     gap - 60);
    assert_int_equal(zone_instant(berlin, seconds(2026, 3, 29, 2, 0)), gap);
    assert_int_equal(zone_instant(berlin, seconds(2026, 3, 29, 2, 30)), gap);
    assert_int_equal(zone_instant(berlin, seconds(2026, 3, 29, 3, 0)), gap);
    assert_int_equal(zone_instant(berlin, seconds(2026, 3, 29, 3, 1)),
                     gap + 60);
    assert_int_equal(zone_reached(berlin, gap), seconds(2026, 3, 29, 3, 0));
    /* a whole day: 30 December 2011 was skipped */
    assert_int_equal(
        zone_instant(zone_of("Pacific/Apia"), seconds(2011, 12, 30, 12, 0)),
        seconds(2011, 12, 30, 10, 0));
}

static void
test_overlap(void **state)
{
    const struct zone *berlin = zone_of("Europe/Berlin");
    int64_t back = seconds(2026, 10, 25, 1, 0); /* 03:00 becomes 02:00 */

    (void)state;
    assert_int_equal(zone_instant(berlin, seconds(2026, 10, 25, 2, 30)),
                     back - 1800);
    assert_int_equal(zone_instant(berlin, seconds(2026, 10, 25, 3, 0)),
                     back + 3600);
    assert_int_equal(zone_reached(berlin, back - 60),
                     seconds(2026, 10, 25, 2, 59));
    /* the second time around nothing new is reached */
    for (int64_t t = back; t < back + 3600; t += 60)
        assert_int_equal(zone_reached(berlin, t),
                         seconds(2026, 10, 25, 3, 0) - 1);
    assert_int_equal(zone_reached(berlin, back + 3600),
                     seconds(2026, 10, 25, 3, 0));
}

static void
test_names(void **state)
{
    static const char *const bad[] = {
        "",
        "Europe/Berln",
        "europe/berlin",
        "/etc/passwd",
        "../passwd",
        "Europe/../UTC",
        "Europe//Berlin",
        "right/UTC",
        "zone.tab",
        "Europe",
        "tzdata.zi",
        "Europe/Berlin ",
        "UTC\n",
        "leapseconds",
        "+",
    };
    const struct zone *zone = NULL;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (zone_find(str_c(bad[i]), &zone, &err) != ST_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_non_null(strstr(err.msg, "IANA"));
    assert_null(zone);
}

static void
test_rules(void **state)
{
    static const char *const bad[] = {
        "",
        "C",
        "CET",
        "CET-1CEST",
        "CET-25",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,366,1",
        "CET-1CEST,M3.5.0,M10.5.0/168",
        "<+01-1",
        "CET-1CEST,M3.5.0,M10.5.0x",
    };
    struct zone_rule rule;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (zone_rule_parse(str_c(bad[i]), &rule))
            fail_msg("\"%s\" was taken", bad[i]);
    /* RFC 8536 section 3.3.1: daylight saving time all the year */
    assert_true(zone_rule_parse(STR("XXX3EDT4,0/0,J365/23"), &rule));
    for (int64_t t = seconds(2026, 12, 30, 0, 0); t < seconds(2027, 1, 3, 0, 0);
         t += 600)
        assert_int_equal(zone_rule_offset(&rule, t), -4 * 3600);
    /* a half hour, and the southern half of the year */
    assert_true(
        zone_rule_parse(STR("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"), &rule));
    assert_int_equal(zone_rule_offset(&rule, seconds(2026, 1, 1, 0, 0)), 39600);
    assert_int_equal(zone_rule_offset(&rule, seconds(2026, 7, 1, 0, 0)), 37800);
    /* times of more than a day */
    assert_true(zone_rule_parse(STR("EET-2EEST,M3.4.4/50,M10.4.4/50"), &rule));
    assert_int_equal(zone_rule_next(&rule, seconds(2026, 1, 1, 0, 0)),
                     seconds(2026, 3, 28, 0, 0));
    /* 29 February does not shift Julian days */
    assert_true(zone_rule_parse(STR("AAA0BBB,J60/0,J300/0"), &rule));
    assert_int_equal(zone_rule_next(&rule, seconds(2028, 1, 1, 0, 0)),
                     seconds(2028, 3, 1, 0, 0));
}

static void
test_broken_files(void **state)
{
    char bytes[200] = "TZif2";
    struct zone *zone = NULL;

    (void)state;
    for (size_t n = 0; n <= sizeof bytes; n++)
        assert_int_equal(zone_parse(str_from(bytes, n), &zone, NULL),
                         ST_INVALID);
    assert_null(zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets), cmocka_unit_test(test_gap),
        cmocka_unit_test(test_overlap), cmocka_unit_test(test_names),
        cmocka_unit_test(test_rules),   cmocka_unit_test(test_broken_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
