/* Schedules as values: stored and read back, merged with a changed table, and
 * what a late look at the clock makes of the times in between. */
#include "queue/schedule/schedule_times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MINUTE = 60000, HOUR = 3600000 };
#define DAY INT64_C(86400000)
/* 2026-01-01T00:00Z */
#define START INT64_C(1767225600000)

static struct schedule
cron(const char *line, const char *zone)
{
    struct schedule s;
    struct error err;

    schedule_init(&s);
    s.name = STR("s");
    s.spec.task = STR("noop");
    s.spec.queue = STR("q");
    if (schedule_set_cron(&s, str_c(line), &err) != ST_OK ||
        schedule_set_timezone(&s, str_c(zone), &err) != ST_OK)
        fail_msg("%s", err.msg);
    return s;
}

static struct schedule
every(int64_t ms)
{
    struct schedule s = cron("* * * * *", "UTC");

    s.when = SCHEDULE_EVERY;
    s.cron_text = STR_NULL;
    s.every_ms = ms;
    s.anchor_ms = START;
    return s;
}

/* Stores and reads back; the text must live as long as the result. */
static struct schedule
stored(const struct schedule *s, struct buf *text)
{
    struct schedule found;
    struct error err;

    buf_init(text, SCHEDULE_JSON_MAX);
    buf_add_c(text, "{\"version\":7,");
    schedule_encode(s, text);
    if (schedule_decode(s->spec.queue, s->name, buf_str(text), &found, &err) !=
        ST_OK)
        fail_msg("%s: %.*s", err.msg, (int)text->len, text->p);
    return found;
}

static void
test_stored_and_read(void **state)
{
    struct schedule s = cron("0 3 * * mon", "Europe/Berlin");
    struct buf text;

    (void)state;
    s.misfire = SCHEDULE_MISFIRE_ALL;
    s.overlap = SCHEDULE_OVERLAP_BUFFER;
    s.jitter_ms = 1500;
    s.paused = true;
    s.note = STR("a \"note\"");
    s.spec.args = STR("{\"a\":1.0,\"b\":\"\\u00e4\"}");
    s.spec.priority = 8;
    s.spec.tags = STR("x,y");
    s.created_ms = 5;
    struct schedule found = stored(&s, &text);
    assert_int_equal(found.version, 7);
    assert_true(str_eq(found.cron_text, s.cron_text));
    assert_ptr_equal(found.zone, s.zone);
    assert_int_equal(found.misfire, s.misfire);
    assert_int_equal(found.overlap, s.overlap);
    assert_int_equal(found.jitter_ms, 1500);
    assert_true(found.paused);
    assert_true(str_eq(found.note, s.note));
    assert_true(str_eq(found.spec.args, s.spec.args));
    assert_int_equal(found.spec.priority, 8);
    assert_true(str_eq(found.spec.tags, s.spec.tags));
    assert_int_equal(found.created_ms, 5);
    assert_false(found.modified);
    schedule_clear(&found);
    buf_clear(&text);
}

static void
test_unknown_zone_is_read(void **state)
{
    struct schedule found, s = cron("* * * * *", "UTC");
    struct buf text;

    (void)state;
    s.timezone = STR("Mars/Olympus");
    found = stored(&s, &text);
    assert_null(found.zone);
    assert_int_equal(schedule_times_next(&found, START), SCHEDULE_NEVER);
    schedule_clear(&found);
    buf_clear(&text);
}

static void
test_damaged(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"version\":1}",
        "{\"version\":1,\"cron\":\"x\",\"record\":\"15- 0 noop\\n{}\"}",
        "{\"version\":1,\"every_ms\":1000,\"misfire\":\"skip\","
        "\"overlap\":\"allow\",\"record\":\"\"}",
        "{\"version\":1,\"every_ms\":1000,\"misfire\":\"never\","
        "\"overlap\":\"allow\",\"record\":\"15- 0 noop\\n{}\"}",
    };
    struct schedule found = {.version = 77};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (schedule_decode(STR("q"), STR("s"), str_c(bad[i]), &found, NULL) !=
            ST_INVALID)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(found.version, 77);
}

