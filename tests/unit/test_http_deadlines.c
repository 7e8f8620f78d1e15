/* The times that a client has for a head, between requests, for a body and to
 * read. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

static void
test_head_deadline(void **state)
{
    struct front_options options = {
        .head_timeout_ms = 50, .idle_timeout_ms = 2000, .drain_timeout_ms = 20};
    struct wire w;

    (void)state;
    /* part of a head, even if it goes on dripping */
    wire_start(&w, &options);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\nG");
    wire_expect(&w, "\r\n\r\nhello");
    for (int i = 0; i < 5 && !w.eof; i++) {
        wire_send_c(&w, "E");
        wire_let_pass(&w, 10);
    }
    wire_expect(&w, "HTTP/1.1 408 Request Timeout\r\n");
    wire_expect_eof(&w);
    wire_expect_no_connection(&w);
    assert_int_equal(front_stats(w.front).timed_out, 1);
    wire_stop(&w);
    /* nothing at all: closed without a word */
    wire_start(&w, &options);
    wire_expect_eof(&w);
    assert_int_equal(w.got.len, 0);
    wire_stop(&w);
}

static void
test_idle_deadline(void **state)
{
    struct front_options options = {.idle_timeout_ms = 50,
                                    .head_timeout_ms = 1000};
    struct wire w;
    int64_t began;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    began = clock_mono_ms();
    wire_forget(&w);
    wire_expect_eof(&w);
    assert_in_range(clock_mono_ms() - began, 40, WIRE_WAIT_MS);
    assert_int_equal(w.got.len, 0);
    wire_stop(&w);
}

/* A handler's own time is no idle time. */
static void
test_a_slow_handler_is_not_idle(void **state)
{
    struct front_options options = {
        .idle_timeout_ms = 20, .head_timeout_ms = 20, .body_timeout_ms = 20};
    struct wire w;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "GET /sleep?ms=150 HTTP/1.1\r\n" HOST "\r\n"
                    "GET /sleep?ms=150 HTTP/1.1\r\n" HOST "\r\n");
    wire_expect_times(&w, "\r\n\r\nslept", 2);
    wire_stop(&w);
    options = (struct front_options){.idle_timeout_ms = 200};
    wire_start(&w, &options);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_send_c(&w, "GET /sleep?ms=400 HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nslept");
    wire_stop(&w);
}

/* The client cannot be late before it was asked. */
static void
test_body_time_counts_from_the_first_read(void **state)
{
    struct front_options options = {.body_timeout_ms = 400};
    struct wire w;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "POST /late-echo?ms=500 HTTP/1.1\r\n" HOST
                    "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire_expect(&w, "HTTP/1.1 100 Continue\r\n\r\n");
    wire_send_c(&w, "abc");
    wire_expect(&w, "\r\n\r\nabc");
    wire_stop(&w);
}

static void
test_body_deadlines(void **state)
{
    static const struct front_options rows[] = {
        {.body_timeout_ms = 60},
        {.body_timeout_ms = 4000, .body_grace_ms = 40, .body_rate = 100000},
    };
    struct wire w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t began = clock_mono_ms();
        wire_start(&w, &rows[i]);
        wire_send_c(&w, "POST /echo HTTP/1.1\r\n" HOST
                        "Content-Length: 100\r\n\r\nabc");
        wire_expect(&w, "HTTP/1.1 408 Request Timeout\r\n");
        wire_expect(&w, "Connection: close\r\n");
        assert_in_range(clock_mono_ms() - began, 40, WIRE_WAIT_MS);
        wire_expect_eof(&w);
        assert_int_equal(front_stats(w.front).timed_out, 1);
        wire_stop(&w);
    }
}

static void
test_stalled_reader_is_cut(void **state)
{
    struct front_options options = {.write_timeout_ms = 60,
                                    .output_max = 20000};
    struct wire w;
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "GET /stream?n=50000000 HTTP/1.1\r\n" HOST "\r\n");
    while (w.ended == 0) {
        assert_true(clock_mono_ms() < end);
        loop_turn(w.loop, 5); /* and read nothing */
    }
    assert_int_equal(w.result, ST_CANCELLED);
    assert_int_equal(front_stats(w.front).timed_out, 1);
    assert_int_equal(front_stats(w.front).open, 0);
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_deadline),
        cmocka_unit_test(test_idle_deadline),
        cmocka_unit_test(test_a_slow_handler_is_not_idle),
        cmocka_unit_test(test_body_time_counts_from_the_first_read),
        cmocka_unit_test(test_body_deadlines),
        cmocka_unit_test(test_stalled_reader_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
