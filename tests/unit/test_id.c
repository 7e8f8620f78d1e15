/* Ids: what is a name, what is a job id, and that ULIDs ascend. */
#include "queue/job/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_splits_at_the_last_dot(void **state)
{
    struct job_id id;

    (void)state;
    assert_int_equal(id_split(STR("eu.mail.01J9"), &id, NULL), ST_OK);
    assert_true(str_eq(id.queue, STR("eu.mail")));
    assert_true(str_eq(id.local, STR("01J9")));
}

static void
test_refuses_what_is_no_job_id(void **state)
{
    static const char *const bad[] = {
        "",        "x",    ".",    "mail.",      ".01J9", "mail.a b",
        "ma il.a", "m/.a", "m.a/", "m.\xc3\xa4", "m.a\n", "m{x}.a",
    };
    struct error err;
    struct job_id id;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err.msg[0] = '\0';
        assert_int_equal(id_split(str_c(bad[i]), &id, &err), ST_INVALID);
        assert_true(err.msg[0] != '\0');
    }
}

static void
test_lengths_have_limits(void **state)
{
    char long_name[66];

    (void)state;
    memset(long_name, 'a', sizeof long_name);
    assert_true(id_queue_valid(str_from(long_name, 64)));
    assert_false(id_queue_valid(str_from(long_name, 65)));
    assert_true(id_task_valid(str_from(long_name, 64)));
    assert_false(id_task_valid(str_from(long_name, 65)));
    assert_true(id_local_valid(str_from(long_name, 64)));
    assert_false(id_local_valid(str_from(long_name, 65)));
    assert_false(id_local_valid(STR("a.b")));
}

static void
test_ulids_ascend(void **state)
{
    char last[ID_ULID_LEN + 1] = "", next[ID_ULID_LEN + 1];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        id_make(next);
        assert_int_equal(strlen(next), ID_ULID_LEN);
        assert_true(id_local_valid(str_c(next)));
        assert_true(strcmp(last, next) < 0);
        memcpy(last, next, sizeof last);
    }
}

static void
test_derived_ids_repeat_and_differ(void **state)
{
    static const unsigned char zero[16];
    unsigned char full[16];
    char a[ID_ULID_LEN + 1], b[ID_ULID_LEN + 1];

    (void)state;
    id_derive(zero, 0, a);
    assert_string_equal(a, "00000000000000000000000000");
    id_derive(zero, 31, a);
    assert_string_equal(a, "0000000000000000000000000Z");
    id_derive(zero, 32, a);
    assert_string_equal(a, "00000000000000000000000010");
    memset(full, 0xff, sizeof full);
    id_derive(full, 0, a);
    assert_string_equal(a, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    id_derive(zero, 7, a);
    id_derive(zero, 7, b);
    assert_string_equal(a, b);
    id_derive_at(full, 1, a);
    assert_string_equal(a, "0000000001ZZZZZZZZZZZZZZZZ");
    id_derive_at(zero, INT64_C(0xffffffffffff), a);
    assert_string_equal(a, "7ZZZZZZZZZ0000000000000000");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_at_the_last_dot),
        cmocka_unit_test(test_refuses_what_is_no_job_id),
        cmocka_unit_test(test_lengths_have_limits),
        cmocka_unit_test(test_ulids_ascend),
        cmocka_unit_test(test_derived_ids_repeat_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