static void
test_checked(void **state)
{
    struct schedule good = every(1000), s;
    struct error err;

    (void)state;
    assert_int_equal(schedule_check(&good, &err), ST_OK);
#define REFUSED(change, field)                             \
    s = good;                                              \
    change;                                                \
    err = (struct error){0};                               \
    assert_int_not_equal(schedule_check(&s, &err), ST_OK); \
    assert_string_equal(err.pointer, field)
    REFUSED(s.every_ms = 999, "/every");
    REFUSED(s.every_ms = SCHEDULE_EVERY_MAX_MS + 1, "/every");
    REFUSED(s.jitter_ms = -1, "/jitter");
    REFUSED(s.jitter_ms = 1001, "/jitter");
    REFUSED(s.timezone = STR("Europe/Berlin"), "/timezone");
    REFUSED(s.note = STR("two\nlines"), "/note");
    REFUSED(s.spec.delay_ms = 1, "/delay");
    REFUSED(s.spec.run_at_ms = 1, "/run_at");
    REFUSED(s.spec.expires_at_ms = 1, "/expires_at");
    REFUSED(s.spec.kin.parents = 1, "/after");
    REFUSED(s.spec.priority = 10, "/priority");
    REFUSED(s.name = STR("a b"), "");
    REFUSED(s.name = STR_NULL, "");
#undef REFUSED
}

static void
test_next(void **state)
{
    struct schedule berlin = cron("0 3 * * *", "Europe/Berlin");
    struct schedule minute = every(MINUTE), once = every(MINUTE);

    (void)state;
    assert_int_equal(schedule_times_next(&berlin, START), START + 2 * HOUR);
    assert_int_equal(schedule_times_next(&berlin, START + 2 * HOUR),
                     START + DAY + 2 * HOUR);
    assert_int_equal(schedule_times_next(&berlin, START + 2 * HOUR - 1),
                     START + 2 * HOUR);
    assert_int_equal(schedule_times_next(&minute, START - DAY), START + MINUTE);
    assert_int_equal(schedule_times_next(&minute, START), START + MINUTE);
    assert_int_equal(schedule_times_next(&minute, START + MINUTE),
                     START + 2 * MINUTE);
    once.when = SCHEDULE_AT;
    once.at_ms = START;
    assert_int_equal(schedule_times_next(&once, START - 1), START);
    assert_int_equal(schedule_times_next(&once, START), SCHEDULE_NEVER);
}

static void
test_jitter_is_bounded_and_spread(void **state)
{
    struct schedule s = every(MINUTE);
    int early = 0, late = 0;

    (void)state;
    s.jitter_ms = 10000;
    for (int64_t t = START; t < START + 1000 * MINUTE; t += MINUTE) {
        int64_t delay = schedule_times_fire(&s, t) - t;
        assert_in_range(delay, 0, 10000);
        assert_int_equal(schedule_times_fire(&s, t), t + delay);
        early += delay < 5000;
        late += delay > 9000;
    }
    assert_in_range(early, 430, 570);
    assert_in_range(late, 60, 140);
    /* stored nowhere, so it must stay what it is */
    assert_int_equal(schedule_times_fire(&s, START) - START, 7225);
}

static void
test_plan_in_time(void **state)
{
    struct schedule s = cron("*/5 * * * *", "UTC");
    struct schedule_plan plan;

    (void)state;
    schedule_times_plan(&s, START, START + 12, &plan);
    assert_int_equal(plan.n, 1);
    assert_int_equal(plan.steps[0].nominal_ms, START);
    assert_int_equal(plan.steps[0].missed, 0);
    assert_int_equal(plan.next_ms, START + 5 * MINUTE);
    assert_int_equal(plan.next_at_ms, START + 5 * MINUTE);
    schedule_times_plan(&s, START, START - 1, &plan);
    assert_int_equal(plan.n, 0);
    assert_int_equal(plan.next_ms, START);
    schedule_times_plan(&s, SCHEDULE_NEVER, START, &plan);
    assert_int_equal(plan.n, 0);
    assert_int_equal(plan.next_ms, SCHEDULE_NEVER);
}

/* An outage of @outage ms, which ends between two times. */
static struct schedule_plan
after_outage(enum schedule_misfire misfire, struct schedule s, int64_t outage)
{
    struct schedule_plan plan;

    s.misfire = misfire;
    schedule_times_plan(&s, START + MINUTE, START + outage, &plan);
    assert_int_equal(plan.next_ms, schedule_times_next(&s, START + outage));
    return plan;
}

