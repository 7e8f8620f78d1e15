/* Connections over socket pairs: order, framing, limits, deadlines, and clients
 * that go away. The test is the client; it turns the loop until what it waits
 * for is there, or WAIT_MS have passed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "access.h"
#include "async/co/co.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/exchange.h"
#include "http/front.h"

enum { WAIT_MS = 5000, STREAM_PIECE = 10000 };

#define HOST "Host: a\r\n"

struct fixture {
    struct loop *loop;
    struct front *front;
    int client;
    struct buf got;     /* everything that the client has read */
    size_t streamed;    /* bytes that the handler has written */
    enum status result; /* of the handler's last await */
    int started, ended; /* handlers */
    bool eof;
    bool reset; /* eof, but not an orderly one */
};

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
serve_stream(struct co *co, struct http_exchange *x, struct fixture *f)
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
            f->streamed += n;
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
serve(struct co *co, struct http_exchange *x, struct fixture *f)
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
        f->result = sleep_a_while(co, x);
        if (f->result != ST_OK)
            return f->result;
        return (enum status)pit_reply_text(res, 200, "slept");
    }
    if (str_eq_c(path, "/late-echo")) {
        enum status st = sleep_a_while(co, x);
        return st == ST_OK ? serve_echo(co, x) : st;
    }
    if (str_eq_c(path, "/pieces"))
        return serve_pieces(co, x);
    if (str_eq_c(path, "/stream")) {
        f->result = serve_stream(co, x, f);
        return f->result;
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
    struct fixture *f = arg;

    f->started++;
    enum status st = serve(co, x, f);
    f->ended++;
    return st;
}

/* ---- the client ---- */

static void
start(struct fixture *f, const struct front_options *options)
{
    int fds[2];

    *f = (struct fixture){.result = -1};
    f->loop = loop_new(NULL);
    f->front = front_new(f->loop, options, handler, f);
    buf_init(&f->got, 64 * 1024 * 1024);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->client = fds[0];
    assert_int_equal(fcntl(f->client, F_SETFL, O_NONBLOCK), 0);
    front_adopt(f->front, fds[1]);
}

/* As start(), over TCP on the loopback. */
static void
start_tcp(struct fixture *f, const struct front_options *options)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    start(f, options);
    close(f->client);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    f->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(f->client, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(fcntl(f->client, F_SETFL, O_NONBLOCK), 0);
    front_adopt(f->front, accept(fd, NULL, NULL));
    close(fd);
}

static void
stop(struct fixture *f)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    if (f->client >= 0)
        close(f->client);
    front_cancel(f->front);
    while (front_stats(f->front).in_flight > 0) {
        assert_true(clock_mono_ms() < end);
        loop_turn(f->loop, 10);
    }
    assert_int_equal(f->started, f->ended);
    front_free(f->front);
    loop_free(f->loop);
    buf_clear(&f->got);
}

static void
send_str(struct fixture *f, struct str s)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (s.n > 0) {
        ssize_t n = send(f->client, s.p, s.n, MSG_NOSIGNAL);
        if (n > 0)
            s = str_skip(s, (size_t)n);
        else
            loop_turn(f->loop, 10);
        assert_true(clock_mono_ms() < end);
    }
}

static void
send_c(struct fixture *f, const char *text)
{
    send_str(f, str_c(text));
}

static void
receive(struct fixture *f)
{
    char *room = buf_room(&f->got, 65536);
    ssize_t n = recv(f->client, room, 65536, 0);

    if (n > 0)
        buf_grew(&f->got, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        f->eof = true;
    f->reset |= n < 0 && errno != EAGAIN;
}

/* How often @what stands in all that was read. */
static size_t
count(const struct fixture *f, const char *what)
{
    size_t n = 0;
    const char *at = f->got.p, *end = f->got.p + f->got.len;

    while (at && (at = memmem(at, (size_t)(end - at), what, strlen(what)))) {
        n++;
        at += strlen(what);
    }
    return n;
}

static void
turn_once(struct fixture *f, int64_t end, const char *what)
{
    if (clock_mono_ms() > end)
        fail_msg("no %s in: %.*s", what, (int)f->got.len, f->got.p);
    loop_turn(f->loop, 5);
    receive(f);
}

static void
expect_times(struct fixture *f, const char *what, size_t times)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (count(f, what) < times)
        turn_once(f, end, what);
    assert_int_equal(count(f, what), times);
}

