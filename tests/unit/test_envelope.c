/* Good and bad bodies in tables: what a client reads in docs/http-api.md is
 * what is checked here, the pointer of each refusal included. */
#include "app/document/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct app_task task = {
    .name = "noop",
    .queue = "mail",
    .timeout_ms = 5000,
    .retries = 7,
    .backoff_ms = 1000,
    .backoff_cap_ms = 60000,
    .keep_ms = 9000,
    .priority = 3,
    .about = "",
};

struct fixture {
    struct arena arena;
    struct envelope envelope;
    struct error err;
};

static enum status
read_body(struct fixture *f, const char *body)
{
    f->err = (struct error){.status = ST_OK};
    enum status st =
        envelope_parse(str_c(body), &f->arena, &f->envelope, &f->err);
    if (st != ST_OK)
        return st;
    return envelope_complete(&f->envelope, &task, &f->err);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    arena_init(&f->arena, NULL, 0, 1 << 20);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    arena_clear(&f->arena);
    free(f);
    return 0;
}

static void
test_refusals_point_at_the_field(void **state)
{
    static const struct {
        const char *body;
        const char *pointer;
    } rows[] = {
        {"", ""},
        {"{", ""},
        {"[]", ""},
        {"5", ""},
        {"\"task\"", ""},
        {"{\"task\":\"noop\"} x", ""},
        {"{\"task\":\"noop\",}", ""},
        {"{}", "/task"},
        {"{\"task\":null}", "/task"},
        {"{\"task\":5}", "/task"},
        {"{\"task\":\"\"}", "/task"},
        {"{\"task\":\"a b\"}", "/task"},
        {"{\"task\":\"noop\",\"task\":\"noop\"}", "/task"},
        {"{\"task\":\"noop\",\"quue\":\"a\"}", "/quue"},
        {"{\"task\":\"noop\",\"a/b~c\":1}", "/a~1b~0c"},
        {"{\"task\":\"noop\",\"queue\":7}", "/queue"},
        {"{\"task\":\"noop\",\"queue\":\"a\\u00e9\"}", "/queue"},
        {"{\"task\":\"noop\",\"priority\":10}", "/priority"},
        {"{\"task\":\"noop\",\"priority\":-1}", "/priority"},
        {"{\"task\":\"noop\",\"priority\":1.5}", "/priority"},
        {"{\"task\":\"noop\",\"priority\":\"5\"}", "/priority"},
        {"{\"task\":\"noop\",\"run_at\":\"tomorrow\"}", "/run_at"},
        {"{\"task\":\"noop\",\"run_at\":5}", "/run_at"},
        {"{\"task\":\"noop\",\"delay\":\"soon\"}", "/delay"},
        {"{\"task\":\"noop\",\"delay\":-1}", "/delay"},
        {"{\"task\":\"noop\",\"delay\":1e12}", "/delay"},
        {"{\"task\":\"noop\",\"delay\":true}", "/delay"},
        {"{\"task\":\"noop\",\"delay\":1,\"run_at\":\"2027-01-01T00:00:00Z\"}",
         "/delay"},
        {"{\"task\":\"noop\",\"expires_at\":\"2027-13-01T00:00:00Z\"}",
         "/expires_at"},
        {"{\"task\":\"noop\",\"timeout\":0}", "/timeout"},
        {"{\"task\":\"noop\",\"timeout\":\"8d\"}", "/timeout"},
        {"{\"task\":\"noop\",\"keep\":\"366d\"}", "/keep"},
        {"{\"task\":\"noop\",\"retry\":3}", "/retry"},
        {"{\"task\":\"noop\",\"retry\":{\"max\":1001}}", "/retry/max"},
        {"{\"task\":\"noop\",\"retry\":{\"backoff\":\"linear\"}}",
         "/retry/backoff"},
        {"{\"task\":\"noop\",\"retry\":{\"base\":\"x\"}}", "/retry/base"},
        {"{\"task\":\"noop\",\"retry\":{\"cap\":[]}}", "/retry/cap"},
        {"{\"task\":\"noop\",\"retry\":{\"jitter\":1.1}}", "/retry/jitter"},
        {"{\"task\":\"noop\",\"retry\":{\"tries\":1}}", "/retry/tries"},
        {"{\"task\":\"noop\",\"retry\":{\"max\":1,\"max\":2}}", "/retry/max"},
        {"{\"task\":\"noop\",\"retry\":{\"base\":9,\"cap\":3}}", "/retry"},
        {"{\"task\":\"noop\",\"retry\":{\"base\":0}}", "/retry"},
        {"{\"task\":\"noop\",\"tags\":\"a\"}", "/tags"},
        {"{\"task\":\"noop\",\"tags\":[\"a\",\"b c\"]}", "/tags/1"},
        {"{\"task\":\"noop\",\"tags\":[null]}", "/tags/0"},
        {"{\"task\":\"noop\",\"tags\":[1,2,3]}", "/tags/0"},
        {"{\"task\":\"noop\",\"unique\":\"a\"}", "/unique"},
        {"{\"task\":\"noop\",\"unique\":{}}", "/unique/key"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a b\"}}", "/unique/key"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a\",\"while\":\"x\"}}",
         "/unique/while"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a\",\"ttl\":\"x\"}}",
         "/unique/ttl"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a\",\"on_conflict\":1}}",
         "/unique/on_conflict"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a\",\"keys\":1}}",
         "/unique/keys"},
        {"{\"task\":\"noop\",\"unique\":{\"key\":\"a\",\"key\":\"a\"}}",
         "/unique/key"},
        {"{\"task\":\"noop\",\"keep\":0,\"unique\":{\"key\":\"a\","
         "\"while\":\"ended\"}}",
         "/unique/ttl"},
        {"{\"task\":\"noop\",\"limit\":[]}", "/limit"},
        {"{\"task\":\"noop\",\"limit\":{\"concurrency\":1}}", "/limit/key"},
        {"{\"task\":\"noop\",\"limit\":{\"key\":\"k\",\"concurrency\":-1}}",
         "/limit/concurrency"},
        {"{\"task\":\"noop\",\"limit\":{\"key\":\"k\",\"rate\":\"fast\"}}",
         "/limit/rate"},
        {"{\"task\":\"noop\",\"callback\":{}}", "/callback/url"},
        {"{\"task\":\"noop\",\"callback\":{\"url\":\"ftp://a/\"}}",
         "/callback/url"},
        {"{\"task\":\"noop\",\"callback\":{\"url\":\"http://a/\",\"on\":[]}}",
         "/callback/on"},
        {"{\"task\":\"noop\",\"callback\":{\"url\":\"http://a/\","
         "\"on\":[\"dead\",\"dead\"]}}",
         "/callback/on/1"},
        {"{\"task\":\"noop\",\"after\":\"a.b\"}", "/after"},
        {"{\"task\":\"noop\",\"after\":[\"ab\"]}", "/after/0"},
        {"{\"task\":\"noop\",\"after\":[\"a.b\",\"a.b\"]}", "/after/1"},
        {"{\"task\":\"noop\",\"args\":\"\\u0000\"}", ""},
        {"{\"task\":\"noop\",\"args\":1e999}", ""},
        {"{\"task\":\"noop\",\"args\":\"\\ud800\"}", ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_body(f, rows[i].body) != ST_INVALID)
            fail_msg("taken: %s", rows[i].body);
        if (!str_eq_c(str_c(f->err.pointer), rows[i].pointer))
            fail_msg("%s: pointer %s", rows[i].body, f->err.pointer);
        if (f->err.msg[0] == '\0')
            fail_msg("%s: no words", rows[i].body);
    }
}

