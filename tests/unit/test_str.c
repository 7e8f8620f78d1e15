/* Slices: comparison, cutting and the two number parsers. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

static void
test_equality(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_eq(str_c(NULL), STR_NULL));
    assert_true(str_eq_c(STR("abc"), "abc"));
    assert_false(str_eq_c(STR("abc"), "abd"));
    assert_false(str_eq_c(STR("abc"), "ab"));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_nocase(STR("Content-LENGTH"), STR("content-length")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    /* '[' and '{', '@' and '`' differ by the bit that tells cases apart. */
    assert_false(str_eq_nocase(STR("["), STR("{")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR_NULL));
    assert_false(str_starts(STR("a"), STR("ab")));
}

static void
test_cut_and_skip(void **state)
{
    struct str rest;

    (void)state;
    assert_true(str_eq_c(str_cut(STR("a:b:c"), ':', &rest), "a"));
    assert_true(str_eq_c(rest, "b:c"));
    assert_true(str_eq_c(str_cut(STR("a:"), ':', &rest), "a"));
    assert_int_equal(rest.n, 0);
    assert_non_null(rest.p);
    assert_true(str_eq_c(str_cut(STR("abc"), ':', &rest), "abc"));
    assert_int_equal(rest.n, 0);
    assert_null(rest.p);
    assert_int_equal(str_cut(STR_NULL, ':', &rest).n, 0);
    assert_null(rest.p);
    assert_true(str_eq_c(str_skip(STR("abc"), 2), "c"));
    assert_int_equal(str_skip(STR("abc"), 3).n, 0);
    assert_int_equal(str_skip(STR("abc"), SIZE_MAX).n, 0);
}

static void
test_trim(void **state)
{
    (void)state;
    assert_true(str_eq_c(str_trim(STR(" \t\r\n a b\r\n")), "a b"));
    assert_int_equal(str_trim(STR(" \t ")).n, 0);
    assert_int_equal(str_trim(STR_NULL).n, 0);
    assert_true(str_eq_c(str_trim(STR("\va")), "\va"));
}

static void
test_to_i64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"9999999999999999999", false, 0},
        {"00000000000000000001", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x10", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -5;
        assert_int_equal(str_to_i64(str_c(rows[i].text), &got), rows[i].ok);
        assert_int_equal(got, rows[i].ok ? rows[i].want : -5);
    }
}

static void
test_to_duration(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {"30", 30000},
        {"0", 0},
        {"0.5", 500},
        {"500ms", 500},
        {"2h", 7200000},
        {"1.5m", 90000},
        {"1d", 86400000},
        {"0.999999999d", 86399999},
        {"0.0004", 0},
        {"1.9ms", 1},
        {"3650d", INT64_C(315360000000)},
        {"315360000", INT64_C(315360000000)},
        {"3650.1d", -1},
        {"3651d", -1},
        {"315360001", -1},
        {"999999999999d", -1},
        {"9999999999999", -1},
        {"0.0000000001", -1},
        {"", -1},
        {".5", -1},
        {"5.", -1},
        {"5.s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1 s", -1},
        {"1S", -1},
        {"1w", -1},
        {"1e3", -1},
        {"1ss", -1},
        {"s", -1},
        {"inf", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -1;
        bool ok = str_to_duration_ms(str_c(rows[i].text), &got);
        if (ok != (rows[i].want >= 0) || got != rows[i].want)
            fail_msg("\"%s\": %lld", rows[i].text, (long long)got);
    }
}

static void
test_copy_to(void **state)
{
    char dst[4] = "zzz";

    (void)state;
    str_copy_to(STR("abcdef"), dst, sizeof dst);
    assert_string_equal(dst, "abc");
    str_copy_to(STR("ab"), dst, sizeof dst);
    assert_string_equal(dst, "ab");
    str_copy_to(STR_NULL, dst, sizeof dst);
    assert_string_equal(dst, "");
    str_copy_to(STR("x"), dst, 1);
    assert_string_equal(dst, "");
    dst[0] = 'k';
    str_copy_to(STR("x"), dst, 0);
    assert_int_equal(dst[0], 'k');
}

static void
test_hash_is_fnv_1a(void **state)
{
    (void)state;
    /* Test vectors of the FNV-1a 64-bit reference. */
    assert_true(str_hash(STR_NULL) == UINT64_C(0xcbf29ce484222325));
    assert_true(str_hash(STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

static void
test_hex_digits(void **state)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";

    (void)state;
    for (int i = 0; i < 32; i++)
        assert_int_equal(str_hex_digit(digits[i]), i % 16);
    for (int c = 0; c < 256; c++)
        if (!c || !strchr(digits, c))
            assert_int_equal(str_hex_digit((char)c), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_cut_and_skip),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_to_i64),
        cmocka_unit_test(test_to_duration),
        cmocka_unit_test(test_copy_to),
        cmocka_unit_test(test_hash_is_fnv_1a),
        cmocka_unit_test(test_hex_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
