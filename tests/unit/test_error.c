/* Errors: what a caller finds in one, above all when the text does not fit. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

static void
test_set_fills_every_field(void **state)
{
    struct error err;

    (void)state;
    memset(&err, 'x', sizeof err);
    assert_int_equal(error_set(&err, ST_NOT_FOUND, "job %s: none", "q.1"),
                     ST_NOT_FOUND);
    assert_int_equal(err.status, ST_NOT_FOUND);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.pointer, "");
    assert_string_equal(err.msg, "job q.1: none");
}

static void
test_no_error_to_fill(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ST_BUG, "x"), ST_BUG);
    assert_int_equal(error_set_sys(NULL, ST_BUG, ENOENT, "x"), ST_BUG);
    assert_int_equal(error_set_at(NULL, "/a", "x"), ST_INVALID);
}

static void
test_sys_appends_the_reason(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(
        error_set_sys(&err, ST_UNAVAILABLE, ENOENT, "open %s", "f"),
        ST_UNAVAILABLE);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.msg, "open f: No such file or directory");
}

static void
test_at_keeps_the_pointer(void **state)
{
    char deep[300];
    struct error err;

    (void)state;
    assert_int_equal(error_set_at(&err, "/retry/max", "not a number"),
                     ST_INVALID);
    assert_string_equal(err.pointer, "/retry/max");
    assert_string_equal(err.msg, "not a number");

    memset(deep, 'a', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(error_set_at(&err, deep, "x"), ST_INVALID);
    assert_int_equal(strlen(err.pointer), sizeof err.pointer - 1);

    error_set_at(&err, "/a", "x");
    error_set_at(&err, err.pointer, "%s, again", err.msg);
    assert_string_equal(err.pointer, "/a");
    assert_string_equal(err.msg, "x, again");
}

static void
test_long_text_is_cut_between_characters(void **state)
{
    char text[600];
    struct error err;

    (void)state;
    /* Each shift puts another byte of the character at the cut. */
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x94\xa5", 5);
        error_set(&err, ST_INVALID, "%s", text);
        size_t len = strlen(err.msg);
        assert_true(len > sizeof err.msg - 8 && len < sizeof err.msg);
        assert_string_equal(err.msg + len - 3, "...");
        for (const char *p = err.msg, *end = p + len; p < end;) {
            size_t n = utf8_length(p, end);
            assert_int_not_equal(n, 0);
            p += n;
        }
    }
    /* What just fits is not cut. */
    memset(text, 'a', sizeof text);
    text[sizeof err.msg - 1] = '\0';
    error_set(&err, ST_INVALID, "%s", text);
    assert_string_equal(err.msg, text);
    /* The reason is cut, too. */
    text[sizeof err.msg - 6] = '\0';
    error_set_sys(&err, ST_INVALID, ENOENT, "%s", text);
    assert_string_equal(err.msg + sizeof err.msg - 4, "...");
}

static void
test_stays_one_line(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ST_INVALID, "a\nb\r\tc\x1b[31m\x7f");
    assert_string_equal(err.msg, "a b  c [31m ");
}

static void
test_may_quote_itself(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ST_TIMEOUT, "inner");
    error_set(&err, err.status, "outer: %s", err.msg);
    assert_string_equal(err.msg, "outer: inner");
    assert_int_equal(err.status, ST_TIMEOUT);
}

static void
test_every_status_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(status_name(ST_OK), "ok");
    assert_string_equal(status_name(ST_LEASE_LOST), "lease-lost");
    assert_string_equal(status_name(ST_BUG), "bug");
    assert_string_equal(status_name((enum status)(ST_QUEUE_FULL + 1)),
                        "unknown");
    assert_string_equal(status_name((enum status) - 1), "unknown");
    for (int i = ST_OK; i <= ST_QUEUE_FULL; i++) {
        const char *name = status_name((enum status)i);
        assert_non_null(name);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(name));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_fills_every_field),
        cmocka_unit_test(test_no_error_to_fill),
        cmocka_unit_test(test_sys_appends_the_reason),
        cmocka_unit_test(test_at_keeps_the_pointer),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_stays_one_line),
        cmocka_unit_test(test_may_quote_itself),
        cmocka_unit_test(test_every_status_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