static void
expect(struct fixture *f, const char *what)
{
    expect_times(f, what, 1);
}

static void
expect_eof(struct fixture *f)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (!f->eof)
        turn_once(f, end, "end");
}

static void
expect_ended(struct fixture *f, int handlers)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (f->ended < handlers)
        turn_once(f, end, "end of the handler");
}

static void
expect_no_connection(struct fixture *f)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (front_stats(f->front).open > 0)
        turn_once(f, end, "end of the connection");
}

static void
forget(struct fixture *f)
{
    buf_reset(&f->got);
}

/* Lets things happen that should not. */
static void
let_pass(struct fixture *f, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;

    while (clock_mono_ms() < end) {
        loop_turn(f->loop, 5);
        receive(f);
    }
}

/* ---- tests: answers ---- */

static void
test_keep_alive(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    for (int i = 0; i < 3; i++) {
        forget(&f);
        send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        expect(&f, "\r\n\r\nhello");
        assert_int_equal(count(&f, "HTTP/1.1 200 OK\r\n"), 1);
        assert_int_equal(count(&f, "Content-Length: 5\r\n"), 1);
        assert_int_equal(
            count(&f, "Content-Type: text/plain; charset=utf-8\r\n"), 1);
        assert_int_equal(count(&f, "Date: "), 1);
        assert_int_equal(count(&f, " GMT\r\n"), 1);
        assert_int_equal(count(&f, "X-Request-Id: "), 1);
        assert_int_equal(count(&f, "Connection:"), 0);
    }
    assert_int_equal(front_stats(f.front).requests, 3);
    assert_int_equal(front_stats(f.front).connections, 1);
    stop(&f);
}

static void
test_byte_by_byte(void **state)
{
    static const char message[] =
        "POST /echo?a HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    struct fixture f;

    (void)state;
    start(&f, NULL);
    for (size_t i = 0; i < sizeof message - 1; i++) {
        send_str(&f, str_from(message + i, 1));
        loop_turn(f.loop, 0);
    }
    expect(&f, "\r\n\r\nabcdefg");
    expect(&f, "\r\n\r\nhello");
    stop(&f);
}

static void
test_pipelined_answers_are_in_order(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /sleep?ms=50 HTTP/1.1\r\n" HOST "\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n"
               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nthird"
               "GET /sleep?ms=1 HTTP/1.1\r\n" HOST "\r\n"
               "GET /none HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "nothing at /none");
    const char *answers[] = {"slept", "hello", "third", "slept", "nothing at"};
    const char *at = f.got.p;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        at = memmem(at, (size_t)(f.got.p + f.got.len - at), answers[i],
                    strlen(answers[i]));
        assert_non_null(at);
    }
    assert_int_equal(count(&f, "HTTP/1.1 200 OK"), 4);
    stop(&f);
}

static void
test_many_pipelined(void **state)
{
    struct fixture f;
    struct buf many;

    (void)state;
    start(&f, NULL);
    buf_init(&many, 1024 * 1024);
    for (int i = 0; i < 3000; i++)
        buf_add_c(&many, "GET /hello HTTP/1.1\r\n" HOST "X-Long: aaaaaaaaaaaa"
                         "aaaaaaaaaaaaaaaaaaaa\r\n\r\n");
    send_str(&f, buf_str(&many));
    expect_times(&f, "\r\n\r\nhello", 3000);
    buf_clear(&many);
    stop(&f);
}

static void
test_head_has_no_body(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"
               "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
               "HEAD /stream?n=10 HTTP/1.1\r\n" HOST "\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    assert_int_equal(count(&f, "Content-Length: 5\r\n"), 2);
    assert_int_equal(count(&f, "HTTP/1.1 204 No Content\r\n"), 1);
    assert_int_equal(count(&f, "Content-Length"), 2);
    assert_int_equal(count(&f, "Transfer-Encoding"), 0);
    stop(&f);
}

