/* Server: forks what serves.
 *
 * STOPPING WITHOUT A LOST CONNECTION
 *   A socket that is closed resets whoever waits in its queue. So a filter is
 *   attached to each TCP socket first that drops new SYNs (the client's kernel
 *   repeats them, and finds the port closed, or another server behind it);
 *   handshakes that have begun complete, the processes accept for a moment
 *   longer, and only then the sockets go. A unix socket loses its path instead.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/log.h"
#include "base/str.h"
#include "http/listener.h"
#include "process.h"

enum {
    KILL_AFTER_MS = 3000, /* past the grace: a process that hangs */
    ADDRESS_SIZE = 160,
};

struct server {
    const struct settings *settings;
    struct children children;
    struct child *table;
    int *sockets; /* one a process; -1: closed */
    unsigned len;
    int access_fd;
    bool stopping;
};

/* ---- sockets ---- */

static void
close_sockets(struct server *server, unsigned except)
{
    for (unsigned i = 0; i < server->len; i++)
        if (i != except && server->sockets[i] >= 0) {
            close(server->sockets[i]);
            server->sockets[i] = -1;
        }
}

/* The first one opens alone: that fails when another server has the port, which
 * SO_REUSEPORT would share with it. It also finds the port when 0 was asked
 * for. */
static enum status
open_sockets(struct server *server, char name[ADDRESS_SIZE], struct error *err)
{
    const char *address = server->settings->listen;
    bool local = str_starts(str_c(address), STR("unix:"));
    int fd = -1;

    enum status st = listener_open(address, false, &fd, err);
    if (st != ST_OK)
        return st;
    listener_name(fd, name, ADDRESS_SIZE);
    if (local) { /* one socket, shared by all: there is no SO_REUSEPORT */
        server->sockets[0] = fd;
        for (unsigned i = 1; i < server->len; i++) {
            server->sockets[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
            if (server->sockets[i] < 0)
                return error_set_sys(err, ST_LIMIT, errno, "no descriptor");
        }
        return ST_OK;
    }
    close(fd);
    /* ":8000" means every address of both kinds: its name would not. */
    if (address[0] != ':' || str_eq_c(str_c(address), ":0"))
        address = name;
    for (unsigned i = 0; i < server->len && st == ST_OK; i++)
        st = listener_open(address, true, &server->sockets[i], err);
    return st;
}

/* Classic BPF over the TCP header: offset 13 holds the flags, 0x02 is SYN. */
static void
refuse_connections(const struct server *server)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {ARRAY_LEN(code), code};
    struct str path = str_c(server->settings->listen);

    if (str_starts(path, STR("unix:"))) {
        (void)unlink(path.p + sizeof "unix:" - 1);
        return;
    }
    /* Where filters are forbidden a connection may be reset, as everywhere. */
    for (unsigned i = 0; i < server->len; i++)
        if (setsockopt(server->sockets[i], SOL_SOCKET, SO_ATTACH_FILTER,
                       &program, sizeof program) != 0)
            log_debug("SO_ATTACH_FILTER: errno %d", errno);
}

/* ---- processes ---- */

static int
run_child(struct child *child)
{
    struct server *server = child->arg;

    close_sockets(server, child->index);
    return process_run(&(struct process_options){
        .settings = server->settings,
        .listen_fd = server->sockets[child->index],
        .access_fd = server->access_fd,
    });
}

static void
on_signal(struct children *children, int signo)
{
    struct server *server = children->arg;

    if (signo != SIGTERM && signo != SIGINT)
        return;
    if (server->stopping) {
        log_warn("stopping at once");
        children_stop_all(children, SIGKILL, 0);
        return;
    }
    server->stopping = true;
    log_info("stopping: requests under way have %lld ms",
             (long long)server->settings->grace);
    refuse_connections(server);
    children_stop_all(children, SIGTERM,
                      server->settings->grace + KILL_AFTER_MS);
    close_sockets(server, server->len);
}

/* Loading runs the application's constructors: in a process that ends. */
static bool
check_in_child(const struct settings *settings)
{
    struct error err;
    int wait_status = 0;
    pid_t pid = fork();

    if (pid < 0) {
        log_error("cannot fork: errno %d", errno);
        return false;
    }
    if (pid == 0) {
        enum status st = process_check(settings, &err);
        if (st != ST_OK)
            log_error("%s", err.msg);
        _exit(st == ST_OK ? 0 : 1);
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(wait_status))
        return WEXITSTATUS(wait_status) == 0;
    char cause[CHILDREN_CAUSE_MAX];
    children_cause(wait_status, cause, sizeof cause);
    log_error("--app %s: loading it ended with %s",
              settings->app ? settings->app : "(none)", cause);
    return false;
}

static enum status
open_access_log(struct server *server, struct error *err)
{
    const char *path = server->settings->access_log;

    server->access_fd = -1;
    if (!path)
        return ST_OK;
    if (str_eq_c(str_c(path), "-")) {
        server->access_fd = STDOUT_FILENO;
        return ST_OK;
    }
    server->access_fd =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (server->access_fd < 0)
        return error_set_sys(err, ST_INVALID, errno, "--access-log %s", path);
    return ST_OK;
}

static void
serve(struct server *server, const char *name)
{
    for (unsigned i = 0; i < server->len; i++) {
        server->table[i] = (struct child){
            .name = "pit-web", .index = i, .run = run_child, .arg = server};
        children_add(&server->children, &server->table[i]);
    }
    log_info("listening on %s%s, %u process%s",
             str_starts(str_c(name), STR("unix:")) ? "" : "http://", name,
             server->len, server->len == 1 ? "" : "es");
    children_run(&server->children);
    log_info("stopped");
}

int
server_run(const struct settings *settings)
{
    struct server server = {.settings = settings,
                            .len = (unsigned)settings->processes};
    char name[ADDRESS_SIZE];
    struct error err;
    int exit_status = SERVER_EXIT_USAGE;

    server.table = xcalloc(server.len, sizeof *server.table);
    server.sockets = xcalloc(server.len, sizeof *server.sockets);
    for (unsigned i = 0; i < server.len; i++)
        server.sockets[i] = -1;
    enum status st = open_access_log(&server, &err);
    if (st == ST_OK)
        st = open_sockets(&server, name, &err);
    if (st == ST_OK && !check_in_child(settings))
        goto out;
    if (st == ST_OK)
        st = children_init(&server.children, on_signal, &server, &err);
    if (st != ST_OK) {
        log_error("%s", err.msg);
        goto out;
    }
    serve(&server, name);
    exit_status = SERVER_EXIT_OK;
out:
    close_sockets(&server, server.len);
    free(server.table);
    free(server.sockets);
    return exit_status;
}
