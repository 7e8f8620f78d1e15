/* Files through the public calls: content, limits, and what a name cannot
 * reach; once more without openat2(). Nothing is asserted in a coroutine. */
#include "pit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/public/co_public.h"
#include "async/threads.h"

struct fixture {
    struct loop *loop;
    char folder[64];
};

static int
set_up(void **state)
{
    static struct fixture f;

    f.loop = loop_new(NULL);
    snprintf(f.folder, sizeof f.folder, "/tmp/pit-file-XXXXXX");
    *state = &f;
    return mkdtemp(f.folder) ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    loop_free(f->loop);
    snprintf(command, sizeof command, "%s", f->folder);
    pid_t pid = fork();
    if (pid == 0)
        execlp("rm", "rm", "-rf", "--", command, (char *)NULL);
    return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static const char *
path_of(const struct fixture *f, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return path;
}

enum verb { READ, WRITE, APPEND, REMOVE };

struct call {
    enum verb verb;
    const char *folder;
    const char *name;
    const char *text;
    size_t max;
    int64_t deadline_ms;
    struct pit_bytes bytes;
    enum pit_status status;
};

static enum status
run_call(struct co *core, void *arg)
{
    struct call *c = arg;
    struct pit_co *co = co_public_of(core);
    size_t len = c->text ? strlen(c->text) : 0;

    if (c->deadline_ms)
        pit_deadline(co, c->deadline_ms);
    switch (c->verb) {
    case READ:
        c->status = pit_file_read(co, c->folder, c->name, c->max, &c->bytes);
        break;
    case WRITE:
        c->status = pit_file_write(co, c->folder, c->name, c->text, len);
        break;
    case APPEND:
        c->status = pit_file_append(co, c->folder, c->name, c->text, len);
        break;
    case REMOVE:
        c->status = pit_file_remove(co, c->folder, c->name);
        break;
    }
    return ST_OK;
}

static enum pit_status
call(struct fixture *f, struct call *c)
{
    assert_int_equal(co_run(f->loop, "test", run_call, c), ST_OK);
    return c->status;
}

static void
expect_content(struct fixture *f, const char *name, const char *text)
{
    struct call c = {.verb = READ, .folder = f->folder, .name = name};

    assert_int_equal(call(f, &c), PIT_OK);
    assert_string_equal(c.bytes.data, text);
    assert_int_equal(c.bytes.len, strlen(text));
    pit_bytes_clear(&c.bytes);
    pit_bytes_clear(&c.bytes);
}

static enum pit_status
put(struct fixture *f, enum verb verb, const char *name, const char *text)
{
    struct call c = {
        .verb = verb, .folder = f->folder, .name = name, .text = text};

    return call(f, &c);
}

static void
test_write_read_append_remove(void **state)
{
    struct fixture *f = *state;
    struct stat stat_;

    assert_int_equal(put(f, WRITE, "a", "one"), PIT_OK);
    expect_content(f, "a", "one");
    assert_int_equal(stat(path_of(f, "a"), &stat_), 0);
    assert_int_equal(stat_.st_mode & 07777 & ~0640u, 0);
    assert_int_equal(chmod(path_of(f, "a"), 0600), 0);
    assert_int_equal(put(f, WRITE, "a", ""), PIT_OK);
    expect_content(f, "a", "");
    assert_int_equal(stat(path_of(f, "a"), &stat_), 0);
    assert_int_equal(stat_.st_mode & 07777, 0600); /* it keeps its mode */
    assert_int_equal(put(f, APPEND, "a", "two"), PIT_OK);
    assert_int_equal(put(f, APPEND, "a", "three"), PIT_OK);
    assert_int_equal(put(f, APPEND, "new", "four"), PIT_OK);
    expect_content(f, "a", "twothree");
    expect_content(f, "new", "four");
    assert_int_equal(put(f, REMOVE, "a", NULL), PIT_OK);
    assert_int_equal(put(f, REMOVE, "a", NULL), PIT_NOT_FOUND);
    struct call absolute = {.verb = READ, .name = path_of(f, "new")};
    assert_int_equal(call(f, &absolute), PIT_OK);
    pit_bytes_clear(&absolute.bytes);
}

static void
test_a_failed_write_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(path_of(f, "dir"), 0700), 0);
    assert_int_equal(put(f, WRITE, "dir", "x"), PIT_FORBIDDEN);
    assert_int_equal(put(f, WRITE, "dir/", "x"), PIT_FORBIDDEN);
    assert_int_equal(put(f, WRITE, "none/a", "x"), PIT_NOT_FOUND);
    /* Nothing of the attempts is left. */
    assert_int_equal(rmdir(path_of(f, "dir")), 0);
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(mkdir(f->folder, 0700), 0);
}

static void
test_limits(void **state)
{
    struct fixture *f = *state;
    char name[5000];
    struct call c = {.verb = READ, .folder = f->folder, .name = "a", .max = 4};

    assert_int_equal(put(f, WRITE, "a", "12345"), PIT_OK);
    assert_int_equal(call(f, &c), PIT_TOO_LARGE);
    c.max = 5;
    assert_int_equal(call(f, &c), PIT_OK);
    pit_bytes_clear(&c.bytes);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    c.name = name;
    assert_int_equal(call(f, &c), PIT_INVALID);
    name[300] = '\0';
    assert_int_equal(call(f, &c), PIT_INVALID);
    c.name = "";
    assert_int_equal(call(f, &c), PIT_INVALID);
    c.name = NULL;
    assert_int_equal(call(f, &c), PIT_INVALID);
    c.name = "a";
    c.folder = "/nowhere/at/all";
    assert_int_equal(call(f, &c), PIT_NOT_FOUND);
}

