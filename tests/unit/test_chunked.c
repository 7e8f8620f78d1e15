/* Chunked bodies: what comes out, what is refused, however the bytes arrive. */
#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"

struct decoded {
    enum chunked_result result;
    char body[4096];
    size_t len;
    size_t used;
};

static void
decode(struct str in, size_t piece, struct decoded *ret)
{
    struct chunked chunked;
    size_t fed = 0;

    memset(ret, 0, sizeof *ret);
    chunked_init(&chunked);
    do {
        struct str data = STR_NULL;
        size_t used = 0;
        fed = piece < in.n - fed ? fed + piece : in.n;
        do {
            ret->result = chunked_next(&chunked, in.p + ret->used,
                                       fed - ret->used, &used, &data);
            assert_true(used <= fed - ret->used);
            if (ret->result == CHUNKED_DATA) {
                assert_in_range(data.n, 1, used);
                assert_true(ret->len + data.n <= sizeof ret->body);
                memcpy(ret->body + ret->len, data.p, data.n);
                ret->len += data.n;
            }
            ret->used += used;
        } while (ret->result == CHUNKED_DATA);
        if (ret->result == CHUNKED_BAD)
            assert_non_null(chunked.reason);
    } while (ret->result == CHUNKED_MORE && fed < in.n);
}

static void
decode_every_way(struct str in, struct decoded *ret)
{
    struct decoded other;

    decode(in, SIZE_MAX, ret);
    for (size_t piece = 1; piece < 9; piece++) {
        decode(in, piece, &other);
        assert_int_equal(other.result, ret->result);
        assert_int_equal(other.len, ret->len);
        assert_memory_equal(other.body, ret->body, ret->len);
        assert_int_equal(other.used, ret->used);
    }
}

static void
test_decodes(void **state)
{
    static const struct {
        struct str in;
        const char *body;
        const char *rest;
    } rows[] = {
        {STR("0\r\n\r\n"), "", ""},
        {STR("0\r\n\r\nGET /"), "", "GET /"},
        {STR("5\r\nhello\r\n0\r\n\r\nx"), "hello", "x"},
        {STR("1\r\nA\r\n2\r\nbc\r\n000\r\n\r\n"), "Abc", ""},
        {STR("a\r\n0123456789\r\n0\r\n\r\n"), "0123456789", ""},
        {STR("A\r\n0123\r\n6789\r\n0\r\n\r\n"), "0123\r\n6789", ""},
        {STR("1;a=b;c=\"d e\"\r\nA\r\n0;x\r\n\r\n"), "A", ""},
        {STR("1;\r\nA\r\n0\r\nX: y\r\nZ: \tz\r\n\r\n."), "A", "."},
        {STR("000000000000001\r\nA\r\n0\r\n\r\n"), "A", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct decoded d;
        decode_every_way(rows[i].in, &d);
        assert_int_equal(d.result, CHUNKED_DONE);
        assert_int_equal(d.len, strlen(rows[i].body));
        assert_memory_equal(d.body, rows[i].body, d.len);
        assert_int_equal(rows[i].in.n - d.used, strlen(rows[i].rest));
    }
}

static void
test_refuses(void **state)
{
    static const struct str rows[] = {
        STR("\r\n"),
        STR(";a\r\n"),
        STR("g\r\n"),
        STR("-1\r\n"),
        STR("+1\r\n"),
        STR("0x1\r\n"),
        STR(" 1\r\n"),
        STR("1 \r\nA"),
        STR("1\t;a\r\nA"),
        STR("1\nA"),
        STR("1\rA"),
        STR("1\r\nAB"),
        STR("1\r\nA\n0"),
        STR("1\r\nA\r0"),
        STR("0000000000000001\r\n"),
        STR("ffffffffffffffff\r\n"),
        STR("1;a\nA"),
        STR("1;\x01\r\n"),
        STR("1;\0\r\n"),
        STR("0\r\n\n"),
        STR("0\r\n\rX"),
        STR("0\r\nX: y\n"),
        STR("0\r\nX: y\rZ"),
        STR("0\r\n X: y\r\n"),
        STR("0\r\nX\0: y\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct decoded d;
        decode_every_way(rows[i], &d);
        if (d.result != CHUNKED_BAD)
            fail_msg("row %zu: %d", i, d.result);
    }
}

static void
test_extensions_and_trailers_are_limited(void **state)
{
    static const struct {
        const char *before;
        size_t fill;
        enum chunked_result want;
    } rows[] = {
        {"1;", CHUNKED_EXTENSION_MAX, CHUNKED_MORE},
        {"1;", CHUNKED_EXTENSION_MAX + 1, CHUNKED_BAD},
        {"0\r\n", CHUNKED_TRAILER_MAX, CHUNKED_MORE},
        {"0\r\n", CHUNKED_TRAILER_MAX + 1, CHUNKED_BAD},
    };
    static char in[CHUNKED_TRAILER_MAX + 64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct decoded d;
        size_t n = strlen(rows[i].before);
        memcpy(in, rows[i].before, n);
        memset(in + n, 'x', rows[i].fill);
        decode_every_way(str_from(in, n + rows[i].fill), &d);
        assert_int_equal(d.result, rows[i].want);
    }
}

static void
test_stays_bad_and_stays_done(void **state)
{
    struct chunked chunked;
    struct str data;
    size_t used;

    (void)state;
    chunked_init(&chunked);
    assert_int_equal(chunked_next(&chunked, "x", 1, &used, &data), CHUNKED_BAD);
    assert_int_equal(chunked_next(&chunked, "0\r\n\r\n", 5, &used, &data),
                     CHUNKED_BAD);
    assert_int_equal(used, 0);
    chunked_init(&chunked);
    assert_int_equal(chunked_next(&chunked, "0\r\n\r\n", 5, &used, &data),
                     CHUNKED_DONE);
    assert_int_equal(chunked_next(&chunked, "x", 1, &used, &data),
                     CHUNKED_DONE);
    assert_int_equal(used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_extensions_and_trailers_are_limited),
        cmocka_unit_test(test_stays_bad_and_stays_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