static void
test_silence_takes_the_task_s_policy(void **state)
{
    struct fixture *f = *state;
    const struct job_spec *spec = &f->envelope.spec;

    assert_int_equal(read_body(f, " {\"task\":\"noop\"} "), ST_OK);
    assert_true(str_eq_c(spec->queue, "mail"));
    assert_int_equal(spec->priority, 3);
    assert_int_equal(spec->timeout_ms, 5000);
    assert_int_equal(spec->keep_ms, 9000);
    assert_int_equal(spec->retries, 7);
    assert_int_equal(spec->backoff.base_ms, 1000);
    assert_int_equal(spec->backoff.cap_ms, 60000);
    assert_int_equal(spec->args.n, 0);
}

static void
test_every_field_is_taken(void **state)
{
    struct fixture *f = *state;
    const struct job_spec *spec = &f->envelope.spec;

    assert_int_equal(
        read_body(f, "{\"task\":\"re\\u0070orts\",\"args\":{ \"a\" : [1] },"
                     "\"queue\":\"q\",\"priority\":9.0,\"delay\":\"500ms\","
                     "\"expires_at\":\"2027-01-02T00:00:00+01:00\","
                     "\"timeout\":1.5,\"keep\":\"0s\","
                     "\"retry\":{\"max\":0,\"backoff\":\"fixed\","
                     "\"base\":\"2s\",\"cap\":\"1h\",\"jitter\":0.5},"
                     "\"tags\":[\"a\",\"b:c\"]}"),
        ST_OK);
    assert_true(str_eq_c(spec->task, "reports"));
    assert_true(str_eq_c(spec->args, "{ \"a\" : [1] }"));
    assert_true(str_eq_c(spec->queue, "q"));
    assert_int_equal(spec->priority, 9);
    assert_int_equal(spec->delay_ms, 500);
    assert_true(spec->expires_at_ms == INT64_C(1798844400000));
    assert_int_equal(spec->timeout_ms, 1500);
    assert_int_equal(spec->keep_ms, 0);
    assert_int_equal(spec->retries, 0);
    assert_int_equal(spec->backoff.kind, BACKOFF_FIXED);
    assert_int_equal(spec->backoff.base_ms, 2000);
    assert_int_equal(spec->backoff.cap_ms, 3600000);
    assert_true(spec->backoff.jitter == 0.5);
    assert_true(str_eq_c(spec->tags, "a,b:c"));
}

