/* What a view reads of a request: parameters, queries, JSON, forms, cookies. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pit/test.h"

static void
test_path_parameters(void **state)
{
    site_expect(pit_test_get(*state, "/orders/42"), 200,
                "/orders/{id:int}|42|-");
    site_expect_problem(pit_test_get(*state, "/orders/x"), 404, "nothing");
    site_expect(pit_test_get(*state, "/tree/a/b%2Fc/"), 200,
                "/tree/{rest:path}|0|a/b/c/");
    site_expect_problem(pit_test_get(*state, "/tree/"), 404, "nothing");
    assert_int_equal(
        pit_test_get(*state, "/uuid/0196c2d1-5d6a-7e3c-8a4b-0123456789ab")
            ->status,
        200);
    site_expect_problem(pit_test_get(*state, "/uuid/0196c2d1"), 404, "nothing");
    static const char *const slugs[] = {"a", "Rub-7_b.txt", "a..b", "%61"};
    static const char *const others[] = {".a",  "a%20b", "%2e%2e",
                                         "a:b", "",      "%C3%BC"};
    char target[200];
    for (size_t i = 0; i < sizeof slugs / sizeof *slugs; i++) {
        snprintf(target, sizeof target, "/slug/%s", slugs[i]);
        assert_int_equal(pit_test_get(*state, target)->status, 200);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(target, sizeof target, "/slug/%s", others[i]);
        site_expect_problem(pit_test_get(*state, target), 404, "nothing");
    }
    for (int n = 64; n <= 65; n++) {
        snprintf(target, sizeof target, "/slug/%0*d", n, 7);
        assert_int_equal(pit_test_get(*state, target)->status,
                         n == 64 ? 200 : 404);
    }
    site_expect_problem(pit_test_get(*state, "/tree/a%"), 400,
                        "percent-encoding");
}

static void
test_queries(void **state)
{
    site_expect(pit_test_get(*state, "/query?page=7&tag=a&tag=b"), 200, "7 b");
    site_expect(pit_test_get(*state, "/query?page=-3"), 200, "-3 -");
    static const char *const bad[] = {"-4", "101", "x", "", "1.5", "+1", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char target[64];
        snprintf(target, sizeof target, "/query?page=%s", bad[i]);
        site_expect_problem(pit_test_get(*state, target), 400,
                            "page must be a whole number within -3..100");
    }
}

static void
test_json(void **state)
{
    static const struct {
        const char *type, *body, *words;
    } rows[] = {
        {"application/json", "", "empty"},
        {"application/json", "{\"name\": \"Ada\"", "byte"},
        {"application/json", "{\"name\": 1, \"age\": 2}", "Expected string"},
        {"application/json", "{\"name\": \"A\"}", "age"},
        {"application/json", "{\"a\": 1, \"a\": 2}", "\"pointer\":\"/a\""},
        {"application/json", "{\"a\": {\"b\": 1, \"b\": 2}}", "uplicate"},
        {"application/json", "{\"a\": 1e999}", "byte"},
        {"text/plain", "{}", "Content-Type"},
        {"application/json", "{\"name\": \"A\", \"age\": -1}",
         "\"pointer\":\"/age\""},
        {"application/json", "{\"name\": \"A\", \"age\": 201}",
         "\"pointer\":\"/age\""},
        {"application/json", "{\"name\": \"A\", \"age\": 201}",
         "201 is too old"},
    };
    char deep[300];

    const struct pit_test_answer *a =
        pit_test_post(*state, "/json", "application/json; charset=utf-8",
                      "{\"name\": \"Ada\", \"age\": 36}");
    site_expect(a, 201, "{\"name\":\"Ada\",\"age\":36}");
    assert_string_equal(pit_test_header(a, "X-Born"), "1990");
    site_expect_problem(pit_test_post(*state, "/json", "application/json",
                                      "{\"name\": \"A\", \"age\": 0}"),
                        409, "not born yet");
    assert_non_null(strstr(pit_test_logged(*state), "body 0 26"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        site_expect_problem(
            pit_test_post(*state, "/json", rows[i].type, rows[i].body), 400,
            rows[i].words);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    site_expect_problem(
        pit_test_post(*state, "/json", "application/json", deep), 400, "64");
    char *large = calloc(1, 5000);
    memset(large, ' ', 4999);
    site_expect_problem(
        pit_test_post(*state, "/json", "application/json", large), 413,
        "larger");
    free(large);
}

static void
test_forms(void **state)
{
#define MULTIPART "multipart/form-data; boundary=\"x y\""
    static const struct {
        const char *type, *body, *want; /* "400": refused */
    } rows[] = {
        {"application/x-www-form-urlencoded",
         "name=Ada+L%C3%A9&b=", "Ada L\u00e9|-|-|0"},
        {"application/x-www-form-urlencoded", "", "-|-|-|0"},
        {"application/x-www-form-urlencoded", "name=%zz", "400"},
        {"application/json", "{}", "400"},
        {MULTIPART,
         "preamble\r\n--x y\r\nContent-Disposition: form-data; "
         "name=\"name\"\r\n"
         "\r\nAda\r\n--x y \r\ncontent-disposition: form-data; name=file; "
         "filename=\"C:\\a \\\"b\\\".txt\"\r\nContent-Type: image/png\r\n\r\n"
         "12\r\n--x\r\n\r\n--x y--\r\nafter",
         "Ada|C:\\a \"b\".txt|image/png|9"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data; name=\"file\"; "
         "filename=\"\"\r\n\r\n\r\n--x y--",
         "-||text/plain|0"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data; name=name\r\n\r\nhalf",
         "400"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data\r\n\r\n\r\n--x y--", "400"},
        {MULTIPART, "--x y\r\nno colon\r\n\r\n\r\n--x y--", "400"},
        {MULTIPART, "--x y--", "-|-|-|0"},
        {MULTIPART, "nothing", "400"},
        {MULTIPART, "", "400"},
        {"multipart/form-data", "--x--", "400"},
        {"multipart/form-data; boundary=", "--x--", "400"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct pit_test_answer *a =
            pit_test_post(*state, "/form", rows[i].type, rows[i].body);
        if (strcmp(rows[i].want, "400") == 0)
            assert_int_equal(a->status, 400);
        else
            site_expect(a, 200, rows[i].want);
    }
}

static void
test_a_form_holds_no_nul(void **state)
{
    const struct pit_test_answer *a = pit_test_send(
        *state, &(struct pit_test_request){
                    .method = PIT_POST,
                    .target = "/form",
                    .content_type = "application/x-www-form-urlencoded",
                    .body = "name=a\0b",
                    .body_len = 8});

    site_expect_problem(a, 400, "NUL");
}

static void
test_a_form_has_a_limit(void **state)
{
    char *body = calloc(1, (PIT_PARTS_MAX + 1) * 4 + 1);

    for (int i = 0; i < PIT_PARTS_MAX + 1; i++)
        memcpy(body + i * 4, "a=b&", 4);
    site_expect_problem(pit_test_post(*state, "/form",
                                      "application/x-www-form-urlencoded",
                                      body),
                        413, "256");
    free(body);
}

static void
test_cookies(void **state)
{
    const struct pit_test_answer *a = pit_test_send(
        *state, &(struct pit_test_request){
                    .target = "/cookie",
                    .headers = (const char *const[]){
                        "Cookie: a=b; session=\"old\"; session=older", NULL}});

    site_expect(a, 200, "old");
    assert_string_equal(
        pit_test_header(a, "set-cookie"),
        "session=new; Path=/; Max-Age=60; SameSite=Lax; HttpOnly");
    site_expect(pit_test_get(*state, "/cookie"), 200, "-");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_path_parameters),
        SITE_TEST(test_queries),
        SITE_TEST(test_json),
        SITE_TEST(test_forms),
        SITE_TEST(test_a_form_holds_no_nul),
        SITE_TEST(test_a_form_has_a_limit),
        SITE_TEST(test_cookies),
    };

    return cmocka_run_group_tests(tests, site_set_up_all, site_tear_down_all);
}
