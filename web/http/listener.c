/* Listener: accept() in a loop, and what to do when that cannot go on.
 *
 * Level-triggered: while it pauses the event is taken out of the loop, and
 * clients wait in the kernel's backlog. Two things end a pause: room in the
 * front, or, when descriptors ran out, PAUSE_MS. */
#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

enum { PAUSE_MS = 100 };

struct listener {
    struct loop *loop;
    struct front *front;
    struct tls *tls; /* NULL: plain */
    struct front_waiter room;
    struct event *event;
    struct loop_timer pause;
    int fd;
    int reserve; /* -1 while it could not be had back */
};

/* ---- addresses ---- */

static enum status
parse_port(struct str text, in_port_t *ret)
{
    int64_t port;

    if (!str_to_i64(text, &port) || port > 65535)
        return ST_INVALID;
    *ret = htons((uint16_t)port);
    return ST_OK;
}

/* "host:port"; the host in brackets when it is IPv6. */
static enum status
parse_tcp(struct str address, struct sockaddr_storage *ret, socklen_t *ret_len,
          struct error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    char host[INET6_ADDRSTRLEN + 1] = "";
    size_t colon = address.n;

    memset(ret, 0, sizeof *ret);
    while (colon > 0 && address.p[colon - 1] != ':')
        colon--;
    if (colon == 0 || colon > sizeof host)
        goto bad;
    str_copy_to(str_from(address.p, colon - 1), host, sizeof host);
    struct str port = str_skip(address, colon);
    size_t n = strlen(host);
    if (n == 0 || (n > 2 && host[0] == '[' && host[n - 1] == ']')) {
        if (n > 0)
            host[n - 1] = '\0';
        v6->sin6_family = AF_INET6;
        *ret_len = sizeof *v6;
        if ((n > 0 && inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1) ||
            parse_port(port, &v6->sin6_port) != ST_OK)
            goto bad;
        return ST_OK;
    }
    v4->sin_family = AF_INET;
    *ret_len = sizeof *v4;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 &&
        parse_port(port, &v4->sin_port) == ST_OK)
        return ST_OK;
bad:
    return error_set(err, ST_INVALID,
                     "cannot listen on '%.*s': want 127.0.0.1:8000, "
                     "[::1]:8000, :8000 or unix:/path",
                     STR_ARG(address));
}

/* A socket file that nobody answers on is left from a crash. */
static void
remove_stale(const struct sockaddr_un *un)
{
    struct stat st;
    int fd;

    if (lstat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)un, sizeof *un) != 0 &&
        errno == ECONNREFUSED)
        (void)unlink(un->sun_path);
    close(fd);
}

static enum status
parse_unix(struct str path, struct sockaddr_storage *ret, socklen_t *ret_len,
           struct error *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)ret;

    memset(ret, 0, sizeof *ret);
    un->sun_family = AF_UNIX;
    *ret_len = sizeof *un;
    if (path.n == 0 || path.n >= sizeof un->sun_path)
        return error_set(err, ST_INVALID,
                         "cannot listen on 'unix:%.*s': the path must have "
                         "1 to %zu bytes",
                         STR_ARG(path), sizeof un->sun_path - 1);
    memcpy(un->sun_path, path.p, path.n);
    return ST_OK;
}

/* ---- opening ---- */

static int
set_on(int fd, int level, int option, int on)
{
    return setsockopt(fd, level, option, &on, sizeof on);
}

static int
bind_socket(const struct sockaddr_storage *addr, socklen_t len, bool shared)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
    int fd =
        socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0;

    if (ok && addr->ss_family != AF_UNIX) {
        ok = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0;
        if (ok && shared)
            ok = set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0;
        if (ok && addr->ss_family == AF_INET6)
            ok = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0;
    }
    if (ok && addr->ss_family == AF_UNIX)
        remove_stale(un);
    ok = ok && bind(fd, (const struct sockaddr *)addr, len) == 0;
    if (ok && addr->ss_family == AF_UNIX)
        ok = chmod(un->sun_path, 0660) == 0;
    if (ok && listen(fd, LISTENER_BACKLOG) == 0)
        return fd;

    int sys = errno;
    if (fd >= 0)
        close(fd);
    errno = sys;
    return -1;
}

