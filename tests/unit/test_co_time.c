/* Deadlines, sleep and yield. Nothing is asserted inside a coroutine: it only
 * notes what it saw. */
#include "async/co/co.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/co_fixture.h"

static enum status
nested(struct co *co, void *arg)
{
    int64_t *took_us = arg;
    int64_t began_us = clock_mono_us();

    co_deadline_ms(co, 20000);
    co_deadline_ms(co, 60000); /* does not lengthen it */
    enum status status = co_sleep(co, 1);
    if (status != ST_OK || co_deadline_left_ms(co) > 20000)
        return ST_BUG;
    co_deadline_ms(co, 10); /* shortens one that is being watched */
    status = co_sleep(co, 60000);
    *took_us = clock_mono_us() - began_us;
    co_deadline_ms(co, 60000);
    return status == ST_TIMEOUT && co_sleep(co, 0) == ST_TIMEOUT ? ST_OK
                                                                 : ST_BUG;
}

static void
test_deadlines_only_shorten(void **state)
{
    int64_t took_us = 0;

    assert_int_equal(co_run(*state, "nested", nested, &took_us), ST_OK);
    assert_true(took_us >= 11 * 1000 && took_us < 10 * 1000 * 1000);
}

static enum status
past(struct co *co, void *arg)
{
    (void)arg;
    co_deadline_ms(co, 0);
    return co_yield(co);
}

static void
test_a_deadline_of_nothing_has_passed(void **state)
{
    assert_int_equal(co_run(*state, "past", past, NULL), ST_TIMEOUT);
}

static enum status
sleeper(struct co *co, void *arg)
{
    int64_t *early_us = arg;
    const int64_t ms[] = {0, 1, 2, 5, 10, 3};

    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
        int64_t began_us = clock_mono_us();
        enum status status = co_sleep(co, ms[i]);
        if (status != ST_OK)
            return status;
        if (clock_mono_us() - began_us < ms[i] * 1000)
            ++*early_us;
    }
    return ST_OK;
}

static void
test_sleep_is_never_early(void **state)
{
    int64_t early = 0;

    for (int i = 0; i < 100; i++)
        assert_int_equal(co_spawn(*state, "sleeper", sleeper, &early, NULL),
                         ST_OK);
    co_fixture_wait_ended(*state);
    assert_int_equal(early, 0);
}

static char turns[16];

static enum status
yielder(struct co *co, void *arg)
{
    const char *name = arg;

    for (int i = 0; i < 3; i++) {
        turns[strlen(turns)] = *name;
        enum status status = co_yield(co);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static void
test_yield_lets_the_others_run(void **state)
{
    static char a[] = "a", b[] = "b";

    memset(turns, 0, sizeof turns);
    assert_int_equal(co_spawn(*state, "a", yielder, a, NULL), ST_OK);
    assert_int_equal(co_spawn(*state, "b", yielder, b, NULL), ST_OK);
    assert_string_equal(turns, "ab");
    loop_turn(*state, -1); /* one turn, one round */
    assert_string_equal(turns, "abab");
    co_fixture_wait_ended(*state);
    assert_string_equal(turns, "ababab");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(test_deadlines_only_shorten),
        CO_TEST(test_a_deadline_of_nothing_has_passed),
        CO_TEST(test_sleep_is_never_early),
        CO_TEST(test_yield_lets_the_others_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
