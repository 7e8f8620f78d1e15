/* The board from both sides in one thread; what a child wrote astray is found;
 * then with two threads, for TSan. */
#include "board.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lines.h"

enum { PLACES = 8, STRESS_JOBS = 20000 };

struct fixture {
    struct board *board;
    struct ring_bell bell;       /* the dispatcher's */
    struct ring_bell child_bell; /* the child's */
    struct board_sender sender;
    struct board_runner runner;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;

    if (!f || board_new(PLACES, &f->board, &err) != ST_OK ||
        ring_bell_init(&f->bell, &err) != ST_OK ||
        ring_bell_init(&f->child_bell, &err) != ST_OK)
        return -1;
    board_sender_init(&f->sender, f->board, &f->child_bell);
    board_runner_init(&f->runner, f->board, &f->bell);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    board_free(f->board);
    ring_bell_clear(&f->bell);
    ring_bell_clear(&f->child_bell);
    free(f);
    return 0;
}

static const struct ring_job small = {.id = {"mail.1", 6},
                                      .task = {"noop", 4},
                                      .args = {"[1]", 3},
                                      .inputs = {"{\"a.1\":2}", 9},
                                      .attempt = 2,
                                      .crashes = 1};

static uint32_t
push(struct fixture *f, const struct ring_job *job)
{
    uint32_t place;

    assert_true(board_push(&f->sender, job, &place));
    return place;
}

static void
test_jobs_end_in_any_order(void **state)
{
    struct fixture *f = *state;
    uint32_t first = push(f, &small), second = push(f, &small);
    uint32_t place, owner;
    struct ring_job job;
    struct ring_result result;
    int64_t since_us;
    bool bad;

    assert_false(board_running(&f->sender, first, &since_us, &bad));
    assert_false(bad);
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_int_equal(place, first);
    assert_string_equal(job.id.p, "mail.1");
    assert_string_equal(job.task.p, "noop");
    assert_string_equal(job.args.p, "[1]");
    assert_string_equal(job.inputs.p, "{\"a.1\":2}");
    assert_int_equal(job.attempt, 2);
    assert_int_equal(job.crashes, 1);
    assert_true(board_running(&f->sender, first, &since_us, &bad));
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_int_equal(place, second);
    assert_int_equal(board_next(&f->runner, &place, &owner, &job),
                     BOARD_NOTHING);

    board_retry_after(&f->runner, second, 700);
    board_done(&f->runner, second, ST_FAILED, STR_NULL, STR("no such file"));
    assert_true(board_collect(&f->sender, &result, &bad));
    assert_int_equal(result.position, second);
    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.retry_ms, 700);
    assert_true(str_eq_c(result.message, "no such file"));
    board_release(&f->sender, second);
    assert_false(board_collect(&f->sender, &result, &bad));
    assert_false(bad);
    board_done(&f->runner, first, ST_OK, STR("{}"), STR_NULL);
    assert_true(board_collect(&f->sender, &result, &bad));
    assert_int_equal(result.position, first);
    assert_true(str_eq_c(result.result, "{}"));
    board_release(&f->sender, first);
    assert_int_equal(f->sender.used, 0);
}

static void
test_is_full_after_its_places(void **state)
{
    struct fixture *f = *state;
    uint32_t place;

    for (int i = 0; i < PLACES; i++)
        push(f, &small);
    assert_false(board_push(&f->sender, &small, &place));
    assert_true(board_take_back(&f->sender, 0));
    board_release(&f->sender, 0);
    push(f, &small);
}

/* The word about a job that was taken back says nothing about the next one. */
static void
test_taken_back_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct ring_job other = small, job;
    uint32_t place, owner, at = push(f, &small);

    assert_true(board_take_back(&f->sender, at));
    board_release(&f->sender, at);
    other.id = STR("mail.2");
    assert_int_equal(push(f, &other), at);
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_string_equal(job.id.p, "mail.2");
    assert_int_equal(board_next(&f->runner, &place, &owner, &job),
                     BOARD_NOTHING);
    assert_false(board_take_back(&f->sender, at)); /* it runs */
}

