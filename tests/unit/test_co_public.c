/* What an application awaits: pit_await_all(), threads and detached work,
 * through the public header. Nothing is asserted inside a coroutine. */
#include "app/public/co_public.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static int
set_up(void **state)
{
    *state = loop_new(NULL);
    return 0;
}

static int
tear_down(void **state)
{
    loop_free(*state);
    return 0;
}

struct part {
    int64_t ms;
    enum pit_status result; /* of the part itself */
    enum pit_status slept;
    int64_t left_ms; /* of its deadline, at the start */
    int ended;
};

static enum pit_status
part(struct pit_co *co, void *arg)
{
    struct part *p = arg;

    p->left_ms = co_deadline_left_ms(co_public_core(co));
    p->slept = pit_sleep(co, p->ms);
    p->ended++;
    return p->slept != PIT_OK ? p->slept : p->result;
}

struct view {
    struct part parts[8];
    enum pit_status status;
    int64_t deadline_ms;
    int64_t took_us;
    struct co *co;
    int n;
};

static enum status
view(struct co *core, void *arg)
{
    struct view *v = arg;
    struct pit_co *co = co_public_of(core);
    struct part *p = v->parts;
    int64_t began_us = clock_mono_us();

    v->co = core;
    if (v->deadline_ms)
        pit_deadline(co, v->deadline_ms);
    if (v->n == 8)
        v->status = pit_await_all(co, part, &p[0], part, &p[1], part, &p[2],
                                  part, &p[3], part, &p[4], part, &p[5], part,
                                  &p[6], part, &p[7]);
    else if (v->n == 2)
        v->status = pit_await_all(co, part, &p[0], part, &p[1]);
    else
        v->status = pit_await_all(co, part, &p[0]);
    v->took_us = clock_mono_us() - began_us;
    return ST_OK;
}

static void
test_all_run_at_the_same_time(void **state)
{
    struct view v = {.n = 8};

    for (int i = 0; i < 8; i++)
        v.parts[i].ms = 200 + i;
    v.parts[3].ms = 0;
    assert_int_equal(co_run(*state, "view", view, &v), ST_OK);
    assert_int_equal(v.status, PIT_OK);
    assert_true(v.took_us >= 207 * 1000 && v.took_us < 7 * 200 * 1000);
    for (int i = 0; i < 8; i++)
        assert_int_equal(v.parts[i].ended, 1);

    v = (struct view){.n = 1, .parts = {{.result = PIT_GONE}}};
    assert_int_equal(co_run(*state, "view", view, &v), ST_OK);
    assert_int_equal(v.status, PIT_GONE);
}

static void
test_the_first_failure_cancels_the_others(void **state)
{
    struct view v = {.n = 2,
                     .parts = {{.ms = 60000}, {.ms = 5, .result = PIT_FAILED}}};

    assert_int_equal(co_run(*state, "view", view, &v), ST_OK);
    assert_int_equal(v.status, PIT_FAILED);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);
    assert_int_equal(v.parts[0].ended, 1);
}

static void
test_children_share_the_deadline(void **state)
{
    struct view v = {
        .n = 2, .deadline_ms = 10, .parts = {{.ms = 60000}, {.ms = 60000}}};

    assert_int_equal(co_run(*state, "view", view, &v), ST_OK);
    assert_int_equal(v.status, PIT_TIMEOUT);
    assert_int_equal(v.parts[0].ended + v.parts[1].ended, 2);
    assert_true(v.parts[0].left_ms >= 0 && v.parts[0].left_ms <= 10);
    assert_true(v.parts[0].slept == PIT_TIMEOUT ||
                v.parts[0].slept == PIT_CANCELLED);
}

static void
test_a_cancelled_parent_takes_its_children_along(void **state)
{
    struct view v = {.n = 2, .parts = {{.ms = 60000}, {.ms = 60000}}};

    assert_int_equal(co_spawn(*state, "view", view, &v, NULL), ST_OK);
    assert_int_equal(co_count(*state), 3);
    co_cancel(v.co, ST_CANCELLED);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 0);
    assert_int_equal(v.status, PIT_CANCELLED);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);
    assert_int_equal(v.parts[1].ended, 1);
}

