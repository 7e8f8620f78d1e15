/* How many slots a queue asks for, by what comes, ends, waits and runs. */
#include "queue/queue_scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MINUTE_MS = 60000 };

static struct queue_scale
judge(double in, double out, int64_t waiting, int64_t running, int64_t slots)
{
    struct queue_scale scale = {
        .rates = {.enqueued_per_s = in, .ended_per_s = out},
        .waiting = waiting,
        .running = running,
        .slots = slots,
    };

    queue_scale_judge(MINUTE_MS, &scale);
    return scale;
}

static void
test_an_idle_queue_needs_none(void **state)
{
    struct queue_scale scale = judge(0, 0, 0, 0, 8);

    (void)state;
    assert_int_equal(scale.wanted, 0);
    assert_true(scale.drain_s == 0);
    assert_true(scale.attempt_s < 0);
}

static void
test_keeps_up_with_what_comes(void **state)
{
    /* 20 run, 10 end in a second: one takes 2 s; 30 come in a second. */
    struct queue_scale scale = judge(30, 10, 0, 20, 20);

    (void)state;
    assert_true(scale.attempt_s > 1.99 && scale.attempt_s < 2.01);
    assert_int_equal(scale.wanted, 60);
}

static void
test_what_waits_is_done_within_the_target(void **state)
{
    /* One takes 1 s; 600 within a minute are 10 a second more. */
    struct queue_scale scale = judge(5, 10, 600, 10, 10);

    (void)state;
    assert_int_equal(scale.wanted, 15);
    assert_true(scale.drain_s > 119 && scale.drain_s < 121);
}

static void
test_it_never_drains_when_more_comes_than_ends(void **state)
{
    (void)state;
    assert_true(judge(10, 10, 5, 1, 1).drain_s < 0);
    assert_true(judge(11, 10, 5, 1, 1).drain_s < 0);
}

static void
test_nothing_known_yet(void **state)
{
    (void)state;
    assert_int_equal(judge(100, 0, 500, 0, 0).wanted, 1); /* from zero */
    assert_int_equal(judge(100, 0, 500, 0, 8).wanted, 8); /* as it is */
    assert_int_equal(judge(0, 0, 0, 3, 8).wanted, 1);     /* they run on */
}

static void
test_workers_have_the_slots_that_are_wanted(void **state)
{
    struct queue_scale scale = {.wanted = 10, .workers = 2, .slots = 8};

    (void)state;
    assert_int_equal(queue_scale_wanted_workers(&scale, 0), 3);
    assert_int_equal(queue_scale_wanted_workers(&scale, 5), 2);
    /* Less than one each, and none at all. */
    scale.slots = 1;
    assert_int_equal(queue_scale_wanted_workers(&scale, 0), 10);
    scale.workers = scale.slots = 0;
    assert_int_equal(queue_scale_wanted_workers(&scale, 0), 10);
    scale.wanted = 0;
    assert_int_equal(queue_scale_wanted_workers(&scale, 4), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_idle_queue_needs_none),
        cmocka_unit_test(test_keeps_up_with_what_comes),
        cmocka_unit_test(test_what_waits_is_done_within_the_target),
        cmocka_unit_test(test_it_never_drains_when_more_comes_than_ends),
        cmocka_unit_test(test_nothing_known_yet),
        cmocka_unit_test(test_workers_have_the_slots_that_are_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
