/* Files: those below /assets/, and those that a view sends. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "pit/test.h"

static const struct pit_test_answer *
get_with(struct pit_test *test, const char *target, const char *header)
{
    return pit_test_send(
        test,
        &(struct pit_test_request){
            .target = target, .headers = (const char *const[]){header, NULL}});
}

static void
test_static_files(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/assets/");
    char header[128];

    site_expect(a, 200, "<p>index");
    assert_string_equal(a->content_type, "text/html; charset=utf-8");
    assert_string_equal(pit_test_header(a, "Cache-Control"),
                        "public, max-age=60");
    assert_string_equal(pit_test_header(a, "X-Content-Type-Options"),
                        "nosniff");
    assert_string_equal(pit_test_header(a, "X-Seen"), "200");
    a = get_with(*state, "/assets/app.js", "Accept-Encoding: br, gzip");
    site_expect(a, 200, "gz");
    assert_string_equal(pit_test_header(a, "Content-Encoding"), "gzip");
    assert_string_equal(pit_test_header(a, "Vary"), "Accept-Encoding");
    a = get_with(*state, "/assets/app.js", "Accept-Encoding: gzip;q=0");
    site_expect(a, 200, "0123456789");
    assert_string_equal(pit_test_header(a, "Vary"), "Accept-Encoding");
    snprintf(header, sizeof header, "If-None-Match: \"x\", W/%s",
             pit_test_header(a, "ETag"));
    a = get_with(*state, "/assets/app.js", header);
    site_expect(a, 304, "");
    assert_non_null(pit_test_header(a, "ETag"));
    snprintf(header, sizeof header, "If-Modified-Since: %s",
             pit_test_header(a, "Last-Modified"));
    site_expect(get_with(*state, "/assets/app.js", header), 304, "");
}

static void
test_ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } rows[] = {
        {"bytes=2-4", 206, "234", "bytes 2-4/10"},
        {"bytes=7-", 206, "789", "bytes 7-9/10"},
        {"bytes=-3", 206, "789", "bytes 7-9/10"},
        {"bytes=8-99", 206, "89", "bytes 8-9/10"},
        {"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=10-", 416, "", "bytes */10"},
        {"bytes=-0", 416, "", "bytes */10"},
        {"bytes=5-2", 200, "0123456789", NULL},
        {"bytes=1-2,4-5", 200, "0123456789", NULL},
        {"bytes=-", 200, "0123456789", NULL},
        {"lines=1-2", 200, "0123456789", NULL},
    };
    char header[64];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(header, sizeof header, "Range: %s", rows[i].range);
        const struct pit_test_answer *a =
            get_with(*state, "/assets/app.js", header);
        site_expect(a, rows[i].status, rows[i].body);
        const char *got = pit_test_header(a, "Content-Range");
        if (rows[i].content_range)
            assert_string_equal(got, rows[i].content_range);
        else
            assert_null(got);
    }
}

static void
test_files_stay_in_their_folder(void **state)
{
    static const char *const hidden[] = {"/assets/.hidden",
                                         "/assets/../test_site_files.c",
                                         "/assets/%2e%2e/etc/hosts",
                                         "/assets/link",
                                         "/assets/deep",
                                         "/assets/deep/",
                                         "/assets//app.js",
                                         "/assets/nothing",
                                         "/assets/deep/..%2f.hidden"};
    static const char *const files[] = {"/file/link", "/file/../x",
                                        "/file/%2Fetc%2Fhosts", "/file/deep",
                                        "/file/nothing"};

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        const struct pit_test_answer *a = pit_test_get(*state, hidden[i]);
        site_expect_problem(a, 404, "nothing at this path");
        assert_null(pit_test_header(a, "Cache-Control"));
    }
    site_expect(pit_test_get(*state, "/file/plain.bin"), 200, "abc");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        site_expect_problem(pit_test_get(*state, files[i]), 404,
                            "no such file");
    const struct pit_test_answer *a =
        pit_test_post(*state, "/assets/app.js", "text/plain", "x");
    site_expect_problem(a, 405, "GET, HEAD, OPTIONS");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_static_files),
        SITE_TEST(test_ranges),
        SITE_TEST(test_files_stay_in_their_folder),
    };

    return cmocka_run_group_tests(tests, site_set_up_all, site_tear_down_all);
}
