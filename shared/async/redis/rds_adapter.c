/* The socket under a Redis connection.
 *
 * Reading: 16 KiB at a time, since hiredis' reader moves what is left in its
 * buffer after each KiB that it consumed, so that large portions cost
 * quadratically; READS_MAX portions a turn, so that one connection cannot
 * hold up the loop.
 *
 * A failed write does not close at once: the server may have said why it hung
 * up ("-ERR max number of clients reached"), and that is still to be read. The
 * read event follows for certain, with those bytes, an end or an error. */
#include "async/redis/rds_adapter.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "async/redis/rds_reply.h"
#include "base/log.h"

enum {
    READ_SIZE = 16 << 10,
    READS_MAX = 16,                               /* portions in one turn */
    CATCH_UP_MAX = 2 * RDS_REPLY_MAX / READ_SIZE, /* before a deadline counts */
    READER_KEEP = 256 << 10, /* bytes of buffer kept while it is empty */
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_INTERVAL_S = 5,
    KEEPALIVE_COUNT = 2,
    UNACKNOWLEDGED_MAX_MS = 25000,
};

static void
lost(struct rds_adapter *a, const struct error *why)
{
    a->events->on_lost(a, why);
}

static void
lost_sys(struct rds_adapter *a, int sys, const char *what)
{
    struct error err;

    (void)error_set_sys(&err, ST_UNAVAILABLE, sys, "%s", what);
    lost(a, &err);
}

static void
lost_text(struct rds_adapter *a, const char *what)
{
    struct error err;

    (void)error_set(&err, ST_UNAVAILABLE, "%s", what);
    lost(a, &err);
}

/* False when the connection is gone. */
static bool
hand_out_replies(struct rds_adapter *a)
{
    redisReader *reader = a->reader;
    void *reply;

    for (;;) {
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            lost_text(a, reader->err == REDIS_ERR_OOM
                             ? "a reply was too large, or memory is short"
                             : reader->errstr);
            return false;
        }
        if (!reply)
            return true;
        a->events->on_reply(a, reply);
        if (a->reader != reader)
            return false;
    }
}

static void
take_in(struct rds_adapter *a, int reads_max)
{
    char bytes[READ_SIZE];

    for (int i = 0; i < reads_max; i++) {
        ssize_t n = recv(a->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            lost_sys(a, errno, "the connection broke");
            return;
        }
        if (n == 0) {
            lost_text(a, "the server closed the connection");
            return;
        }
        if (redisReaderFeed(a->reader, bytes, (size_t)n) != REDIS_OK) {
            lost_text(a, a->reader->errstr);
            return;
        }
        if (!hand_out_replies(a))
            return;
        if (a->reader->len - a->reader->pos > RDS_REPLY_MAX) {
            lost_text(a, "a reply was too large");
            return;
        }
        if ((size_t)n < sizeof bytes)
            return;
    }
}

static void
read_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    take_in(arg, READS_MAX);
}

void
rds_adapter_catch_up(struct rds_adapter *a)
{
    if (a->fd >= 0 && !a->connecting)
        take_in(a, CATCH_UP_MAX);
}

static void
send_now(struct rds_adapter *a)
{
    int sys = rds_output_send(&a->output, a->fd);

    if (sys) {
        a->broken = true;
        return;
    }
    a->full = !rds_output_empty(&a->output);
    if (a->full && event_add(a->write_event, NULL) != 0)
        log_fatal("cannot watch the socket of a Redis connection");
}

static void
connected(struct rds_adapter *a)
{
    int sys = 0;
    socklen_t len = sizeof sys;

    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
        sys = errno;
    if (sys) {
        lost_sys(a, sys, "cannot connect");
        return;
    }
    a->connecting = false;
    if (event_add(a->read_event, NULL) != 0)
        log_fatal("cannot watch the socket of a Redis connection");
    a->events->on_connected(a);
}

static void
write_cb(evutil_socket_t fd, short what, void *arg)
{
    struct rds_adapter *a = arg;

    (void)fd, (void)what;
    if (a->connecting)
        connected(a);
    else
        send_now(a);
}

static void
hook_cb(struct loop_hook *hook)
{
    struct rds_adapter *a = LIST_ENTRY(hook, struct rds_adapter, hook);

    if (!rds_output_empty(&a->output) && !a->connecting && !a->full &&
        !a->broken)
        send_now(a);
}

void
rds_adapter_init(struct rds_adapter *a, struct loop *loop,
                 const struct rds_adapter_events *events)
{
    *a = (struct rds_adapter){.loop = loop, .events = events, .fd = -1};
    rds_output_init(&a->output);
}

/* None of them is worth failing for: a socket without is only slower, or
 * notices a dead peer later. */
static void
tune_tcp(int fd)
{
    static const struct {
        int level, name, value;
    } rows[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX_MS},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        (void)setsockopt(fd, rows[i].level, rows[i].name, &rows[i].value,
                         sizeof rows[i].value);
}

static void
watch(struct rds_adapter *a)
{
    struct event_base *base = loop_base(a->loop);

    a->read_event = event_new(base, a->fd, EV_READ | EV_PERSIST, read_cb, a);
    a->write_event = event_new(base, a->fd, EV_WRITE, write_cb, a);
    a->reader = redisReaderCreateWithFunctions(&rds_reply_functions);
    if (!a->read_event || !a->write_event || !a->reader)
        log_fatal("no memory for a Redis connection");
    a->reader->maxbuf = READER_KEEP;
    if (event_add(a->write_event, NULL) != 0)
        log_fatal("cannot watch the socket of a Redis connection");
    a->hook.fn = hook_cb;
    loop_hook_add(a->loop, &a->hook);
}

enum status
rds_adapter_open(struct rds_adapter *a, const struct sockaddr *address,
                 socklen_t len, struct error *err)
{
    assert(a->fd < 0);

    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(address->sa_family, type, 0);
    if (fd < 0)
        return error_set_sys(err, ST_UNAVAILABLE, errno,
                             "cannot make a socket");
    if (address->sa_family != AF_UNIX)
        tune_tcp(fd);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        enum status st =
            error_set_sys(err, ST_UNAVAILABLE, errno, "cannot connect");
        close(fd);
        return st;
    }
    a->fd = fd;
    a->connecting = true;
    a->full = a->broken = false;
    watch(a);
    return ST_OK;
}

void
rds_adapter_close(struct rds_adapter *a)
{
    if (a->fd < 0)
        return;
    loop_hook_remove(&a->hook);
    event_free(a->read_event);
    event_free(a->write_event);
    a->read_event = a->write_event = NULL;
    redisReaderFree(a->reader);
    a->reader = NULL;
    rds_output_clear(&a->output);
    close(a->fd);
    a->fd = -1;
}
