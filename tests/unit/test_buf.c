/* Buffers: the maximum holds whatever is appended, and a failure sticks. */
#include "base/buf.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"

static void
test_appends(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_null(b.p);
    assert_int_equal(buf_str(&b).n, 0);
    buf_add(&b, "ab", 2);
    buf_add(&b, NULL, 0);
    buf_add_str(&b, STR("cd"));
    buf_add_str(&b, STR_NULL);
    buf_add_c(&b, "ef");
    buf_add_char(&b, 'g');
    buf_addf(&b, "%d-%s", 42, "x");
    assert_false(b.failed);
    assert_true(str_eq_c(buf_str(&b), "abcdefg42-x"));
}

static void
test_maximum_is_exact(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_add_c(&b, "12345");
    assert_false(b.failed);
    buf_add_c(&b, "");
    buf_addf(&b, "%s", "");
    assert_false(b.failed);
    buf_add_char(&b, '6');
    assert_true(b.failed);
    assert_true(str_eq_c(buf_str(&b), "12345"));

    buf_reset(&b);
    assert_false(b.failed);
    buf_addf(&b, "%s", "12345");
    assert_false(b.failed);
    assert_true(str_eq_c(buf_str(&b), "12345"));
    buf_reset(&b);
    buf_addf(&b, "%s", "123456");
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
}

static void
test_failure_sticks_until_reset(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 4);
    buf_add_c(&b, "ab");
    buf_add_c(&b, "cde");
    assert_true(b.failed);
    buf_add_char(&b, 'c'); /* would fit, and leave a hole in the text */
    buf_addf(&b, "c");
    assert_null(buf_room(&b, 1));
    assert_true(str_eq_c(buf_str(&b), "ab"));
    buf_reset(&b);
    buf_add_c(&b, "cd");
    assert_true(str_eq_c(buf_str(&b), "cd"));
    buf_clear(&b);
    assert_null(b.p);
    buf_add_c(&b, "abcd");
    assert_true(str_eq_c(buf_str(&b), "abcd"));
    buf_clear(NULL);
}

static void
test_absurd_sizes_fail(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_add_char(&b, 'a');
    assert_null(buf_room(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_reset(&b);
    assert_null(buf_room(&b, 101));
    assert_true(b.failed);
}

static void
test_grows_and_keeps(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_false(b.failed);
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.p[i], 'a' + i % 26);
    assert_true(b.cap <= b.max + 1);
}

static void
test_room_and_grew(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 10);
    char *p = buf_room(&b, 10);
    assert_non_null(p);
    memcpy(p, "0123456789", 10);
    assert_int_equal(b.len, 0);
    buf_grew(&b, 3);
    assert_true(str_eq_c(buf_str(&b), "012"));
    assert_non_null(buf_room(&b, 0));
}

static void
test_formats_longer_than_the_room(void **state)
{
    CLEANUP(buf_clear) struct buf b;
    char text[500];

    (void)state;
    memset(text, 'q', sizeof text);
    buf_init(&b, 5000);
    /* Every length around the capacity: the NUL must never cut. */
    for (int n = 0; n < 200; n++) {
        buf_clear(&b);
        buf_addf(&b, "%.*s", n, text);
        assert_int_equal(b.len, n);
        buf_addf(&b, "%.*s%d", n, text, 7);
        assert_int_equal(b.len, 2 * n + 1);
        assert_int_equal(b.p[2 * n], '7');
    }
}

static void
test_json_string(void **state)
{
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain /text", 11}, "\"plain /text\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\x7f\""},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5", 9},
         "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5\""},
        {{"a\xff"
          "b",
          3},
         "\"a\xef\xbf\xbd"
         "b\""},
        {{"\xc3", 1}, "\"\xef\xbf\xbd\""},
        {{"\xc0\xaf", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_clear) struct buf b;
        buf_init(&b, 100);
        buf_add_json_string(&b, rows[i].in);
        assert_true(str_eq_c(buf_str(&b), rows[i].want));
    }
}

static void
test_any_bytes_become_a_json_string(void **state)
{
    const unsigned seed = 20261123;

    (void)state;
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < 2000; round++) {
        CLEANUP(buf_clear) struct buf b;
        char bytes[40];
        size_t n = (size_t)random() % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)random();
        buf_init(&b, 1000);
        buf_add_json_string(&b, str_from(bytes, n));
        json_t *parsed =
            json_loadb(b.p, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
}

static void
test_time(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_add_time(&b, 0);
    assert_true(str_eq_c(buf_str(&b), "1970-01-01T00:00:00.000Z"));
}

static void
test_json_time(void **state)
{
    static const struct {
        int64_t ms;
        const char *json;
    } cases[] = {
        {1, "\"1970-01-01T00:00:00.001Z\""},
        {CLOCK_LAST_MS, "\"9999-12-31T23:59:59.999Z\""},
        {0, "null"},
        {-1, "null"},
        {INT64_MIN, "null"},
        {CLOCK_LAST_MS + 1, "null"},
        {INT64_MAX, "null"},
    };
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_reset(&b);
        buf_add_json_time(&b, cases[i].ms);
        assert_true(str_eq_c(buf_str(&b), cases[i].json));
    }
}

static void
test_consume(void **state)
{
    CLEANUP(buf_clear) struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_consume(&b, 0);
    buf_add_c(&b, "abcdef");
    buf_consume(&b, 2);
    assert_true(str_eq_c(buf_str(&b), "cdef"));
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_maximum_is_exact),
        cmocka_unit_test(test_failure_sticks_until_reset),
        cmocka_unit_test(test_absurd_sizes_fail),
        cmocka_unit_test(test_grows_and_keeps),
        cmocka_unit_test(test_room_and_grew),
        cmocka_unit_test(test_formats_longer_than_the_room),
        cmocka_unit_test(test_json_string),
        cmocka_unit_test(test_any_bytes_become_a_json_string),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_json_time),
        cmocka_unit_test(test_consume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
