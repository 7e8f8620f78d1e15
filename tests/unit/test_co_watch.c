/* What is told of a coroutine that blocks the loop, and of one that crashes or
 * overflows its stack. */
#include "async/co/co.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/co/annotate.h"
#include "base/clock.h"
#include "harness/co_fixture.h"

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

/* ---- the guard ---- */

static volatile char sink;

/* Not a tail call, and no frame that could be skipped over the guard. */
static int
recurse(int n)
{
    volatile char frame[1024];

    frame[n % 1024] = (char)n;
    sink = frame[n % 1024];
    return n == 0 ? 0 : recurse(n - 1) + frame[n % 1024];
}

static enum status
overflow(struct co *co, void *arg)
{
    (void)arg;
    return co_sleep(co, 1) == ST_OK && recurse(100000) == 42 ? ST_OK : ST_BUG;
}

static enum status
crash(struct co *co, void *arg)
{
    volatile int *volatile nowhere = (volatile int *)0x18;

    (void)arg;
    if (co_sleep(co, 1) != ST_OK)
        return ST_BUG;
    *nowhere = 1;
    return ST_OK;
}

static enum status
sent(struct co *co, void *arg)
{
    (void)co;
    (void)arg;
    return raise(SIGSEGV) == 0 ? ST_OK : ST_BUG;
}

/* A program of its own, since cmocka has a handler for SIGSEGV. */
static int
crash_main(const char *name, co_fn *fn)
{
    struct loop *loop = loop_new(NULL);
    enum status status = co_run(loop, name, fn, NULL);

    loop_free(loop);
    return status == ST_OK;
}

static void
run_in_a_child(const char *what)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int wait_status;

    if (n < 0)
        abort();
    self[n] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, "test_co_watch", what, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &wait_status, 0) != pid)
        abort();
    if (WIFSIGNALED(wait_status))
        dprintf(STDERR_FILENO, "\nsignal %d\n", WTERMSIG(wait_status));
}

static void
overflow_in_a_child(struct loop *loop)
{
    (void)loop;
    run_in_a_child("overflow");
}

static void
crash_in_a_child(struct loop *loop)
{
    (void)loop;
    run_in_a_child("crash");
}

static void
sent_in_a_child(struct loop *loop)
{
    (void)loop;
    run_in_a_child("sent");
}

static void
test_a_crash_dies_with_its_name(void **state)
{
    static char text[65536];

    capture(crash_in_a_child, *state, text, sizeof text);
    assert_non_null(
        strstr(text, "view/coroutine wild crashed: SIGSEGV at address 0x18\n"));
#if !defined(ANNOTATE_ASAN) && !defined(ANNOTATE_TSAN)
    assert_non_null(strstr(text, "\nsignal 11\n"));
#endif
}

/* No instruction would fault again, and no address is known. */
static void
test_a_signal_that_was_sent_kills_at_once(void **state)
{
    static char text[65536];

    capture(sent_in_a_child, *state, text, sizeof text);
    assert_null(strstr(text, "view/coroutine"));
#if !defined(ANNOTATE_ASAN) && !defined(ANNOTATE_TSAN)
    assert_non_null(strstr(text, "\nsignal 11\n"));
#endif
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
    const struct CMUnitTest tests[] = {
        CO_TEST(test_the_watchdog_names_who_blocked),
        CO_TEST(test_an_overflow_dies_with_its_name),
        CO_TEST(test_a_crash_dies_with_its_name),
        CO_TEST(test_a_signal_that_was_sent_kills_at_once),
    };

    if (argc == 2 && strcmp(argv[1], "overflow") == 0)
        return crash_main("greedy", overflow);
    if (argc == 2 && strcmp(argv[1], "crash") == 0)
        return crash_main("wild", crash);
    if (argc == 2 && strcmp(argv[1], "sent") == 0)
        return crash_main("struck", sent);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
