/* pit_run(): a plain program's visit to a real Redis. Here the function under
 * test makes the coroutine, so what it finds is kept and asserted behind it. */
#include "pit/run.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/redis_server.h"
#include "pit/jobs.h"
#include "pit/redis.h"

static const char *
url(void)
{
    return redis_server_url(redis_server_shared());
}

/* Tells of a task, as a worker does. */
static void
publish(void)
{
    redis_server_command(redis_server_shared(), "FLUSHALL", "+OK");
    redis_server_command(redis_server_shared(),
                         "HSET pit:tasks mail.send '{\"queue\":\"mail\"}'",
                         ":1");
}

struct found {
    enum pit_status enqueued, looked, waited, redis;
    struct pit_ticket ticket;
    enum pit_state state;
    bool detached;
};

static enum pit_status
detached_fn(struct pit_co *co, void *arg)
{
    struct found *found = arg;

    enum pit_status st = pit_sleep(co, 30);
    found->detached = st == PIT_OK;
    return st;
}

static enum pit_status
visit_fn(struct pit_co *co, void *arg)
{
    struct found *found = arg;
    struct pit_jobs jobs PIT_JOBS = {0};
    struct pit_result result PIT_RESULT = {0};
    struct pit_redis reply PIT_REDIS = {0};

    found->enqueued =
        pit_enqueue(co, "mail.send", pit_args("[i]", 1),
                    &(struct pit_enqueue){.ticket = &found->ticket});
    found->looked = pit_jobs_get(co, found->ticket.id, &jobs);
    if (found->looked == PIT_OK)
        found->state = jobs.jobs[0].state;
    found->waited = pit_result_wait(co, found->ticket.id, 20, &result);
    found->redis = pit_redis(co, &reply, "PING");
    return pit_detach(co, "behind", detached_fn, found);
}

static void
test_everything_works_within(void **state)
{
    struct pit_run run = {.redis = url(), .name = "cron"};
    struct found found = {0};

    (void)state;
    publish();
    assert_int_equal(pit_run(&run, visit_fn, &found), PIT_OK);
    assert_string_equal(run.error, "");
    assert_int_equal(found.enqueued, PIT_OK);
    assert_int_equal(found.looked, PIT_OK);
    assert_int_equal(found.state, PIT_READY);
    assert_int_equal(found.waited, PIT_TIMEOUT); /* it listens for ends */
    assert_int_equal(found.redis, PIT_OK);
    assert_true(found.detached); /* it was waited for */
}

static enum pit_status
count_fn(struct pit_co *co, void *arg)
{
    (void)co;
    ++*(int *)arg;
    return PIT_FAILED;
}

static void
test_its_status_is_returned(void **state)
{
    struct pit_run run = {.redis = url()};
    int calls = 0;

    (void)state;
    publish();
    assert_int_equal(pit_run(&run, count_fn, &calls), PIT_FAILED);
    assert_string_equal(run.error, ""); /* the function was called */
    assert_int_equal(calls, 1);
    setenv("PIT_REDIS", url(), 1);
    assert_int_equal(pit_run(NULL, count_fn, &calls), PIT_FAILED);
    unsetenv("PIT_REDIS");
    assert_int_equal(calls, 2);
}

static void
test_what_is_wrong_is_said(void **state)
{
    struct pit_run run = {.redis = "unix:///nowhere/at.all", .connect_ms = 200};
    int calls = 0;

    (void)state;
    assert_int_equal(pit_run(&run, count_fn, &calls), PIT_UNAVAILABLE);
    assert_non_null(strstr(run.error, "does not answer"));
    run.redis = "http://x";
    assert_int_equal(pit_run(&run, count_fn, &calls), PIT_INVALID);
    assert_true(run.error[0]);
    run = (struct pit_run){.timeout_ms = -1};
    assert_int_equal(pit_run(&run, count_fn, &calls), PIT_INVALID);
    assert_non_null(strstr(run.error, "timeout_ms"));
    redis_server_command(redis_server_shared(), "FLUSHALL", "+OK");
    redis_server_command(redis_server_shared(), "SET pit:schema 999", "+OK");
    run = (struct pit_run){.redis = url()};
    assert_int_equal(pit_run(&run, count_fn, &calls), PIT_CONFLICT);
    assert_non_null(strstr(run.error, "999"));
    assert_int_equal(calls, 0);
}

static enum pit_status
sleep_fn(struct pit_co *co, void *arg)
{
    (void)arg;
    return pit_sleep(co, 60000);
}

static void
test_the_whole_has_a_deadline(void **state)
{
    struct pit_run run = {.redis = url(), .timeout_ms = 50};
    int64_t started_ms = clock_mono_ms();

    (void)state;
    publish();
    assert_int_equal(pit_run(&run, sleep_fn, NULL), PIT_TIMEOUT);
    assert_true(clock_mono_ms() - started_ms < 5000);
}

/* ---- threads ---- */

static enum pit_status
enqueue_fn(struct pit_co *co, void *arg)
{
    enum pit_status st = PIT_OK;

    (void)arg;
    for (int i = 0; i < 20 && st == PIT_OK; i++)
        st = pit_enqueue(co, "mail.send", NULL, NULL);
    return st;
}

static void *
thread_main(void *arg)
{
    struct pit_run run = {.redis = url()};

    *(enum pit_status *)arg = pit_run(&run, enqueue_fn, NULL);
    return NULL;
}

static void
test_threads_each_run_their_own(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    enum pit_status ended[THREADS];

    (void)state;
    publish();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, thread_main, &ended[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(ended[i], PIT_OK);
    redis_server_command(redis_server_shared(), "HLEN pit:{mail}:jobs", ":80");
}

/* ---- SIGPIPE ---- */

static enum pit_status
pipe_fn(struct pit_co *co, void *arg)
{
    int ends[2];

    (void)co;
    if (pipe(ends) != 0)
        return PIT_BUG;
    close(ends[0]);
    *(ssize_t *)arg = write(ends[1], "x", 1);
    close(ends[1]);
    return PIT_OK;
}

static void
test_a_broken_pipe_ends_nobody(void **state)
{
    struct pit_run run = {.redis = url()};
    struct sigaction before, standard = {.sa_handler = SIG_DFL};
    sigset_t mask, pending;
    ssize_t wrote = 0;

    (void)state;
    publish();
    sigaction(SIGPIPE, &standard, &before);
    assert_int_equal(pit_run(&run, pipe_fn, &wrote), PIT_OK);
    assert_int_equal(wrote, -1);
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    sigaction(SIGPIPE, &before, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_works_within),
        cmocka_unit_test(test_its_status_is_returned),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_the_whole_has_a_deadline),
        cmocka_unit_test(test_threads_each_run_their_own),
        cmocka_unit_test(test_a_broken_pipe_ends_nobody),
    };
    return redis_server_run_tests(tests);
}
