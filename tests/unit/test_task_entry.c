/* What one program publishes of a task, another one must read the same. */
#include "app/task/task_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_reads_what_was_written(void **state)
{
    const struct app_task task = {
        .name = "reports.packages",
        .queue = "reports",
        .timeout_ms = 61000,
        .retries = 0,
        .backoff_ms = 10,
        .backoff_cap_ms = 20,
        .keep_ms = 1,
        .priority = 9,
        .retry_given = JOB_RETRY_MAX | JOB_RETRY_CAP,
        .about = "\"quoted\" and \\ back",
    };
    struct task_entry entry;
    struct job_spec spec;
    struct error err;
    struct buf json;

    (void)state;
    buf_init(&json, REGISTRY_JSON_MAX);
    task_entry_write(&task, &json);
    assert_int_equal(task_entry_read(buf_str(&json), &entry, &err), ST_OK);
    buf_clear(&json);
    assert_string_equal(entry.task.queue, "reports");
    assert_string_equal(entry.task.about, task.about);
    assert_int_equal(entry.task.timeout_ms, 61000);
    assert_int_equal(entry.task.retries, 0);
    assert_int_equal(entry.task.backoff_ms, 10);
    assert_int_equal(entry.task.backoff_cap_ms, 20);
    assert_int_equal(entry.task.keep_ms, 1);
    assert_int_equal(entry.task.priority, 9);
    assert_int_equal(entry.task.retry_given, JOB_RETRY_MAX | JOB_RETRY_CAP);

    entry.task.name = task.name;
    task_entry_spec(&entry.task, &spec);
    assert_int_equal(job_spec_check(&spec, &err), ST_OK);
    assert_true(str_eq(spec.task, STR("reports.packages")));
    assert_true(str_eq(spec.queue, STR("reports")));
    assert_int_equal(spec.backoff.base_ms, 10);
    assert_int_equal(spec.priority, 9);
    assert_int_equal(spec.retry_open,
                     JOB_RETRY_ALL & ~(JOB_RETRY_MAX | JOB_RETRY_CAP));
}

/* Of a program that does not tell what its table sets. */
static void
test_an_older_entry_gives_what_is_not_standard(void **state)
{
    struct task_entry entry;
    struct error err;

    (void)state;
    assert_int_equal(task_entry_read(STR("{\"retries\":3,\"backoff_ms\":2000,"
                                         "\"backoff_cap_ms\":3600000}"),
                                     &entry, &err),
                     ST_OK);
    assert_int_equal(entry.task.retry_given, 0);
    assert_int_equal(task_entry_read(STR("{\"retries\":0,\"backoff_ms\":10,"
                                         "\"backoff_cap_ms\":20}"),
                                     &entry, &err),
                     ST_OK);
    assert_int_equal(entry.task.retry_given,
                     JOB_RETRY_MAX | JOB_RETRY_BASE | JOB_RETRY_CAP);
    /* Told: the standard value may be meant. What is not known is passed over.
     */
    assert_int_equal(
        task_entry_read(STR("{\"retries\":3,\"backoff_ms\":10,"
                            "\"given\":[\"retries\",\"later\",1]}"),
                        &entry, &err),
        ST_OK);
    assert_int_equal(entry.task.retry_given, JOB_RETRY_MAX);
}

static void
test_absent_members_are_standard(void **state)
{
    struct task_entry entry;
    struct error err;

    (void)state;
    assert_int_equal(task_entry_read(STR("{\"later\": [1]}"), &entry, &err),
                     ST_OK);
    assert_string_equal(entry.task.queue, "default");
    assert_int_equal(entry.task.retries, 3);
    assert_int_equal(entry.task.timeout_ms, 60000);
}

static void
test_refuses_rubbish(void **state)
{
    static const char *const rows[] = {
        "",
        "7",
        "[]",
        "{",
        "{\"queue\": \"no/slash\"}",
        "{\"queue\": \"\"}",
        "{\"retries\": -1}",
        "{\"retries\": \"3\"}",
        "{\"retries\": 1001}",
        "{\"priority\": 10}",
        "{\"timeout_ms\": 0}",
        "{\"timeout_ms\": 1.5}",
        "{\"backoff_ms\": 20, \"backoff_cap_ms\": 10}",
    };
    struct task_entry entry = {.queue = "untouched"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (task_entry_read(str_c(rows[i]), &entry, &err) != ST_INVALID)
            fail_msg("%s was read", rows[i]);
    assert_string_equal(entry.queue, "untouched");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_an_older_entry_gives_what_is_not_standard),
        cmocka_unit_test(test_absent_members_are_standard),
        cmocka_unit_test(test_refuses_rubbish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
