/* Coroutines: every await, ended by itself, by cancelling and by a deadline.
 * Nothing is asserted inside a coroutine: it only notes what it saw. */
#include "async/co/co.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/co/annotate.h"
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

/* ---- an op that the test settles ---- */

struct manual {
    struct op op;
    int cancelled;
};

static void
manual_cancel(struct op *op)
{
    LIST_ENTRY(op, struct manual, op)->cancelled++;
}

static const struct op_class manual_class = {"manual", manual_cancel};

static void
manual_init(struct manual *m, struct loop *loop)
{
    m->cancelled = 0;
    op_init(&m->op, loop, &manual_class, NULL, NULL);
}

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
turn_until_ended(struct loop *loop)
{
    int64_t end = clock_mono_ms() + 20000;

    while (co_count(loop) > 0 && clock_mono_ms() < end)
        loop_turn(loop, 100);
    assert_int_equal(co_count(loop), 0);
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
        turn_until_ended(*state);
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
        turn_until_ended(*state);
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
        turn_until_ended(*state);
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
    turn_until_ended(*state);
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

/* ---- all and any ---- */

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

/* ---- deadlines, sleep, yield ---- */

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
    turn_until_ended(*state);
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
    turn_until_ended(*state);
    assert_string_equal(turns, "ababab");
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
        turn_until_ended(loop);
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
    turn_until_ended(*state);
    assert_int_equal(failed, 0);
}

/* ---- watching ---- */

static enum status
busy(struct co *co, void *arg)
{
    int64_t end_us = clock_mono_us() + *(const int64_t *)arg * 1000;

    (void)co;
    while (clock_mono_us() < end_us)
        ;
    return ST_OK;
}

/* What @fn writes to standard error. */
static void
capture(void (*fn)(struct loop *loop), struct loop *loop, char *text,
        size_t size)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    fn(loop);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void
block_twice(struct loop *loop)
{
    static int64_t short_ms = 1, long_ms = 500;

    if (co_run(loop, "innocent", busy, &short_ms) != ST_OK ||
        co_run(loop, "burner", busy, &long_ms) != ST_OK)
        abort();
}

static void
test_the_watchdog_names_who_blocked(void **state)
{
    /* Far from both, since a busy machine can stop us for a while. */
    const struct loop_options options = {.stall_warn_ms = 400};
    struct loop *loop = loop_new(&options);
    char text[4096];

    (void)state;
    capture(block_twice, loop, text, sizeof text);
    loop_free(loop);
    const char *says = strstr(text, "view/coroutine burner blocked the loop");
    assert_non_null(says);
    assert_true(strtol(strstr(says, "for ") + 4, NULL, 10) >= 500);
    assert_non_null(strstr(says, " ms: use a sync view, a thread or a job\n"));
    assert_null(strstr(text, "innocent"));
    assert_null(strstr(text, "a turn of the loop"));
}

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
    turn_until_ended(*state);
}

/* ---- the guard ---- */

static volatile char sink;

/* Not a tail call, and no frame that could be skipped over the guard. */
static int
recurse(int n)
{
    volatile char frame[1024];

    frame[n % 1024] = (char)n;
    sink = frame[0];
    return n == 0 ? 0 : recurse(n - 1) + frame[n % 1024];
}

static enum status
overflow(struct co *co, void *arg)
{
    (void)arg;
    return co_sleep(co, 1) == ST_OK && recurse(100000) == 42 ? ST_OK : ST_BUG;
}

/* A program of its own, since cmocka has a handler for SIGSEGV. */
static int
overflow_main(void)
{
    struct loop *loop = loop_new(NULL);
    enum status status = co_run(loop, "greedy", overflow, NULL);

    loop_free(loop);
    return status == ST_OK;
}

static void
overflow_in_a_child(struct loop *loop)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int wait_status;

    (void)loop;
    if (n < 0)
        abort();
    self[n] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, "test_co", "overflow", (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &wait_status, 0) != pid)
        abort();
    if (WIFSIGNALED(wait_status))
        dprintf(STDERR_FILENO, "\nsignal %d\n", WTERMSIG(wait_status));
}

static void
test_an_overflow_dies_with_its_name(void **state)
{
    static char text[65536];

    capture(overflow_in_a_child, *state, text, sizeof text);
    assert_non_null(strstr(text, "view/coroutine greedy overflowed its stack "
                                 "of 131072 bytes"));
#ifdef ANNOTATE_ASAN
    assert_non_null(strstr(text, "stack-overflow"));
#elif !defined(ANNOTATE_TSAN)
    assert_non_null(strstr(text, "\nsignal 11\n"));
#endif
}

int
main(int argc, char **argv)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_runs_at_once_and_ends),
        TEST(test_a_child_ends_on_the_loops_stack),
        TEST(test_the_cap_is_a_limit),
        TEST(test_a_callback_comes_from_the_ready_pass),
        TEST(test_every_await_ends_by_itself),
        TEST(test_every_await_ends_by_cancelling),
        TEST(test_every_await_ends_by_its_deadline),
        TEST(test_no_await_suspends_once_cancelled),
        TEST(test_cancelling_gives_up_what_is_under_way),
        TEST(test_a_kept_op_is_not_given_up),
        TEST(test_all_waits_for_all),
        TEST(test_alls_first_failure_cancels_the_rest),
        TEST(test_any_takes_the_first_whatever_it_says),
        TEST(test_an_op_cancelled_by_others_wakes_its_waiter),
        TEST(test_deadlines_only_shorten),
        TEST(test_a_deadline_of_nothing_has_passed),
        TEST(test_sleep_is_never_early),
        TEST(test_yield_lets_the_others_run),
        TEST(test_ten_thousand_sleep_at_once),
        TEST(test_registers_survive),
        TEST(test_the_watchdog_names_who_blocked),
        TEST(test_a_dump_says_who_waits_for_what),
        TEST(test_an_overflow_dies_with_its_name),
    };

    if (argc == 2 && strcmp(argv[1], "overflow") == 0)
        return overflow_main();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
