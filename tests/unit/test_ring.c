/* The ring from both sides in one thread, then with two threads (for TSan),
 * then with two processes, one of which is killed. */
#include "ring.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "lines.h"

enum { STRESS_JOBS = 20000, BIG = 400 * 1024 };

struct fixture {
    struct ring *ring;
    struct ring_bell bell;
    struct ring_sender sender;
    struct ring_runner runner;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;

    if (!f || ring_new(&f->ring, &err) != ST_OK ||
        ring_bell_init(&f->bell, &err) != ST_OK)
        return -1;
    ring_sender_init(&f->sender, f->ring);
    ring_runner_init(&f->runner, f->ring, &f->bell);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    ring_free(f->ring);
    ring_bell_clear(&f->bell);
    free(f);
    return 0;
}

static const volatile sig_atomic_t run_on;

static void
begin(struct fixture *f, struct ring_job *ret)
{
    if (!ring_next(&f->runner, &run_on, ret))
        abort();
}

static const struct ring_job small = {
    .id = {"mail.1", 6}, .task = {"noop", 4}, .args = {"[1]", 3}, .attempt = 2};

static bool
bell_rang(const struct ring_bell *bell)
{
    struct pollfd fd = {.fd = bell->fd, .events = POLLIN};
    bool rang = poll(&fd, 1, 0) == 1;

    ring_bell_drain(bell);
    return rang;
}

static void
test_a_job_goes_round(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    struct ring_result result;
    int64_t since_us;
    bool bad;

    assert_true(ring_push(&f->sender, &small));
    assert_false(ring_running(&f->sender, &since_us));
    begin(f, &job);
    assert_true(ring_running(&f->sender, &since_us));
    assert_true(clock_mono_us() - since_us < 1000000);
    assert_string_equal(job.id.p, "mail.1");
    assert_string_equal(job.task.p, "noop");
    assert_string_equal(job.args.p, "[1]");
    assert_int_equal(job.attempt, 2);
    assert_false(ring_collect(&f->sender, &result, &bad));
    assert_false(bad);

    ring_bell_arm(&f->bell);
    ring_done(&f->runner, ST_FAILED, STR("{}"), STR("no such file"));
    assert_true(bell_rang(&f->bell));
    assert_true(ring_collect(&f->sender, &result, &bad));
    assert_int_equal(result.position, 0);
    assert_int_equal(result.status, ST_FAILED);
    assert_true(str_eq_c(result.result, "{}"));
    assert_true(str_eq_c(result.message, "no such file"));
    ring_release(&f->sender);
    assert_int_equal(ring_length(&f->sender), 0);
}

static void
test_takes_back_what_was_not_begun(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;

    for (int i = 0; i < 3; i++)
        assert_true(ring_push(&f->sender, &small));
    begin(f, &job);
    assert_true(ring_take_back(&f->sender));
    assert_true(ring_take_back(&f->sender));
    assert_false(ring_take_back(&f->sender)); /* it runs */
    assert_int_equal(ring_length(&f->sender), 1);
    /* What is pushed then comes next. */
    struct ring_job other = small;
    other.id = STR("mail.2");
    assert_true(ring_push(&f->sender, &other));
    ring_done(&f->runner, ST_OK, STR_NULL, STR_NULL);
    begin(f, &job);
    assert_string_equal(job.id.p, "mail.2");
}

static void
test_is_full_after_its_entries(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < RING_JOBS; i++)
        assert_true(ring_push(&f->sender, &small));
    assert_false(ring_push(&f->sender, &small));
}

/* Large jobs use the area round and round. */
static void
test_wraps_around(void **state)
{
    struct fixture *f = *state;
    char *args = malloc(JOB_ARGS_MAX);
    char *result_text = malloc(JOB_RESULT_MAX);
    struct ring_job big = small, job;
    struct ring_result result;
    bool bad;
    int pushed = 0;

    assert_non_null(args);
    assert_non_null(result_text);
    for (int i = 0; i < 40; i++) {
        while (pushed < 40) {
            size_t n = (size_t)(pushed % 3) * (JOB_ARGS_MAX / 2);
            memset(args, 'a' + pushed % 26, n);
            big.args = str_from(args, n);
            if (!ring_push(&f->sender, &big))
                break;
            pushed++;
        }
        assert_true(pushed > i);
        begin(f, &job);
        size_t n = (size_t)(i % 3) * (JOB_ARGS_MAX / 2);
        assert_int_equal(job.args.n, n);
        for (size_t k = 0; k < n; k += 997)
            assert_int_equal(job.args.p[k], 'a' + i % 26);
        assert_int_equal(job.args.p[n], '\0');
        memset(result_text, 'A' + i % 26, JOB_RESULT_MAX);
        ring_done(&f->runner, ST_OK, str_from(result_text, JOB_RESULT_MAX),
                  STR_NULL);
        assert_true(ring_collect(&f->sender, &result, &bad));
        assert_int_equal(result.result.n, JOB_RESULT_MAX);
        assert_int_equal(result.result.p[JOB_RESULT_MAX - 1], 'A' + i % 26);
        ring_release(&f->sender);
    }
    ring_trim(&f->sender);
    free(args);
    free(result_text);
}

