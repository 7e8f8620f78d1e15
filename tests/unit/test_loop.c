/* The loop alone: order of a turn, timers, posting from threads, signals. */
#include "async/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/timers.h"
#include "base/clock.h"

static char order[64];

static void
note(char c)
{
    size_t n = strlen(order);

    assert_true(n + 1 < sizeof order);
    order[n] = c;
    order[n + 1] = '\0';
}

static int
set_up(void **state)
{
    order[0] = '\0';
    *state = loop_new(NULL);
    return 0;
}

static int
tear_down(void **state)
{
    loop_free(*state);
    return 0;
}

/* ---- tasks and hooks ---- */

struct noting {
    struct loop_task task;
    struct loop *loop;
    struct loop_task *adds;
    char name;
};

static void
noting_cb(struct loop_task *task)
{
    struct noting *n = LIST_ENTRY(task, struct noting, task);

    note(n->name);
    if (n->adds)
        loop_ready(n->loop, n->adds);
}

static void
hook_cb(struct loop_hook *hook)
{
    (void)hook;
    note('h');
}

static void
test_tasks_run_once_then_the_hooks(void **state)
{
    struct loop *loop = *state;
    struct noting a = {.task.fn = noting_cb, .name = 'a', .loop = loop};
    struct noting b = {.task.fn = noting_cb, .name = 'b', .loop = loop};
    struct noting later = {.task.fn = noting_cb, .name = 'n', .loop = loop};
    struct loop_hook hook = {.fn = hook_cb};

    loop_hook_add(loop, &hook);
    a.adds = &b.task; /* runs in the same pass */
    loop_ready(loop, &a.task);
    loop_ready(loop, &a.task);
    loop_ready_next(loop, &later.task);
    loop_turn(loop, 1000);
    assert_string_equal(order, "anbh");
    loop_hook_remove(&hook);
    loop_turn(loop, 0);
    assert_string_equal(order, "anbh");
}

static void
test_a_task_can_be_taken_back(void **state)
{
    struct noting a = {.task.fn = noting_cb, .name = 'a'};

    loop_unready(&a.task); /* never added */
    loop_ready(*state, &a.task);
    loop_unready(&a.task);
    loop_unready(&a.task);
    loop_turn(*state, 0);
    assert_string_equal(order, "");
}

struct adding_hook {
    struct loop_hook hook;
    struct loop *loop;
    struct noting noting;
    bool added;
};

static void
adding_hook_cb(struct loop_hook *hook)
{
    struct adding_hook *h = LIST_ENTRY(hook, struct adding_hook, hook);

    note('h');
    if (!h->added)
        loop_ready(h->loop, &h->noting.task);
    h->added = true;
}

static void
test_what_a_hook_settles_runs_before_the_sleep(void **state)
{
    struct adding_hook h = {
        .hook.fn = adding_hook_cb,
        .loop = *state,
        .noting = {.task.fn = noting_cb, .name = 'a'},
    };

    loop_hook_add(*state, &h.hook);
    loop_turn(*state, 0);
    assert_string_equal(order, "hah");
    loop_hook_remove(&h.hook);
}

static void
forever_cb(struct loop_task *task)
{
    struct noting *n = LIST_ENTRY(task, struct noting, task);

    loop_ready(n->loop, task);
}

static void
test_a_pass_is_bounded(void **state)
{
    struct noting n = {.task.fn = forever_cb, .loop = *state};

    loop_ready(*state, &n.task);
    loop_turn(*state, -1); /* returns at all */
    loop_unready(&n.task);
}

static void
stop_cb(struct loop_task *task)
{
    loop_stop(LIST_ENTRY(task, struct noting, task)->loop);
}

static void
test_stop_ends_the_run(void **state)
{
    struct noting n = {.task.fn = stop_cb, .loop = *state};

    for (int i = 0; i < 2; i++) {
        loop_ready(*state, &n.task);
        loop_run(*state);
    }
}

/* ---- timers ---- */

