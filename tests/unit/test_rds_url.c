/* Redis URLs: what each part becomes, and what is said about a bad one. */
#include "async/redis/rds_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_parts(void **state)
{
    static const struct {
        const char *text, *host, *path, *user, *password;
        int port, db;
    } rows[] = {
        {"redis://localhost", "localhost", "", "", "", 6379, 0},
        {"redis://localhost/", "localhost", "", "", "", 6379, 0},
        {"REDIS://h:1/65535", "h", "", "", "", 1, 65535},
        {"redis://10.0.0.1:65535/3", "10.0.0.1", "", "", "", 65535, 3},
        {"redis://[::1]", "::1", "", "", "", 6379, 0},
        {"redis://[fe80::1]:7000/1", "fe80::1", "", "", "", 7000, 1},
        {"redis://:secret@h", "h", "", "", "secret", 6379, 0},
        {"redis://me:secret@h:6380", "h", "", "me", "secret", 6380, 0},
        {"redis://m%65:a%40b%2Fc%3A%25@h", "h", "", "me", "a@b/c:%", 6379, 0},
        {"redis://:a:b@h", "h", "", "", "a:b", 6379, 0},
        {"redis://:a@b@h", "h", "", "", "a@b", 6379, 0},
        {"unix:///run/r.sock", "", "/run/r.sock", "", "", 6379, 0},
        {"unix:///r?db=7", "", "/r", "", "", 6379, 7},
        {"unix://u:p%2f@/r", "", "/r", "u", "p/", 6379, 0},
        {"unix:///a@b", "", "/a@b", "", "", 6379, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rds_url url;
        struct error err;
        assert_int_equal(rds_url_parse(str_c(rows[i].text), &url, &err), ST_OK);
        assert_int_equal(url.is_unix, rows[i].path[0] != '\0');
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_string_equal(url.user, rows[i].user);
        assert_string_equal(url.password, rows[i].password);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.db, rows[i].db);
    }
}

static void
test_refusals_name_the_part(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "must begin with redis://"},
        {"localhost:6379", "must begin with redis://"},
        {"http://h", "must begin with redis://"},
        {"rediss://h", "TLS"},
        {"redis://", "host is missing"},
        {"redis://:6379", "host is missing"},
        {"redis://h:", "the port \"\""},
        {"redis://h:0", "the port \"0\""},
        {"redis://h:65536", "the port"},
        {"redis://h:6379x", "the port"},
        {"redis://::1", "put brackets around"},
        {"redis://[::1", "written [::1]"},
        {"redis://[::1]7", "written [::1]"},
        {"redis://[::1]:", "the port \"\""},
        {"redis://h h", "a space or a control"},
        {"redis://h/x", "the database \"x\""},
        {"redis://h/-1", "the database"},
        {"redis://h/65536", "the database"},
        {"redis://secret@h", "before the @"},
        {"redis://me:@h", "needs a password"},
        {"redis://:se%cret@h", "two hex digits"},
        {"redis://:secret%4@h", "two hex digits"},
        {"redis://:secret%@h", "two hex digits"},
        {"redis://:secret%00@h", "NUL byte"},
        {"redis://:sec#ret@h", "%23"},
        {"unix://run/r.sock", "full path"},
        {"unix://", "full path"},
        {"unix:///r?x=1", "?db=N"},
        {"unix:///r?db=", "the database"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rds_url url = {.port = 1};
        struct error err = {0};
        assert_int_equal(rds_url_parse(str_c(rows[i].text), &url, &err),
                         ST_INVALID);
        assert_int_equal(err.status, ST_INVALID);
        assert_non_null(strstr(err.msg, rows[i].words));
        assert_null(strstr(err.msg, "secret"));
        assert_int_equal(url.port, 1);
    }
}

/* "<before>" + n times 'a' + "<after>" */
static enum status
parse_long(const char *before, size_t n, const char *after)
{
    size_t head = strlen(before), tail = strlen(after);
    char *text = malloc(head + n + tail + 1);
    struct rds_url url;

    assert_non_null(text);
    memcpy(text, before, head);
    memset(text + head, 'a', n);
    memcpy(text + head + n, after, tail + 1);
    enum status st = rds_url_parse(str_c(text), &url, NULL);
    free(text);
    return st;
}

static void
test_lengths(void **state)
{
    struct sockaddr_un un;

    (void)state;
    assert_int_equal(parse_long("redis://", 253, ""), ST_OK);
    assert_int_equal(parse_long("redis://", 254, ""), ST_INVALID);
    assert_int_equal(parse_long("redis://:", 512, "@h"), ST_OK);
    assert_int_equal(parse_long("redis://:", 513, "@h"), ST_INVALID);
    assert_int_equal(parse_long("redis://", 513, ":p@h"), ST_INVALID);
    assert_int_equal(parse_long("unix:///", sizeof un.sun_path - 2, ""), ST_OK);
    assert_int_equal(parse_long("unix:///", sizeof un.sun_path - 1, ""),
                     ST_INVALID);
}

static void
test_every_prefix_is_safe(void **state)
{
    static const char text[] = "redis://us%65r:p%40ss@[::1]:6379/12";

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        /* An exact copy, so that a read past the end is seen. */
        char *copy = malloc(n ? n : 1);
        struct rds_url url;
        assert_non_null(copy);
        memcpy(copy, text, n);
        enum status st = rds_url_parse(str_from(copy, n), &url, NULL);
        assert_true(st == ST_OK || st == ST_INVALID);
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals_name_the_part),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_prefix_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
