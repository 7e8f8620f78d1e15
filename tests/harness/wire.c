/* wire.c - serve() is all that the front's requests come to, by path; what it
 * did stands in the struct wire. The rest is the client. */
#include "harness/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/co/co.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/exchange.h"

enum { STREAM_PIECE = 10000 };

/* ---- what is served ---- */

static enum status
sleep_a_while(struct co *co, struct http_exchange *x)
{
    struct str ms = request_query(&x->req, STR("ms"));
    int64_t n = 0;

    if (!str_to_i64(ms, &n))
        return ST_INVALID;
    return co_sleep(co, n);
}

static enum status
serve_stream(struct co *co, struct http_exchange *x, struct wire *w)
{
    static char piece[STREAM_PIECE];
    struct str size = request_query(&x->req, STR("n"));
    int64_t left = 0;
    enum status st = ST_OK;

    memset(piece, 's', sizeof piece);
    if (!str_to_i64(size, &left))
        return ST_INVALID;
    while (st == ST_OK && left > 0) {
        size_t n = left < STREAM_PIECE ? (size_t)left : STREAM_PIECE;
        st = exchange_write(co, x, str_from(piece, n));
        if (st == ST_OK)
            w->streamed += n;
        left -= (int64_t)n;
    }
    if (st == ST_OK && request_query(&x->req, STR("fail")).p)
        st = ST_BUG;
    return st;
}

static enum status
serve_pieces(struct co *co, struct http_exchange *x)
{
    struct str bytes;
    size_t total = 0;
    enum status st;

    do {
        st = exchange_read(co, x, &bytes);
        if (st != ST_OK)
            return st;
        total += bytes.n;
    } while (bytes.n > 0);
    return (enum status)pit_reply_text(&x->res, 200, "%zu bytes", total);
}

static enum status
serve_big(struct http_exchange *x)
{
    static char big[1024 * 1024];

    memset(big, 'b', sizeof big);
    return response_lend(&x->res, 200, "a/b", str_from(big, sizeof big));
}

static enum status
serve_echo(struct co *co, struct http_exchange *x)
{
    size_t n;
    enum status st = exchange_read_all(co, x);

    if (st != ST_OK)
        return st;
    const char *body = pit_request_body(&x->req, &n);
    return (enum status)pit_reply_bytes(&x->res, 200, "a/b", body, n);
}

static enum status
serve(struct co *co, struct http_exchange *x, struct wire *w)
{
    struct str path = str_c(pit_request_path(&x->req));
    struct pit_response *res = &x->res;

    if (str_eq_c(path, "/hello"))
        return (enum status)pit_reply_text(res, 200, "hello");
    if (str_eq_c(path, "/echo"))
        return serve_echo(co, x);
    if (str_eq_c(path, "/small")) {
        exchange_body_max(x, 4);
        return serve_echo(co, x);
    }
    if (str_eq_c(path, "/sleep")) {
        w->result = sleep_a_while(co, x);
        if (w->result != ST_OK)
            return w->result;
        return (enum status)pit_reply_text(res, 200, "slept");
    }
    if (str_eq_c(path, "/late-echo")) {
        enum status st = sleep_a_while(co, x);
        return st == ST_OK ? serve_echo(co, x) : st;
    }
    if (str_eq_c(path, "/pieces"))
        return serve_pieces(co, x);
    if (str_eq_c(path, "/stream")) {
        w->result = serve_stream(co, x, w);
        return w->result;
    }
    if (str_eq_c(path, "/stream-slowly")) {
        enum status st = exchange_write(co, x, STR("begun"));
        if (st == ST_OK)
            st = co_sleep(co, 50);
        return st == ST_OK ? exchange_write(co, x, STR("ended")) : st;
    }
    if (str_eq_c(path, "/big"))
        return serve_big(x);
    if (str_eq_c(path, "/nothing"))
        return ST_OK;
    if (str_eq_c(path, "/fail"))
        return error_set(&x->err, ST_UNAVAILABLE, "Redis is away");
    if (str_eq_c(path, "/field"))
        return (enum status)pit_reply_text(res, 200, "%s|%s|%s",
                                           pit_request_header(&x->req, "x-a"),
                                           x->req.id, x->req.peer);
    return (enum status)pit_reply_problem(res, PIT_NOT_FOUND, "nothing at %s",
                                          path.p);
}

