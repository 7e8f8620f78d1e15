/* Connection, its socket: bytes in, bytes out.
 *
 * DESIGN. Edge-triggered events, so that nothing is added to or removed from
 * epoll for a request: `readable` and `writable_wait` remember what the edges
 * said. A short read means that the socket is empty, and saves the recv() that
 * would say EAGAIN; where that could miss a FIN or a reset that came with the
 * data (epoll has told of the FIN, or a handler is about to wait), it reads on
 * until EAGAIN. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "http/connection.h"
#include "http/forwarded.h"

size_t
connection_pending(const struct connection *c)
{
    return c->out.len - c->out_sent + c->tail.n;
}

bool
connection_is_hung_up(const struct connection *c)
{
    struct pollfd pollfd = {.fd = c->fd};

    return poll(&pollfd, 1, 0) == 1 &&
           pollfd.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void
on_eof(struct connection *c)
{
    c->eof = true;
    c->readable = false;
    if (connection_is_hung_up(c))
        connection_vanish(c);
}

static void
wait_writable(struct connection *c)
{
    if (c->writable_wait)
        return;
    c->writable_wait = true;
    if (event_add(c->write_event, NULL) != 0)
        connection_vanish(c);
}

static ssize_t
receive(struct connection *c, char *dst, size_t room)
{
    ssize_t n;

    if (c->tls)
        return tls_read(c->tls, dst, room);
    do
        n = recv(c->fd, dst, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Whoever speaks plain HTTP to a port of TLS is told so in the same way. */
static APART void
answer_plain(const struct connection *c)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
        "Content-Length: 34\r\nConnection: close\r\n\r\n"
        "this port speaks HTTPS, not HTTP.\n";

    (void)send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    (void)shutdown(c->fd, SHUT_WR);
    /* Unread bytes would make the kernel reset the connection. */
    char rest[4096];
    while (recv(c->fd, rest, sizeof rest, 0) > 0)
        ;
}

/* A small block is full: what nobody has taken of it, and the head that is
 * being read, go to a large one. */
static void
grow(struct connection *c)
{
    char *from = c->in;
    bool given = c->exchange && c->state != CONNECTION_HEAD;

    c->in = front_block_take(c->front, c->front->block_size);
    c->in_size = c->front->block_size;
    c->in_len -= c->in_pos;
    memcpy(c->in, from + c->in_pos, c->in_len);
    if (c->exchange && !given)
        parser_move(&c->parser, &c->exchange->head, c->in - from - c->in_pos);
    c->in_pos = c->in_head = 0;
    if (given && !c->pinned)
        c->pinned = from;
    else
        front_block_give(c->front, from, SMALL_BLOCK);
}

bool
connection_receive(struct connection *c)
{
    if (!c->in) {
        c->in = front_block_take(c->front, SMALL_BLOCK);
        c->in_size = SMALL_BLOCK;
    }
    if (c->in_len == c->in_size && c->in_size == SMALL_BLOCK)
        grow(c);
    size_t room = c->in_size - c->in_len;
    if (room == 0)
        return false;

    ssize_t n = receive(c, c->in + c->in_len, room);
    if (n > 0) {
        c->in_len += (size_t)n;
        if (!c->tls && (size_t)n < room && !c->closed_half &&
            c->state != CONNECTION_BUSY)
            c->readable = false;
        return true;
    }
    if (n == 0) {
        on_eof(c);
    } else if (errno == EAGAIN) {
        c->readable = false;
        if (c->tls && tls_turned(c->tls)) {
            c->read_turned = true;
            wait_writable(c);
        }
    } else {
        if (c->tls && tls_was_plain(c->tls))
            answer_plain(c);
        connection_vanish(c);
    }
    return false;
}

/* ---- output ---- */

