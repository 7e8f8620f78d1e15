/* Tasks in process: what they see of their job, and what is read off it when
 * they have ended. */
#include "app/task/job_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "queue/job/job.h"

/* What the surroundings heard, and what they answer. */
struct surroundings {
    int reports;
    int64_t done;
    int64_t total;
    char text[JOB_CONTEXT_TEXT_MAX + 1];
    int asked;
    int cancel_at; /* from this call of cancelled() on it says true; 0: never */
};

static void
hear_progress(void *arg, const struct job_progress *progress)
{
    struct surroundings *around = arg;

    around->reports++;
    around->done = progress->done;
    around->total = progress->total;
    str_copy_to(str_c(progress->text), around->text, sizeof around->text);
}

static bool
hear_cancelled(void *arg)
{
    struct surroundings *around = arg;

    return ++around->asked >= around->cancel_at && around->cancel_at > 0;
}

static const struct job_ops ops = {hear_progress, hear_cancelled};

static void
start(struct pit_job *job, const char *args, struct surroundings *around)
{
    const struct job_start how = {
        .id = "default.01J9ZQ",
        .task = "test",
        .attempt = 2,
        .crashes = 1,
        .args = str_c(args),
        .ops = around ? &ops : NULL,
        .arg = around,
    };

    job_context_init(job, &how);
}

static void
assert_result(const struct pit_job *job, const char *want)
{
    struct str got = buf_str(&job->result);

    if (!str_eq_c(got, want))
        fail_msg("result %.*s, not %s", STR_ARG(got), want);
}

/* --- what a task sees ---------------------------------------------------- */

static enum pit_status
describe(struct pit_job *job)
{
    const json_t *args = pit_job_args(job);
    size_t len;
    const char *text = pit_job_args_text(job, &len);

    return pit_job_result(job, "{s:s, s:s, s:i, s:i, s:s%, s:b, s:i}", "id",
                          pit_job_id(job), "task", pit_job_task(job), "attempt",
                          pit_job_attempt(job), "crashes", pit_job_crashes(job),
                          "text", text, len, "same", args == pit_job_args(job),
                          "n",
                          (int)json_integer_value(json_object_get(args, "n")));
}

static void
test_a_task_sees_its_job(void **state)
{
    struct pit_job job;

    (void)state;
    start(&job, "{\"n\": 7}", NULL);
    assert_int_equal(job_context_run(&job, describe), ST_OK);
    assert_result(&job, "{\"id\":\"default.01J9ZQ\",\"task\":\"test\","
                        "\"attempt\":2,\"crashes\":1,\"text\":\"{\\\"n\\\": "
                        "7}\",\"same\":true,\"n\":7}");
    job_context_clear(&job);
    job_context_clear(&job);
    job_context_clear(NULL);
}

static enum pit_status
expect_null(struct pit_job *job)
{
    size_t len = 99;

    if (!json_is_null(pit_job_args(job)) || !pit_job_args_text(job, &len) ||
        len != 0)
        return PIT_FAILED;
    return PIT_OK;
}

static void
test_no_args_are_null(void **state)
{
    struct pit_job job;

    (void)state;
    start(&job, NULL, NULL);
    assert_int_equal(job_context_run(&job, expect_null), ST_OK);
    assert_int_equal(job.result.len, 0);
    job_context_clear(&job);
}

static enum pit_status
look_at_args(struct pit_job *job)
{
    return pit_job_args(job) ? PIT_OK : PIT_BUG;
}

static enum pit_status
look_away(struct pit_job *job)
{
    (void)job;
    return PIT_OK;
}

static void
test_poisoned_args_are_permanent(void **state)
{
    char deep[4001];
    const char *const rows[] = {
        "{", "[1,]", "\xff", "nul", "1e999", deep, "99999999999999999999"};
    struct pit_job job;

    (void)state;
    memset(deep, '[', 2000);
    memset(deep + 2000, ']', 2000);
    deep[4000] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&job, rows[i], NULL);
        assert_int_equal(job_context_run(&job, look_at_args), ST_PERMANENT);
        assert_int_equal(strncmp(job.error.msg, "args: ", 6), 0);
        assert_int_equal(job.error.status, ST_PERMANENT);
        job_context_clear(&job);
        /* Nobody looked, so nothing is wrong. */
        start(&job, rows[i], NULL);
        assert_int_equal(job_context_run(&job, look_away), ST_OK);
        job_context_clear(&job);
    }
}

