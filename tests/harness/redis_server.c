/* A private redis-server: posix_spawn would not give PR_SET_PDEATHSIG, so it
 * is forked. The commands go over plain sockets as inline commands, so that
 * the harness does not lean on what it tests. */
#include "harness/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    DEADLINE_MS = 20000,
    OPTIONS_MAX = 16,
};

struct redis_server {
    char dir[64];
    char path[96];
    char url[112];
    const char *options[OPTIONS_MAX + 1]; /* borrowed from the caller */
    pid_t pid;
};

static void
pause_a_little(void)
{
    const struct timespec pause = {0, 5000000};

    nanosleep(&pause, NULL);
}

/* Without the path of the log it would write to the test's own output. */
__attribute__((noreturn)) static void
child(const struct redis_server *server, pid_t parent)
{
    const char *argv[32] = {
        "redis-server", "--port",      "0",
        "--unixsocket", server->path,  "--dir",
        server->dir,    "--save",      "",
        "--appendonly", "yes",         "--appendfsync",
        "always",       "--daemonize", "no",
        "--logfile",    "redis.log",
    };
    size_t n = 17;

    for (size_t i = 0; server->options[i]; i++)
        argv[n++] = server->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int
connect_to(const struct redis_server *server)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {10, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", server->path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&un, sizeof un) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The first line of the answer; "" when there is none. */
static void
ask(const struct redis_server *server, const char *line, char *answer,
    size_t size)
{
    char text[512];
    int fd = connect_to(server);
    ssize_t n = 0;

    answer[0] = '\0';
    if (fd < 0)
        return;
    int len = snprintf(text, sizeof text, "%s\r\n", line);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) == len)
        n = recv(fd, answer, size - 1, 0);
    answer[n > 0 ? n : 0] = '\0';
    close(fd);
}

void
redis_server_restart(struct redis_server *server)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    pid_t parent = getpid();
    char answer[128] = "";
    int status;

    assert_int_equal(server->pid, 0);
    unlink(server->path);
    server->pid = fork();
    if (server->pid == 0)
        child(server, parent);
    assert_true(server->pid > 0);
    while (strncmp(answer, "+PONG", 5) != 0 &&
           strncmp(answer, "-NOAUTH", 7) != 0) {
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            server->pid = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
                redis_server_free(server);
                skip();
            }
            fail_msg("redis-server ended with %#x, see %s", status,
                     server->dir);
        }
        if (clock_mono_ms() > end_ms)
            fail_msg("redis-server does not answer: \"%s\"", answer);
        pause_a_little();
        ask(server, "PING", answer, sizeof answer);
    }
}

struct redis_server *
redis_server_start(const char *const *options)
{
    struct redis_server *server = calloc(1, sizeof *server);

    assert_non_null(server);
    for (size_t i = 0; options && options[i]; i++) {
        assert_true(i < OPTIONS_MAX);
        server->options[i] = options[i];
    }
    snprintf(server->dir, sizeof server->dir, "/tmp/pit-redis-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    snprintf(server->path, sizeof server->path, "%s/redis.sock", server->dir);
    snprintf(server->url, sizeof server->url, "unix://%s", server->path);
    redis_server_restart(server);
    return server;
}

const char *
redis_server_path(const struct redis_server *server)
{
    return server->path;
}

const char *
redis_server_url(const struct redis_server *server)
{
    return server->url;
}

void
redis_server_kill(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    server->pid = 0;
}

void
redis_server_stop(struct redis_server *server)
{
    int status;

    assert_int_equal(kill(server->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(server->pid, &status, WUNTRACED), server->pid);
    assert_true(WIFSTOPPED(status));
}

void
redis_server_continue(struct redis_server *server)
{
    assert_int_equal(kill(server->pid, SIGCONT), 0);
}

void
redis_server_command(struct redis_server *server, const char *line,
                     const char *want)
{
    char answer[256];

    ask(server, line, answer, sizeof answer);
    if (strncmp(answer, want, strlen(want)) != 0)
        fail_msg("\"%s\" was answered by \"%s\"", line, answer);
}

/* Its files have known names: no shell, no walking of trees. */
static void
remove_dir(const struct redis_server *server)
{
    static const char *const names[] = {
        "redis.sock",
        "redis.log",
        "dump.rdb",
        "appendonlydir/appendonly.aof.manifest",
        "appendonlydir/appendonly.aof.1.base.rdb",
        "appendonlydir/appendonly.aof.1.incr.aof",
        "appendonly.aof", /* Redis 6 */
    };
    char path[192];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", server->dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/appendonlydir", server->dir);
    rmdir(path);
    rmdir(server->dir);
}

void
redis_server_free(struct redis_server *server)
{
    if (!server)
        return;
    redis_server_kill(server);
    remove_dir(server);
    free(server);
}

/* ---- one for all tests of a program ---- */

static struct redis_server *shared;

struct redis_server *
redis_server_shared(void)
{
    assert_non_null(shared);
    return shared;
}

int
redis_server_begin_shared(void **state)
{
    (void)state;
    shared = redis_server_start(NULL);
    return 0;
}

int
redis_server_end_shared(void **state)
{
    (void)state;
    redis_server_free(shared);
    shared = NULL;
    return 0;
}