static void
test_http_1_0(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(&f, "Connection: keep-alive\r\n\r\nhello");
    send_c(&f, "GET /stream?n=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(&f, "Connection: close\r\n\r\nsss");
    expect_eof(&f);
    assert_int_equal(count(&f, "Transfer-Encoding"), 0);
    stop(&f);
}

static void
test_statuses_become_problems(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /fail HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\"detail\":\"Redis is away\"");
    expect(&f, "HTTP/1.1 503 Service Unavailable\r\n");
    expect(&f, "Retry-After: 1\r\n");
    expect(&f, "application/problem+json");
    expect(&f, "\"instance\":\"/fail\"");
    assert_int_equal(count(&f, "Connection: close"), 0);
    stop(&f);
}

static void
test_request_ids_and_peers(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /field HTTP/1.1\r\n" HOST
               "X-A: one\r\nX-Request-Id: my-id.1\r\n\r\n");
    expect(&f, "\r\n\r\none|my-id.1|unix");
    expect(&f, "X-Request-Id: my-id.1\r\n");
    forget(&f);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: a<b\r\n\r\n");
    expect(&f, "hello");
    assert_int_equal(count(&f, "a<b"), 0);
    stop(&f);
}

static void
test_bad_escapes_in_a_target(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /%zz HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "HTTP/1.1 400 Bad Request\r\n");
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    assert_int_equal(f.started, 1);
    stop(&f);
}

static void
test_options_of_the_server(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "Allow: GET, HEAD");
    expect(&f, "204 No Content");
    assert_int_equal(f.started, 0);
    stop(&f);
}

/* ---- bodies ---- */