static APART ssize_t
send_both(const struct connection *c, struct str out)
{
    struct iovec iov[2] = {
        {(char *)(uintptr_t)out.p, out.n},
        {(char *)(uintptr_t)c->tail.p, c->tail.n},
    };
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

    return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

/* One send() or sendmsg(); the bytes that left, or -1 when no more can leave
 * now. */
static ssize_t
send_some(struct connection *c)
{
    struct str out = str_from(c->out.p + c->out_sent, c->out.len - c->out_sent);

    if (c->tls) {
        struct str first = out.n > 0 ? out : c->tail;
        return tls_write(c->tls, first.p, first.n);
    }
    if (c->tail.n == 0)
        return send(c->fd, out.p, out.n, MSG_NOSIGNAL);
    return send_both(c, out);
}

static void
sent(struct connection *c, size_t n)
{
    size_t of_out = c->out.len - c->out_sent;

    if (n < of_out) {
        c->out_sent += n;
        return;
    }
    c->tail = str_skip(c->tail, n - of_out);
    c->out_sent = 0;
    buf_reset(&c->out);
}

/* Sent and not acknowledged, or not sent yet; 0 where nobody can say. */
static int
queued(const struct connection *c)
{
    int n = 0;

    return ioctl(c->fd, SIOCOUTQ, &n) == 0 ? n : 0;
}

void
connection_watch_output(struct connection *c)
{
    c->queued = queued(c);
    front_deadline(c->front, &c->writing, DEADLINE_WRITE);
}

bool
connection_is_read(const struct connection *c)
{
    const struct front_options *options = &c->front->options;
    int64_t wanted = options->write_rate * options->write_timeout_ms / 1000;
    int64_t taken = c->queued - queued(c);

    return taken > 0 && taken >= wanted;
}

bool
connection_flush(struct connection *c)
{
    size_t before = connection_pending(c), pending = before;

    if (c->out.failed)
        connection_vanish(c);
    while (c->state != CONNECTION_CLOSED && pending > 0 && !c->writable_wait) {
        ssize_t n = send_some(c);
        if (n >= 0)
            sent(c, (size_t)n);
        else if (errno == EAGAIN && c->tls && tls_turned(c->tls))
            c->write_turned = c->writable_wait = true;
        else if (errno == EAGAIN)
            wait_writable(c);
        else if (errno != EINTR)
            connection_vanish(c);
        pending = connection_pending(c);
    }
    if (c->state == CONNECTION_CLOSED)
        return false;
    if (pending == 0) {
        front_deadline_stop(&c->writing);
        front_out_give(c->front, &c->out);
    } else if (pending < before || list_empty(&c->writing.link)) {
        connection_watch_output(c);
    }
    if (c->exchange)
        exchange_on_output(c->exchange);
    switch (c->state) {
    case CONNECTION_HEAD:
        return before > c->front->options.output_max && pending < before;
    case CONNECTION_ENDING:
        return pending < before;
    case CONNECTION_CLOSING:
        return pending == 0;
    default:
        return false;
    }
}

/* ---- the socket ---- */

static void
name_peer(struct connection *c)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    const void *ip = NULL;

    memcpy(c->peer, "unix", sizeof "unix");
    if (getpeername(c->fd, (struct sockaddr *)&addr, &len) != 0)
        return;
    if (c->front->options.forwarded)
        c->trusted = forwarded_trusts(c->front->options.forwarded, &addr);
    if (addr.ss_family == AF_INET)
        ip = &((struct sockaddr_in *)&addr)->sin_addr;
    else if (addr.ss_family == AF_INET6)
        ip = &((struct sockaddr_in6 *)&addr)->sin6_addr;
    if (!ip || !inet_ntop(addr.ss_family, ip, c->peer, sizeof c->peer))
        return;
    /* An IPv4 client of an IPv6 socket goes by its own name. */
    if (strncmp(c->peer, "::ffff:", 7) == 0 && strchr(c->peer, '.'))
        memmove(c->peer, c->peer + 7, strlen(c->peer + 7) + 1);
}

static void
set_options(int fd)
{
    int on = 1;

    /* Neither is fatal, and a local socket knows neither. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

void
connection_drop_output(struct connection *c)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void
connection_prepare(struct connection *c)
{
    name_peer(c);
    set_options(c->fd);
}