static void
test_too_many_children_are_a_limit(void **state)
{
    const struct loop_options options = {.coroutines_max = 2};
    struct loop *loop = loop_new(&options);
    struct view v = {.n = 2, .parts = {{.ms = 60000}, {.ms = 60000}}};

    (void)state;
    assert_int_equal(co_run(loop, "view", view, &v), ST_OK);
    assert_int_equal(v.status, PIT_LIMIT);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);
    assert_int_equal(v.parts[1].ended, 0);
    loop_free(loop);
}

/* ---- any ---- */

static enum status
any_view(struct co *core, void *arg)
{
    struct view *v = arg;
    struct pit_co *co = co_public_of(core);
    size_t index = 99;

    v->co = core;
    if (v->deadline_ms)
        pit_deadline(co, v->deadline_ms);
    if (v->n == 3)
        v->status = pit_await_any(co, &index, part, &v->parts[0], part,
                                  &v->parts[1], part, &v->parts[2]);
    else
        v->status = pit_await_any(co, NULL, part, &v->parts[0]);
    v->n = (int)index;
    return ST_OK;
}

static void
test_the_first_to_end_decides(void **state)
{
    struct view v = {
        .n = 3,
        .parts = {{.ms = 60000}, {.ms = 5, .result = PIT_GONE}, {.ms = 60000}}};

    assert_int_equal(co_run(*state, "view", any_view, &v), ST_OK);
    assert_int_equal(v.status, PIT_GONE); /* a failure ends it too */
    assert_int_equal(v.n, 1);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);
    assert_int_equal(v.parts[2].slept, PIT_CANCELLED);
    assert_int_equal(v.parts[0].ended + v.parts[2].ended, 2);

    v = (struct view){.n = 1, .parts = {{.ms = 1}}};
    assert_int_equal(co_run(*state, "view", any_view, &v), ST_OK);
    assert_int_equal(v.status, PIT_OK);
}

static void
test_nobody_decides_after_the_end(void **state)
{
    const struct loop_options options = {.coroutines_max = 2};
    struct view v = {.n = 3,
                     .deadline_ms = 10,
                     .parts = {{.ms = 60000}, {.ms = 60000}, {.ms = 60000}}};

    assert_int_equal(co_run(*state, "view", any_view, &v), ST_OK);
    assert_int_equal(v.status, PIT_TIMEOUT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(v.parts[i].ended, 1);

    v = (struct view){.n = 3, .parts = {{.ms = 60000}, {.ms = 60000}}};
    assert_int_equal(co_spawn(*state, "view", any_view, &v, NULL), ST_OK);
    co_cancel(v.co, ST_CANCELLED);
    loop_turn(*state, 0);
    assert_int_equal(co_count(*state), 0);
    assert_int_equal(v.status, PIT_CANCELLED);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);

    struct loop *small = loop_new(&options);
    v = (struct view){.n = 3, .parts = {{.ms = 60000}}};
    assert_int_equal(co_run(small, "view", any_view, &v), ST_OK);
    assert_int_equal(v.status, PIT_LIMIT);
    assert_int_equal(v.n, 99);
    assert_int_equal(v.parts[0].slept, PIT_CANCELLED);
    loop_free(small);
}

/* ---- threads ---- */

static enum pit_status
add_one(void *arg)
{
    ++*(int *)arg;
    return PIT_NOT_FOUND;
}

static enum status
on_threads(struct co *co, void *arg)
{
    int lent = 1, *taken = calloc(1, sizeof *taken);
    enum pit_status *statuses = arg;

    statuses[0] = pit_await_thread(co_public_of(co), add_one, &lent);
    statuses[1] = pit_await_thread_take(co_public_of(co), add_one, taken, free);
    return lent == 2 ? ST_OK : ST_BUG;
}

static void
test_threads_for_the_application(void **state)
{
    enum pit_status statuses[2] = {PIT_OK, PIT_OK};

    assert_int_equal(co_run(*state, "view", on_threads, statuses), ST_OK);
    assert_int_equal(statuses[0], PIT_NOT_FOUND);
    assert_int_equal(statuses[1], PIT_NOT_FOUND);
}

/* ---- detached ---- */