struct timing {
    struct loop_timer timer;
    int64_t want_us;
    int64_t fired_us;
    int fired;
    bool again;
};

static void
timing_cb(struct loop_timer *timer)
{
    struct timing *t = LIST_ENTRY(timer, struct timing, timer);

    t->fired_us = clock_mono_us();
    t->fired++;
    if (t->again && t->fired < 3)
        loop_timer_start(timer->loop, timer, 1, timing_cb);
}

static void
test_timers_are_never_early_and_hardly_late(void **state)
{
    enum { N = 200 };
    static struct timing timings[N];
    struct loop *loop = *state;
    int64_t latest_us = 0;

    memset(timings, 0, sizeof timings);
    for (int i = 0; i < N; i++) {
        timings[i].want_us = clock_mono_us() + i * 37 % 50 * 1000;
        loop_timer_start(loop, &timings[i].timer, i * 37 % 50, timing_cb);
    }
    for (int64_t end = clock_mono_ms() + 60; clock_mono_ms() < end;)
        loop_turn(loop, 5);
    for (int i = 0; i < N; i++) {
        assert_int_equal(timings[i].fired, 1);
        assert_false(loop_timer_active(&timings[i].timer));
        assert_true(timings[i].fired_us >= timings[i].want_us);
        if (timings[i].fired_us - timings[i].want_us > latest_us)
            latest_us = timings[i].fired_us - timings[i].want_us;
    }
    /* Far above what it takes, far below what a lost timer would. */
    assert_true(latest_us < 1000 * 1000);
}

static void
test_a_timer_starts_again_stops_and_moves(void **state)
{
    struct loop *loop = *state;
    struct timing again = {.again = true}, stopped = {0}, moved = {0};

    loop_timer_stop(&stopped.timer); /* never started */
    assert_false(loop_timer_active(&stopped.timer));
    loop_timer_start(loop, &again.timer, 0, timing_cb);
    loop_timer_start(loop, &stopped.timer, 1, timing_cb);
    assert_true(loop_timer_active(&stopped.timer));
    loop_timer_stop(&stopped.timer);
    loop_timer_start(loop, &moved.timer, INT64_MAX, timing_cb);
    loop_timer_start(loop, &moved.timer, 2, timing_cb);
    int64_t end = clock_mono_ms() + 5000;
    while ((again.fired < 3 || !moved.fired) && clock_mono_ms() < end)
        loop_turn(loop, 100);
    assert_int_equal(again.fired, 3);
    assert_int_equal(moved.fired, 1);
    assert_int_equal(stopped.fired, 0);
}

struct stopping {
    struct loop_timer timer;
    struct loop_timer *other;
};

static void
stopping_cb(struct loop_timer *timer)
{
    loop_timer_stop(LIST_ENTRY(timer, struct stopping, timer)->other);
}

static void
test_a_due_timer_can_still_be_stopped(void **state)
{
    struct timing victim = {0};
    struct stopping first = {.other = &victim.timer};

    loop_timer_start_at(*state, &first.timer, 1, stopping_cb);
    loop_timer_start_at(*state, &victim.timer, 2, timing_cb);
    loop_turn(*state, 1000);
    loop_turn(*state, 0);
    assert_int_equal(victim.fired, 0);
    assert_false(loop_timer_active(&victim.timer));
}

static void
test_a_turn_waits_no_longer_than_asked(void **state)
{
    int64_t began_ms = clock_mono_ms();

    loop_turn(*state, 0);
    loop_turn(*state, 20);
    assert_true(clock_mono_ms() - began_ms < 5000);
}

/* Against a sorted order: random inserts, removals and changes of the soonest.
 */
