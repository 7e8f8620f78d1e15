/* What a process knows of Redis' clock, over a connection that comes and goes.
 */
#include "queue/queue_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/rds_fixture.h"
#include "queue/queue_private.h"

enum { HOUR_MS = 3600000, MOST_MS = 5000 };
#define SHOWN_MS INT64_C(1700000000000)

static struct rds_fixture fx;
static struct queues queues;
static int64_t now_ms; /* by the monotonic clock */

/* The connection is up since a moment ago. */
static void
begin(const struct fake_redis_step *steps)
{
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_up(&fx);
    queues = (struct queues){.rds = fx.rds};
    now_ms = clock_mono_ms() + 1000;
}

static const struct fake_redis_step quiet[] = {
    {FAKE_ACCEPT, NULL, 0},
    {FAKE_EXPECT, "PING", 0},
    {FAKE_SEND, "+PONG\r\n", 0},
    {FAKE_END, NULL, 0},
};

static void
test_time_that_passes_is_expected(void **state)
{
    (void)state;
    begin(quiet);
    assert_int_equal(queue_clock_expected(&queues, now_ms), 0);
    assert_false(queue_clock_heard(&queues, SHOWN_MS, now_ms, MOST_MS));
    assert_int_equal(queue_clock_expected(&queues, now_ms + 70000),
                     SHOWN_MS + 70000);
    assert_false(
        queue_clock_heard(&queues, SHOWN_MS + 70200, now_ms + 70000, MOST_MS));
    queue_clock_note(&queues, SHOWN_MS + 71000, now_ms + 71000);
    assert_false(queue_clock_noted_off(&queues));
    rds_fixture_end(&fx);
}

static void
check_step(int64_t by_ms)
{
    begin(quiet);
    assert_false(queue_clock_heard(&queues, SHOWN_MS, now_ms, MOST_MS));
    now_ms += 1000;
    queue_clock_note(&queues, SHOWN_MS + 1000 + by_ms, now_ms);
    assert_true(queue_clock_noted_off(&queues));
    assert_false(queue_clock_noted_off(&queues));
    assert_true(
        queue_clock_heard(&queues, SHOWN_MS + 1000 + by_ms, now_ms, MOST_MS));
    /* The other queues are to find it out as well, and then no more. */
    assert_int_equal(queue_clock_expected(&queues, now_ms + 10),
                     SHOWN_MS + 1010);
    assert_int_equal(queue_clock_expected(&queues, now_ms + 60000),
                     SHOWN_MS + 61000 + by_ms);
    assert_false(queue_clock_heard(&queues, SHOWN_MS + 1010 + by_ms,
                                   now_ms + 10, MOST_MS));
    rds_fixture_end(&fx);
}

static void
test_a_step_is_told_to_all(void **state)
{
    (void)state;
    check_step(HOUR_MS);
    check_step(-HOUR_MS);
    check_step(MOST_MS + 1);
}

static void
test_time_without_a_connection_does_not_count(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},      {FAKE_EXPECT, "PING", 0},
        {FAKE_SEND, "+PONG\r\n", 0}, {FAKE_WAIT, NULL, 0},
        {FAKE_CLOSE, NULL, 0},       {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "PING", 0},    {FAKE_SEND, "+PONG\r\n", 0},
        {FAKE_END, NULL, 0},
    };

    (void)state;
    begin(steps);
    int64_t heard_ms = clock_mono_ms() - HOUR_MS; /* long before the loss */
    assert_false(queue_clock_heard(&queues, SHOWN_MS, heard_ms, MOST_MS));
    fake_redis_go(fx.fake);
    rds_fixture_wait_down(&fx);
    assert_int_equal(queue_clock_expected(&queues, clock_mono_ms()), SHOWN_MS);
    rds_fixture_wait_up(&fx);
    int64_t up_ms = clock_mono_ms();
    assert_in_range(queue_clock_expected(&queues, up_ms + 100) - SHOWN_MS, 100,
                    100 + FIXTURE_DEADLINE_MS);
    assert_true(queue_clock_heard(&queues, SHOWN_MS + HOUR_MS, up_ms, MOST_MS));
    rds_fixture_end(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_that_passes_is_expected),
        cmocka_unit_test(test_a_step_is_told_to_all),
        cmocka_unit_test(test_time_without_a_connection_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
