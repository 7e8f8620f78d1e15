/* One table per refusal: what a developer gets wrong in struct pit_app, and the
 * word of the entry that the message must name. */
#include "app/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum pit_status
run(struct pit_job *job)
{
    (void)job;
    return PIT_OK;
}

static enum pit_status
view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    (void)res;
    return PIT_OK;
}

static enum pit_status
run_async(struct pit_co *co, struct pit_job *job)
{
    (void)co;
    (void)job;
    return PIT_OK;
}

static void
test_fills_in_the_defaults(void **state)
{
    const struct pit_task tasks[] = {{"plain", run}, {0}};
    const struct pit_app table = {PIT_APP("demo"), .tasks = tasks};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(app_init(&app, &table, &err), ST_OK);
    assert_string_equal(app.name, "demo");
    assert_int_equal(app.views_len, 0);
    assert_int_equal(app.tasks_len, 1);

    const struct app_task *task = app_task_find(&app, STR("plain"));
    assert_non_null(task);
    assert_ptr_equal(task->run, run);
    assert_string_equal(task->queue, "default");
    assert_string_equal(task->about, "");
    assert_int_equal(task->timeout_ms, 60000);
    assert_int_equal(task->retries, 3);
    assert_int_equal(task->backoff_ms, 2000);
    assert_int_equal(task->backoff_cap_ms, 3600000);
    assert_int_equal(task->keep_ms, 3600000);
    assert_int_equal(task->priority, 5);
    assert_int_equal(task->retry_given, 0);
    app_clear(&app);
}

static void
test_keeps_what_is_set(void **state)
{
    const struct pit_task tasks[] = {{.name = "set",
                                      .run = run,
                                      .queue = "mail",
                                      .timeout_ms = 1,
                                      .retries = PIT_NO_RETRY,
                                      .backoff_ms = 7200000,
                                      .keep_ms = 5,
                                      .priority = PIT_PRIORITY(0),
                                      .about = "one line"},
                                     {0}};
    const struct pit_app table = {PIT_APP("demo"), .tasks = tasks};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(app_init(&app, &table, &err), ST_OK);
    const struct app_task *task = &app.tasks[0];
    assert_string_equal(task->queue, "mail");
    assert_string_equal(task->about, "one line");
    assert_int_equal(task->timeout_ms, 1);
    assert_int_equal(task->retries, 0);
    assert_int_equal(task->backoff_ms, 7200000);
    /* Nobody set a cap, so it follows a delay above the usual one. */
    assert_int_equal(task->backoff_cap_ms, 7200000);
    assert_int_equal(task->retry_given, JOB_RETRY_MAX | JOB_RETRY_BASE);
    assert_int_equal(task->keep_ms, 5);
    assert_int_equal(task->priority, 0);
    app_clear(&app);
}

static void
test_finds_each_task_and_no_other(void **state)
{
    const struct pit_task tasks[] = {
        {"noop", run}, {"a", run}, {"reports.packages", run},
        {"ab", run},   {"b", run}, {0}};
    const struct pit_app table = {PIT_APP("demo"), .tasks = tasks};
    static const char *const absent[] = {"",  "no",   "noopy", "aa", "abc",
                                         "z", "Noop", "repor", "c",  "A"};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(app_init(&app, &table, &err), ST_OK);
    for (size_t i = 0; tasks[i].name; i++) {
        const struct app_task *task = app_task_find(&app, str_c(tasks[i].name));
        assert_non_null(task);
        assert_string_equal(task->name, tasks[i].name);
    }
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        assert_null(app_task_find(&app, str_c(absent[i])));
    assert_null(app_task_find(&app, STR("noop\0")));
    /* A slice of a longer text, as it comes from a request. */
    assert_non_null(app_task_find(&app, str_from("noop-and-more", 4)));
    app_clear(&app);
}

#define LONG_NAME \
    "1234567890123456789012345678901234567890123456789012345678901234x"

