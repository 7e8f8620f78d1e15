/* Bodies of requests: as they come, in chunks, unread, too large, asked for. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_bodies(void **state)
{
    static char body[300000], head[128];
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    memset(body, 'x', sizeof body);
    body[sizeof body - 1] = '!';
    snprintf(head, sizeof head,
             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             sizeof body);
    wire_send_c(&w, head);
    wire_send(&w, str_from(body, sizeof body));
    wire_expect(&w, "!");
    assert_int_equal(wire_count(&w, "x"), sizeof body - 1);
    wire_forget(&w);
    snprintf(head, sizeof head,
             "POST /pieces HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             sizeof body);
    wire_send_c(&w, head);
    wire_send(&w, str_from(body, sizeof body));
    wire_expect(&w, "\r\n\r\n300000 bytes");
    wire_stop(&w);
}

static void
test_chunked_body(void **state)
{
    static char body[65536];
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    memset(body, 'x', sizeof body);
    wire_send_c(&w, "POST /echo HTTP/1.1\r\n" HOST
                    "Transfer-Encoding: chunked\r\n\r\n10000\r\n");
    wire_send(&w, str_from(body, sizeof body));
    wire_send_c(&w, "\r\n1;ext\r\n!\r\n0\r\nTrailer: dropped\r\n\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_expect(&w, "Content-Length: 65537\r\n");
    wire_stop(&w);
}

static void
test_broken_chunks(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "POST /echo HTTP/1.1\r\n" HOST
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX");
    wire_expect(&w, "HTTP/1.1 400 Bad Request\r\n");
    wire_expect(&w, "Connection: close\r\n");
    wire_expect_eof(&w);
    wire_stop(&w);
}

static void
test_unread_bodies_are_dropped(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w,
                "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nGET /"
                "GET /hello HTTP/1.1\r\n" HOST
                "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
                "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n1");
    wire_expect_times(&w, "\r\n\r\nhello", 3);
    wire_send_c(&w, "23456789GET /none HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "nothing at /none");
    assert_int_equal(wire_count(&w, "Connection: close"), 0);
    wire_stop(&w);
}

/* The time for the rest of one body is not the next request's. */
static void
test_dropped_body_leaves_no_deadline(void **state)
{
    struct front_options options = {.body_timeout_ms = 400};
    struct wire w;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w,
                "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n1");
    wire_expect(&w, "\r\n\r\nhello");
    wire_send_c(&w, "23456789GET /sleep?ms=300 HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nslept");
    assert_int_equal(wire_count(&w, "Connection: close"), 0);
    assert_int_equal(front_stats(w.front).timed_out, 0);
    wire_stop(&w);
}

static void
test_large_unread_body_closes(void **state)
{
    struct front_options options = {.body_max = 10};
    struct wire w;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w,
                "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n");
    wire_expect(&w, "Connection: close\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_expect_eof(&w);
    wire_stop(&w);
}

static void
test_body_limits(void **state)
{
    struct front_options options = {.body_max = 10};
    struct wire w;

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
        wire_start(&w, &options);
        wire_send_c(&w, messages[i]);
        wire_expect(&w, "HTTP/1.1 413 Content Too Large\r\n");
        wire_expect(&w, i == 1 ? "\"max_bytes\":4" : "\"max_bytes\":10");
        wire_expect(&w, "Connection: close\r\n");
        assert_int_equal(wire_count(&w, "100 Continue"), 0);
        wire_expect_eof(&w);
        wire_stop(&w);
    }
}

static void
test_continue_comes_with_the_first_read(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "POST /late-echo?ms=400 HTTP/1.1\r\n" HOST
                    "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire_let_pass(&w, 30);
    assert_int_equal(w.got.len, 0);
    wire_expect(&w, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(w.got.len, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
    wire_send_c(&w, "abc");
    wire_expect(&w, "\r\n\r\nabc");
    assert_int_equal(wire_count(&w, "Connection: close"), 0);
    wire_stop(&w);
}

static void
test_no_continue_without_a_read(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "POST /hello HTTP/1.1\r\n" HOST
                    "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_expect(&w, "Connection: close\r\n");
    assert_int_equal(wire_count(&w, "100 Continue"), 0);
    wire_expect_eof(&w);
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_chunked_body),
        cmocka_unit_test(test_broken_chunks),
        cmocka_unit_test(test_unread_bodies_are_dropped),
        cmocka_unit_test(test_dropped_body_leaves_no_deadline),
        cmocka_unit_test(test_large_unread_body_closes),
        cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_continue_comes_with_the_first_read),
        cmocka_unit_test(test_no_continue_without_a_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
