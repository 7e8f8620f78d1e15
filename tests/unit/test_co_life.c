/* The life of coroutines: how they begin and end, how many there may be, and
 * what a switch keeps of them. Nothing is asserted inside a coroutine: it only
 * notes what it saw. */
#include "async/co/co.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/co/annotate.h"
#include "harness/co_fixture.h"

/* ---- life ---- */

struct life {
    struct loop *loop;
    int step;
    struct co *co;
    int ended;
    enum status status;
    struct co *running_at_end;
    bool by_itself; /* on_end came before co_spawn() returned */
};

static enum status
quick(struct co *co, void *arg)
{
    struct life *life = arg;

    life->co = co;
    life->step++;
    return co_running() == co && co_loop(co) == life->loop &&
                   strcmp(co_name(co), "quick") == 0
               ? ST_CONFLICT
               : ST_BUG;
}

static void
note_end(void *arg, enum status status)
{
    struct life *life = arg;

    life->ended++;
    life->status = status;
    life->running_at_end = co_running();
}

static void
test_runs_at_once_and_ends(void **state)
{
    struct life life = {.loop = *state};

    assert_null(co_running());
    assert_int_equal(co_spawn(*state, "quick", quick, &life, note_end), ST_OK);
    assert_int_equal(life.step, 1);
    assert_int_equal(life.ended, 1);
    assert_int_equal(life.status, ST_CONFLICT);
    assert_null(life.running_at_end);
    assert_null(co_running());
    assert_int_equal(co_count(*state), 0);
    assert_int_equal(co_run(*state, "quick", quick, &life), ST_CONFLICT);
}

static enum status
parent(struct co *co, void *arg)
{
    struct life *life = arg;
    enum status status = co_spawn(co_loop(co), "quick", quick, life, note_end);

    life->by_itself = life->ended > 0;
    return co_running() == co ? status : ST_BUG;
}

static void
test_a_child_ends_on_the_loops_stack(void **state)
{
    struct life life = {.loop = *state};

    assert_int_equal(co_run(*state, "parent", parent, &life), ST_OK);
    assert_int_equal(life.step, 1);
    assert_false(life.by_itself);
    loop_turn(*state, 0);
    assert_int_equal(life.ended, 1);
    assert_null(life.running_at_end);
    assert_int_equal(co_count(*state), 0);
}

static enum status
wait_manual(struct co *co, void *arg)
{
    return co_await(co, &((struct manual *)arg)->op);
}

static void
test_the_cap_is_a_limit(void **state)
{
    const struct loop_options options = {.coroutines_max = 2};
    struct loop *loop = loop_new(&options);
    struct manual ops[3];
    struct life ends = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        manual_init(&ops[i], loop);
        assert_int_equal(co_spawn(loop, "one", wait_manual, &ops[i], NULL),
                         i < 2 ? ST_OK : ST_LIMIT);
    }
    assert_int_equal(co_run(loop, "run", wait_manual, &ops[2]), ST_LIMIT);
    op_settle(&ops[0].op, ST_OK);
    loop_turn(loop, 0);
    assert_int_equal(co_count(loop), 1);
    assert_int_equal(co_spawn(loop, "one", wait_manual, &ops[2], NULL), ST_OK);
    op_settle(&ops[1].op, ST_OK);
    op_settle(&ops[2].op, ST_OK);
    loop_turn(loop, 0);
    assert_int_equal(co_count(loop), 0);
    assert_int_equal(ends.ended, 0);
    loop_free(loop);
}

/* ---- ops with callbacks ---- */

static int called;

static void
count_call(struct op *op)
{
    called += op->settled && op->arg == &called;
}