static void
test_cancels_only_the_job_meant(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;

    assert_true(ring_push(&f->sender, &small));
    assert_true(ring_push(&f->sender, &small));
    begin(f, &job);
    assert_int_equal(ring_cancelled(&f->runner), RING_RUN_ON);
    ring_cancel(&f->sender, 0, RING_CANCEL_TIMEOUT);
    assert_int_equal(ring_cancelled(&f->runner), RING_CANCEL_TIMEOUT);
    ring_done(&f->runner, ST_CANCELLED, STR_NULL, STR_NULL);
    begin(f, &job);
    assert_int_equal(ring_cancelled(&f->runner), RING_RUN_ON);
}

static void
test_shows_the_newest_progress(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    struct ring_progress progress;

    assert_false(ring_progress_read(&f->sender, &progress));
    assert_true(ring_push(&f->sender, &small));
    begin(f, &job);
    ring_progress_write(&f->runner, 1, 10, STR("one"));
    ring_progress_write(&f->runner, 2, 10, STR("section two"));
    assert_true(ring_progress_read(&f->sender, &progress));
    assert_int_equal(progress.done, 2);
    assert_int_equal(progress.total, 10);
    assert_int_equal(progress.position, 0);
    assert_true(
        str_eq_c(str_from(progress.text, progress.text_len), "section two"));
}

/* A busy child does not ring for each result, an idle one does. */
static void
test_rings_seldom_while_busy(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    int rang = 0;

    for (int i = 0; i < RING_JOBS; i++)
        assert_true(ring_push(&f->sender, &small));
    for (int i = 0; i < RING_JOBS; i++) {
        ring_bell_arm(&f->bell);
        begin(f, &job);
        ring_done(&f->runner, ST_OK, STR_NULL, STR_NULL);
        rang += bell_rang(&f->bell);
    }
    assert_int_equal(rang, RING_JOBS / RING_NOTICE);
}

/* --- both sides at once --------------------------------------------------- */

static const char big_args[BIG];

/* Runs jobs until one is called "stop"; the result is the args' length. */
static void *
run_jobs(void *arg)
{
    struct fixture *f = arg;
    struct ring_job job;
    char text[32];
    static char big_result[BIG];

    for (;;) {
        begin(f, &job);
        bool stop = str_eq_c(job.task, "stop");
        int n = snprintf(text, sizeof text, "%s %zu", job.id.p, job.args.n);
        bool big = job.args.n > 0 && job.args.n % 2 == 0;
        ring_done(&f->runner, ST_OK,
                  big ? str_from(big_result, job.args.n) : STR_NULL,
                  str_from(text, (size_t)n));
        if (stop)
            return NULL;
    }
}

static size_t
args_len(unsigned serial)
{
    return serial % 997 == 0 ? BIG - serial % 2 : serial % 7;
}

static bool
push_serial(struct fixture *f, unsigned serial)
{
    char id[32];
    int n = snprintf(id, sizeof id, "q.%u", serial);
    struct ring_job job = {.id = {id, (size_t)n},
                           .task =
                               serial == STRESS_JOBS ? STR("stop") : STR("run"),
                           .args = {big_args, args_len(serial)}};

    return ring_push(&f->sender, &job);
}

static unsigned
collect_all(struct fixture *f, unsigned *done)
{
    struct ring_result result;
    bool bad;
    char want[32];
    unsigned before = *done;

    while (ring_collect(&f->sender, &result, &bad)) {
        ++*done;
        int n = snprintf(want, sizeof want, "q.%u %zu", *done, args_len(*done));
        assert_true(str_eq(result.message, str_from(want, (size_t)n)));
        ring_release(&f->sender);
    }
    assert_false(bad);
    return *done - before;
}

/* Feeds and collects STRESS_JOBS jobs in order, sleeping on the bell whenever
 * there is nothing to do, and takes some back on the way. */
