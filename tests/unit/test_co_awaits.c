/* Every await, ended by itself, by cancelling and by a deadline; one whose op
 * is kept; what a dump says of them. Nothing is asserted inside a coroutine: it
 * only notes what it saw. */
#include "async/co/co.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/co_fixture.h"

/* ---- every await x itself, cancel, deadline, cancelled before ---- */

enum kind { AWAIT, AWAIT_ALL, AWAIT_ANY, SLEEP, YIELD, KINDS };

static const char *const kind_names[] = {"await", "all", "any", "sleep",
                                         "yield"};

struct awaiting {
    enum kind kind;
    struct co *co;
    struct manual ops[2];
    int64_t deadline_ms; /* 0: none */
    bool cancel_first;
    enum status first;
    enum status again; /* what a second await says */
    bool settled;      /* all ops were when the await returned */
    int64_t left_ms;
};

static enum status
await_kind(struct co *co, struct awaiting *a)
{
    struct op *ops[] = {&a->ops[0].op, &a->ops[1].op};

    switch (a->kind) {
    case AWAIT:
        op_cancel(ops[1]);
        return co_await(co, ops[0]);
    case AWAIT_ALL:
        return co_await_all(co, ops, 2);
    case AWAIT_ANY:
        return co_await_any(co, ops, 2, NULL);
    case SLEEP:
        return co_sleep(co, a->deadline_ms || a->cancel_first ? 60000 : 5);
    default:
        return co_yield(co);
    }
}

static enum status
await_twice(struct co *co, void *arg)
{
    struct awaiting *a = arg;

    a->co = co;
    for (int i = 0; i < 2; i++)
        manual_init(&a->ops[i], co_loop(co));
    if (a->deadline_ms)
        co_deadline_ms(co, a->deadline_ms);
    if (a->cancel_first)
        co_cancel(co, ST_UNAVAILABLE);
    a->first = await_kind(co, a);
    a->settled =
        a->kind >= SLEEP || (a->ops[0].op.settled && a->ops[1].op.settled);
    if (a->kind >= SLEEP)
        for (int i = 0; i < 2; i++)
            op_cancel(&a->ops[i].op);
    for (int i = 0; i < 2; i++)
        manual_init(&a->ops[i], co_loop(co));
    a->left_ms = co_deadline_left_ms(co);
    a->again = co_cancelled(co) ? await_kind(co, a) : ST_OK;
    for (int i = 0; i < 2; i++)
        op_cancel(&a->ops[i].op);
    return ST_OK;
}

static void
test_every_await_ends_by_itself(void **state)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct awaiting a = {.kind = kind};
        assert_int_equal(
            co_spawn(*state, kind_names[kind], await_twice, &a, NULL), ST_OK);
        assert_int_equal(co_count(*state), 1);
        if (kind < SLEEP)
            for (int i = 0; i < 2; i++)
                if (!a.ops[i].op.settled)
                    op_settle(&a.ops[i].op, ST_OK);
        co_fixture_wait_ended(*state);
        assert_int_equal(a.first, ST_OK);
        assert_true(a.settled);
        assert_int_equal(a.left_ms, -1);
    }
}

static void
test_every_await_ends_by_cancelling(void **state)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct awaiting a = {.kind = kind};
        assert_int_equal(
            co_spawn(*state, kind_names[kind], await_twice, &a, NULL), ST_OK);
        co_cancel(a.co, ST_CANCELLED);
        co_cancel(a.co, ST_TIMEOUT); /* the first reason stays */
        co_fixture_wait_ended(*state);
        assert_int_equal(a.first, ST_CANCELLED);
        assert_int_equal(a.again, ST_CANCELLED);
        assert_true(a.settled);
    }
}

static void
test_every_await_ends_by_its_deadline(void **state)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct awaiting a = {.kind = kind, .deadline_ms = 10};
        int64_t began_us = clock_mono_us();
        assert_int_equal(
            co_spawn(*state, kind_names[kind], await_twice, &a, NULL), ST_OK);
        co_fixture_wait_ended(*state);
        if (kind == YIELD) /* over before the deadline, as a rule */
            continue;
        assert_true(clock_mono_us() - began_us >= 10 * 1000);
        assert_int_equal(a.first, ST_TIMEOUT);
        assert_int_equal(a.again, ST_TIMEOUT);
        assert_int_equal(a.left_ms, 0);
        assert_true(a.settled);
    }
}