static void
look_outside(struct fixture *f)
{
    static const char *const names[] = {
        "../x", "sub/../../x", "/etc/hostname", "out/x",
        "file", "..",          "sub/up/up/x",   "sub/../../../etc/passwd"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int verb = READ; verb <= REMOVE; verb++) {
            struct call c = {.verb = (enum verb)verb,
                             .folder = f->folder,
                             .name = names[i],
                             .text = "x"};
            if (i == 4 && verb != READ && verb != APPEND)
                continue; /* refused, or removes the link itself */
            enum pit_status st = call(f, &c);
            if (st != PIT_NOT_FOUND && st != PIT_FORBIDDEN)
                fail_msg("%s: verb %d is %d", names[i], verb, st);
        }
}

static void
make_traps(struct fixture *f)
{
    assert_int_equal(mkdir(path_of(f, "sub"), 0700), 0);
    assert_int_equal(symlink("/tmp", path_of(f, "out")), 0);
    assert_int_equal(symlink("/etc/hostname", path_of(f, "file")), 0);
    assert_int_equal(symlink("..", path_of(f, "sub/up")), 0);
}

/* Valgrind and old kernels have none: then test_the_same_without_openat2 says
 * what is left. */
static bool
have_openat2(void)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);

    if (fd >= 0)
        close((int)fd);
    return fd >= 0;
}

static void
test_names_stay_in_the_folder(void **state)
{
    struct fixture *f = *state;

    if (!have_openat2())
        skip();

    make_traps(f);
    look_outside(f);
    assert_int_equal(put(f, WRITE, "sub/x", "in"), PIT_OK);
    expect_content(f, "sub/x", "in");
    expect_content(f, "sub/../sub/x", "in");
    expect_content(f, "sub/up/sub/x", "in"); /* a link that stays inside */
    /* A link is not written through, nor replaced. */
    assert_int_equal(put(f, WRITE, "file", "mine"), PIT_FORBIDDEN);
}

/* In a child: the filter cannot be taken off again. */
static int
without_openat2(struct fixture *f)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    struct call c = {
        .verb = WRITE, .folder = f->folder, .name = "sub/x", .text = "in"};
    struct call out = {.verb = READ, .folder = f->folder};
    static const char *const names[] = {"../x",  "sub/../../x", "/etc/hostname",
                                        "out/x", "file",        "sub/up/sub/x"};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 77;
    struct loop *loop = loop_new(NULL);
    if (co_run(loop, "test", run_call, &c) != ST_OK || c.status != PIT_OK)
        return 1;
    c.verb = READ;
    if (co_run(loop, "test", run_call, &c) != ST_OK || c.status != PIT_OK ||
        strcmp(c.bytes.data, "in") != 0)
        return 2;
    pit_bytes_clear(&c.bytes);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        out.name = names[i];
        if (co_run(loop, "test", run_call, &out) != ST_OK ||
            out.status != PIT_NOT_FOUND)
            return 3 + (int)i;
    }
    loop_free(loop);
    return 0;
}

static void
test_the_same_without_openat2(void **state)
{
    struct fixture *f = *state;
    int wait_status = 0;

    make_traps(f);
    pid_t pid = fork();
    if (pid == 0)
        _exit(without_openat2(f));
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status));
    if (WEXITSTATUS(wait_status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(wait_status), 0);
}

static void
test_only_regular_files(void **state)
{
    struct fixture *f = *state;

    /* A pipe without a writer, or a reader, holds nobody. */
    assert_int_equal(mkfifo(path_of(f, "pipe"), 0600), 0);
    for (int verb = READ; verb <= APPEND; verb++) {
        struct call c = {.verb = (enum verb)verb,
                         .folder = f->folder,
                         .name = "pipe",
                         .text = "x"};
        assert_int_equal(call(f, &c), PIT_FORBIDDEN);
    }
    struct call dir = {.verb = READ, .name = f->folder};
    assert_int_equal(call(f, &dir), PIT_FORBIDDEN);
}

/* ---- ending early ---- */

static int gate[2];

static enum status
hold(void *arg)
{
    char c;

    (void)arg;
    return read(gate[0], &c, 1) == 1 ? ST_OK : ST_FAILED;
}

static enum status
hold_thread(struct co *co, void *arg)
{
    return co_thread(co, "hold", hold, arg, NULL);
}

/* The only thread is busy, so the call waits for it, and leaves. */
static void
test_a_deadline_ends_the_wait(void **state)
{
    const struct loop_options options = {.threads_max = 1};
    struct fixture *f = *state;
    struct loop *loop = loop_new(&options);

    assert_int_equal(pipe(gate), 0);
    assert_int_equal(co_spawn(loop, "hold", hold_thread, NULL, NULL), ST_OK);
    for (int verb = READ; verb <= REMOVE; verb++) {
        struct call c = {.verb = (enum verb)verb,
                         .folder = f->folder,
                         .name = "a",
                         .text = "x",
                         .deadline_ms = 5};
        assert_int_equal(co_run(loop, "test", run_call, &c), ST_OK);
        assert_int_equal(c.status, PIT_TIMEOUT);
        assert_null(c.bytes.data);
    }
    assert_int_equal(write(gate[1], "x", 1), 1);
    while (co_count(loop) > 0)
        loop_turn(loop, -1);
    loop_free(loop);
    close(gate[0]);
    close(gate[1]);
    struct stat stat_;
    assert_int_equal(stat(path_of(f, "a"), &stat_), -1); /* never begun */
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_write_read_append_remove),
        TEST(test_a_failed_write_leaves_the_old_file),
        TEST(test_limits),
        TEST(test_names_stay_in_the_folder),
        TEST(test_the_same_without_openat2),
        TEST(test_only_regular_files),
        TEST(test_a_deadline_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
