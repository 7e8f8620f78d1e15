/* Records and states: what is written is read, and damage is refused. */
#include "queue/job/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_a_plain_record_is_short(void **state)
{
    struct job_spec spec;
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    job_spec_init(&spec);
    spec.task = STR("noop");
    job_encode(&spec, 1764000000123, &b);
    assert_true(str_eq(buf_str(&b), STR("15- 1764000000123 noop\nnull")));
    buf_clear(&b);
}

static void
test_every_option_survives(void **state)
{
    struct job_spec spec, back;
    int64_t created;
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    job_spec_init(&spec);
    spec.task = STR("reports.packages");
    spec.args = STR("{\"a\":\n[1, 2]}");
    spec.priority = 9;
    spec.delay_ms = 1500;
    spec.expires_at_ms = 1764000009999;
    spec.timeout_ms = 1;
    spec.keep_ms = 0;
    spec.retries = 0;
    spec.backoff = (struct backoff){BACKOFF_FIXED, 10, 20, 0.25};
    spec.tags = STR("nightly,eu:1");
    spec.origin.traceparent =
        STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_int_equal(strlen("00-0af7651916cd43dd8448eb211c80319c-"
                            "b7ad6b7169203331-01"),
                     55);
    spec.origin.request_id = STR("order:7");
    job_encode(&spec, 5, &b);
    assert_true(buf_str(&b).p[2] == '+');
    assert_int_equal(job_decode(buf_str(&b), &back, &created, NULL), ST_OK);
    assert_int_equal(created, 5);
    assert_true(str_eq(back.task, spec.task));
    assert_true(str_eq(back.args, spec.args));
    assert_int_equal(back.priority, 9);
    assert_int_equal(back.delay_ms, 1500);
    assert_int_equal(back.expires_at_ms, 1764000009999);
    assert_int_equal(back.timeout_ms, 1);
    assert_int_equal(back.keep_ms, 0);
    assert_int_equal(back.retries, 0);
    assert_int_equal(back.backoff.kind, BACKOFF_FIXED);
    assert_int_equal(back.backoff.base_ms, 10);
    assert_int_equal(back.backoff.cap_ms, 20);
    assert_true(back.backoff.jitter > 0.249 && back.backoff.jitter < 0.251);
    assert_true(str_eq(back.tags, spec.tags));
    assert_true(str_eq(back.origin.traceparent, spec.origin.traceparent));
    assert_true(str_eq(back.origin.request_id, spec.origin.request_id));
    buf_clear(&b);
}

static void
test_refuses_damaged_records(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "15- 1764 noop",       /* no args */
        "25- 1764 noop\nnull", /* another version */
        "1x- 1764 noop\nnull",
        "15- abc noop\nnull",
        "15- 1764 no/op\nnull",
        "15- 1764 noop t\nnull",
        "15- 1764 noop t0\nnull",
        "15- 1764 noop r1001\nnull",
        "15- 1764 noop bx,1,2,3\nnull",
        "15- 1764 noop be,0,2,3\nnull",
        "15- 1764 noop be,1,2\nnull",
        "15- 1764 noop g,\nnull",
        "15- 1764 noop pshort\nnull",
        "15- 1764 noop i\nnull",
        "15- 1764 noop ia/b\nnull",
        "15- 1764 noop  \nnull",
    };
    struct job_spec spec;
    int64_t created = -7;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (job_decode(str_c(bad[i]), &spec, &created, &err) != ST_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(created, -7);
    }
}

static void
test_same_looks_past_the_creation_time(void **state)
{
    (void)state;
    assert_true(job_same(STR("15- 1 noop\n{}"), STR("15- 222 noop\n{}")));
    assert_false(job_same(STR("15- 1 noop\n{}"), STR("15- 1 noop\n[]")));
    assert_false(job_same(STR("15- 1 noop\n{}"), STR("16- 1 noop\n{}")));
    assert_false(job_same(STR("15- 1 noop t5\n{}"), STR("15- 1 noop\n{}")));
    assert_false(job_same(STR(""), STR("15- 1 noop\n{}")));
}

static void
test_same_looks_past_the_origin(void **state)
{
    static const char plain[] = "15- 1 pan t5 r2\n{}";
    static const char *const same[] = {"15- 1 pan t5 r2 iorder:7\n{}",
                                       "15- 1 pan t5 iorder:7 r2\n{}",
                                       "15- 1 pan t5 r2 p00-1 i7\n{}"};
    static const char *const other[] = {
        "15- 1 pan t5 i7\n{}", "15- 1 pan t5 r2 i7 ga\n{}",
        "15- 1 can t5 r2\n{}", "15- 1 pan t5 r2 i7\n{\"a\": \" i7\"}",
        "15- 1 pan t5 r3 iorder\n{}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!job_same(str_c(plain), str_c(same[i])) ||
            !job_same(str_c(same[i]), str_c(plain)))
            fail_msg("not the same: %s", same[i]);
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (job_same(str_c(plain), str_c(other[i])) ||
            job_same(str_c(other[i]), str_c(plain)))
            fail_msg("the same: %s", other[i]);
}

