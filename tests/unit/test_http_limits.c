/* The caps: on requests in flight, on requests of a connection, on connections.
 */
#include "harness/wire.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_in_flight_cap(void **state)
{
    struct front_options options = {.in_flight_max = 1};
    struct wire w;
    int fds[2];

    (void)state;
    wire_start(&w, &options);
    wire_send_c(&w, "GET /sleep?ms=500 HTTP/1.1\r\n" HOST "\r\n");
    wire_let_pass(&w, 10);
    int first = w.client;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    front_adopt(w.front, fds[1]);
    w.client = fds[0];
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "HTTP/1.1 503 Service Unavailable\r\n");
    wire_expect(&w, "Retry-After: 1\r\n");
    close(fds[0]);
    w.client = first;
    wire_forget(&w);
    wire_expect(&w, "\r\n\r\nslept");
    wire_stop(&w);
}

static void
test_requests_of_a_connection_are_limited(void **state)
{
    struct front_options options = {.requests_max = 3};
    struct wire w;

    (void)state;
    wire_start(&w, &options);
    for (int i = 0; i < 5; i++)
        wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect_eof(&w);
    assert_int_equal(wire_count(&w, "\r\n\r\nhello"), 3);
    assert_int_equal(wire_count(&w, "Connection: close\r\n"), 1);
    wire_stop(&w);
}

static void
test_connections_are_limited(void **state)
{
    struct front_options options = {.connections_max = 1};
    struct wire w;
    int fds[2];
    char c;

    (void)state;
    wire_start(&w, &options);
    assert_true(front_full(w.front));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    front_adopt(w.front, fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 0);
    close(fds[0]);
    close(w.client);
    w.client = -1;
    wire_expect_no_connection(&w);
    assert_false(front_full(w.front));
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_flight_cap),
        cmocka_unit_test(test_requests_of_a_connection_are_limited),
        cmocka_unit_test(test_connections_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