static void
test_bodies(void **state)
{
    static char body[300000], head[128];
    struct fixture f;

    (void)state;
    start(&f, NULL);
    memset(body, 'x', sizeof body);
    body[sizeof body - 1] = '!';
    snprintf(head, sizeof head,
             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             sizeof body);
    send_c(&f, head);
    send_str(&f, str_from(body, sizeof body));
    expect(&f, "!");
    assert_int_equal(count(&f, "x"), sizeof body - 1);
    forget(&f);
    snprintf(head, sizeof head,
             "POST /pieces HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             sizeof body);
    send_c(&f, head);
    send_str(&f, str_from(body, sizeof body));
    expect(&f, "\r\n\r\n300000 bytes");
    stop(&f);
}

static void
test_chunked_body(void **state)
{
    static char body[65536];
    struct fixture f;

    (void)state;
    start(&f, NULL);
    memset(body, 'x', sizeof body);
    send_c(&f, "POST /echo HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\n\r\n10000\r\n");
    send_str(&f, str_from(body, sizeof body));
    send_c(&f, "\r\n1;ext\r\n!\r\n0\r\nTrailer: dropped\r\n\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    expect(&f, "Content-Length: 65537\r\n");
    stop(&f);
}

static void
test_broken_chunks(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "POST /echo HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX");
    expect(&f, "HTTP/1.1 400 Bad Request\r\n");
    expect(&f, "Connection: close\r\n");
    expect_eof(&f);
    stop(&f);
}

static void
test_unread_bodies_are_dropped(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nGET /"
               "GET /hello HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
               "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n1");
    expect_times(&f, "\r\n\r\nhello", 3);
    send_c(&f, "23456789GET /none HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "nothing at /none");
    assert_int_equal(count(&f, "Connection: close"), 0);
    stop(&f);
}

/* The time for the rest of one body is not the next request's. */
static void
test_dropped_body_leaves_no_deadline(void **state)
{
    struct front_options options = {.body_timeout_ms = 400};
    struct fixture f;

    (void)state;
    start(&f, &options);
    send_c(&f, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n1");
    expect(&f, "\r\n\r\nhello");
    send_c(&f, "23456789GET /sleep?ms=300 HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nslept");
    assert_int_equal(count(&f, "Connection: close"), 0);
    assert_int_equal(front_stats(f.front).timed_out, 0);
    stop(&f);
}

static void
test_large_unread_body_closes(void **state)
{
    struct front_options options = {.body_max = 10};
    struct fixture f;

    (void)state;
    start(&f, &options);
    send_c(&f, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n");
    expect(&f, "Connection: close\r\n");
    expect(&f, "\r\n\r\nhello");
    expect_eof(&f);
    stop(&f);
}

static void
test_body_limits(void **state)
{
    struct front_options options = {.body_max = 10};
    struct fixture f;

    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const messages[] = {
            /* refused before a byte of it came */
            "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",
            "POST /small HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n",
            "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
            "b\r\n01234567890\r\n",
            "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
            "Content-Length: 9223372036854775807\r\n\r\n",
        };
        start(&f, &options);
        send_c(&f, messages[i]);
        expect(&f, "HTTP/1.1 413 Content Too Large\r\n");
        expect(&f, i == 1 ? "\"max_bytes\":4" : "\"max_bytes\":10");
        expect(&f, "Connection: close\r\n");
        assert_int_equal(count(&f, "100 Continue"), 0);
        expect_eof(&f);
        stop(&f);
    }
}

static void
test_continue_comes_with_the_first_read(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "POST /late-echo?ms=400 HTTP/1.1\r\n" HOST
               "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    let_pass(&f, 30);
    assert_int_equal(f.got.len, 0);
    expect(&f, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(f.got.len, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
    send_c(&f, "abc");
    expect(&f, "\r\n\r\nabc");
    assert_int_equal(count(&f, "Connection: close"), 0);
    stop(&f);
}

static void
test_no_continue_without_a_read(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "POST /hello HTTP/1.1\r\n" HOST
               "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect(&f, "\r\n\r\nhello");
    expect(&f, "Connection: close\r\n");
    assert_int_equal(count(&f, "100 Continue"), 0);
    expect_eof(&f);
    stop(&f);
}

/* ---- refusals and deadlines ---- */

static void
test_refusals(void **state)
{
    static const struct {
        const char *message, *want;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
        {"TRACE / HTTP/1.1\r\n\r\n", "Allow: GET, HEAD, POST"},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 501 "},
        {"GET /hello HTTP/1.1\r\n" HOST "\r\nrubbish\r\n",
         "HTTP/1.1 400 Bad Request\r\n"},
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&f, NULL);
        send_c(&f, rows[i].message);
        expect(&f, rows[i].want);
        expect(&f, "application/problem+json");
        expect(&f, "Connection: close\r\n");
        expect_eof(&f);
        close(f.client);
        f.client = -1;
        expect_no_connection(&f);
        assert_int_equal(front_stats(f.front).refused, 1);
        stop(&f);
    }
}

/* Unread bytes would make the kernel reset the connection, and the client would
 * never see why. */
static void
test_refusal_arrives_although_more_is_sent(void **state)
{
    static char rest[100000];
    struct fixture f;

    (void)state;
    start_tcp(&f, NULL);
    memset(rest, 'x', sizeof rest);
    send_c(&f, "POST / HTTP/1.1\r\nHost : a\r\n\r\n");
    send_str(&f, str_from(rest, sizeof rest));
    expect(&f, "HTTP/1.1 400 Bad Request\r\n");
    expect_eof(&f);
    assert_false(f.reset);
    stop(&f);
}

static void
test_head_deadline(void **state)
{
    struct front_options options = {
        .head_timeout_ms = 50, .idle_timeout_ms = 2000, .drain_timeout_ms = 20};
    struct fixture f;

    (void)state;
    /* part of a head, even if it goes on dripping */
    start(&f, &options);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\nG");
    expect(&f, "\r\n\r\nhello");
    for (int i = 0; i < 5 && !f.eof; i++) {
        send_c(&f, "E");
        let_pass(&f, 10);
    }
    expect(&f, "HTTP/1.1 408 Request Timeout\r\n");
    expect_eof(&f);
    expect_no_connection(&f);
    assert_int_equal(front_stats(f.front).timed_out, 1);
    stop(&f);
    /* nothing at all: closed without a word */
    start(&f, &options);
    expect_eof(&f);
    assert_int_equal(f.got.len, 0);
    stop(&f);
}

static void
test_idle_deadline(void **state)
{
    struct front_options options = {.idle_timeout_ms = 50,
                                    .head_timeout_ms = 1000};
    struct fixture f;
    int64_t began;

    (void)state;
    start(&f, &options);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    began = clock_mono_ms();
    forget(&f);
    expect_eof(&f);
    assert_in_range(clock_mono_ms() - began, 40, WAIT_MS);
    assert_int_equal(f.got.len, 0);
    stop(&f);
}

/* A handler's own time is no idle time. */
static void
test_a_slow_handler_is_not_idle(void **state)
{
    struct front_options options = {
        .idle_timeout_ms = 20, .head_timeout_ms = 20, .body_timeout_ms = 20};
    struct fixture f;

    (void)state;
    start(&f, &options);
    send_c(&f, "GET /sleep?ms=150 HTTP/1.1\r\n" HOST "\r\n"
               "GET /sleep?ms=150 HTTP/1.1\r\n" HOST "\r\n");
    expect_times(&f, "\r\n\r\nslept", 2);
    stop(&f);
    options = (struct front_options){.idle_timeout_ms = 200};
    start(&f, &options);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    send_c(&f, "GET /sleep?ms=400 HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nslept");
    stop(&f);
}

/* The client cannot be late before it was asked. */
static void
test_body_time_counts_from_the_first_read(void **state)
{
    struct front_options options = {.body_timeout_ms = 400};
    struct fixture f;

    (void)state;
    start(&f, &options);
    send_c(&f, "POST /late-echo?ms=500 HTTP/1.1\r\n" HOST
               "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect(&f, "HTTP/1.1 100 Continue\r\n\r\n");
    send_c(&f, "abc");
    expect(&f, "\r\n\r\nabc");
    stop(&f);
}

static void
test_body_deadlines(void **state)
{
    static const struct front_options rows[] = {
        {.body_timeout_ms = 60},
        {.body_timeout_ms = 4000, .body_grace_ms = 40, .body_rate = 100000},
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t began = clock_mono_ms();
        start(&f, &rows[i]);
        send_c(&f,
               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
        expect(&f, "HTTP/1.1 408 Request Timeout\r\n");
        expect(&f, "Connection: close\r\n");
        assert_in_range(clock_mono_ms() - began, 40, WAIT_MS);
        expect_eof(&f);
        assert_int_equal(front_stats(f.front).timed_out, 1);
        stop(&f);
    }
}

static void
test_stalled_reader_is_cut(void **state)
{
    struct front_options options = {.write_timeout_ms = 60,
                                    .output_max = 20000};
    struct fixture f;
    int64_t end = clock_mono_ms() + WAIT_MS;

    (void)state;
    start(&f, &options);
    send_c(&f, "GET /stream?n=50000000 HTTP/1.1\r\n" HOST "\r\n");
    while (f.ended == 0) {
        assert_true(clock_mono_ms() < end);
        loop_turn(f.loop, 5); /* and read nothing */
    }
    assert_int_equal(f.result, ST_CANCELLED);
    assert_int_equal(front_stats(f.front).timed_out, 1);
    assert_int_equal(front_stats(f.front).open, 0);
    stop(&f);
}

/* ---- streaming ---- */

static void
test_stream(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /stream?n=25000 HTTP/1.1\r\n" HOST "\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    expect(&f, "Transfer-Encoding: chunked\r\n");
    expect_times(&f, "\r\n2710\r\nsss", 2);
    expect(&f, "\r\n1388\r\nsss");
    expect(&f, "s\r\n0\r\n\r\nHTTP/1.1 200 OK");
    assert_int_equal(count(&f, "s\r\n"), 3);
    stop(&f);
}

static void
test_failed_stream_is_cut_visibly(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /stream?n=5&fail=1 HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n5\r\nsssss\r\n");
    expect_eof(&f);
    assert_int_equal(count(&f, "\r\n0\r\n"), 0);
    stop(&f);
}

static void
test_slow_reader_pauses_the_producer(void **state)
{
    struct front_options options = {.output_max = 50000};
    struct fixture f;
    size_t before;
    int64_t end = clock_mono_ms() + WAIT_MS;

    (void)state;
    start(&f, &options);
    send_c(&f, "GET /stream?n=4000000 HTTP/1.1\r\n" HOST "\r\n");
    do { /* until it stands still */
        before = f.streamed;
        for (int i = 0; i < 5; i++)
            loop_turn(f.loop, 2);
        assert_true(clock_mono_ms() < end);
    } while (f.streamed == 0 || f.streamed != before);
    assert_true(f.streamed < 1000000); /* the socket's buffer, and ours */
    expect(&f, "\r\n0\r\n\r\n");
    assert_int_equal(f.streamed, 4000000);
    assert_true(count(&f, "ssssssssss") >= 399000);
    stop(&f);
}

static void
test_big_answer(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /big HTTP/1.1\r\n" HOST "\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 5; i++)
        loop_turn(f.loop, 2);
    expect(&f, "\r\n\r\nhello");
    assert_int_equal(count(&f, "bbbbbbbbbbbbbbbb"), 1024 * 1024 / 16);
    stop(&f);
}

/* ---- clients that go away ---- */

static void
test_hang_up_cancels(void **state)
{
    struct fixture f;
    int64_t began = clock_mono_ms();

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    let_pass(&f, 20);
    assert_int_equal(f.started, 1);
    close(f.client);
    f.client = -1;
    expect_ended(&f, 1);
    assert_int_equal(f.result, ST_CANCELLED);
    assert_true(clock_mono_ms() - began < WAIT_MS);
    expect_no_connection(&f);
    assert_int_equal(front_stats(f.front).hung_up, 1);
    stop(&f);
}

static void
test_hang_up_while_reading_a_body(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    let_pass(&f, 20);
    close(f.client);
    f.client = -1;
    expect_ended(&f, 1);
    expect_no_connection(&f);
    stop(&f);
}

/* Over TCP a FIN says nothing; a reset follows only when we send. */
static void
test_vanished_tcp_client_cancels(void **state)
{
    struct front_options options = {.probe_ms = 30};
    struct fixture f;

    (void)state;
    start_tcp(&f, &options);
    send_c(&f, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    let_pass(&f, 20);
    close(f.client);
    f.client = -1;
    expect_ended(&f, 1);
    assert_int_equal(f.result, ST_CANCELLED);
    expect_no_connection(&f);
    stop(&f);
}

/* Whether it comes while the handler waits, or together with the request. */
static void
test_reset_cancels_at_once(void **state)
{
    struct front_options options = {.probe_ms = -1};
    struct linger linger = {.l_onoff = 1};
    struct fixture f;

    (void)state;
    for (int before = 0; before < 2; before++) {
        start_tcp(&f, &options);
        send_c(&f, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
        if (!before)
            let_pass(&f, 20);
        setsockopt(f.client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(f.client);
        f.client = -1;
        expect_no_connection(&f);
        assert_int_equal(f.started, f.ended);
        assert_true(before || f.result == ST_CANCELLED);
        stop(&f);
    }
}

static void
test_half_closed_client_gets_its_answer(void **state)
{
    struct front_options options = {.probe_ms = 20};
    struct fixture f;

    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        (tcp ? start_tcp : start)(&f, &options);
        send_c(&f, "GET /sleep?ms=100 HTTP/1.1\r\n" HOST "\r\n"
                   "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        shutdown(f.client, SHUT_WR);
        expect(&f, "\r\n\r\nhello");
        expect(&f, "\r\n\r\nslept");
        expect_eof(&f);
        expect_no_connection(&f);
        assert_int_equal(front_stats(f.front).hung_up, 0);
        stop(&f);
    }
}

static void
test_half_closed_within_a_body(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    shutdown(f.client, SHUT_WR);
    expect(&f, "HTTP/1.1 400 Bad Request\r\n");
    expect_eof(&f);
    stop(&f);
}

static void
test_client_that_goes_while_idle(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /he");
    expect(&f, "\r\n\r\nhello");
    close(f.client);
    f.client = -1;
    expect_no_connection(&f);
    stop(&f);
}

/* ---- caps and the end ---- */

static void
test_in_flight_cap(void **state)
{
    struct front_options options = {.in_flight_max = 1};
    struct fixture f;
    int fds[2];

    (void)state;
    start(&f, &options);
    send_c(&f, "GET /sleep?ms=500 HTTP/1.1\r\n" HOST "\r\n");
    let_pass(&f, 10);
    int first = f.client;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    front_adopt(f.front, fds[1]);
    f.client = fds[0];
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "HTTP/1.1 503 Service Unavailable\r\n");
    expect(&f, "Retry-After: 1\r\n");
    close(fds[0]);
    f.client = first;
    forget(&f);
    expect(&f, "\r\n\r\nslept");
    stop(&f);
}

static void
test_requests_of_a_connection_are_limited(void **state)
{
    struct front_options options = {.requests_max = 3};
    struct fixture f;

    (void)state;
    start(&f, &options);
    for (int i = 0; i < 5; i++)
        send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect_eof(&f);
    assert_int_equal(count(&f, "\r\n\r\nhello"), 3);
    assert_int_equal(count(&f, "Connection: close\r\n"), 1);
    stop(&f);
}

static void
test_connections_are_limited(void **state)
{
    struct front_options options = {.connections_max = 1};
    struct fixture f;
    int fds[2];
    char c;

    (void)state;
    start(&f, &options);
    assert_true(front_full(f.front));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    front_adopt(f.front, fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 0);
    close(fds[0]);
    close(f.client);
    f.client = -1;
    expect_no_connection(&f);
    assert_false(front_full(f.front));
    stop(&f);
}

static void
test_drain(void **state)
{
    struct front_options options;
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /sleep?ms=400 HTTP/1.1\r\n" HOST "\r\n"
               "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    let_pass(&f, 10);
    front_drain(f.front);
    expect(&f, "\r\n\r\nslept");
    expect(&f, "Connection: close\r\n");
    expect_eof(&f);
    assert_int_equal(count(&f, "hello"), 0);
    stop(&f);
    /* one that has been idle for its time goes at once */
    options = (struct front_options){.drain_idle_ms = 50};
    start(&f, &options);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    let_pass(&f, 60);
    front_drain(f.front);
    let_pass(&f, 5);
    assert_true(f.eof);
    stop(&f);
    /* one that was busy a moment ago may ask once more */
    start(&f, NULL);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "\r\n\r\nhello");
    front_drain(f.front);
    let_pass(&f, 10);
    assert_false(f.eof);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect_times(&f, "\r\n\r\nhello", 2);
    expect(&f, "Connection: close\r\n");
    expect_eof(&f);
    stop(&f);
    /* but not for ever, and one that never asks is no better */
    for (int asks = 0; asks < 2; asks++) {
        start(&f, &options);
        if (asks) {
            send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            expect(&f, "\r\n\r\nhello");
        }
        front_drain(f.front);
        front_drain(f.front);
        let_pass(&f, 20);
        assert_false(f.eof);
        expect_eof(&f);
        stop(&f);
    }
}

struct late {
    struct loop_task task;
    int client;
};

static void
send_late(struct loop_task *task)
{
    static const char request[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";

    assert_int_equal(write(LIST_ENTRY(task, struct late, task)->client, request,
                           sizeof request - 1),
                     sizeof request - 1);
}

/* The loop has looked at the sockets already when the request arrives, and next
 * comes the deadline. */
static void
test_a_request_that_meets_the_deadline(void **state)
{
    struct front_options options = {.idle_timeout_ms = 40, .drain_idle_ms = 40};
    struct fixture f;

    (void)state;
    for (int draining = 0; draining < 2; draining++) {
        start(&f, &options);
        send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        expect(&f, "\r\n\r\nhello");
        if (draining)
            front_drain(f.front);
        struct late late = {{.fn = send_late}, f.client};
        loop_ready(f.loop, &late.task);
        usleep(60000); /* past the deadline, without a turn of the loop */
        expect_times(&f, "\r\n\r\nhello", 2);
        stop(&f);
    }
}

/* A stream that began before the drain did not announce the end. */
static void
test_drain_of_a_stream(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /stream-slowly HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "begun\r\n");
    front_drain(f.front);
    expect(&f, "ended\r\n0\r\n\r\n");
    assert_int_equal(count(&f, "Connection: close"), 0);
    send_c(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&f, "Connection: close\r\n");
    expect_times(&f, "\r\n\r\nhello", 1);
    expect_eof(&f);
    stop(&f);
}

static void
test_cancel(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    let_pass(&f, 10);
    front_drain(f.front);
    front_cancel(f.front);
    expect(&f, "HTTP/1.1 503 Service Unavailable\r\n");
    expect(&f, "/shutting-down\"");
    expect_eof(&f);
    stop(&f);
}

static void
test_access_log(void **state)
{
    struct loop *loop = loop_new(NULL);
    char line[1024];
    int fds[2];

    (void)state;
    for (int format = ACCESS_COMMON; format <= ACCESS_JSON; format++) {
        assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
        struct access_log *log =
            access_new(loop, fds[1], (enum access_format)format);
        access_add(log, &(struct access_entry){.peer = "::1",
                                               .method = "GET",
                                               .path = STR("/a\"b"),
                                               .query = STR("c=d"),
                                               .version_minor = 1,
                                               .status = 200,
                                               .bytes = 5,
                                               .duration_us = 1234,
                                               .request_id = "id-1"});
        loop_turn(loop, 0);
        ssize_t n = read(fds[0], line, sizeof line - 1);
        assert_true(n > 0);
        line[n] = '\0';
        if (format == ACCESS_COMMON) {
            assert_non_null(strstr(
                line, "\"GET /a\\x22b?c=d HTTP/1.1\" 200 5 1.234 id-1\n"));
            assert_memory_equal(line, "::1 - - [", 9);
        } else {
            assert_non_null(strstr(line,
                                   "\"path\":\"/a\\\"b\",\"query\":\"c=d\""
                                   ",\"version\":\"1.1\",\"status\":200,"
                                   "\"bytes\":5,\"duration_ms\":1.234"));
        }
        assert_int_equal(access_dropped(log), 0);
        /* full pipe: lines are dropped, and counted */
        for (int i = 0; i < 5000; i++)
            access_add(log, &(struct access_entry){.peer = "::1",
                                                   .method = "GET",
                                                   .path = STR("/"),
                                                   .request_id = "x"});
        access_add(log, &(struct access_entry){.peer = "::1",
                                               .method = "GET",
                                               .path = STR("/"),
                                               .request_id = "x"});
        loop_turn(loop, 0);
        assert_true(access_dropped(log) > 0);
        access_free(log);
        close(fds[0]);
        close(fds[1]);
    }
    loop_free(loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_pipelined_answers_are_in_order),
        cmocka_unit_test(test_many_pipelined),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_statuses_become_problems),
        cmocka_unit_test(test_request_ids_and_peers),
        cmocka_unit_test(test_bad_escapes_in_a_target),
        cmocka_unit_test(test_options_of_the_server),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_chunked_body),
        cmocka_unit_test(test_broken_chunks),
        cmocka_unit_test(test_unread_bodies_are_dropped),
        cmocka_unit_test(test_dropped_body_leaves_no_deadline),
        cmocka_unit_test(test_large_unread_body_closes),
        cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_continue_comes_with_the_first_read),
        cmocka_unit_test(test_no_continue_without_a_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refusal_arrives_although_more_is_sent),
        cmocka_unit_test(test_head_deadline),
        cmocka_unit_test(test_idle_deadline),
        cmocka_unit_test(test_a_slow_handler_is_not_idle),
        cmocka_unit_test(test_body_time_counts_from_the_first_read),
        cmocka_unit_test(test_body_deadlines),
        cmocka_unit_test(test_stalled_reader_is_cut),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_failed_stream_is_cut_visibly),
        cmocka_unit_test(test_slow_reader_pauses_the_producer),
        cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_hang_up_cancels),
        cmocka_unit_test(test_hang_up_while_reading_a_body),
        cmocka_unit_test(test_vanished_tcp_client_cancels),
        cmocka_unit_test(test_reset_cancels_at_once),
        cmocka_unit_test(test_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_half_closed_within_a_body),
        cmocka_unit_test(test_client_that_goes_while_idle),
        cmocka_unit_test(test_in_flight_cap),
        cmocka_unit_test(test_requests_of_a_connection_are_limited),
        cmocka_unit_test(test_connections_are_limited),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_a_request_that_meets_the_deadline),
        cmocka_unit_test(test_drain_of_a_stream),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_access_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
