#include "harness/co_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

int
co_fixture_set_up(void **state)
{
    *state = loop_new(NULL);
    return 0;
}

int
co_fixture_tear_down(void **state)
{
    loop_free(*state);
    return 0;
}

static void
manual_cancel(struct op *op)
{
    LIST_ENTRY(op, struct manual, op)->cancelled++;
}

const struct op_class manual_class = {"manual", manual_cancel};

void
manual_init(struct manual *m, struct loop *loop)
{
    m->cancelled = 0;
    op_init(&m->op, loop, &manual_class, NULL, NULL);
}

void
co_fixture_wait_ended(struct loop *loop)
{
    int64_t end = clock_mono_ms() + 20000;

    while (co_count(loop) > 0 && clock_mono_ms() < end)
        loop_turn(loop, 100);
    assert_int_equal(co_count(loop), 0);
}