static void
test_a_callback_comes_from_the_ready_pass(void **state)
{
    struct manual m = {0};

    called = 0;
    op_init(&m.op, *state, &manual_class, count_call, &called);
    op_settle(&m.op, ST_OK);
    assert_int_equal(called, 0);
    loop_turn(*state, 0);
    assert_int_equal(called, 1);

    op_init(&m.op, *state, &manual_class, count_call, &called);
    op_cancel(&m.op);
    op_cancel(&m.op);
    assert_int_equal(m.op.status, ST_CANCELLED);
    assert_int_equal(m.cancelled, 1);
    op_init(&m.op, *state, &manual_class, count_call, &called);
    op_settle(&m.op, ST_OK);
    op_cancel(&m.op); /* too late to cancel, not to keep it from calling */
    loop_turn(*state, 0);
    assert_int_equal(called, 1);
    assert_int_equal(m.op.status, ST_OK);
}

/* ---- many ---- */

/* Each fiber is a thread to TSan, which has 8,000 of them. */
#ifdef ANNOTATE_TSAN
enum { MANY = 2000 };
#else
enum { MANY = 10000 };
#endif

static int awake;

static enum status
long_sleeper(struct co *co, void *arg)
{
    (void)arg;
    enum status status = co_sleep(co, 200);
    awake += status == ST_OK;
    return status;
}

static void
test_ten_thousand_sleep_at_once(void **state)
{
    const struct loop_options options = {.coroutines_max = MANY};
    struct loop *loop = loop_new(&options);

    (void)state;
    for (int round = 0; round < 2; round++) {
        awake = 0;
        for (int i = 0; i < MANY; i++)
            assert_int_equal(co_spawn(loop, "long", long_sleeper, NULL, NULL),
                             ST_OK);
        assert_int_equal(co_count(loop), MANY);
        co_fixture_wait_ended(loop);
        assert_int_equal(awake, MANY);
    }
    loop_free(loop);
}

/* ---- state that a switch must keep ---- */

static enum status
floats(struct co *co, void *arg)
{
    double sum = 0, want = 0;
    volatile double step = *(int *)arg;

    for (int i = 0; i < 50; i++) {
        double a = step * i, b = step / (i + 1), c = a - b, d = a * b;
        enum status status = co_yield(co);
        if (status != ST_OK)
            return status;
        sum += a + b + c + d;
        want += step * i + step / (i + 1) + (step * i - step / (i + 1)) +
                step * i * (step / (i + 1));
    }
    return sum == want ? ST_OK : ST_BUG;
}

/* Six numbers that are all needed after each switch, so that a compiler keeps
 * them in the registers that a function has to preserve. Without @co it does
 * the same without switching. */
static uint64_t
mix(struct co *co, uint64_t seed)
{
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11,
             f = seed * 13;

    for (int i = 0; i < 40; i++) {
        if (co && co_yield(co) != ST_OK)
            return 0;
        a = a * 31 + b;
        b ^= c + (uint64_t)i;
        c = c * 17 + d;
        d ^= e << 1;
        e += f * 3;
        f ^= a;
    }
    return a ^ b ^ c ^ d ^ e ^ f;
}

static enum status
integers(struct co *co, void *arg)
{
    uint64_t seed = (uint64_t) * (int *)arg;

    return mix(co, seed) == mix(NULL, seed) ? ST_OK : ST_BUG;
}

static int failed;

static void
count_failure(void *arg, enum status status)
{
    (void)arg;
    failed += status != ST_OK;
}

static void
test_registers_survive(void **state)
{
    static int steps[20];

    failed = 0;
    for (int i = 0; i < 20; i++) {
        steps[i] = i + 1;
        assert_int_equal(
            co_spawn(*state, "floats", floats, &steps[i], count_failure),
            ST_OK);
        assert_int_equal(
            co_spawn(*state, "integers", integers, &steps[i], count_failure),
            ST_OK);
    }
    co_fixture_wait_ended(*state);
    assert_int_equal(failed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(test_runs_at_once_and_ends),
        CO_TEST(test_a_child_ends_on_the_loops_stack),
        CO_TEST(test_the_cap_is_a_limit),
        CO_TEST(test_a_callback_comes_from_the_ready_pass),
        CO_TEST(test_ten_thousand_sleep_at_once),
        CO_TEST(test_registers_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