static void
test_cancellation_names_its_job(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    struct ring_result result;
    uint32_t place, owner, of_cancel, at = push(f, &small);
    bool bad;

    (void)board_next(&f->runner, &place, &owner, &job);
    assert_int_equal(board_cancelled(&f->runner, at), RING_RUN_ON);
    assert_true(board_cancel(&f->sender, at, RING_CANCEL_TIMEOUT));
    assert_int_equal(board_cancelled(&f->runner, at), RING_CANCEL_TIMEOUT);
    /* It ends before it hears of that, and another takes the place. */
    board_done(&f->runner, at, ST_OK, STR_NULL, STR_NULL);
    assert_true(board_collect(&f->sender, &result, &bad));
    board_release(&f->sender, at);
    assert_int_equal(push(f, &small), at);
    assert_int_equal(board_next(&f->runner, &place, &of_cancel, &job),
                     BOARD_CANCEL);
    assert_int_equal(of_cancel, owner);
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_int_not_equal(of_cancel, owner);
    assert_int_equal(board_cancelled(&f->runner, at), RING_RUN_ON);
}

static void
test_rubbish_is_found(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    struct ring_result result;
    uint32_t place, owner, at = push(f, &small);
    int64_t since_us;
    bool bad;

    (void)board_next(&f->runner, &place, &owner, &job);
    /* Done twice: the second one is of a place that nobody holds. */
    board_done(&f->runner, at, ST_OK, STR_NULL, STR_NULL);
    board_done(&f->runner, at, ST_OK, STR_NULL, STR_NULL);
    assert_true(board_collect(&f->sender, &result, &bad));
    assert_false(board_collect(&f->sender, &result, &bad));
    assert_true(bad);
    board_sender_init(&f->sender, f->board, &f->child_bell);
    board_runner_init(&f->runner, f->board, &f->bell);
    at = push(f, &small);
    (void)board_next(&f->runner, &place, &owner, &job);
    board_done(&f->runner, at, (enum status)99, STR_NULL, STR_NULL);
    assert_false(board_collect(&f->sender, &result, &bad));
    assert_true(bad);
    /* A state that no place can be in. */
    board_sender_init(&f->sender, f->board, &f->child_bell);
    at = push(f, &small);
    assert_true(board_take_back(&f->sender, at));
    (void)board_running(&f->sender, at, &since_us, &bad);
    assert_true(bad);
}

/* A child that counts words which nobody sent takes no more jobs in, however
 * small they are. */
static void
test_a_count_that_cannot_be_is_found(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    uint32_t place, owner, at = push(f, &small);
    int64_t since_us;
    bool bad;

    assert_false(board_misread(&f->sender));
    f->runner.taken = 0x01010100;
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_true(board_misread(&f->sender));
    assert_false(board_push(&f->sender, &small, &place));
    (void)board_running(&f->sender, at, &since_us, &bad);
    assert_true(bad);
}

/* A job whose word was written over is not waited for. */
static void
test_a_word_that_was_lost_is_found(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    uint32_t place, owner, at = push(f, &small);
    int64_t since_us;
    bool bad;

    assert_false(board_running(&f->sender, at, &since_us, &bad));
    assert_false(bad);
    assert_true(board_take_back(&f->sender, at));
    assert_int_equal(board_next(&f->runner, &place, &owner, &job),
                     BOARD_NOTHING);
    board_release(&f->sender, at);
    assert_int_equal(push(f, &small), at);
    f->sender.sent--; /* as if its word had been read and not understood */
    (void)board_running(&f->sender, at, &since_us, &bad);
    assert_true(bad);
}

/* A result that is never announced ends with the job's time. */
static void
test_a_result_counts_as_running_until_collected(void **state)
{
    struct fixture *f = *state;
    struct ring_job job;
    struct ring_result result;
    uint32_t place, owner, at = push(f, &small);
    int64_t since_us = 0;
    bool bad;

    (void)board_next(&f->runner, &place, &owner, &job);
    board_done(&f->runner, at, ST_OK, STR_NULL, STR_NULL);
    assert_true(board_running(&f->sender, at, &since_us, &bad));
    assert_false(bad);
    assert_true(since_us > 0);
    assert_true(board_collect(&f->sender, &result, &bad));
    board_release(&f->sender, at);
}

