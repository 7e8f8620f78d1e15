/* Answers that are written piece by piece, or too large to be sent at once. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

static void
test_stream(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /stream?n=25000 HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_expect(&w, "Transfer-Encoding: chunked\r\n");
    wire_expect_times(&w, "\r\n2710\r\nsss", 2);
    wire_expect(&w, "\r\n1388\r\nsss");
    wire_expect(&w, "s\r\n0\r\n\r\nHTTP/1.1 200 OK");
    assert_int_equal(wire_count(&w, "s\r\n"), 3);
    wire_stop(&w);
}

static void
test_failed_stream_is_cut_visibly(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /stream?n=5&fail=1 HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n5\r\nsssss\r\n");
    wire_expect_eof(&w);
    assert_int_equal(wire_count(&w, "\r\n0\r\n"), 0);
    wire_stop(&w);
}

static void
test_slow_reader_pauses_the_producer(void **state)
{
    struct front_options options = {.output_max = 50000};
    struct wire w;
    size_t before;
    int64_t end = clock_mono_ms() + WIRE_WAIT_MS;

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "GET /stream?n=4000000 HTTP/1.1\r\n" HOST "\r\n");
    do { /* until it stands still */
        before = w.streamed;
        for (int i = 0; i < 5; i++)
            loop_turn(w.loop, 2);
        assert_true(clock_mono_ms() < end);
    } while (w.streamed == 0 || w.streamed != before);
    assert_true(w.streamed < 1000000); /* the socket's buffer, and ours */
    wire_expect(&w, "\r\n0\r\n\r\n");
    assert_int_equal(w.streamed, 4000000);
    assert_true(wire_count(&w, "ssssssssss") >= 399000);
    wire_stop(&w);
}

static void
test_big_answer(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /big HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 5; i++)
        loop_turn(w.loop, 2);
    wire_expect(&w, "\r\n\r\nhello");
    assert_int_equal(wire_count(&w, "bbbbbbbbbbbbbbbb"), 1024 * 1024 / 16);
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_failed_stream_is_cut_visibly),
        cmocka_unit_test(test_slow_reader_pauses_the_producer),
        cmocka_unit_test(test_big_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
