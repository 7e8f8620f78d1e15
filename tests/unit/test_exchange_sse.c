/* Streams of events over a socket pair: what the client reads, byte for byte,
 * heartbeats of a silent handler, and events that cannot be written. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/co/co.h"
#include "base/buf.h"
#include "base/clock.h"
#include "http/exchange_sse.h"
#include "http/front.h"

enum { WAIT_MS = 5000, EVENTS_MAX = 8 };

struct fixture {
    struct loop *loop;
    struct front *front;
    int client;
    struct buf got;
    struct exchange_sse_event events[EVENTS_MAX]; /* to be sent */
    size_t events_len;
    enum status results[EVENTS_MAX];
    int64_t sleep_ms; /* afterwards */
    enum status result;
    bool ended, eof;
    char last_id[32];
};

static enum status
handler(struct co *co, struct http_exchange *x, void *arg)
{
    struct fixture *f = arg;

    str_copy_to(exchange_sse_last_id(x), f->last_id, sizeof f->last_id);
    enum status st = exchange_sse_start(co, x);
    for (size_t i = 0; i < f->events_len; i++)
        f->results[i] = exchange_sse_send(co, x, &f->events[i]);
    if (st == ST_OK && f->events_len == 0)
        st = exchange_sse_comment(co, x, STR("two\nlines"));
    if (st == ST_OK && f->sleep_ms > 0)
        st = co_sleep(co, f->sleep_ms);
    f->result = st;
    f->ended = true;
    return st;
}

static void
start(struct fixture *f, int64_t heartbeat_ms)
{
    struct front_options options = {.sse_heartbeat_ms = heartbeat_ms};
    int fds[2];

    f->loop = loop_new(NULL);
    f->front = front_new(f->loop, &options, handler, f);
    buf_init(&f->got, 1024 * 1024);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->client = fds[0];
    assert_int_equal(fcntl(f->client, F_SETFL, O_NONBLOCK), 0);
    front_adopt(f->front, fds[1]);
}

static void
ask(struct fixture *f, const char *request)
{
    struct str s = str_c(request);

    assert_int_equal(send(f->client, s.p, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

static void
turn(struct fixture *f)
{
    loop_turn(f->loop, 5);
    char *room = buf_room(&f->got, 65536);
    ssize_t n = recv(f->client, room, 65536, 0);
    if (n > 0)
        buf_grew(&f->got, (size_t)n);
    f->eof |= n == 0;
}

static bool
has(const struct fixture *f, const char *what)
{
    return f->got.p && memmem(f->got.p, f->got.len, what, strlen(what));
}

static void
expect(struct fixture *f, const char *what)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (!has(f, what)) {
        if (clock_mono_ms() > end)
            fail_msg("no %s in: %.*s", what, (int)f->got.len, f->got.p);
        turn(f);
    }
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
    front_free(f->front);
    loop_free(f->loop);
    buf_clear(&f->got);
}

/* HTTP/1.0: the bytes of the stream are those on the wire. */
static void
test_events(void **state)
{
    struct fixture f = {
        .events =
            {
                {.data = STR("one")},
                {.id = STR("7"),
                 .event = STR("state"),
                 .data = STR("a\nb\r\nc\r")},
                {.id = {"", 0}, .data = STR(" x")},
                {.retry_ms = 1500},
                {.event = STR("empty")},
            },
        .events_len = 5,
    };

    (void)state;
    start(&f, 0);
    ask(&f, "GET / HTTP/1.0\r\nLast-Event-ID: 41\r\n\r\n");
    expect(&f, "event: empty\n");
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!f.eof && clock_mono_ms() < end)
        turn(&f);
    assert_true(
        has(&f, "\r\nContent-Type: text/event-stream; charset=utf-8\r\n"));
    assert_true(has(&f, "\r\nCache-Control: no-store\r\n"));
    assert_true(has(&f, "\r\nX-Accel-Buffering: no\r\n"));
    assert_true(has(&f, "\r\n\r\n"
                        "data: one\n\n"
                        "id: 7\nevent: state\ndata: a\ndata: b\ndata: c\n"
                        "data: \n\n"
                        "id\ndata:  x\n\n"
                        "retry: 1500\n\n"
                        "event: empty\ndata: \n\n"));
    for (int i = 0; i < 5; i++)
        assert_int_equal(f.results[i], ST_OK);
    assert_string_equal(f.last_id, "41");
    stop(&f);
}

static void
test_chunked_and_comment(void **state)
{
    struct fixture f = {0};

    (void)state;
    start(&f, 0);
    ask(&f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&f, "\r\n\r\nf\r\n: two\n: lines\n\n\r\n0\r\n\r\n");
    stop(&f);
}

static void
test_refused_events(void **state)
{
    static char name[EXCHANGE_SSE_NAME_MAX + 1];
    struct fixture f = {.events_len = 5};

    (void)state;
    memset(name, 'n', sizeof name);
    f.events[0] = (struct exchange_sse_event){.id = STR("a\nb")};
    f.events[1] = (struct exchange_sse_event){.event = STR("a\rb")};
    f.events[2] = (struct exchange_sse_event){.id = {"a\0b", 3}};
    f.events[3] =
        (struct exchange_sse_event){.event = str_from(name, sizeof name)};
    f.events[4] = (struct exchange_sse_event){.data = STR("x"), .retry_ms = -1};
    start(&f, 0);
    ask(&f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&f, "\r\n\r\n0\r\n\r\n");
    for (int i = 0; i < 5; i++)
        assert_int_equal(f.results[i], ST_INVALID);
    stop(&f);
}

static void
test_heartbeat(void **state)
{
    struct fixture f = {
        .events = {{.data = STR("x")}}, .events_len = 1, .sleep_ms = 60000};

    (void)state;
    start(&f, 20);
    ask(&f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&f, "3\r\n:\n\n\r\n3\r\n:\n\n\r\n");
    assert_false(f.ended);
    stop(&f);
    assert_int_equal(f.result, ST_CANCELLED);
}

/* Nobody reads what HEAD asks for, so there is nothing to beat. */
static void
test_head(void **state)
{
    struct fixture f = {.sleep_ms = 100};

    (void)state;
    start(&f, 10);
    ask(&f, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!f.ended && clock_mono_ms() < end)
        turn(&f);
    turn(&f);
    assert_true(has(&f, "text/event-stream"));
    assert_memory_equal(f.got.p + f.got.len - 4, "\r\n\r\n", 4);
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_chunked_and_comment),
        cmocka_unit_test(test_refused_events),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