static void
test_large_jobs_fit_and_too_large_ones_do_not(void **state)
{
    struct fixture *f = *state;
    char *text = calloc(1, 3 * JOB_ARGS_MAX);
    struct ring_job big = small, job;
    struct ring_result result;
    uint32_t place, owner;
    bool bad;

    assert_non_null(text);
    memset(text, 'x', 3 * JOB_ARGS_MAX);
    big.args = str_from(text, JOB_ARGS_MAX);
    big.inputs = str_from(text, JOB_ARGS_MAX);
    push(f, &big);
    assert_int_equal(board_next(&f->runner, &place, &owner, &job), BOARD_JOB);
    assert_int_equal(job.inputs.n, JOB_ARGS_MAX);
    assert_int_equal(job.inputs.p[JOB_ARGS_MAX], '\0');
    board_done(&f->runner, place, ST_OK, str_from(text, JOB_RESULT_MAX),
               STR_NULL);
    assert_true(board_collect(&f->sender, &result, &bad));
    assert_int_equal(result.result.n, JOB_RESULT_MAX);
    assert_int_equal(result.result.p[JOB_RESULT_MAX - 1], 'x');
    board_release(&f->sender, place);
    big.args = str_from(text, 3 * JOB_ARGS_MAX);
    assert_true(board_fits(&small));
    assert_false(board_fits(&big));
    free(text);
}

static void
test_lines_belong_to_their_job(void **state)
{
    struct fixture *f = *state;
    struct lines *lines = board_lines(f->board);
    struct lines_reader reader;
    struct lines_cell cell;
    struct ring_job job;
    struct ring_result result;
    uint32_t place, owner;
    bool bad;

    lines_reader_init(&reader, lines);
    uint32_t at = push(f, &small);
    (void)board_next(&f->runner, &place, &owner, &job);
    assert_false(lines_waiting(&reader));
    assert_true(lines_write(lines, owner, STR("hello")));
    assert_true(lines_waiting(&reader));
    assert_true(lines_read(&reader, &cell));
    assert_int_equal(cell.len, 5);
    assert_true(board_owns(&f->sender, cell.owner, &place));
    assert_int_equal(place, at);
    board_done(&f->runner, at, ST_OK, STR_NULL, STR_NULL);
    assert_true(board_collect(&f->sender, &result, &bad));
    board_release(&f->sender, at);
    assert_false(board_owns(&f->sender, cell.owner, &place));
    push(f, &small);
    assert_false(board_owns(&f->sender, cell.owner, &place));
    /* What does not fit is refused. */
    for (int i = 0; i < LINES_KEPT; i++)
        assert_true(lines_write(lines, owner, STR("x")));
    assert_false(lines_write(lines, owner, STR("x")));
    /* A position that makes no sense costs the lines, nothing else. */
    atomic_store(&lines->written, 100000);
    assert_false(lines_read(&reader, &cell));
    assert_false(lines_waiting(&reader));
}

static void
sleep_on(const struct ring_bell *bell)
{
    struct pollfd fd = {.fd = bell->fd, .events = POLLIN};

    (void)poll(&fd, 1, 1000);
    ring_bell_drain(bell);
}

static void *
child_thread(void *arg)
{
    struct fixture *f = arg;
    uint32_t done = 0, place, owner;
    struct ring_job job;

    while (done < STRESS_JOBS) {
        while (board_next(&f->runner, &place, &owner, &job) == BOARD_JOB) {
            board_done(&f->runner, place, ST_OK, job.args, STR_NULL);
            done++;
        }
        ring_bell_arm(&f->child_bell);
        if (!board_pending(&f->runner) && done < STRESS_JOBS)
            sleep_on(&f->child_bell);
        ring_bell_disarm(&f->child_bell);
    }
    return NULL;
}

static void
test_two_threads_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct ring_result result;
    uint32_t sent = 0, collected = 0, place;
    bool bad, good = true;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, child_thread, f), 0);
    while (collected < STRESS_JOBS) {
        while (sent < STRESS_JOBS && board_push(&f->sender, &small, &place))
            sent++;
        board_wake(&f->sender);
        while (board_collect(&f->sender, &result, &bad)) {
            good &= str_eq_c(result.result, "[1]");
            board_release(&f->sender, result.position);
            collected++;
        }
        ring_bell_arm(&f->bell);
        if (!board_ready(&f->sender) && collected < STRESS_JOBS &&
            f->sender.used == PLACES)
            sleep_on(&f->bell);
        ring_bell_disarm(&f->bell);
    }
    pthread_join(thread, NULL);
    assert_true(good);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jobs_end_in_any_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_is_full_after_its_places, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_taken_back_is_not_begun, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_cancellation_names_its_job, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rubbish_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_count_that_cannot_be_is_found,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_word_that_was_lost_is_found,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_result_counts_as_running_until_collected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_large_jobs_fit_and_too_large_ones_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_belong_to_their_job, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_two_threads_lose_nothing, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
