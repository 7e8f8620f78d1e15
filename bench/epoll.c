/* bench-epoll: the least that a server on this kernel can cost.
 *
 * One process, one thread, level-triggered epoll. Whatever arrives in one read
 * is taken for one request and is not looked at; the answer is always the same,
 * with the header fields that pit-web's has, so that the kernel has as many
 * bytes to carry. Its clients must keep the connection, send heads that fit
 * into one segment, and not pipeline.
 *
 * What pit-web uses over this is what parsing, routing, a coroutine and the
 * building of an answer cost. It ends by SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tool.h"

enum { INPUT_SIZE = 16384, EVENTS_MAX = 256, BACKLOG = 4096 };

struct options {
    int64_t port;
};

static const struct config_option table[] = {
    {"port", "N", CONFIG_INT, offsetof(struct options, port), "8000", 1, 65535,
     false, "of 127.0.0.1"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-epoll",
    .synopsis = "bench-epoll [OPTION...]",
    .about = "Answers every read with the same 200, without parsing it.",
    .options = table,
};

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Content-Length: 15\r\n"
                             "X-Request-Id: 0000000000000000\r\n"
                             "\r\n"
                             "Hello, async C!";

static void
watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        tool_fail("epoll_ctl: %m");
}

static int
listen_on(int64_t port)
{
    const int one = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0)
        tool_fail("127.0.0.1:%lld: %m", (long long)port);
    return fd;
}

static void
accept_all(int epoll, int listener)
{
    const int one = 1;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, fd);
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        tool_fail("accept: %m");
}

/* The answer is short and its client waits for it: it always fits. */
static void
serve(int fd)
{
    char input[INPUT_SIZE];
    ssize_t n = recv(fd, input, sizeof input, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) !=
                      (ssize_t)sizeof answer - 1)
        close(fd);
}

int
main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];
    struct options options;

    tool_options(&program, argc, argv, &options);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        tool_fail("epoll_create1: %m");
    int listener = listen_on(options.port);
    watch(epoll, listener);

    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        if (n < 0 && errno != EINTR)
            tool_fail("epoll_wait: %m");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
