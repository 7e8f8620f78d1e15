/* Clients that go away: before, within and after a request. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static void
test_hang_up_cancels(void **state)
{
    struct wire w;
    int64_t began = clock_mono_ms();

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    wire_let_pass(&w, 20);
    assert_int_equal(w.started, 1);
    close(w.client);
    w.client = -1;
    wire_expect_ended(&w, 1);
    assert_int_equal(w.result, ST_CANCELLED);
    assert_true(clock_mono_ms() - began < WIRE_WAIT_MS);
    wire_expect_no_connection(&w);
    assert_int_equal(front_stats(w.front).hung_up, 1);
    wire_stop(&w);
}

static void
test_hang_up_while_reading_a_body(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w,
                "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    wire_let_pass(&w, 20);
    close(w.client);
    w.client = -1;
    wire_expect_ended(&w, 1);
    wire_expect_no_connection(&w);
    wire_stop(&w);
}

/* Over TCP a FIN says nothing; a reset follows only when we send. */
static void
test_vanished_tcp_client_cancels(void **state)
{
    struct front_options options = {.probe_ms = 30};
    struct wire w;

    (void)state;
    wire_start_tcp(&w, &options);
    wire_send_c(&w, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    wire_let_pass(&w, 20);
    close(w.client);
    w.client = -1;
    wire_expect_ended(&w, 1);
    assert_int_equal(w.result, ST_CANCELLED);
    wire_expect_no_connection(&w);
    wire_stop(&w);
}

/* Whether it comes while the handler waits, or together with the request. */
static void
test_reset_cancels_at_once(void **state)
{
    struct front_options options = {.probe_ms = -1};
    struct linger linger = {.l_onoff = 1};
    struct wire w;

    (void)state;
    for (int before = 0; before < 2; before++) {
        wire_start_tcp(&w, &options);
        wire_send_c(&w, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
        if (!before)
            wire_let_pass(&w, 20);
        setsockopt(w.client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(w.client);
        w.client = -1;
        wire_expect_no_connection(&w);
        assert_int_equal(w.started, w.ended);
        assert_true(before || w.result == ST_CANCELLED);
        wire_stop(&w);
    }
}

static void
test_half_closed_client_gets_its_answer(void **state)
{
    struct front_options options = {.probe_ms = 20};
    struct wire w;

    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        (tcp ? wire_start_tcp : wire_start)(&w, &options);
        wire_send_c(&w, "GET /sleep?ms=100 HTTP/1.1\r\n" HOST "\r\n"
                        "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        shutdown(w.client, SHUT_WR);
        wire_expect(&w, "\r\n\r\nhello");
        wire_expect(&w, "\r\n\r\nslept");
        wire_expect_eof(&w);
        wire_expect_no_connection(&w);
        assert_int_equal(front_stats(w.front).hung_up, 0);
        wire_stop(&w);
    }
}

static void
test_half_closed_within_a_body(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w,
                "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    shutdown(w.client, SHUT_WR);
    wire_expect(&w, "HTTP/1.1 400 Bad Request\r\n");
    wire_expect_eof(&w);
    wire_stop(&w);
}

static void
test_client_that_goes_while_idle(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /he");
    wire_expect(&w, "\r\n\r\nhello");
    close(w.client);
    w.client = -1;
    wire_expect_no_connection(&w);
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hang_up_cancels),
        cmocka_unit_test(test_hang_up_while_reading_a_body),
        cmocka_unit_test(test_vanished_tcp_client_cancels),
        cmocka_unit_test(test_reset_cancels_at_once),
        cmocka_unit_test(test_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_half_closed_within_a_body),
        cmocka_unit_test(test_client_that_goes_while_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
