/* The end of a front: what is under way ends, and nothing begins. */
#include "harness/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_drain(void **state)
{
    struct front_options options;
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /sleep?ms=400 HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_let_pass(&w, 10);
    front_drain(w.front);
    wire_expect(&w, "\r\n\r\nslept");
    wire_expect(&w, "Connection: close\r\n");
    wire_expect_eof(&w);
    assert_int_equal(wire_count(&w, "hello"), 0);
    wire_stop(&w);
    /* one that has been idle for its time goes at once */
    options = (struct front_options){.drain_idle_ms = 50};
    wire_start(&w, &options);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    wire_let_pass(&w, 60);
    front_drain(w.front);
    wire_let_pass(&w, 5);
    assert_true(w.eof);
    wire_stop(&w);
    /* one that was busy a moment ago may ask once more */
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "\r\n\r\nhello");
    front_drain(w.front);
    wire_let_pass(&w, 10);
    assert_false(w.eof);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect_times(&w, "\r\n\r\nhello", 2);
    wire_expect(&w, "Connection: close\r\n");
    wire_expect_eof(&w);
    wire_stop(&w);
    /* but not for ever, and one that never asks is no better */
    options.drain_idle_ms = 500;
    for (int asks = 0; asks < 2; asks++) {
        wire_start(&w, &options);
        if (asks) {
            wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            wire_expect(&w, "\r\n\r\nhello");
        }
        front_drain(w.front);
        front_drain(w.front);
        wire_let_pass(&w, 20);
        assert_false(w.eof);
        wire_expect_eof(&w);
        wire_stop(&w);
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
    struct wire w;

    (void)state;
    for (int draining = 0; draining < 2; draining++) {
        wire_start(&w, &options);
        wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        wire_expect(&w, "\r\n\r\nhello");
        if (draining)
            front_drain(w.front);
        struct late late = {{.fn = send_late}, w.client};
        loop_ready(w.loop, &late.task);
        usleep(60000); /* past the deadline, without a turn of the loop */
        wire_expect_times(&w, "\r\n\r\nhello", 2);
        wire_stop(&w);
    }
}

/* A stream that began before the drain did not announce the end. */
static void
test_drain_of_a_stream(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /stream-slowly HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "begun\r\n");
    front_drain(w.front);
    wire_expect(&w, "ended\r\n0\r\n\r\n");
    assert_int_equal(wire_count(&w, "Connection: close"), 0);
    wire_send_c(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_expect(&w, "Connection: close\r\n");
    wire_expect_times(&w, "\r\n\r\nhello", 1);
    wire_expect_eof(&w);
    wire_stop(&w);
}

static void
test_cancel(void **state)
{
    struct wire w;

    (void)state;
    wire_start(&w, NULL);
    wire_send_c(&w, "GET /sleep?ms=60000 HTTP/1.1\r\n" HOST "\r\n");
    wire_let_pass(&w, 10);
    front_drain(w.front);
    front_cancel(w.front);
    wire_expect(&w, "HTTP/1.1 503 Service Unavailable\r\n");
    wire_expect(&w, "/shutting-down\"");
    wire_expect_eof(&w);
    wire_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_a_request_that_meets_the_deadline),
        cmocka_unit_test(test_drain_of_a_stream),
        cmocka_unit_test(test_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
