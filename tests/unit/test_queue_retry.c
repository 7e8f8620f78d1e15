/* A queue's policy of retries: what is read of meta, what it fills in. */
#include "queue/queue_retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_reads_what_meta_holds(void **state)
{
    static const struct {
        const char *name, *value;
        unsigned bit;
    } good[] = {
        {"retry_max", "0", JOB_RETRY_MAX},
        {"retry_backoff", "f", JOB_RETRY_BACKOFF},
        {"retry_base", "1", JOB_RETRY_BASE},
        {"retry_cap", "315360000000", JOB_RETRY_CAP},
        {"retry_jitter", "50", JOB_RETRY_JITTER},
    };
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"retry_max", "1001"},  {"retry_max", ""},       {"retry_max", "-1"},
        {"retry_backoff", "x"}, {"retry_base", "0"},     {"retry_cap", "1 s"},
        {"retry_cap", "1e9"},   {"retry_jitter", "101"}, {"retry", "3"},
        {"len_max", "3"},
    };
    struct queue_retry retry = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(
            queue_retry_read(&retry, str_c(bad[i].name), str_c(bad[i].value)));
    assert_int_equal(retry.set, 0);
    unsigned all = 0;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(queue_retry_read(&retry, str_c(good[i].name),
                                     str_c(good[i].value)));
        assert_string_equal(queue_retry_name((enum job_retry)good[i].bit),
                            good[i].name);
        all |= good[i].bit;
        assert_int_equal(retry.set, all);
    }
    assert_int_equal(retry.retries, 0);
    assert_int_equal(retry.backoff.kind, BACKOFF_FIXED);
    assert_int_equal(retry.backoff.base_ms, 1);
    assert_int_equal(retry.backoff.cap_ms, JOB_DELAY_MAX_MS);
    assert_true(retry.backoff.jitter == 0.5);
}

static struct job_spec
filled(unsigned open, unsigned set)
{
    const struct queue_retry retry = {
        .set = set,
        .retries = 9,
        .backoff = {BACKOFF_FIXED, 5000, 7000, 0.75},
    };
    struct job_spec spec;

    job_spec_init(&spec);
    spec.retry_open = open;
    queue_retry_apply(&retry, &spec);
    assert_int_equal(spec.retry_open, 0);
    return spec;
}

static void
test_fills_in_what_is_open_and_set(void **state)
{
    (void)state;
    for (unsigned open = 0; open <= JOB_RETRY_ALL; open++)
        for (unsigned set = 0; set <= JOB_RETRY_ALL; set++) {
            struct job_spec spec = filled(open, set);
            const struct backoff *b = &spec.backoff;
            unsigned both = open & set;
            assert_int_equal(spec.retries, both & JOB_RETRY_MAX ? 9 : 3);
            assert_int_equal(b->kind, both & JOB_RETRY_BACKOFF
                                          ? BACKOFF_FIXED
                                          : BACKOFF_EXPONENTIAL);
            assert_int_equal(b->base_ms, both & JOB_RETRY_BASE ? 5000 : 2000);
            assert_int_equal(b->cap_ms, both & JOB_RETRY_CAP ? 7000 : 3600000);
            assert_true(b->jitter == (both & JOB_RETRY_JITTER ? 0.75 : 0.2));
            assert_int_equal(backoff_validate(b, NULL), ST_OK);
        }
}

/* What was left open gives way to what was not; of two that the queue sets by
 * itself, the cap. */
static void
test_cap_and_base_never_contradict(void **state)
{
    const struct queue_retry slow = {.set = JOB_RETRY_BASE,
                                     .backoff = {.base_ms = 7200000}};
    const struct queue_retry low = {.set = JOB_RETRY_CAP,
                                    .backoff = {.cap_ms = 1000}};
    struct job_spec spec;

    (void)state;
    job_spec_init(&spec);
    spec.retry_open = JOB_RETRY_ALL;
    queue_retry_apply(&slow, &spec);
    assert_int_equal(spec.backoff.cap_ms, 7200000);

    job_spec_init(&spec);
    spec.retry_open = JOB_RETRY_BASE; /* the job has a cap of its own */
    queue_retry_apply(&slow, &spec);
    assert_int_equal(spec.backoff.base_ms, 3600000);
    assert_int_equal(spec.backoff.cap_ms, 3600000);

    job_spec_init(&spec);
    spec.retry_open = JOB_RETRY_CAP; /* the job has a base of its own */
    queue_retry_apply(&low, &spec);
    assert_int_equal(spec.backoff.cap_ms, 2000);
}

/* A schedule's record says what is open; a job's says nothing. */
static void
test_a_record_keeps_what_is_open(void **state)
{
    struct job_spec spec, read;
    struct buf record;
    int64_t created_ms;

    (void)state;
    for (unsigned open = 0; open <= JOB_RETRY_ALL; open++) {
        job_spec_init(&spec);
        spec.task = STR("noop");
        spec.retry_open = open;
        buf_init(&record, 1000);
        job_encode(&spec, 0, &record);
        assert_int_equal(job_decode(buf_str(&record), &read, &created_ms, NULL),
                         ST_OK);
        assert_int_equal(read.retry_open, open);
        if (open == 0)
            assert_true(str_eq_c(buf_str(&record), "15- 0 noop\nnull"));
        if (open == (JOB_RETRY_MAX | JOB_RETRY_JITTER))
            assert_true(str_eq_c(buf_str(&record), "15- 0 noop qmj\nnull"));
        buf_clear(&record);
    }
    assert_int_equal(
        job_decode(STR("15- 0 noop qx\nnull"), &read, &created_ms, NULL),
        ST_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_meta_holds),
        cmocka_unit_test(test_fills_in_what_is_open_and_set),
        cmocka_unit_test(test_cap_and_base_never_contradict),
        cmocka_unit_test(test_a_record_keeps_what_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
