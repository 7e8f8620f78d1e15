/* co_fixture.h - a loop for each test of coroutines, and ops that the test
 * settles.
 *
 * A test's *state is its struct loop. */
#ifndef HARNESS_CO_FIXTURE_H
#define HARNESS_CO_FIXTURE_H

#include "async/co/co.h"

int co_fixture_set_up(void **state);
int co_fixture_tear_down(void **state);

/* A row of cmocka's table: a test with a loop of its own. */
#define CO_TEST(fn) \
    cmocka_unit_test_setup_teardown(fn, co_fixture_set_up, co_fixture_tear_down)

/* An op that nothing but the test settles; to a dump it is "manual". */
struct manual {
    struct op op;
    int cancelled; /* calls of its class' cancel */
};

/* Before each use. No callback: it is to be awaited. */
void manual_init(struct manual *m, struct loop *loop);
/* What op_init() takes, for one with a callback. */
extern const struct op_class manual_class;

/* Turns @loop until no coroutine is left; fails the test after 20 s. Outside of
 * coroutines only. */
void co_fixture_wait_ended(struct loop *loop);

#endif