static void
test_plan_after_an_outage(void **state)
{
    struct schedule s = every(MINUTE);
    struct schedule_plan plan;

    (void)state;
    /* times 1..10 have come, the last half a minute ago */
    plan = after_outage(SCHEDULE_MISFIRE_SKIP, s, 10 * MINUTE + 30000);
    assert_int_equal(plan.n, 2);
    assert_int_equal(plan.steps[0].missed, 9);
    assert_int_equal(plan.steps[0].nominal_ms, START + MINUTE);
    assert_int_equal(plan.steps[1].nominal_ms, START + 10 * MINUTE);
    assert_int_equal(plan.steps[1].missed, 0);
    plan = after_outage(SCHEDULE_MISFIRE_ALL, s, 10 * MINUTE + 30000);
    assert_int_equal(plan.n, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(plan.steps[i].nominal_ms, START + (i + 1) * MINUTE);
    /* hourly: the last one is late by half an hour */
    struct schedule hourly = cron("0 * * * *", "UTC");
    plan = after_outage(SCHEDULE_MISFIRE_SKIP, hourly, HOUR * 3 + HOUR / 2);
    assert_int_equal(plan.n, 1);
    assert_int_equal(plan.steps[0].missed, 4);
    plan = after_outage(SCHEDULE_MISFIRE_ONCE, hourly, HOUR * 3 + HOUR / 2);
    assert_int_equal(plan.n, 2);
    assert_int_equal(plan.steps[0].missed, 3);
    assert_int_equal(plan.steps[1].nominal_ms, START + 3 * HOUR);
}

static void
test_plan_after_years(void **state)
{
    struct schedule second = every(1000);
    struct schedule minute = cron("* * * * *", "Europe/Berlin");
    const struct schedule *both[] = {&second, &minute};
    struct schedule_plan plan;

    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t outage = 1500 * DAY + 500;
        plan = after_outage(SCHEDULE_MISFIRE_ALL, *both[i], outage);
        assert_int_equal(plan.n, SCHEDULE_MISSED_MAX + 1);
        assert_int_equal(plan.steps[0].missed, SCHEDULE_COUNT_MAX);
        int64_t last = START + 1500 * DAY;
        assert_int_equal(plan.steps[SCHEDULE_MISSED_MAX].nominal_ms, last);
        for (int j = 2; j <= SCHEDULE_MISSED_MAX; j++)
            assert_int_equal(
                plan.steps[j].nominal_ms,
                schedule_times_next(both[i], plan.steps[j - 1].nominal_ms));
        plan = after_outage(SCHEDULE_MISFIRE_ONCE, *both[i], outage);
        assert_int_equal(plan.n, 2);
        assert_int_equal(plan.steps[1].nominal_ms, last);
    }
}

/* What the table @before said, stored, changed by hand by @hand, then merged
 * with @after. */
static struct schedule
deployed(const struct schedule *before, void (*hand)(struct schedule *),
         const struct schedule *after, struct buf *texts, bool *changed)
{
    struct schedule s = *before;

    buf_init(&texts[0], SCHEDULE_JSON_MAX);
    schedule_declare(before, &texts[0]);
    s.app = STR("app");
    s.declared = buf_str(&texts[0]);
    hand(&s);
    struct schedule found = stored(&s, &texts[1]);
    *changed = schedule_merge(&found, after);
    return found;
}

static void
by_nobody(struct schedule *s)
{
    (void)s;
}

static void
paused_by_hand(struct schedule *s)
{
    s->paused = true;
    s->spec.priority = 9;
}

static void
test_merge(void **state)
{
    struct schedule before = every(MINUTE), after = every(HOUR);
    struct buf texts[2];
    bool changed;

    (void)state;
    after.note = STR("new");
    after.spec.args = STR("[1]");
    struct schedule s =
        deployed(&before, paused_by_hand, &after, texts, &changed);
    assert_true(changed && s.modified && s.paused);
    assert_int_equal(s.every_ms, HOUR);
    assert_int_equal(s.spec.priority, 9);
    assert_true(str_eq(s.spec.args, STR("[1]")));
    assert_true(str_eq(s.note, STR("new")));
    assert_true(str_eq(s.spec.queue, STR("q")));
    schedule_clear(&s);
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);

    s = deployed(&before, paused_by_hand, &before, texts, &changed);
    assert_true(!changed && s.modified && s.paused);
    assert_int_equal(s.every_ms, MINUTE);
    schedule_clear(&s);
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);

    s = deployed(&before, by_nobody, &after, texts, &changed);
    assert_true(changed && !s.modified && !s.paused);
    assert_int_equal(s.every_ms, HOUR);
    schedule_clear(&s);
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_and_read),
        cmocka_unit_test(test_unknown_zone_is_read),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_checked),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_jitter_is_bounded_and_spread),
        cmocka_unit_test(test_plan_in_time),
        cmocka_unit_test(test_plan_after_an_outage),
        cmocka_unit_test(test_plan_after_years),
        cmocka_unit_test(test_merge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
