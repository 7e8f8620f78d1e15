/* All and any: awaits of several ops at once. */
#include "async/co/co.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/co_fixture.h"

struct several {
    struct manual ops[3];
    size_t n;
    bool any;
    enum status status;
    size_t index;
};

static enum status
await_several(struct co *co, void *arg)
{
    struct several *s = arg;
    struct op *ops[] = {&s->ops[0].op, &s->ops[1].op, &s->ops[2].op};

    s->status = s->any ? co_await_any(co, ops, s->n, &s->index)
                       : co_await_all(co, ops, s->n);
    return ST_OK;
}

static void
several_init(struct several *s, struct loop *loop, bool any)
{
    *s = (struct several){.n = 3, .any = any, .index = 99};
    for (int i = 0; i < 3; i++)
        manual_init(&s->ops[i], loop);
}

static void
test_all_waits_for_all(void **state)
{
    struct several s;

    several_init(&s, *state, false);
    assert_int_equal(co_spawn(*state, "all", await_several, &s, NULL), ST_OK);
    for (int i = 2; i >= 0; i--) {
        assert_int_equal(co_count(*state), 1);
        op_settle(&s.ops[i].op, ST_OK);
        loop_turn(*state, 0);
    }
    assert_int_equal(co_count(*state), 0);
    assert_int_equal(s.status, ST_OK);

    several_init(&s, *state, false);
    s.n = 0;
    assert_int_equal(co_spawn(*state, "none", await_several, &s, NULL), ST_OK);
    assert_int_equal(s.status, ST_OK);
}

static void
test_alls_first_failure_cancels_the_rest(void **state)
{
    struct several s;

    several_init(&s, *state, false);
    assert_int_equal(co_spawn(*state, "all", await_several, &s, NULL), ST_OK);
    op_settle(&s.ops[2].op, ST_NOT_FOUND);
    op_settle(&s.ops[1].op, ST_CONFLICT);
    loop_turn(*state, 0);
    assert_int_equal(s.status, ST_NOT_FOUND);
    assert_int_equal(s.ops[0].op.status, ST_CANCELLED);
    assert_int_equal(s.ops[0].cancelled, 1);
    assert_int_equal(s.ops[1].cancelled, 0);

    several_init(&s, *state, false); /* failed before the await */
    op_settle(&s.ops[1].op, ST_CONFLICT);
    assert_int_equal(co_spawn(*state, "all", await_several, &s, NULL), ST_OK);
    assert_int_equal(s.status, ST_CONFLICT);
    assert_int_equal(s.ops[0].cancelled + s.ops[2].cancelled, 2);
}

static void
test_any_takes_the_first_whatever_it_says(void **state)
{
    struct several s;

    several_init(&s, *state, true);
    assert_int_equal(co_spawn(*state, "any", await_several, &s, NULL), ST_OK);
    op_settle(&s.ops[1].op, ST_GONE);
    op_settle(&s.ops[0].op, ST_OK);
    loop_turn(*state, 0);
    assert_int_equal(s.status, ST_GONE);
    assert_int_equal(s.index, 1);
    assert_int_equal(s.ops[2].cancelled, 1);
    assert_int_equal(s.ops[0].op.status, ST_OK);

    several_init(&s, *state, true); /* settled before the await */
    op_settle(&s.ops[2].op, ST_OK);
    assert_int_equal(co_spawn(*state, "any", await_several, &s, NULL), ST_OK);
    assert_int_equal(s.status, ST_OK);
    assert_int_equal(s.index, 2);
    assert_int_equal(s.ops[0].cancelled + s.ops[1].cancelled, 2);
}

static void
test_an_op_cancelled_by_others_wakes_its_waiter(void **state)
{
    struct several s;

    several_init(&s, *state, false);
    assert_int_equal(co_spawn(*state, "all", await_several, &s, NULL), ST_OK);
    op_cancel(&s.ops[0].op);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 0);
    assert_int_equal(s.status, ST_CANCELLED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(test_all_waits_for_all),
        CO_TEST(test_alls_first_failure_cancels_the_rest),
        CO_TEST(test_any_takes_the_first_whatever_it_says),
        CO_TEST(test_an_op_cancelled_by_others_wakes_its_waiter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