/* --- results ------------------------------------------------------------- */

static enum pit_status
answer_twice(struct pit_job *job)
{
    pit_job_result(job, "i", 1);
    return pit_job_result(job, "[i, s]", 2, "two");
}

static enum pit_status
answer_with_text(struct pit_job *job)
{
    return pit_job_result_text(job, " {\"a\": 1} ", 10);
}

static enum pit_status
answer_badly(struct pit_job *job)
{
    pit_job_result(job, "i", 1);
    return pit_job_result_text(job, "{\"a\":}", 6);
}

static enum pit_status
answer_with_bad_format(struct pit_job *job)
{
    return pit_job_result(job, "{s:s}", "text", "\xff");
}

static enum pit_status
answer_too_much(struct pit_job *job)
{
    char *text = calloc(1, PIT_RESULT_MAX + 1);
    enum pit_status st;

    memset(text, 'x', PIT_RESULT_MAX);
    st = pit_job_result(job, "s", text);
    free(text);
    return st;
}

static enum pit_status
answer_too_much_text(struct pit_job *job)
{
    char *text = calloc(1, PIT_RESULT_MAX + 2);
    enum pit_status st;

    memset(text, '1', PIT_RESULT_MAX + 1);
    st = pit_job_result_text(job, text, PIT_RESULT_MAX + 1);
    free(text);
    return st;
}

static void
test_results(void **state)
{
    static const struct {
        pit_task_fn *run;
        enum status want;
        const char *result;
        const char *says;
    } rows[] = {
        {answer_twice, ST_OK, "[2,\"two\"]", NULL},
        {answer_with_text, ST_OK, "{\"a\": 1}", NULL},
        {answer_badly, ST_INVALID, "1", "not JSON"},
        {answer_with_bad_format, ST_INVALID, "", "{s:s}"},
        {answer_too_much, ST_TOO_LARGE, "", "1048576 bytes"},
        {answer_too_much_text, ST_TOO_LARGE, "", "1048576 bytes"},
    };
    struct pit_job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&job, NULL, NULL);
        assert_int_equal(job_context_run(&job, rows[i].run), rows[i].want);
        assert_result(&job, rows[i].result);
        if (rows[i].says)
            assert_non_null(strstr(job.error.msg, rows[i].says));
        job_context_clear(&job);
    }
}

/* --- failures ------------------------------------------------------------ */

static enum pit_status
fail_with_reason(struct pit_job *job)
{
    return pit_job_fail(job, PIT_PERMANENT, "no such file: %s\n",
                        "a\xff"
                        "b");
}

static enum pit_status
fail_silently(struct pit_job *job)
{
    (void)job;
    return PIT_UNAVAILABLE;
}

static enum pit_status
fail_oddly(struct pit_job *job)
{
    (void)job;
    return (enum pit_status)4711;
}

static enum pit_status
fail_and_recover(struct pit_job *job)
{
    pit_job_fail(job, PIT_FAILED, "only a first try");
    return pit_job_result(job, "b", 1);
}

static void
test_failures_have_a_reason(void **state)
{
    static const struct {
        pit_task_fn *run;
        enum status want;
        const char *says;
    } rows[] = {
        {fail_with_reason, ST_PERMANENT, "no such file: a?b"},
        {fail_silently, ST_UNAVAILABLE, "unavailable"},
        {fail_oddly, ST_FAILED, "the task returned 4711, which is no status"},
    };
    struct pit_job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&job, NULL, NULL);
        assert_int_equal(job_context_run(&job, rows[i].run), rows[i].want);
        assert_int_equal(job.error.status, rows[i].want);
        assert_non_null(strstr(job.error.msg, rows[i].says));
        job_context_clear(&job);
    }
    start(&job, NULL, NULL);
    assert_int_equal(job_context_run(&job, fail_and_recover), ST_OK);
    assert_result(&job, "true");
    job_context_clear(&job);
}

/* --- progress and cancellation ------------------------------------------- */

static enum pit_status
report_often(struct pit_job *job)
{
    for (int i = 1; i <= 1000; i++)
        pit_job_progress(job, i, 1000, "step %d", i);
    return PIT_OK;
}

