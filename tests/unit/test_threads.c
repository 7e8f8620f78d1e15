/* Blocking functions on threads: what they return, who frees what when, and the
 * limits. Nothing is asserted inside a coroutine or a thread. */
#include "async/threads.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

/* A function that ends when the test says so. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun;
    bool open;
    int ended;
    int freed; /* the loop's */
    bool take;
    struct co *co;
    enum status status;
    bool returned;
    enum threads_pool pool;
};

static void
gate_init(struct gate *gate, bool take)
{
    *gate = (struct gate){.take = take};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

static void
gate_clear(struct gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->changed);
}

static enum status
wait_at_gate(void *arg)
{
    struct gate *gate = arg;

    pthread_mutex_lock(&gate->lock);
    gate->begun++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->ended++;
    pthread_mutex_unlock(&gate->lock);
    return ST_CONFLICT;
}

static void
open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void
await_begun(struct gate *gate, int n)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->begun < n)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void
count_free(void *arg)
{
    ((struct gate *)arg)->freed++;
}

static enum status
through_gate(struct co *co, void *arg)
{
    struct gate *gate = arg;

    gate->co = co;
    gate->status = co_thread_of(co, gate->pool, "gate", wait_at_gate, gate,
                                gate->take ? count_free : NULL);
    gate->returned = true;
    return ST_OK;
}

static void
turn_until(struct loop *loop, const bool *condition)
{
    int64_t end = clock_mono_ms() + 20000;

    while (!*condition && clock_mono_ms() < end)
        loop_turn(loop, 100);
    assert_true(*condition);
}

static void
test_returns_what_the_function_returned(void **state)
{
    struct loop *loop = loop_new(NULL);

    (void)state;
    for (int take = 0; take < 2; take++) {
        struct gate gate;
        gate_init(&gate, take);
        gate.open = true;
        assert_int_equal(co_run(loop, "t", through_gate, &gate), ST_OK);
        assert_int_equal(gate.status, ST_CONFLICT);
        assert_int_equal(gate.freed, take);
        gate_clear(&gate);
    }
    loop_free(loop);
}

static void
test_taken_work_outlives_who_awaited_it(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct gate gate;

    (void)state;
    gate_init(&gate, true);
    assert_int_equal(co_spawn(loop, "t", through_gate, &gate, NULL), ST_OK);
    await_begun(&gate, 1);
    co_cancel(gate.co, ST_CANCELLED);
    turn_until(loop, &gate.returned);
    assert_int_equal(gate.status, ST_CANCELLED);
    assert_int_equal(co_count(loop), 0);
    assert_int_equal(gate.freed, 0); /* the thread is still at it */
    open_gate(&gate);
    loop_free(loop); /* waits for it */
    assert_int_equal(gate.ended, 1);
    assert_int_equal(gate.freed, 1);
    gate_clear(&gate);
}

static void
test_lent_work_holds_the_coroutine(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct gate gate;

    (void)state;
    gate_init(&gate, false);
    assert_int_equal(co_spawn(loop, "t", through_gate, &gate, NULL), ST_OK);
    await_begun(&gate, 1);
    co_cancel(gate.co, ST_TIMEOUT);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    assert_false(gate.returned);
    open_gate(&gate);
    turn_until(loop, &gate.returned);
    assert_int_equal(gate.status, ST_TIMEOUT);
    assert_int_equal(gate.ended, 1);
    loop_free(loop);
    gate_clear(&gate);
}

static void
test_what_no_thread_began_is_taken_back(void **state)
{
    const struct loop_options options = {.threads_max = 1};
    struct loop *loop = loop_new(&options);
    struct gate first, waiting[2];

    (void)state;
    gate_init(&first, false);
    assert_int_equal(co_spawn(loop, "t", through_gate, &first, NULL), ST_OK);
    await_begun(&first, 1);
    for (int take = 0; take < 2; take++) {
        gate_init(&waiting[take], take);
        assert_int_equal(
            co_spawn(loop, "t", through_gate, &waiting[take], NULL), ST_OK);
        co_cancel(waiting[take].co, ST_CANCELLED);
        turn_until(loop, &waiting[take].returned);
        assert_int_equal(waiting[take].status, ST_CANCELLED);
        assert_int_equal(waiting[take].freed, take);
    }
    open_gate(&first);
    turn_until(loop, &first.returned);
    loop_free(loop);
    for (int take = 0; take < 2; take++) {
        assert_int_equal(waiting[take].begun, 0);
        gate_clear(&waiting[take]);
    }
    gate_clear(&first);
}