static void
test_spec_ranges_name_their_field(void **state)
{
    struct job_spec good;
    struct error err;

    (void)state;
    job_spec_init(&good);
    good.task = STR("noop");
    good.queue = STR("default");
    assert_int_equal(job_spec_check(&good, &err), ST_OK);
#define REFUSED(field, value, at)                                 \
    do {                                                          \
        struct job_spec bad = good;                               \
        bad.field = value;                                        \
        assert_int_equal(job_spec_check(&bad, &err), ST_INVALID); \
        assert_string_equal(err.pointer, at);                     \
    } while (0)
    REFUSED(task, STR(""), "/task");
    REFUSED(queue, STR("a b"), "/queue");
    REFUSED(local, STR("a.b"), "/id");
    REFUSED(priority, 10, "/priority");
    REFUSED(priority, -1, "/priority");
    REFUSED(delay_ms, JOB_DELAY_MAX_MS + 1, "/delay");
    REFUSED(timeout_ms, 0, "/timeout");
    REFUSED(timeout_ms, JOB_TIMEOUT_MAX_MS + 1, "/timeout");
    REFUSED(keep_ms, -1, "/keep");
    REFUSED(retries, JOB_RETRIES_MAX + 1, "/retry/max");
    REFUSED(backoff.base_ms, 0, "/retry");
    REFUSED(tags, STR("a,b c"), "/tags");
    REFUSED(tags, STR("a,,b"), "/tags");
#undef REFUSED
}

static void
test_reads_a_history(void **state)
{
    struct job_history h;
    struct str text = STR("S w1.9 3 1 1 0 w1 500 600\n"
                          "1 c 100 110 w0 \"signal 11 (SIGSEGV)\"\n"
                          "2 f 200 210 w1 \"no\"\n");

    (void)state;
    assert_int_equal(job_history_decode(text, &h, NULL), ST_OK);
    assert_int_equal(h.code, 'S');
    assert_true(str_eq(h.token, STR("w1.9")));
    assert_int_equal(h.attempt, 3);
    assert_int_equal(h.retries, 1);
    assert_int_equal(h.crashes, 1);
    assert_int_equal(h.ended_ms, 600);
    assert_int_equal(h.attempts_len, 3);
    assert_int_equal(h.attempts[0].outcome, OUTCOME_CRASHED);
    assert_true(str_eq(h.attempts[0].message, STR("\"signal 11 (SIGSEGV)\"")));
    assert_int_equal(h.attempts[2].number, 3);
    assert_int_equal(h.attempts[2].outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(job_history_decode(STR_NULL, &h, NULL), ST_OK);
    assert_int_equal(h.code, 0);
}

static void
test_refuses_damaged_states(void **state)
{
    static const char *const bad[] = {
        "R",
        "R w1.1 x 0 0 0 w1 5\n",
        "R w1.1 1 0 0 0 w1\n",
        "W w1.1 1 0 0 0 w1 5\nrubbish\n",
        "W w1.1 1 0 0 0 w1 5\n1 ff 1 2 w x\n",
    };
    struct job_history h;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (job_history_decode(str_c(bad[i]), &h, NULL) != ST_INVALID)
            fail_msg("taken: %s", bad[i]);
}

/* Membership decides what the letter leaves open, and nothing else. */
static void
test_a_code_is_a_state(void **state)
{
    static const struct {
        int code;
        enum job_state waits, due;
    } cases[] = {
        {0, JOB_READY, JOB_SCHEDULED},
        {'W', JOB_READY, JOB_RETRYING},
        {'R', JOB_RUNNING, JOB_RUNNING},
        {'r', JOB_RUNNING, JOB_RUNNING},
        {'S', JOB_SUCCEEDED, JOB_SUCCEEDED},
        {'D', JOB_DEAD, JOB_DEAD},
        {'C', JOB_CANCELLED, JOB_CANCELLED},
        {'X', JOB_EXPIRED, JOB_EXPIRED},
        {'Q', JOB_QUARANTINED, JOB_QUARANTINED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code = cases[i].code;
        assert_int_equal(job_history_state(code, 0, false), cases[i].waits);
        assert_int_equal(job_history_state(code, 5000, false), cases[i].due);
    }
    assert_int_equal(job_history_state(0, 0, true), JOB_BLOCKED);
    assert_int_equal(job_history_state('W', 0, true), JOB_BLOCKED);
}

static void
test_states_have_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_SCHEDULED), "scheduled");
    assert_string_equal(job_state_name(JOB_QUARANTINED), "quarantined");
    assert_true(job_state_ended(JOB_SUCCEEDED));
    assert_true(job_state_ended(JOB_QUARANTINED));
    assert_false(job_state_ended(JOB_RETRYING));
    assert_string_equal(job_outcome_name(OUTCOME_LOST), "lost");
    assert_string_equal(job_outcome_name('?'), "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_record_is_short),
        cmocka_unit_test(test_every_option_survives),
        cmocka_unit_test(test_refuses_damaged_records),
        cmocka_unit_test(test_same_looks_past_the_creation_time),
        cmocka_unit_test(test_same_looks_past_the_origin),
        cmocka_unit_test(test_spec_ranges_name_their_field),
        cmocka_unit_test(test_reads_a_history),
        cmocka_unit_test(test_refuses_damaged_states),
        cmocka_unit_test(test_a_code_is_a_state),
        cmocka_unit_test(test_states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