enum status
listener_open(const char *address, bool shared, int *ret_fd, struct error *err)
{
    struct str text = str_c(address);
    struct sockaddr_storage addr;
    socklen_t len = 0;
    enum status st;

    if (str_starts(text, STR("unix:")))
        st = parse_unix(str_skip(text, 5), &addr, &len, err);
    else
        st = parse_tcp(text, &addr, &len, err);
    if (st != ST_OK)
        return st;

    int fd = bind_socket(&addr, len, shared);
    if (fd < 0 && errno == EAFNOSUPPORT && address[0] == ':') {
        /* A machine without IPv6: every IPv4 address then. */
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        v4.sin_port = ((struct sockaddr_in6 *)&addr)->sin6_port;
        memcpy(&addr, &v4, sizeof v4);
        fd = bind_socket(&addr, sizeof v4, shared);
    }
    if (fd < 0)
        return error_set_sys(err, ST_UNAVAILABLE, errno, "cannot listen on %s",
                             address);
    *ret_fd = fd;
    return ST_OK;
}

void
listener_name(int fd, char *dst, size_t size)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    char host[INET6_ADDRSTRLEN] = "?";

    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        addr.ss_family = AF_UNSPEC;
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(dst, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(dst, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else if (addr.ss_family == AF_UNIX) {
        snprintf(dst, size, "unix:%s",
                 ((const struct sockaddr_un *)&addr)->sun_path);
    } else {
        snprintf(dst, size, "?");
    }
}

/* ---- accepting ---- */

static int
open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
wait_for_room(struct listener *listener)
{
    event_del(listener->event);
    front_wait_room(listener->front, &listener->room);
}

static void
go_on(struct listener *listener)
{
    if (front_full(listener->front))
        wait_for_room(listener);
    else if (event_add(listener->event, NULL) != 0)
        log_error("cannot watch the listening socket");
}

static void
on_pause_end(struct loop_timer *timer)
{
    struct listener *listener = LIST_ENTRY(timer, struct listener, pause);

    if (listener->reserve < 0)
        listener->reserve = open_reserve();
    go_on(listener);
}

static void
on_room(struct front_waiter *waiter)
{
    struct listener *listener = LIST_ENTRY(waiter, struct listener, room);

    if (!loop_timer_active(&listener->pause))
        go_on(listener);
}

/* No descriptor is left: turns one client away instead of letting it hang. */
static void
refuse_one(struct listener *listener)
{
    if (listener->reserve >= 0) {
        close(listener->reserve);
        int fd = accept(listener->fd, NULL, NULL);
        if (fd >= 0)
            close(fd);
        listener->reserve = open_reserve();
    }
    event_del(listener->event);
    loop_timer_start(listener->loop, &listener->pause, PAUSE_MS, on_pause_end);
    log_warn("out of descriptors: accepting pauses for %d ms", PAUSE_MS);
}

enum accepted { ACCEPTED, ACCEPTED_NONE, ACCEPTED_NO_ROOM, ACCEPTED_NO_FD };

static enum accepted
accept_one(struct listener *listener)
{
    if (front_full(listener->front))
        return ACCEPTED_NO_ROOM;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        front_adopt_tls(listener->front, fd, listener->tls);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
             errno == ENOMEM)
        return ACCEPTED_NO_FD;
    else if (errno == EAGAIN)
        return ACCEPTED_NONE;
    /* Everything else is about that one client (accept(2)). */
    return ACCEPTED;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    enum accepted how = ACCEPTED;

    (void)fd;
    (void)what;
    for (int i = 0; i < LISTENER_BATCH && how == ACCEPTED; i++)
        how = accept_one(listener);
    if (how == ACCEPTED_NO_ROOM)
        wait_for_room(listener);
    else if (how == ACCEPTED_NO_FD)
        refuse_one(listener);
}

bool
listener_drain(struct listener *listener)
{
    enum accepted how = ACCEPTED;

    struct pollfd pollfd = {.fd = listener->fd, .events = POLLIN};

    for (int i = 0; i <= LISTENER_BACKLOG && how == ACCEPTED; i++)
        how = accept_one(listener);
    return how == ACCEPTED || poll(&pollfd, 1, 0) == 0;
}

struct listener *
listener_new(struct loop *loop, struct front *front, int fd)
{
    struct listener *listener = xcalloc(1, sizeof *listener);

    listener->loop = loop;
    listener->front = front;
    listener->fd = fd;
    listener->reserve = open_reserve();
    listener->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST,
                                on_acceptable, listener);
    if (!listener->event)
        log_fatal("out of memory");
    list_init(&listener->room.link);
    listener->room.fn = on_room;
    go_on(listener);
    return listener;
}

void
listener_use_tls(struct listener *listener, struct tls *tls)
{
    listener->tls = tls;
}

void
listener_free(struct listener *listener)
{
    if (!listener)
        return;
    list_remove(&listener->room.link);
    loop_timer_stop(&listener->pause);
    event_free(listener->event);
    if (listener->reserve >= 0)
        close(listener->reserve);
    close(listener->fd);
    free(listener);
}