static void
test_a_full_queue_is_a_limit(void **state)
{
    const struct loop_options options = {.threads_max = 2, .threads_queue = 3};
    struct loop *loop = loop_new(&options);
    struct gate gate, late;

    (void)state;
    gate_init(&gate, false);
    gate_init(&late, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(co_spawn(loop, "t", through_gate, &gate, NULL), ST_OK);
        await_begun(&gate, i + 1);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(co_spawn(loop, "t", through_gate, &gate, NULL), ST_OK);
    assert_int_equal(co_spawn(loop, "t", through_gate, &late, NULL), ST_OK);
    assert_true(late.returned);
    assert_int_equal(late.status, ST_LIMIT);
    assert_int_equal(late.freed, 1);
    open_gate(&gate);
    int64_t end = clock_mono_ms() + 20000;
    while (co_count(loop) > 0 && clock_mono_ms() < end)
        loop_turn(loop, 100);
    assert_int_equal(gate.ended, 5);
    loop_free(loop);
    gate_clear(&gate);
    gate_clear(&late);
}

static void
expect_stats(struct loop *loop, enum threads_pool pool, uint32_t running,
             uint32_t waiting, uint64_t refused)
{
    struct threads_stats stats = co_thread_stats(loop, pool);

    assert_int_equal(stats.running, running);
    assert_int_equal(stats.waiting, waiting);
    assert_int_equal(stats.refused, refused);
}

static void
test_a_full_pool_leaves_the_other_alone(void **state)
{
    const struct loop_options options = {
        .threads_max = 1, .view_threads_max = 1, .view_threads_queue = 1};
    struct loop *loop = loop_new(&options);
    struct gate views[3], file;
    int64_t idle_us;

    (void)state;
    for (int i = 0; i < 3; i++) {
        gate_init(&views[i], false);
        views[i].pool = THREADS_VIEWS;
        assert_int_equal(co_spawn(loop, "t", through_gate, &views[i], NULL),
                         ST_OK);
        if (i == 0)
            await_begun(&views[i], 1);
    }
    assert_int_equal(views[2].status, ST_LIMIT);
    expect_stats(loop, THREADS_VIEWS, 1, 1, 1);
    gate_init(&file, false);
    file.open = true;
    assert_int_equal(co_spawn(loop, "t", through_gate, &file, NULL), ST_OK);
    turn_until(loop, &file.returned);
    expect_stats(loop, THREADS_AWAITS, 0, 0, 0);
    assert_int_equal(loop_idle(loop, &idle_us), LOOP_THREADS);
    for (int i = 0; i < 2; i++) {
        open_gate(&views[i]);
        turn_until(loop, &views[i].returned);
    }
    expect_stats(loop, THREADS_VIEWS, 0, 0, 1);
    loop_free(loop);
    for (int i = 0; i < 3; i++)
        gate_clear(&views[i]);
    gate_clear(&file);
}

static enum status
says(void *arg)
{
    log_info("%s", (const char *)arg);
    return ST_OK;
}

static enum status
work_of_a_request(struct co *co, void *arg)
{
    if (arg)
        co_request_set(co, str_c(arg), false);
    return co_thread(co, "says", says, arg ? arg : (void *)(uintptr_t) "nobody",
                     NULL);
}

/* One thread does the work of several: each line has the tag of its own. */
static void
test_log_lines_are_told_apart(void **state)
{
    const struct loop_options options = {.threads_max = 1};
    static const char *const tags[] = {"first", "second", NULL};
    static const char *const lines[] = {"] first: first\n",
                                        "] second: second\n", "] nobody\n"};
    struct loop *loop = loop_new(&options);
    char text[4096];
    int ends[2], before = dup(STDERR_FILENO);

    (void)state;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            co_run(loop, "t", work_of_a_request, (void *)(uintptr_t)tags[i]),
            ST_OK);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(n > 0);
    text[n] = '\0';
    for (int i = 0; i < 3; i++)
        if (!strstr(text, lines[i]))
            fail_msg("no \"%s\" in %s", lines[i], text);
    loop_free(loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_returns_what_the_function_returned),
        cmocka_unit_test(test_taken_work_outlives_who_awaited_it),
        cmocka_unit_test(test_lent_work_holds_the_coroutine),
        cmocka_unit_test(test_what_no_thread_began_is_taken_back),
        cmocka_unit_test(test_a_full_queue_is_a_limit),
        cmocka_unit_test(test_a_full_pool_leaves_the_other_alone),
        cmocka_unit_test(test_log_lines_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
