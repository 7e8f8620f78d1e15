/* The schedules of an application's table: what is filled in, and what a
 * developer gets wrong, each with the entry's name in the message. */
#include "app/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static enum pit_status
run(struct pit_job *job)
{
    (void)job;
    return PIT_OK;
}

static const struct pit_task tasks[] = {
    {"nightly", run, .queue = "q", .priority = PIT_PRIORITY(7), .retries = 9},
    {0},
};

static enum status
load(const struct pit_schedule *schedules, struct app *app, struct error *err)
{
    const struct pit_app table = {PIT_APP("demo"), .tasks = tasks,
                                  .schedules = schedules};

    return app_init(app, &table, err);
}

static void
test_fills_in_the_tasks_policy(void **state)
{
    const struct pit_schedule schedules[] = {
        {"a.b", "0 3 * * *", "Europe/Berlin", "nightly", .args = " [1.0] ",
         .misfire = PIT_MISFIRE_ONCE, .jitter_ms = 5},
        {"every", .every_ms = 1000, .task = "nightly", .queue = "other",
         .overlap = PIT_OVERLAP_BUFFER},
        {0}};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(load(schedules, &app, &err), ST_OK);
    assert_int_equal(app.schedules_len, 2);
    const struct schedule *s = &app.schedules[0];
    assert_true(str_eq(s->name, STR("a.b")));
    assert_true(str_eq(s->app, STR("demo")));
    assert_true(str_eq(s->spec.queue, STR("q")));
    assert_true(str_eq(s->spec.args, STR("[1.0]")));
    assert_int_equal(s->spec.priority, 7);
    assert_int_equal(s->spec.retries, 9);
    assert_int_equal(s->misfire, SCHEDULE_MISFIRE_ONCE);
    assert_int_equal(s->jitter_ms, 5);
    assert_string_equal(zone_name(s->zone), "Europe/Berlin");
    s = &app.schedules[1];
    assert_int_equal(s->when, SCHEDULE_EVERY);
    assert_true(str_eq(s->spec.queue, STR("other")));
    assert_int_equal(s->overlap, SCHEDULE_OVERLAP_BUFFER);
    app_clear(&app);
}

static void
test_none(void **state)
{
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(load(NULL, &app, &err), ST_OK);
    assert_int_equal(app.schedules_len, 0);
    app_clear(&app);
}

static void
test_refused(void **state)
{
    static const struct {
        struct pit_schedule schedule;
        const char *says;
    } rows[] = {
        {{"s", "61 * * * *", NULL, "nightly"}, "cron: minute"},
        {{"s", "* * * *", NULL, "nightly"}, "five fields"},
        {{"s", "@daily", "Mars/Olympus", "nightly"}, "timezone"},
        {{"s", "@daily", NULL, "nigtly"}, "no task \"nigtly\""},
        {{"s", "@daily"}, "no task"},
        {{"s", .task = "nightly"}, ".every_ms"},
        {{"s", "@daily", NULL, "nightly", .every_ms = 1000}, ".every_ms"},
        {{"s", .every_ms = 10, .task = "nightly"}, "1 s to 366 days"},
        {{"s", "@daily", NULL, "nightly", .args = "{"}, "schedule s"},
        {{"s", "@daily", NULL, "nightly", .queue = "a b"}, "queue"},
        {{"s", "@daily", NULL, "nightly", .jitter_ms = -1}, "jitter"},
        {{"s", "@daily", NULL, "nightly", .note = "a\nb"}, "one line"},
        {{"s", "@daily", NULL, "nightly", .misfire = (enum pit_misfire)7},
         ".misfire"},
        {{"s t", "@daily", NULL, "nightly"}, "name"},
    };
    struct error err;
    struct app app;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct pit_schedule schedules[] = {rows[i].schedule, {0}};
        if (load(schedules, &app, &err) != ST_INVALID)
            fail_msg("row %zu was taken", i);
        if (!strstr(err.msg, rows[i].says) || !strstr(err.msg, "schedule s"))
            fail_msg("row %zu: %s", i, err.msg);
    }
}

static void
test_twice(void **state)
{
    const struct pit_schedule schedules[] = {{"s", "@daily", NULL, "nightly"},
                                             {"s", "@hourly", NULL, "nightly"},
                                             {0}};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(load(schedules, &app, &err), ST_CONFLICT);
    assert_non_null(strstr(err.msg, "schedule s stands twice"));
}

int
main(void)
{
    const struct CMUnitTest tests_of[] = {
        cmocka_unit_test(test_fills_in_the_tasks_policy),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_twice),
    };

    return cmocka_run_group_tests(tests_of, NULL, NULL);
}