static void
test_progress_is_held_back_and_not_lost(void **state)
{
    struct surroundings around = {0};
    struct pit_job job;
    int64_t before_ms = clock_mono_ms();

    (void)state;
    start(&job, NULL, &around);
    assert_int_equal(job_context_run(&job, report_often), ST_OK);
    int64_t took_ms = clock_mono_ms() - before_ms;

    /* The first, the last, and what the time in between allows. */
    assert_true(around.reports >= 2);
    assert_true(around.reports <= 2 + took_ms / JOB_CONTEXT_PROGRESS_MS);
    assert_int_equal(around.done, 1000);
    assert_int_equal(around.total, 1000);
    assert_string_equal(around.text, "step 1000");
    job_context_clear(&job);
}

static enum pit_status
report_then_wait(struct pit_job *job)
{
    pit_job_progress(job, 1, 0, "first");
    pit_job_progress(job, -5, -1, NULL);
    struct surroundings *around = job->start.arg;
    int64_t end_ms = clock_mono_ms() + 10000;
    while (around->reports < 2 && clock_mono_ms() < end_ms)
        if (pit_job_cancelled(job))
            return PIT_CANCELLED;
    return around->reports == 2 ? PIT_OK : PIT_BUG;
}

static void
test_a_look_at_cancelled_sends_what_was_held(void **state)
{
    struct surroundings around = {0};
    struct pit_job job;

    (void)state;
    start(&job, NULL, &around);
    assert_int_equal(job_context_run(&job, report_then_wait), ST_OK);
    assert_int_equal(around.reports, 2);
    assert_int_equal(around.done, 0);
    assert_string_equal(around.text, "");
    job_context_clear(&job);
}

static enum pit_status
report_long_text(struct pit_job *job)
{
    pit_job_progress(job, 1, 2, "%0300d\xc3\xa9", 0);
    pit_job_progress(job, 1, 2, "a\xff\xc3\xa9%c", 0xc3);
    return PIT_OK;
}

static void
test_progress_text_is_cut_and_utf8(void **state)
{
    struct surroundings around = {0};
    struct pit_job job;

    (void)state;
    start(&job, NULL, &around);
    assert_int_equal(job_context_run(&job, report_long_text), ST_OK);
    /* An unfinished character at the end is a cut, not a fault. */
    assert_string_equal(around.text, "a?\xc3\xa9");
    job_context_clear(&job);
}

static enum pit_status
loop_until_cancelled(struct pit_job *job)
{
    while (!pit_job_cancelled(job))
        ;
    return PIT_CANCELLED;
}

static void
test_cancellation_reaches_the_task(void **state)
{
    struct surroundings around = {.cancel_at = 100};
    struct pit_job job;

    (void)state;
    start(&job, NULL, &around);
    assert_int_equal(job_context_run(&job, loop_until_cancelled), ST_CANCELLED);
    assert_true(around.asked >= 100);
    /* It was told to: its own words are not missed. */
    assert_string_equal(job.error.msg, "");
    job_context_clear(&job);
}

static enum pit_status
use_everything(struct pit_job *job)
{
    pit_job_progress(job, 1, 1, "all of it");
    return pit_job_cancelled(job) ? PIT_CANCELLED : PIT_OK;
}

static void
test_runs_without_surroundings(void **state)
{
    static const struct job_ops none = {0};
    struct pit_job job;

    (void)state;
    start(&job, NULL, NULL);
    assert_int_equal(job_context_run(&job, use_everything), ST_OK);
    job_context_clear(&job);
    start(&job, NULL, NULL);
    job.start.ops = &none;
    assert_int_equal(job_context_run(&job, use_everything), ST_OK);
    job_context_clear(&job);
}

/* --- logs, inputs, retries ------------------------------------------------ */

struct log_lines {
    int n;
    char last[JOB_CONTEXT_LOG_MAX + 1];
    char first[JOB_CONTEXT_LOG_MAX + 1];
    bool full;
};

static bool
hear_line(void *arg, struct str line)
{
    struct log_lines *lines = arg;

    if (lines->full)
        return false;
    str_copy_to(line, lines->n == 0 ? lines->first : lines->last,
                sizeof lines->last);
    lines->n++;
    return true;
}

static const struct job_ops log_ops = {.log = hear_line};

static void
start_logging(struct pit_job *job, struct log_lines *lines)
{
    const struct job_start how = {.id = "default.1",
                                  .task = "test",
                                  .attempt = 1,
                                  .ops = &log_ops,
                                  .arg = lines};

    job_context_init(job, &how);
}