static void
test_knows_async_tasks(void **state)
{
    const struct pit_task tasks[] = {{.name = "blocks", .run = run},
                                     {.name = "waits", .async = run_async},
                                     {0}};
    const struct pit_app table = {PIT_APP("demo"), .tasks = tasks};
    struct app app;
    struct error err;

    (void)state;
    assert_int_equal(app_init(&app, &table, &err), ST_OK);
    assert_null(app_task_find(&app, STR("blocks"))->async);
    assert_ptr_equal(app_task_find(&app, STR("waits"))->async, run_async);
    assert_null(app_task_find(&app, STR("waits"))->run);
    app_clear(&app);
}

static void
test_refuses_bad_tasks(void **state)
{
    const struct {
        struct pit_task task;
        const char *says;
    } rows[] = {
        {{"", run}, "task name"},
        {{"white space", run}, "white space"},
        {{"curly{}", run}, "curly{}"},
        {{LONG_NAME, run}, "1 to 64"},
        {{"idle", NULL}, "idle"},
        {{"t", run, .queue = "no/slash"}, "no/slash"},
        {{"t", run, .queue = ""}, "queue"},
        {{"t", run, .timeout_ms = -1}, "timeout_ms"},
        {{"t", run, .timeout_ms = INT64_MAX}, "timeout_ms"},
        {{"t", run, .keep_ms = -1}, "keep_ms"},
        {{"t", run, .backoff_ms = -1}, "backoff_ms"},
        {{"t", run, .backoff_ms = 2, .backoff_cap_ms = 1}, "backoff_cap_ms"},
        {{"t", run, .retries = -2}, "retries"},
        {{"t", run, .retries = 1001}, "retries"},
        {{"t", run, .priority = -1}, "priority"},
        {{"t", run, .priority = PIT_PRIORITY(10)}, "priority"},
        {{"t", run, .about = "two\nlines"}, "about"},
        {{"t", run, .async = run_async}, "t: has two functions"},
        {{"t"}, "t: has no function"},
        {{"pit.callback", run}, "Pitmaster's own"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct pit_task tasks[] = {{"good", run}, rows[i].task, {0}};
        const struct pit_app table = {PIT_APP("demo"), .tasks = tasks};
        struct app app = {.name = "untouched"};
        struct error err;

        assert_int_equal(app_init(&app, &table, &err), ST_INVALID);
        assert_non_null(strstr(err.msg, rows[i].says));
        assert_string_equal(app.name, "untouched");
    }
}

static void
test_refuses_duplicates(void **state)
{
    const struct pit_task tasks[] = {
        {"twice", run}, {"once", run}, {"twice", run}, {0}};
    const struct pit_view views[] = {{PIT_GET, "/a", view},
                                     {PIT_POST, "/a", view},
                                     {PIT_GET, "/a", view},
                                     {0}};
    const struct pit_app same_task = {PIT_APP("demo"), .tasks = tasks};
    const struct pit_app same_view = {PIT_APP("demo"), .views = views};
    struct error err;
    struct app app;

    (void)state;
    assert_int_equal(app_init(&app, &same_task, &err), ST_CONFLICT);
    assert_non_null(strstr(err.msg, "twice"));
    assert_int_equal(app_init(&app, &same_view, &err), ST_CONFLICT);
    assert_non_null(strstr(err.msg, "/a"));
}

static void
test_knows_good_routes_from_bad_ones(void **state)
{
    static const char *const good[] = {"/",
                                       "/async/",
                                       "/orders/{id:int}",
                                       "/a/b/c",
                                       "/n/{a:slug}",
                                       "/notes/{name}",
                                       "/jobs/{id}:cancel",
                                       "/jobs:batch",
                                       "/{a}/{b}/{c}/{d}"};
    static const char *const bad[] = {
        "",          "orders",     "//",
        "/a//b",     "/a b",       "/a?b=1",
        "/a#b",      "/%41",       "/{}",
        "/{id",      "/id}",       "/{1d}",
        "/{id:hex}", "/{id}x",     "/{id}:",
        "/x{id}",    "/{a-b:int}", "/{id}:{b}",
        "/a\tb",     "/a\\b",      "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"};
    struct error err;
    struct app app;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
        bool ok = i < ARRAY_LEN(good);
        const char *route = ok ? good[i] : bad[i - ARRAY_LEN(good)];
        const struct pit_view views[] = {{PIT_GET, route, view}, {0}};
        const struct pit_app table = {PIT_APP("demo"), .views = views};
        enum status st = app_init(&app, &table, &err);

        if (st != (ok ? ST_OK : ST_INVALID))
            fail_msg("route \"%s\": %s", route, status_name(st));
        if (ok)
            app_clear(&app);
    }
}

