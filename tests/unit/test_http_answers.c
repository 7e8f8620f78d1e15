/* What a connection answers, in order, and what it refuses to read. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static void
test_keep_alive(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    for (int i = 0; i < 3; i++) {
        wire_forget(&w);
        wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        wire_expect(&w, "\r\n\r\nhello");
        assert_int_equal(wire_count(&w, "HTTP/1.1 200 OK\r\n"), 1);
        assert_int_equal(wire_count(&w, "Content-Length: 5\r\n"), 1);
        assert_int_equal(
            wire_count(&w, "Content-Type: text/plain; charset=utf-8\r\n"), 1);
        assert_int_equal(wire_count(&w, "Date: "), 1);
        assert_int_equal(wire_count(&w, " GMT\r\n"), 1);
        assert_int_equal(wire_count(&w, "X-Request-Id: "), 1);
        assert_int_equal(wire_count(&w, "Connection:"), 0);
    }
    assert_int_equal(front_stats(w.front).requests, 3);
    assert_int_equal(front_stats(w.front).connections, 1);
    wire_stop(&w);
}

static void
test_byte_by_byte(void **state)
{
    static const char message[] =
        "POST /echo?a HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    for (size_t i = 0; i < sizeof message - 1; i++) {
        wire_send(&w, str_from(message + i, 1));
        loop_turn(w.loop, 0);
    }
    wire_expect(&w, "\r\n\r\nabcdefg");
    wire_expect(&w, "\r\n\r\nhello");
    wire_stop(&w);
}

static void
test_pipelined_answers_are_in_order(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w,
                "GET /sleep?ms=50 HTTP/1.1\r\n" HOST "\r\n"
                "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nthird"
                "GET /sleep?ms=1 HTTP/1.1\r\n" HOST "\r\n"
                "GET /none HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "nothing at /none");
    const char *answers[] = {"slept", "hello", "third", "slept", "nothing at"};
    const char *at = w.got.p;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        at = memmem(at, (size_t)(w.got.p + w.got.len - at), answers[i],
                    strlen(answers[i]));
        assert_non_null(at);
    }
    assert_int_equal(wire_count(&w, "HTTP/1.1 200 OK"), 4);
    wire_stop(&w);
}

static void
test_many_pipelined(void **state)
{
    struct wire w;
    struct buf many;

    (void)state;
    wire_start(&w, NULL);
    buf_init(&many, 1024 * 1024);
    for (int i = 0; i < 3000; i++)
        buf_add_c(&many, "GET /hello HTTP/1.1\r\n" HOST "X-Long: aaaaaaaaaaaa"
                         "aaaaaaaaaaaaaaaaaaaa\r\n\r\n");
    wire_send(&w, buf_str(&many));
    wire_expect_times(&w, "\r\n\r\nhello", 3000);
    buf_clear(&many);
    wire_stop(&w);
}

static void
test_head_has_no_body(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"
                    "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
                    "HEAD /stream?n=10 HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    assert_int_equal(wire_count(&w, "Content-Length: 5\r\n"), 2);
    assert_int_equal(wire_count(&w, "HTTP/1.1 204 No Content\r\n"), 1);
    assert_int_equal(wire_count(&w, "Content-Length"), 2);
    assert_int_equal(wire_count(&w, "Transfer-Encoding"), 0);
    wire_stop(&w);
}

static void
test_http_1_0(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wire_expect(&w, "Connection: keep-alive\r\n\r\nhello");
    wire_send_c(&w,
                "GET /stream?n=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wire_expect(&w, "Connection: close\r\n\r\nsss");
    wire_expect_eof(&w);
    assert_int_equal(wire_count(&w, "Transfer-Encoding"), 0);
    wire_stop(&w);
}

static void
test_statuses_become_problems(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /fail HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\"detail\":\"Redis is away\"");
    wire_expect(&w, "HTTP/1.1 503 Service Unavailable\r\n");
    wire_expect(&w, "Retry-After: 1\r\n");
    wire_expect(&w, "application/problem+json");
    wire_expect(&w, "\"instance\":\"/fail\"");
    assert_int_equal(wire_count(&w, "Connection: close"), 0);
    wire_stop(&w);
}

static void
test_request_ids_and_peers(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /field HTTP/1.1\r\n" HOST
                    "X-A: one\r\nX-Request-Id: my-id.1\r\n\r\n");
    wire_expect(&w, "\r\n\r\none|my-id.1|unix");
    wire_expect(&w, "X-Request-Id: my-id.1\r\n");
    wire_forget(&w);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: a<b\r\n\r\n");
    wire_expect(&w, "hello");
    assert_int_equal(wire_count(&w, "a<b"), 0);
    wire_stop(&w);
}

static void
test_bad_escapes_in_a_target(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /%zz HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "HTTP/1.1 400 Bad Request\r\n");
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    assert_int_equal(w.started, 1);
    wire_stop(&w);
}

static void
test_options_of_the_server(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "Allow: GET, HEAD");
    wire_expect(&w, "204 No Content");
    assert_int_equal(w.started, 0);
    wire_stop(&w);
}

/* ---- refusals ---- */

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
    struct wire w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        wire_start(&w, NULL);
        wire_send_c(&w, rows[i].message);
        wire_expect(&w, rows[i].want);
        wire_expect(&w, "application/problem+json");
        wire_expect(&w, "Connection: close\r\n");
        wire_expect_eof(&w);
        close(w.client);
        w.client = -1;
        wire_expect_no_connection(&w);
        assert_int_equal(front_stats(w.front).refused, 1);
        wire_stop(&w);
    }
}

/* Unread bytes would make the kernel reset the connection, and the client would
 * never see why. */
static void
test_refusal_arrives_although_more_is_sent(void **state)
{
    static char rest[100000];
    struct wire w;

    (void)state;
    wire_start_tcp(&w, NULL);
    memset(rest, 'x', sizeof rest);
    wire_send_c(&w, "POST / HTTP/1.1\r\nHost : a\r\n\r\n");
    wire_send(&w, str_from(rest, sizeof rest));
    wire_expect(&w, "HTTP/1.1 400 Bad Request\r\n");
    wire_expect_eof(&w);
    assert_false(w.reset);
    wire_stop(&w);
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
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refusal_arrives_although_more_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