static void
dispatch(struct fixture *f)
{
    unsigned serial = 0, done = 0;

    while (done < STRESS_JOBS) {
        bool moved = collect_all(f, &done) > 0;
        while (serial < STRESS_JOBS && push_serial(f, serial + 1)) {
            serial++;
            moved = true;
        }
        if (serial % 5 == 0 && serial < STRESS_JOBS)
            while (serial % 3 && ring_take_back(&f->sender))
                serial--;
        ring_wake(&f->sender);
        if (moved)
            continue;
        ring_bell_arm(&f->bell);
        if (!ring_ready(&f->sender)) {
            struct pollfd fd = {.fd = f->bell.fd, .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 20000), 1); /* a lost wake-up */
            ring_bell_drain(&f->bell);
        }
        ring_bell_disarm(&f->bell);
    }
    assert_int_equal(ring_length(&f->sender), 0);
}

static void
test_two_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_jobs, f), 0);
    dispatch(f);
    pthread_join(thread, NULL);
}

static void
test_two_processes(void **state)
{
    struct fixture *f = *state;
    int status;

    pid_t pid = fork();
    if (pid == 0) {
        run_jobs(f);
        _exit(0);
    }
    dispatch(f);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* After a kill it is known which job ran, which ended and which never began. */
static void
test_tells_what_a_dead_child_did(void **state)
{
    struct fixture *f = *state;
    struct ring_result result;
    struct ring_job job;
    int64_t since_us;
    int status;
    bool bad;

    for (int i = 0; i < 4; i++)
        assert_true(ring_push(&f->sender, &small));
    pid_t pid = fork();
    if (pid == 0) {
        begin(f, &job);
        ring_done(&f->runner, ST_OK, STR("1"), STR_NULL);
        begin(f, &job);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(ring_collect(&f->sender, &result, &bad));
    ring_release(&f->sender);
    assert_false(ring_collect(&f->sender, &result, &bad));
    assert_true(ring_running(&f->sender, &since_us));
    assert_int_equal(f->sender.collected, 1);
    assert_true(ring_take_back(&f->sender));
    assert_true(ring_take_back(&f->sender));
    assert_false(ring_take_back(&f->sender));
    ring_sender_init(&f->sender, f->ring);
    assert_false(ring_running(&f->sender, &since_us));
}

static void
test_inputs_retries_and_lines_go_along(void **state)
{
    struct fixture *f = *state;
    struct ring_job job = small;
    struct ring_result result;
    struct lines_reader reader;
    struct lines_cell cell;
    bool bad;

    lines_reader_init(&reader, ring_lines(f->ring));
    job.inputs = STR("{\"a.1\":2}");
    assert_true(ring_push(&f->sender, &job));
    begin(f, &job);
    assert_string_equal(job.inputs.p, "{\"a.1\":2}");
    assert_true(ring_log(&f->runner, STR("a line")));
    assert_true(lines_read(&reader, &cell));
    assert_int_equal(cell.owner, f->sender.collected);
    assert_memory_equal(cell.text, "a line", cell.len);
    ring_retry_after(&f->runner, 5000);
    ring_done(&f->runner, ST_FAILED, STR_NULL, STR("x"));
    assert_true(ring_collect(&f->sender, &result, &bad));
    assert_int_equal(result.retry_ms, 5000);
    ring_release(&f->sender);
    assert_true(ring_push(&f->sender, &small));
    begin(f, &job);
    assert_int_equal(job.inputs.n, 0);
    ring_done(&f->runner, ST_FAILED, STR_NULL, STR("x"));
    assert_true(ring_collect(&f->sender, &result, &bad));
    assert_int_equal(result.retry_ms, 0);
    ring_release(&f->sender);
}

static void
test_an_impossible_state_is_seen(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;

    assert_true(ring_push(&f->sender, &small));
    assert_true(ring_push(&f->sender, &small));
    assert_true(ring_queued(&f->sender, 1));
    begin(f, &job);
    assert_false(ring_queued(&f->sender, 0));
    assert_false(ring_spoilt(&f->sender, 0));
    assert_false(ring_spoilt(&f->sender, 1));
    /* Free, although it is in the ring. */
    assert_true(ring_take_back(&f->sender));
    assert_true(ring_spoilt(&f->sender, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inputs_retries_and_lines_go_along,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_impossible_state_is_seen,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_job_goes_round, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_takes_back_what_was_not_begun,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_is_full_after_its_entries, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_wraps_around, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancels_only_the_job_meant, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_shows_the_newest_progress, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rings_seldom_while_busy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_two_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tells_what_a_dead_child_did,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