static enum status
handler(struct co *co, struct http_exchange *x, void *arg)
{
    struct wire *w = arg;

    w->started++;
    enum status st = serve(co, x, w);
    w->ended++;
    return st;
}

/* ---- the client ---- */

void
wire_start(struct wire *w, const struct front_options *options)
{
    int fds[2];

    *w = (struct wire){.result = -1};
    w->loop = loop_new(NULL);
    w->front = front_new(w->loop, options, handler, w);
    buf_init(&w->got, 64 * 1024 * 1024);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    w->client = fds[0];
    assert_int_equal(fcntl(w->client, F_SETFL, O_NONBLOCK), 0);
    front_adopt(w->front, fds[1]);
}

void
wire_start_tcp(struct wire *w, const struct front_options *options)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    wire_start(w, options);
    close(w->client);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    w->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(w->client, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(fcntl(w->client, F_SETFL, O_NONBLOCK), 0);
    front_adopt(w->front, accept(fd, NULL, NULL));
    close(fd);
}

void
wire_stop(struct wire *w)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    if (w->client >= 0)
        close(w->client);
    front_cancel(w->front);
    while (front_stats(w->front).in_flight > 0) {
        assert_true(clock_mono_ms() < end);
        loop_turn(w->loop, 10);
    }
    assert_int_equal(w->started, w->ended);
    front_free(w->front);
    loop_free(w->loop);
    buf_clear(&w->got);
}

void
wire_send(struct wire *w, struct str s)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    while (s.n > 0) {
        ssize_t n = send(w->client, s.p, s.n, MSG_NOSIGNAL);
        if (n > 0)
            s = str_skip(s, (size_t)n);
        else
            loop_turn(w->loop, 10);
        assert_true(clock_mono_ms() < end);
    }
}

void
wire_send_c(struct wire *w, const char *text)
{
    wire_send(w, str_c(text));
}

static void
receive(struct wire *w)
{
    char *room = buf_room(&w->got, 65536);
    ssize_t n = recv(w->client, room, 65536, 0);

    if (n > 0)
        buf_grew(&w->got, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        w->eof = true;
    w->reset |= n < 0 && errno != EAGAIN;
}

size_t
wire_count(const struct wire *w, const char *what)
{
    size_t n = 0;
    const char *at = w->got.p, *end = w->got.p + w->got.len;

    while (at && (at = memmem(at, (size_t)(end - at), what, strlen(what)))) {
        n++;
        at += strlen(what);
    }
    return n;
}

static void
turn_once(struct wire *w, int64_t end, const char *what)
{
    if (clock_mono_ms() > end)
        fail_msg("no %s in: %.*s", what, (int)w->got.len, w->got.p);
    loop_turn(w->loop, 5);
    receive(w);
}

void
wire_expect_times(struct wire *w, const char *what, size_t times)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    while (wire_count(w, what) < times)
        turn_once(w, end, what);
    assert_int_equal(wire_count(w, what), times);
}

void
wire_expect(struct wire *w, const char *what)
{
    wire_expect_times(w, what, 1);
}

void
wire_expect_eof(struct wire *w)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    while (!w->eof)
        turn_once(w, end, "end");
}

void
wire_expect_ended(struct wire *w, int handlers)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    while (w->ended < handlers)
        turn_once(w, end, "end of the handler");
}

void
wire_expect_no_connection(struct wire *w)
{
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    while (front_stats(w->front).open > 0)
        turn_once(w, end, "end of the connection");
}

void
wire_forget(struct wire *w)
{
    buf_reset(&w->got);
}

void
wire_let_pass(struct wire *w, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;

    while (clock_mono_ms() < end) {
        loop_turn(w->loop, 5);
        receive(w);
    }
}
