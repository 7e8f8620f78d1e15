/* The entry in Redis is read by every later version: its text is pinned here.
 */
#include "api/idempotency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SEED "0123456789abcdef0123456789abcdef"

static void
test_reads_an_entry(void **state)
{
    struct idempotency_entry entry;

    (void)state;
    assert_true(idempotency_parse(
        str_c("d " PRINT " " SEED " 1798844400000 a0ff"), &entry));
    assert_int_equal(entry.phase, 'd');
    assert_int_equal(entry.fingerprint[1], 0x11);
    assert_int_equal(entry.seed[15], 0xef);
    assert_true(entry.created_ms == INT64_C(1798844400000));
    assert_int_equal(entry.accepted_len, 2);
    assert_int_equal(entry.accepted[0], 0xa0);
    assert_int_equal(entry.accepted[2], 0);
    assert_true(idempotency_parse(str_c("p " PRINT " " SEED " 0"), &entry));
    assert_int_equal(entry.accepted_len, 0);
}

static void
test_writes_what_it_reads(void **state)
{
    static const char *const texts[] = {
        "p " PRINT " " SEED " 1798844400000",
        "f " PRINT " " SEED " 1",
        "d " PRINT " " SEED " 1798844400000 8001",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct idempotency_entry entry;
        struct buf text;

        buf_init(&text, 4096);
        assert_true(idempotency_parse(str_c(texts[i]), &entry));
        idempotency_write(&entry, &text);
        assert_true(str_eq_c(buf_str(&text), texts[i]));
        buf_clear(&text);
    }
}

static void
test_refuses_what_is_no_entry(void **state)
{
    static const char *const texts[] = {
        "",
        "p",
        "x " PRINT " " SEED " 1",
        "pp " PRINT " " SEED " 1",
        "p " PRINT "0 " SEED " 1",
        "p " PRINT " " SEED "g 1",
        "p " PRINT " " SEED,
        "p " PRINT " " SEED " -1",
        "p " PRINT " " SEED " 1 0",
        "p " PRINT " " SEED " 1 0g",
        "p " PRINT " " SEED " 1 00 00",
        "P " PRINT " " SEED " 1",
    };
    struct idempotency_entry entry;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (idempotency_parse(str_c(texts[i]), &entry))
            fail_msg("taken: %s", texts[i]);
}

static void
test_a_bitmap_has_a_limit(void **state)
{
    struct idempotency_entry entry;
    struct buf text;

    (void)state;
    buf_init(&text, 8192);
    buf_add_c(&text, "d " PRINT " " SEED " 1 ");
    for (int i = 0; i < IDEMPOTENCY_BITS_MAX; i++)
        buf_add_c(&text, "ff");
    assert_true(idempotency_parse(buf_str(&text), &entry));
    buf_add_c(&text, "ff");
    assert_false(idempotency_parse(buf_str(&text), &entry));
    buf_clear(&text);
}

static enum status
read_key(struct str value, struct str *ret)
{
    const struct request_field field = {STR("idempotency-KEY"), value};
    const struct pit_request req = {.fields = &field, .fields_len = 1};
    struct error err;

    return idempotency_key(&req, ret, &err);
}

static void
test_keys_are_visible_ascii(void **state)
{
    char longest[IDEMPOTENCY_KEY_MAX + 1];
    struct str key;

    (void)state;
    memset(longest, 'k', sizeof longest);
    assert_int_equal(
        read_key(STR("8e03978e-40d5-43dd-bc93-6894a57f9324"), &key), ST_OK);
    assert_int_equal(key.n, 36);
    assert_int_equal(read_key(str_from(longest, IDEMPOTENCY_KEY_MAX), &key),
                     ST_OK);
    assert_int_equal(read_key(str_from(longest, sizeof longest), &key),
                     ST_INVALID);
    assert_int_equal(read_key(STR(""), &key), ST_INVALID);
    assert_int_equal(read_key(STR("a b"), &key), ST_INVALID);
    assert_int_equal(read_key(STR("a\x7f"), &key), ST_INVALID);
    assert_int_equal(read_key(STR("\xc3\xa9"), &key), ST_INVALID);
    assert_int_equal(idempotency_key(&(struct pit_request){0}, &key, NULL),
                     ST_OK);
    assert_null(key.p);
}

static void
test_a_second_key_is_refused(void **state)
{
    const struct request_field fields[] = {
        {STR("Idempotency-Key"), STR("a")},
        {STR("idempotency-key"), STR("b")},
    };
    const struct pit_request req = {.fields = fields, .fields_len = 2};
    struct str key;

    (void)state;
    assert_int_equal(idempotency_key(&req, &key, NULL), ST_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_an_entry),
        cmocka_unit_test(test_writes_what_it_reads),
        cmocka_unit_test(test_refuses_what_is_no_entry),
        cmocka_unit_test(test_a_bitmap_has_a_limit),
        cmocka_unit_test(test_keys_are_visible_ascii),
        cmocka_unit_test(test_a_second_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