static void
test_the_heap_keeps_order(void **state)
{
    enum { N = 500 };
    static struct loop_timer nodes[N];
    struct timers heap = {0};
    unsigned seed = 7;

    (void)state;
    memset(nodes, 0, sizeof nodes);
    for (int i = 0; i < N; i++) {
        nodes[i].due_us = rand_r(&seed) % 50;
        timers_add(&heap, &nodes[i]);
    }
    for (int i = 0; i < N; i += 3)
        timers_remove(&heap, &nodes[i]);
    int left = 0;
    int64_t last_us = -1;
    uint64_t last_order = 0;
    while (heap.root) {
        struct loop_timer *t = heap.root;
        assert_true(t->due_us >= last_us);
        if (t->due_us == last_us)
            assert_true(t->order > last_order);
        last_us = t->due_us;
        last_order = t->order;
        timers_remove(&heap, t);
        assert_false(timers_has(&heap, t));
        left++;
    }
    assert_int_equal(left, N - (N + 2) / 3);
}

/* ---- threads and signals ---- */

enum { POSTS = 2000 };

struct posting {
    struct loop_task task;
    struct loop *loop;
    int ran;       /* the loop's */
    int64_t asked; /* guarded by the post */
};

static void
posting_cb(struct loop_task *task)
{
    LIST_ENTRY(task, struct posting, task)->ran++;
}

static void *
posting_thread(void *arg)
{
    struct posting *p = arg;

    for (int i = 0; i < POSTS; i++)
        loop_post(p[i].loop, &p[i].task);
    return NULL;
}

static void
test_posts_from_threads_arrive_once(void **state)
{
    static struct posting posts[2][POSTS];
    pthread_t threads[2];

    memset(posts, 0, sizeof posts);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < POSTS; i++)
            posts[t][i] =
                (struct posting){.task.fn = posting_cb, .loop = *state};
    for (int t = 0; t < 2; t++)
        assert_int_equal(
            pthread_create(&threads[t], NULL, posting_thread, posts[t]), 0);
    int64_t end = clock_mono_ms() + 20000;
    int ran = 0;
    while (ran < 2 * POSTS && clock_mono_ms() < end) {
        loop_turn(*state, 100);
        ran = 0;
        for (int i = 0; i < 2 * POSTS; i++)
            ran += posts[i / POSTS][i % POSTS].ran;
    }
    for (int t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(ran, 2 * POSTS);
}

static void *
hammering_thread(void *arg)
{
    struct posting *p = arg;

    for (int i = 0; i < POSTS; i++)
        loop_post(p->loop, &p->task);
    return NULL;
}

static void
test_one_task_posted_by_two_threads(void **state)
{
    struct posting p = {.task.fn = posting_cb, .loop = *state};
    pthread_t threads[2];

    for (int t = 0; t < 2; t++)
        assert_int_equal(
            pthread_create(&threads[t], NULL, hammering_thread, &p), 0);
    for (int i = 0; i < 50; i++)
        loop_turn(*state, 1);
    for (int t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    loop_turn(*state, 0);
    assert_true(p.ran >= 1 && p.ran <= 2 * POSTS);
}

static void
signal_cb(int signo, void *arg)
{
    note('s');
    assert_int_equal(signo, SIGUSR1);
    assert_ptr_equal(arg, order);
}

static void
test_signals_are_called_in_the_loop(void **state)
{
    loop_on_signal(*state, SIGUSR1, signal_cb, order);
    kill(getpid(), SIGUSR1);
    assert_string_equal(order, "");
    loop_turn(*state, 5000);
    assert_string_equal(order, "s");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_tasks_run_once_then_the_hooks),
        TEST(test_a_task_can_be_taken_back),
        TEST(test_what_a_hook_settles_runs_before_the_sleep),
        TEST(test_a_pass_is_bounded),
        TEST(test_stop_ends_the_run),
        TEST(test_timers_are_never_early_and_hardly_late),
        TEST(test_a_timer_starts_again_stops_and_moves),
        TEST(test_a_due_timer_can_still_be_stopped),
        TEST(test_a_turn_waits_no_longer_than_asked),
        TEST(test_the_heap_keeps_order),
        TEST(test_posts_from_threads_arrive_once),
        TEST(test_one_task_posted_by_two_threads),
        TEST(test_signals_are_called_in_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