static void
test_no_await_suspends_once_cancelled(void **state)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct awaiting a = {.kind = kind, .cancel_first = true};
        assert_int_equal(
            co_spawn(*state, kind_names[kind], await_twice, &a, NULL), ST_OK);
        assert_int_equal(co_count(*state), 0);
        assert_int_equal(a.first, ST_UNAVAILABLE);
        assert_int_equal(a.again, ST_UNAVAILABLE);
        assert_true(a.settled);
    }
}

static void
test_cancelling_gives_up_what_is_under_way(void **state)
{
    struct awaiting a = {.kind = AWAIT_ALL};

    assert_int_equal(co_spawn(*state, "all", await_twice, &a, NULL), ST_OK);
    op_settle(&a.ops[0].op, ST_OK);
    co_cancel(a.co, ST_CANCELLED);
    co_fixture_wait_ended(*state);
    assert_int_equal(a.first, ST_CANCELLED);
}

struct rest {
    struct manual manual;
    struct co *co;
    bool returned;
    enum status kept;
};

static enum status
wait_for_the_rest(struct co *co, void *arg)
{
    struct rest *rest = arg;

    rest->co = co;
    rest->kept = co_await_kept(co, &rest->manual.op);
    if (!rest->manual.op.settled)
        co_await_rest(co, &rest->manual.op);
    rest->returned = true;
    manual_init(&rest->manual, co_loop(co));
    co_await_rest(co, &rest->manual.op);
    return ST_OK;
}

static void
test_a_kept_op_is_not_given_up(void **state)
{
    struct rest rest = {.kept = ST_BUG};

    manual_init(&rest.manual, *state);
    assert_int_equal(co_spawn(*state, "rest", wait_for_the_rest, &rest, NULL),
                     ST_OK);
    co_cancel(rest.co, ST_CANCELLED);
    loop_turn(*state, 0);
    assert_int_equal(rest.kept, ST_CANCELLED);
    assert_false(rest.returned);
    op_settle(&rest.manual.op, ST_OK);
    loop_turn(*state, 0);
    assert_true(rest.returned);
    op_settle(&rest.manual.op, ST_OK);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 0);

    rest = (struct rest){.kept = ST_BUG}; /* cancelled while nothing ends it */
    manual_init(&rest.manual, *state);
    op_settle(&rest.manual.op, ST_OK);
    assert_int_equal(co_spawn(*state, "rest", wait_for_the_rest, &rest, NULL),
                     ST_OK);
    assert_true(rest.returned);
    co_cancel(rest.co, ST_CANCELLED);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 1);
    assert_int_equal(rest.manual.cancelled, 0);
    op_settle(&rest.manual.op, ST_OK);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 0);
}

/* ---- what a dump says of them ---- */

static void
test_a_dump_says_who_waits_for_what(void **state)
{
    struct awaiting a = {.kind = AWAIT_ALL, .deadline_ms = 60000};
    char text[1024];
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(co_spawn(*state, "dumped", await_twice, &a, NULL), ST_OK);
    op_settle(&a.ops[1].op, ST_OK);
    co_dump(*state, file);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "1 coroutines of at most 8192\n"));
    assert_non_null(
        strstr(text, "dumped: waiting for manual, manual (settled), "));
    assert_non_null(strstr(text, " ms left"));
    assert_non_null(strstr(text, ", deepest "));
    co_cancel(a.co, ST_CANCELLED);
    co_fixture_wait_ended(*state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(test_every_await_ends_by_itself),
        CO_TEST(test_every_await_ends_by_cancelling),
        CO_TEST(test_every_await_ends_by_its_deadline),
        CO_TEST(test_no_await_suspends_once_cancelled),
        CO_TEST(test_cancelling_gives_up_what_is_under_way),
        CO_TEST(test_a_kept_op_is_not_given_up),
        CO_TEST(test_a_dump_says_who_waits_for_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