static void
test_log_lines_are_cut_out(void **state)
{
    struct log_lines lines = {0};
    struct pit_job job;
    char longest[2 * JOB_CONTEXT_LOG_MAX + 1];

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    start_logging(&job, &lines);
    pit_job_log(&job, "one %d\r\ntwo \xff!\n", 1);
    assert_int_equal(lines.n, 2);
    assert_string_equal(lines.first, "one 1");
    assert_string_equal(lines.last, "two ?!");
    pit_job_log(&job, "%s", longest);
    assert_int_equal(lines.n, 3);
    assert_int_equal(strlen(lines.last), JOB_CONTEXT_LOG_MAX);
    pit_job_log(&job, "%s", "");
    assert_int_equal(lines.n, 3);
    job_context_clear(&job);
}

static void
test_too_many_lines_are_counted(void **state)
{
    struct log_lines lines = {0};
    struct pit_job job;

    (void)state;
    start_logging(&job, &lines);
    int64_t begin_ms = clock_mono_ms();
    for (int i = 0; i < 10000; i++)
        pit_job_log(&job, "%d", i);
    int64_t took_ms = clock_mono_ms() - begin_ms + 1;
    assert_in_range(lines.n, JOB_CONTEXT_LOG_BURST,
                    JOB_CONTEXT_LOG_BURST + 10 +
                        took_ms * JOB_CONTEXT_LOG_RATE / 1000);
    /* Once there is room, the log says what is missing. */
    job.log_at_us = 0;
    pit_job_log(&job, "after");
    assert_string_equal(lines.last, "after");
    assert_int_equal(job.log_lost, 0);
    lines.full = true;
    job.log_at_us = 0;
    pit_job_log(&job, "unheard");
    assert_int_equal(job.log_lost, 1);
    job_context_clear(&job);
    /* Nobody listens: nothing happens. */
    start(&job, "", NULL);
    pit_job_log(&job, "unheard");
    job_context_clear(&job);
}

static void
test_inputs_are_what_parents_came_to(void **state)
{
    struct job_start how = {
        .id = "default.1",
        .task = "test",
        .attempt = 1,
        .inputs = STR("{\"a.1\":{\"n\":1},\"b.2\":null,\"c.3\":[3]}")};
    struct pit_job job;
    const char *id = NULL;

    (void)state;
    job_context_init(&job, &how);
    assert_int_equal(pit_job_inputs(&job), 3);
    assert_int_equal(
        json_integer_value(json_object_get(pit_job_input(&job, "a.1"), "n")),
        1);
    assert_true(json_is_null(pit_job_input(&job, "b.2")));
    assert_null(pit_job_input(&job, "d.4"));
    assert_null(pit_job_input(&job, NULL));
    assert_true(json_is_array(pit_job_input_at(&job, 2, &id)));
    assert_string_equal(id, "c.3");
    assert_null(pit_job_input_at(&job, 3, NULL));
    job_context_clear(&job);
    how.inputs = STR("[1, poisoned");
    job_context_init(&job, &how);
    assert_int_equal(pit_job_inputs(&job), 0);
    job_context_clear(&job);
    how.inputs = STR_NULL;
    job_context_init(&job, &how);
    assert_int_equal(pit_job_inputs(&job), 0);
    job_context_clear(&job);
}

static void
test_retry_after_is_kept_in_range(void **state)
{
    struct pit_job job;

    (void)state;
    start(&job, "", NULL);
    pit_job_retry_after(&job, 1500);
    assert_int_equal(job.retry_after_ms, 1500);
    pit_job_retry_after(&job, -1);
    assert_int_equal(job.retry_after_ms, 0);
    pit_job_retry_after(&job, INT64_MAX);
    assert_int_equal(job.retry_after_ms, JOB_DELAY_MAX_MS);
    job_context_clear(&job);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_sees_its_job),
        cmocka_unit_test(test_no_args_are_null),
        cmocka_unit_test(test_poisoned_args_are_permanent),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_failures_have_a_reason),
        cmocka_unit_test(test_progress_is_held_back_and_not_lost),
        cmocka_unit_test(test_a_look_at_cancelled_sends_what_was_held),
        cmocka_unit_test(test_progress_text_is_cut_and_utf8),
        cmocka_unit_test(test_cancellation_reaches_the_task),
        cmocka_unit_test(test_log_lines_are_cut_out),
        cmocka_unit_test(test_too_many_lines_are_counted),
        cmocka_unit_test(test_inputs_are_what_parents_came_to),
        cmocka_unit_test(test_retry_after_is_kept_in_range),
        cmocka_unit_test(test_runs_without_surroundings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
