/* Smooth weighted round robin, by its sequences. */
#include "weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_is_smooth(void **state)
{
    struct weight weights[] = {{.weight = 5, .eligible = true},
                               {.weight = 1, .eligible = true},
                               {.weight = 1, .eligible = true}};
    static const size_t want[] = {0, 0, 1, 0, 2, 0, 0};

    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < 7; i++)
            assert_int_equal(weights_next(weights, 3), want[i]);
}

static void
test_none_eligible(void **state)
{
    struct weight weights[] = {{.weight = 5}, {.weight = 1}};

    (void)state;
    assert_int_equal(weights_next(weights, 2), 2);
    assert_int_equal(weights_next(weights, 0), 0);
}

static void
test_nobody_starves(void **state)
{
    struct weight weights[] = {{.weight = 1000, .eligible = true},
                               {.weight = 1, .eligible = true}};
    int small = 0;

    (void)state;
    for (int i = 0; i < 1001; i++)
        small += weights_next(weights, 2) == 1;
    assert_int_equal(small, 1);
}

static void
test_the_absent_gain_nothing(void **state)
{
    struct weight weights[] = {{.weight = 1, .eligible = true},
                               {.weight = 1, .eligible = false}};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(weights_next(weights, 2), 0);
    weights[1].eligible = true;
    size_t first = weights_next(weights, 2);
    assert_int_not_equal(weights_next(weights, 2), first);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_smooth),
        cmocka_unit_test(test_none_eligible),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_the_absent_gain_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
