/* The access log: its formats, and a log that nobody reads. */
#include "access.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/loop.h"

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
        cmocka_unit_test(test_access_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