static void
test_null_is_silence(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        read_body(f, "{\"task\":\"noop\",\"args\":null,\"queue\":null,"
                     "\"delay\":null,\"run_at\":null,\"retry\":null,"
                     "\"tags\":null}"),
        ST_OK);
    assert_true(str_eq_c(f->envelope.spec.queue, "mail"));
    assert_int_equal(f->envelope.spec.retries, 7);
}

static void
test_half_a_backoff_fits_the_other_half(void **state)
{
    struct fixture *f = *state;
    const struct backoff *backoff = &f->envelope.spec.backoff;

    assert_int_equal(
        read_body(f, "{\"task\":\"noop\",\"retry\":{\"base\":\"2m\"}}"), ST_OK);
    assert_int_equal(backoff->base_ms, 120000);
    assert_int_equal(backoff->cap_ms, 120000);
    assert_int_equal(
        read_body(f, "{\"task\":\"noop\",\"retry\":{\"cap\":\"500ms\"}}"),
        ST_OK);
    assert_int_equal(backoff->base_ms, 500);
    assert_int_equal(backoff->cap_ms, 500);
}

static void
test_args_have_a_limit(void **state)
{
    struct fixture *f = *state;
    size_t n = JOB_ARGS_MAX - 1; /* with the quotes: one byte too many */
    struct buf body;

    buf_init(&body, (size_t)2 * JOB_ARGS_MAX);
    buf_add_c(&body, "{\"task\":\"noop\",\"args\":\"");
    char *text = buf_room(&body, n);
    assert_non_null(text);
    memset(text, 'x', n);
    buf_grew(&body, n);
    buf_add_c(&body, "\"}");
    assert_int_equal(
        envelope_parse(buf_str(&body), &f->arena, &f->envelope, &f->err),
        ST_TOO_LARGE);
    assert_string_equal(f->err.pointer, "/args");
    buf_clear(&body);
}

