/* A table of real children, each a few lines long. */
#include "base/children.h"
#include "harness/slowness.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { DEATHS_MAX = 8 };

struct story {
    struct children children;
    struct child child;
    unsigned stop_after; /* deaths */
    unsigned deaths;
    int64_t at_ms[DEATHS_MAX];
    char causes[DEATHS_MAX][CHILDREN_CAUSE_MAX];
    int signo; /* what on_signal() was told */
};

static void
note_death(struct child *child, const struct child_death *death)
{
    struct story *story = child->arg;

    story->at_ms[story->deaths] = clock_mono_ms();
    memcpy(story->causes[story->deaths], death->cause, sizeof death->cause);
    if (++story->deaths == story->stop_after)
        children_stop_all(&story->children, SIGTERM, 0);
}

static void
note_signal(struct children *children, int signo)
{
    struct story *story = children->arg;

    story->signo = signo;
    children_stop_all(children, SIGTERM, 100);
}

static void
tell(struct story *story, int (*run)(struct child *child), unsigned stop_after)
{
    struct error err;

    memset(story, 0, sizeof *story);
    story->stop_after = stop_after;
    assert_int_equal(children_init(&story->children, note_signal, story, &err),
                     ST_OK);
    story->child = (struct child){
        .name = "child", .run = run, .on_death = note_death, .arg = story};
    children_add(&story->children, &story->child);
    children_run(&story->children);
}

static int
wait_for_ever(void)
{
    while (pause() < 0 && errno == EINTR)
        continue;
    return 1;
}

static int
exits(struct child *child)
{
    return child->starts == 0 ? 3 : 0;
}

static void
test_starts_again_with_back_off(void **state)
{
    struct story story;

    (void)state;
    tell(&story, exits, 4);
    assert_int_equal(story.deaths, 4);
    assert_string_equal(story.causes[0], "exit status 3");
    assert_string_equal(story.causes[1], "exit status 0");
    /* At once, then 100 ms, then 200 ms, counted from a moment before the death
     * is told of here: on a busy machine that moment may take its time. */
    enum { LATE_MS = 50 };
    assert_true(story.at_ms[1] - story.at_ms[0] < 90 * slowness());
    assert_true(story.at_ms[2] - story.at_ms[1] >= 100 - LATE_MS);
    assert_true(story.at_ms[3] - story.at_ms[2] >= 200 - LATE_MS);
}

static int
aborts(struct child *child)
{
    (void)child;
    sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(SIGABRT);
    return 0;
}

static void
test_says_which_signal(void **state)
{
    struct story story;

    (void)state;
    tell(&story, aborts, 1);
    assert_string_equal(story.causes[0], "signal 6 (SIGABRT)");
}

static int
ignores_sigterm(struct child *child)
{
    (void)child;
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    kill(getppid(), SIGTERM);
    return wait_for_ever();
}

static void
test_kills_after_the_grace(void **state)
{
    struct story story;
    int64_t before_ms = clock_mono_ms();

    (void)state;
    tell(&story, ignores_sigterm, 0);
    assert_int_equal(story.signo, SIGTERM);
    assert_int_equal(story.deaths, 1);
    assert_string_equal(story.causes[0], "signal 9 (SIGKILL)");
    assert_true(clock_mono_ms() - before_ms >= 100);
}

static int
ends_at_sigterm(struct child *child)
{
    (void)child;
    kill(getppid(), SIGINT);
    return wait_for_ever(); /* SIGTERM must not be blocked here */
}

static void
test_stops_at_once_what_obeys(void **state)
{
    struct story story;

    (void)state;
    tell(&story, ends_at_sigterm, 0);
    assert_int_equal(story.signo, SIGINT);
    assert_string_equal(story.causes[0], "signal 15 (SIGTERM)");
    /* SIGTERM is free again in the supervisor too. */
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
}

static int
writes_its_pid_and_waits(struct child *child)
{
    struct story *story = child->arg;
    pid_t pid = getpid();

    if (write(story->signo, &pid, sizeof pid) != sizeof pid)
        return 1;
    return wait_for_ever();
}

/* A supervisor of its own is killed with -9; its child must follow. */
static void
test_dies_with_its_supervisor(void **state)
{
    int fds[2];
    pid_t orphan;
    int status;

    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(pipe(fds), 0);
    pid_t supervisor = fork();
    if (supervisor == 0) {
        struct story story = {.signo = fds[1]};
        struct error err;
        if (children_init(&story.children, note_signal, &story, &err) != ST_OK)
            _exit(1);
        story.child = (struct child){
            .name = "child", .run = writes_its_pid_and_waits, .arg = &story};
        children_add(&story.children, &story.child);
        children_run(&story.children);
        _exit(0);
    }
    assert_int_equal(read(fds[0], &orphan, sizeof orphan), sizeof orphan);
    kill(supervisor, SIGKILL);
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_int_equal(waitpid(orphan, &status, 0), orphan);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fds[0]);
    close(fds[1]);
}

static int
writes_and_waits(struct child *child)
{
    int *fds = child->arg;

    if (write(fds[1], "x", 1) != 1)
        return 1;
    return wait_for_ever();
}

static void
stop_one(struct children *children, int fd, void *arg)
{
    char byte;
    unsigned *told = children->arg;

    assert_int_equal(read(fd, &byte, 1), 1);
    if (++*told == 1)
        children_stop(arg, SIGTERM, 1000, true);
    else
        children_stop_all(children, SIGKILL, 0);
}

static void
test_watches_and_replaces_one(void **state)
{
    struct children children;
    struct error err;
    unsigned told = 0;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(children_init(&children, NULL, &told, &err), ST_OK);
    struct child child = {.name = "child", .run = writes_and_waits, .arg = fds};
    children_add(&children, &child);
    children_watch(&children, fds[0], stop_one, &child);
    children_run(&children);
    assert_int_equal(told, 2);
    assert_int_equal(child.starts, 2);
    close(fds[0]);
    close(fds[1]);
}

static int
waits(struct child *child)
{
    (void)child;
    return wait_for_ever();
}

/* Gone from the table within its own on_death, storage and all. */
static void
remove_at_death(struct child *child, const struct child_death *death)
{
    struct children *children = child->arg;

    (void)death;
    children_remove(child);
    memset(child, 0xee, sizeof *child);
    free(child);
    children_stop_all(children, SIGTERM, 1000);
}

static void
test_removes_one_at_its_death(void **state)
{
    struct children children;
    struct error err;

    (void)state;
    assert_int_equal(children_init(&children, NULL, NULL, &err), ST_OK);
    struct child *once = calloc(1, sizeof *once);
    *once = (struct child){.name = "once",
                           .run = exits,
                           .on_death = remove_at_death,
                           .arg = &children};
    struct child other = {.name = "other", .run = waits};
    children_add(&children, once);
    children_add(&children, &other);
    children_run(&children);
    assert_ptr_equal(children.list.next, &other.link);
    assert_ptr_equal(children.list.prev, &other.link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_again_with_back_off),
        cmocka_unit_test(test_says_which_signal),
        cmocka_unit_test(test_kills_after_the_grace),
        cmocka_unit_test(test_stops_at_once_what_obeys),
        cmocka_unit_test(test_dies_with_its_supervisor),
        cmocka_unit_test(test_watches_and_replaces_one),
        cmocka_unit_test(test_removes_one_at_its_death),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
