/* Names, death and weight of processes, on real children. A child reports by
 * its exit status; none outlives its test. */
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 10000 };

/* The file's content, at most @size - 1 bytes, with a NUL behind it. */
static size_t
read_proc(const char *name, char *dst, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/%s", name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, dst, size - 1);
    close(fd);
    dst[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static int
name_child(const char *name)
{
    char before[4096], after[4096], environment[8192], unchanged[8192];
    char comm[64], want[64];

    size_t size = read_proc("cmdline", before, sizeof before);
    size_t env = read_proc("environ", environment, sizeof environment);
    process_set_name(name);
    if (read_proc("cmdline", after, sizeof after) != size)
        return 1;
    size_t len = strlen(name) < size ? strlen(name) : size - 1;
    if (memcmp(after, name, len) != 0)
        return 2;
    for (size_t i = len; i < size; i++)
        if (after[i] != '\0')
            return 3;
    if (read_proc("environ", unchanged, sizeof unchanged) != env ||
        memcmp(environment, unchanged, env) != 0)
        return 4;
    read_proc("comm", comm, sizeof comm);
    snprintf(want, sizeof want, "%.15s\n", name);
    return strcmp(comm, want) == 0 ? 0 : 5;
}

static int
exit_status(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void
test_name_shows(void **state)
{
    static const char *const names[] = {
        "pit-slot", "p", "",
        "a name that is very much longer than fifteen bytes, and than the "
        "command line of this test is, wherever somebody may have built it: "
        "............................................................"
        "............................................................"};

    (void)state;
    /* Valgrind shows a program a command line of its own making. */
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "vgpreload"))
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(name_child(names[i]));
        assert_int_equal(exit_status(pid), 0);
    }
}

/* A child that waits for ever, and whose parent has been killed. It holds the
 * other end of @ret_alive open: its own end shows there as a hang-up. */
static pid_t
orphan(bool with_parent, int *ret_alive)
{
    int alive[2], told[2];
    pid_t child = -1, us = getpid();

    assert_int_equal(pipe(alive), 0);
    assert_int_equal(pipe(told), 0);
    pid_t parent = fork();
    if (parent == 0) {
        process_die_with_parent(us);
        us = getpid();
        if (fork() != 0)
            for (;;)
                pause();
        if (with_parent)
            process_die_with_parent(us);
        alarm(2 * DEADLINE_MS / 1000); /* whatever becomes of the test */
        child = getpid();
        if (write(told[1], &child, sizeof child) != sizeof child)
            _exit(1);
        for (;;)
            pause();
    }
    close(alive[1]);
    close(told[1]);
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    close(told[0]);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    *ret_alive = alive[0];
    return child;
}

static bool
hung_up(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLHUP);
}

static void
test_dies_with_its_parent(void **state)
{
    int alive;

    (void)state;
    orphan(true, &alive);
    assert_true(hung_up(alive, DEADLINE_MS));
    close(alive);
    /* The counterpart: without it the child lives on. */
    pid_t child = orphan(false, &alive);
    assert_false(hung_up(alive, 50));
    kill(child, SIGKILL);
    assert_true(hung_up(alive, DEADLINE_MS));
    close(alive);
}

static void
test_parent_gone_already(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        /* Not our parent's: as if that had died before we looked. */
        process_die_with_parent(getpid());
        _exit(0);
    }
    assert_int_equal(exit_status(pid), 1000 + SIGKILL);
    pid_t us = getpid();
    pid = fork();
    if (pid == 0) {
        process_die_with_parent(us);
        _exit(7);
    }
    assert_int_equal(exit_status(pid), 7);
}

static void
test_rss(void **state)
{
    enum { SIZE = 32 << 20 };
    int64_t before = process_rss_bytes(getpid());

    (void)state;
    assert_true(before > 100 << 10);
    char *block = malloc(SIZE);
    assert_non_null(block);
    memset(block, 1, SIZE);
    int64_t after = process_rss_bytes(getpid());
    free(block);
    assert_true(after - before > SIZE / 10 * 9);

    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    assert_int_equal(process_rss_bytes(pid), -1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_shows),
        cmocka_unit_test(test_dies_with_its_parent),
        cmocka_unit_test(test_parent_gone_already),
        cmocka_unit_test(test_rss),
    };

    process_title_init(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