static void
test_seventeen_tags_are_one_too_many(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_body(f, "{\"task\":\"noop\",\"tags\":[\"1\",\"2\","
                                  "\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
                                  "\"10\",\"11\",\"12\",\"13\",\"14\",\"15\","
                                  "\"16\",\"17\"]}"),
                     ST_INVALID);
    assert_string_equal(f->err.pointer, "/tags/16");
}

static void
test_ties_to_other_jobs(void **state)
{
    struct fixture *f = *state;
    const struct job_spec *spec = &f->envelope.spec;

    assert_int_equal(read_body(f, "{\"task\":\"noop\","
                                  "\"unique\":{\"key\":\"customer:42\"},"
                                  "\"limit\":{\"key\":\"t\",\"concurrency\":5,"
                                  "\"rate\":\"100/m\"},"
                                  "\"callback\":{\"url\":\"https://a/b\"},"
                                  "\"after\":[\"mail.one\",\"a.b.two\"]}"),
                     ST_OK);
    assert_int_equal(spec->unique.hold, UNIQUE_RUNNING);
    assert_int_equal(spec->unique.on_conflict, UNIQUE_REJECT);
    assert_true(str_eq_c(spec->unique.key, "customer:42"));
    assert_int_equal(spec->limit.concurrency, 5);
    assert_int_equal(spec->limit.rate, 100);
    assert_int_equal(spec->limit.rate_period_ms, 60000);
    assert_true(spec->callback.on_succeeded && spec->callback.on_dead);
    assert_int_equal(spec->kin.parents, 2);
    assert_true(str_eq_c(f->envelope.after[1].queue, "a.b"));
    assert_true(str_eq_c(f->envelope.after[1].local, "two"));

    /* A key past the end is held as long as the job can be looked up. */
    assert_int_equal(read_body(f, "{\"task\":\"noop\",\"unique\":{\"key\":"
                                  "\"a\",\"while\":\"ended\","
                                  "\"on_conflict\":\"return\"}}"),
                     ST_OK);
    assert_int_equal(spec->unique.ttl_ms, task.keep_ms);
    assert_int_equal(spec->unique.on_conflict, UNIQUE_RETURN);
    /* Null is absent, and within an object too. */
    assert_int_equal(read_body(f, "{\"task\":\"noop\",\"callback\":null,"
                                  "\"unique\":{\"key\":\"a\",\"ttl\":null}}"),
                     ST_OK);
    assert_int_equal(spec->callback.url.n, 0);
}

/* What neither the body nor the task says is the queue's to say. */
static void
test_what_nobody_says_is_open(void **state)
{
    struct fixture *f = *state;
    const struct job_spec *spec = &f->envelope.spec;
    struct app_task says = task;

    assert_int_equal(read_body(f, "{\"task\":\"noop\"}"), ST_OK);
    assert_int_equal(spec->retry_open, JOB_RETRY_ALL);
    assert_int_equal(read_body(f, "{\"task\":\"noop\",\"retry\":{\"max\":3,"
                                  "\"jitter\":0,\"cap\":null}}"),
                     ST_OK);
    assert_int_equal(spec->retry_open,
                     JOB_RETRY_BACKOFF | JOB_RETRY_BASE | JOB_RETRY_CAP);
    says.retry_given = JOB_RETRY_MAX | JOB_RETRY_CAP;
    assert_int_equal(envelope_complete(&f->envelope, &says, NULL), ST_OK);
    assert_int_equal(spec->retry_open, JOB_RETRY_BACKOFF | JOB_RETRY_BASE);
    assert_int_equal(read_body(f, "{\"task\":\"noop\",\"retry\":{\"max\":3,"
                                  "\"backoff\":\"fixed\",\"base\":1,\"cap\":2,"
                                  "\"jitter\":0}}"),
                     ST_OK);
    assert_int_equal(spec->retry_open, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_nobody_says_is_open, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ties_to_other_jobs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_point_at_the_field,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence_takes_the_task_s_policy,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_field_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_null_is_silence, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_half_a_backoff_fits_the_other_half,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_args_have_a_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_seventeen_tags_are_one_too_many,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