static void
test_refuses_bad_views(void **state)
{
    const struct pit_view rows[] = {
        {(enum pit_method)99, "/", view},
        {PIT_GET, NULL, view},
        {PIT_GET, "/", NULL},
        {PIT_GET, "/", view, .timeout_ms = -1},
        {PIT_GET, "/", view, .body_max = -1},
        {PIT_GET, "/", view, .body_max = APP_BODY_MAX + 1},
    };
    struct error err;
    struct app app;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct pit_view views[] = {rows[i], {0}};
        const struct pit_app table = {PIT_APP("demo"), .views = views};
        assert_int_equal(app_init(&app, &table, &err), ST_INVALID);
    }
}

static void
test_refuses_another_build(void **state)
{
    struct pit_app rows[] = {{PIT_APP("demo")},
                             {PIT_APP("demo")},
                             {PIT_APP("demo")},
                             {PIT_APP("two words")},
                             {PIT_APP(NULL)}};
    struct error err;
    struct app app;

    (void)state;
    rows[0].abi = PIT_ABI + 1;
    rows[1].size = sizeof(struct pit_app) + 8;
    rows[2].size = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(app_init(&app, &rows[i], &err), ST_INVALID);
    assert_int_equal(app_init(&app, &rows[0], &err), ST_INVALID);
    assert_non_null(strstr(err.msg, "ABI"));
}

static void
test_refuses_a_table_without_an_end(void **state)
{
    static struct pit_task tasks[APP_TASKS_MAX + 1];
    static struct pit_view views[APP_VIEWS_MAX + 1];
    const struct pit_app no_end[] = {{PIT_APP("demo"), .tasks = tasks},
                                     {PIT_APP("demo"), .views = views}};
    struct error err;
    struct app app;

    (void)state;
    for (size_t i = 0; i <= APP_TASKS_MAX; i++)
        tasks[i] = (struct pit_task){"same", run};
    for (size_t i = 0; i <= APP_VIEWS_MAX; i++)
        views[i] = (struct pit_view){PIT_GET, "/", view};
    for (size_t i = 0; i < ARRAY_LEN(no_end); i++)
        assert_int_equal(app_init(&app, &no_end[i], &err), ST_TOO_LARGE);
}

static void
test_clear_takes_anything(void **state)
{
    struct app app = {0};

    (void)state;
    app_clear(NULL);
    app_clear(&app);
    assert_null(app_task_find(&app, STR("noop")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills_in_the_defaults),
        cmocka_unit_test(test_keeps_what_is_set),
        cmocka_unit_test(test_finds_each_task_and_no_other),
        cmocka_unit_test(test_knows_async_tasks),
        cmocka_unit_test(test_refuses_bad_tasks),
        cmocka_unit_test(test_refuses_duplicates),
        cmocka_unit_test(test_knows_good_routes_from_bad_ones),
        cmocka_unit_test(test_refuses_bad_views),
        cmocka_unit_test(test_refuses_another_build),
        cmocka_unit_test(test_refuses_a_table_without_an_end),
        cmocka_unit_test(test_clear_takes_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