struct detaching {
    struct part part;
    enum pit_status status;
    int freed;
};

static void
count_free(void *arg)
{
    LIST_ENTRY(arg, struct detaching, part)->freed++;
}

static enum status
detaching(struct co *co, void *arg)
{
    struct detaching *d = arg;
    char name[] = "after";

    d->status =
        pit_detach_take(co_public_of(co), name, part, &d->part, count_free);
    name[0] = 'X'; /* it was copied */
    return ST_OK;
}

static void
test_detached_work_goes_on_and_is_drained(void **state)
{
    struct detaching d = {.part.ms = 20};

    assert_int_equal(co_run(*state, "view", detaching, &d), ST_OK);
    assert_int_equal(d.status, PIT_OK);
    assert_int_equal(co_detached(*state), 1);
    assert_int_equal(d.part.ended, 0);
    assert_int_equal(co_drain(*state, 20000), 0);
    assert_int_equal(d.part.slept, PIT_OK);
    assert_int_equal(d.freed, 1);
    assert_int_equal(co_detached(*state) + co_count(*state), 0);
}

struct copied {
    int value;
    int *ret; /* where to, when it has slept */
};

static enum pit_status
late(struct pit_co *co, void *arg)
{
    const struct copied *copied = arg;
    enum pit_status st = pit_sleep(co, 20);

    *copied->ret = copied->value;
    return st;
}

static enum status
detaching_a_copy(struct co *co, void *arg)
{
    struct copied copied = {.value = 7, .ret = arg};

    enum pit_status st =
        pit_detach_copy(co_public_of(co), "late", late, &copied, sizeof copied);
    copied.value = 8; /* too late to be seen */
    return (enum status)st;
}

static void
test_a_detached_copy(void **state)
{
    int seen = 0;

    assert_int_equal(co_run(*state, "view", detaching_a_copy, &seen), ST_OK);
    assert_int_equal(seen, 0);
    assert_int_equal(co_drain(*state, 20000), 0);
    assert_int_equal(seen, 7);
}

static enum status
detaching_a_thread(struct co *co, void *arg)
{
    return (enum status)pit_detach_thread(co_public_of(co), "count", add_one,
                                          arg);
}

static void
test_a_detached_thread(void **state)
{
    int value = 1;

    assert_int_equal(co_run(*state, "view", detaching_a_thread, &value), ST_OK);
    assert_int_equal(co_detached(*state), 1);
    assert_int_equal(co_drain(*state, 20000), 0);
    assert_int_equal(value, 2);
}

static void
test_a_drain_cancels_what_takes_too_long(void **state)
{
    struct detaching d = {.part.ms = 60000};

    assert_int_equal(co_run(*state, "view", detaching, &d), ST_OK);
    assert_int_equal(co_drain(*state, 10), 1);
    assert_int_equal(d.part.slept, PIT_CANCELLED);
    assert_int_equal(d.freed, 1);
    assert_int_equal(co_drain(*state, 10), 0);
}

static void
test_detached_work_has_a_cap(void **state)
{
    const struct loop_options options = {.detached_max = 1};
    struct loop *loop = loop_new(&options);
    struct detaching d[2] = {{.part.ms = 60000}, {.part.ms = 60000}};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(co_run(loop, "view", detaching, &d[i]), ST_OK);
    assert_int_equal(d[0].status, PIT_OK);
    assert_int_equal(d[1].status, PIT_LIMIT);
    assert_int_equal(d[1].freed, 1);
    assert_int_equal(co_drain(loop, 0), 1);
    loop_free(loop);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_all_run_at_the_same_time),
        TEST(test_the_first_failure_cancels_the_others),
        TEST(test_children_share_the_deadline),
        TEST(test_a_cancelled_parent_takes_its_children_along),
        TEST(test_too_many_children_are_a_limit),
        TEST(test_the_first_to_end_decides),
        TEST(test_nobody_decides_after_the_end),
        TEST(test_threads_for_the_application),
        TEST(test_detached_work_goes_on_and_is_drained),
        TEST(test_a_drain_cancels_what_takes_too_long),
        TEST(test_a_detached_copy),
        TEST(test_a_detached_thread),
        TEST(test_detached_work_has_a_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
