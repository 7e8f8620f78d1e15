/* Middleware: its order, what it sees, and the time that it has. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pit/test.h"

static void
test_middleware_wraps_in_order(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/hello");

    site_expect(a, 200, "hello ada");
    assert_string_equal(pit_test_logged(*state), "outer in\nbefore\nown\nview\n"
                                                 "after\nouter out\n");
    assert_string_equal(pit_test_header(a, "x-outer"), "1");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_string_equal(pit_test_header(a, "X-Seen"), "200");
}

static void
test_middleware_answers_early(void **state)
{
    site_expect(pit_test_get(*state, "/hello?early=1"), 200, "early");
    const struct pit_test_answer *a = pit_test_get(*state, "/hello?instead=1");
    site_expect(a, 203, "instead");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_null(strstr(pit_test_logged(*state), "view"));
    a = pit_test_get(*state, "/hello?refuse=1");
    site_expect_problem(a, 403, "\"title\":\"This is not allowed\"");
    assert_string_equal(pit_test_header(a, "X-Seen"), "403");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
}

static void
test_middleware_sees_failures(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/hello/fails");

    site_expect_problem(a, 410, "gone");
    assert_string_equal(pit_test_header(a, "X-Seen"), "410");
    assert_string_equal(pit_test_header(a, "X-Outer"), "1");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_null(pit_test_header(a, "X-Half-Made"));
}

static void
test_middleware_sees_what_no_view_took(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/nowhere");

    site_expect_problem(a, 404, "nothing at this path");
    assert_string_equal(pit_test_header(a, "X-Seen"), "404");
    a = pit_test_send(*state, &(struct pit_test_request){.method = PIT_DELETE,
                                                         .target = "/two"});
    site_expect_problem(a, 405, "GET, HEAD, OPTIONS");
    assert_string_equal(pit_test_header(a, "Allow"), "GET, HEAD, OPTIONS");
    a = pit_test_send(*state, &(struct pit_test_request){.method = PIT_OPTIONS,
                                                         .target = "/json"});
    assert_int_equal(a->status, 204);
    assert_string_equal(pit_test_header(a, "Allow"), "POST, OPTIONS");
    assert_string_equal(pit_test_header(a, "X-Seen"), "204");
}

static void
test_next_is_once(void **state)
{
    site_expect_problem(pit_test_get(*state, "/hello?twice=1"), 500,
                        "second time");
}

/* The deadline is for all that the application does. */
static void
test_middleware_has_no_time_of_its_own(void **state)
{
    static const struct {
        const char *target;
        int status;
        int64_t took_ms;
    } rows[] = {
        {"/layered/in-time", 200, 27000},
        {"/layered/short", 504, 15000}, /* before it came to the view */
        {"/layered/late", 504, 30000},  /* within the view */
        {"/layered/nothing", 404, 25000},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pit_test_answer *a = pit_test_get(*state, rows[i].target);
        assert_int_equal(a->status, rows[i].status);
        assert_true(a->took_ms >= rows[i].took_ms - 1 &&
                    a->took_ms < rows[i].took_ms + 1000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_middleware_wraps_in_order),
        SITE_TEST(test_middleware_answers_early),
        SITE_TEST(test_middleware_sees_failures),
        SITE_TEST(test_middleware_sees_what_no_view_took),
        SITE_TEST(test_next_is_once),
        SITE_TEST(test_middleware_has_no_time_of_its_own),
    };

    return cmocka_run_group_tests(tests, site_set_up_all, site_tear_down_all);
}
