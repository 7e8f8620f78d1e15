/* Requests and responses: decoding, look-ups, and what a response refuses. */
#include "app/http/request.h"
#include "app/http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/http/problem.h"

struct fixture {
    struct arena arena;
    char memory[1024];
    struct pit_request req;
    struct pit_response res;
};

static int
set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;

    arena_init(&f->arena, f->memory, sizeof f->memory, 64 * 1024 * 1024);
    f->req = (struct pit_request){.arena = &f->arena};
    response_init(&f->res, &f->arena);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    response_clear(&f->res);
    arena_clear(&f->arena);
    return 0;
}

static void
test_arena(void **state)
{
    struct fixture *f = *state;
    char *first = arena_alloc(&f->arena, 10);

    assert_true(first >= f->memory && first < f->memory + 1024);
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        char *p = arena_alloc(&f->arena, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        memset(p, 1, n);
    }
    assert_string_equal(arena_copy(&f->arena, STR("abc")), "abc");
    assert_string_equal(arena_copy(&f->arena, STR_NULL), "");
    assert_null(arena_alloc(&f->arena, 64 * 1024 * 1024));
    assert_null(arena_alloc(&f->arena, SIZE_MAX));
    assert_null(arena_alloc(&f->arena, SIZE_MAX - 16));
    arena_clear(&f->arena);
    assert_int_equal(f->arena.used, 0);
}

static void
test_path_is_decoded(void **state)
{
    static const struct {
        const char *raw, *want; /* NULL: refused */
    } rows[] = {
        {"/", "/"},         {"/a/b", "/a/b"},
        {"/a%20b", "/a b"}, {"/%e2%82%AC", "/\xe2\x82\xac"},
        {"/a+b", "/a+b"},   {"/%25", "/%"},
        {"/%2525", "/%25"}, {"/%", NULL},
        {"/%2", NULL},      {"/%zz", NULL},
        {"/%2z", NULL},     {"/%00", NULL},
        {"/a%2", NULL},     {"/%-1", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err = {0};
        f->req.raw_path = str_c(rows[i].raw);
        enum status st = request_decode(&f->req, &err);
        assert_int_equal(st, rows[i].want ? ST_OK : ST_INVALID);
        if (rows[i].want)
            assert_string_equal(pit_request_path(&f->req), rows[i].want);
    }
}

static void
test_query(void **state)
{
    struct fixture *f = *state;

    f->req.raw_path = STR("/");
    f->req.raw_query = STR("a=1&b=x%26y+z&&c&=d&a=2&e=f=g&%61b=%3d");
    assert_int_equal(request_decode(&f->req, NULL), ST_OK);
    assert_string_equal(pit_request_query(&f->req, "a"), "1");
    assert_string_equal(pit_request_query(&f->req, "b"), "x&y z");
    assert_string_equal(pit_request_query(&f->req, "c"), "");
    assert_string_equal(pit_request_query(&f->req, ""), "d");
    assert_string_equal(pit_request_query(&f->req, "e"), "f=g");
    assert_string_equal(pit_request_query(&f->req, "ab"), "=");
    assert_null(pit_request_query(&f->req, "B"));
    assert_int_equal(f->req.query_len, 7);
}

static void
test_bad_queries_are_refused(void **state)
{
    struct fixture *f = *state;
    char many[3 * REQUEST_QUERY_MAX + 8] = "";
    struct error err;

    f->req.raw_path = STR("/");
    f->req.raw_query = STR("a=%0");
    assert_int_equal(request_decode(&f->req, &err), ST_INVALID);
    f->req.raw_query = STR("%gg=1");
    assert_int_equal(request_decode(&f->req, &err), ST_INVALID);
    f->req.raw_query = STR("a=%00");
    assert_int_equal(request_decode(&f->req, &err), ST_INVALID);
    for (int i = 0; i < REQUEST_QUERY_MAX; i++)
        memcpy(many + 3 * (size_t)i, "a=&", 3);
    f->req.raw_query = str_from(many, 3 * REQUEST_QUERY_MAX - 1);
    assert_int_equal(request_decode(&f->req, &err), ST_OK);
    f->req.raw_query = str_from(many, 3 * REQUEST_QUERY_MAX);
    assert_int_equal(request_decode(&f->req, &err), ST_INVALID);
    assert_non_null(strstr(err.msg, "64"));
}

static void
test_fields_and_body(void **state)
{
    static const struct request_field fields[] = {
        {STR("Host"), STR("a")},
        {STR("X-One"), STR("first")},
        {STR("x-one"), STR("second")},
    };
    struct fixture *f = *state;
    size_t n = 7;

    f->req.fields = fields;
    f->req.fields_len = ARRAY_LEN(fields);
    assert_string_equal(pit_request_header(&f->req, "HOST"), "a");
    assert_string_equal(pit_request_header(&f->req, "x-ONE"), "first");
    assert_null(pit_request_header(&f->req, "x-on"));
    assert_string_equal(pit_request_body(&f->req, &n), "");
    assert_int_equal(n, 0);
    f->req.method = PIT_PATCH;
    assert_int_equal(pit_request_method(&f->req), PIT_PATCH);
    assert_string_equal(request_method_name(PIT_PATCH), "PATCH");
    assert_string_equal(request_method_name(0), "");
}

static void
test_no_answer_can_be_split(void **state)
{
    static const struct {
        const char *name, *value;
        enum pit_status want;
    } rows[] = {
        {"X-A", "b", PIT_OK},
        {"X-A", "tab\tand \xc3\xa9", PIT_OK},
        {"X-A", "", PIT_OK},
        {"X-A", "a\r\nSet-Cookie: x", PIT_INVALID},
        {"X-A", "a\nb", PIT_INVALID},
        {"X-A", "a\rb", PIT_INVALID},
        {"X-A", "a\x7f", PIT_INVALID},
        {"X-A", "a\x1f", PIT_INVALID},
        {"X A", "b", PIT_INVALID},
        {"X-A:", "b", PIT_INVALID},
        {"", "b", PIT_INVALID},
        {"X\r\n", "b", PIT_INVALID},
        {"\xc3\xa9", "b", PIT_INVALID},
        {"Content-Length", "1", PIT_INVALID},
        {"transfer-encoding", "chunked", PIT_INVALID},
        {"Connection", "close", PIT_INVALID},
        {"date", "now", PIT_INVALID},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (pit_response_header(&f->res, rows[i].name, rows[i].value) !=
            rows[i].want)
            fail_msg("row %zu", i);
    assert_int_equal(f->res.fields_len, 1);
    assert_true(str_eq_c(f->res.fields[0].value, ""));
    assert_int_equal(pit_reply_bytes(&f->res, 200, "a/b\r\nX: y", "", 0),
                     PIT_INVALID);
    assert_int_equal(f->res.status, 0);
}

static void
test_fields_are_limited(void **state)
{
    struct fixture *f = *state;
    char name[16];
    static char value[RESPONSE_FIELD_MAX + 1];

    memset(value, 'a', RESPONSE_FIELD_MAX);
    assert_int_equal(pit_response_header(&f->res, "x", value), PIT_TOO_LARGE);
    for (int i = 0; i < RESPONSE_FIELDS_MAX; i++) {
        snprintf(name, sizeof name, "x-%d", i);
        assert_int_equal(pit_response_header(&f->res, name, "v"), PIT_OK);
    }
    assert_int_equal(pit_response_header(&f->res, "one-more", "v"),
                     PIT_TOO_LARGE);
    assert_int_equal(pit_response_header(&f->res, "X-0", "new"), PIT_OK);
    assert_true(str_eq_c(f->res.fields[0].value, "new"));
}

static void
test_replies(void **state)
{
    struct fixture *f = *state;
    struct pit_response *res = &f->res;
    struct buf body;
    char *big = calloc(1, RESPONSE_BODY_MAX + 1);

    assert_non_null(big);
    assert_int_equal(pit_reply_text(res, 200, "Smoked %d meats", 3), PIT_OK);
    assert_int_equal(res->status, 200);
    assert_true(str_eq_c(res->body, "Smoked 3 meats"));
    assert_true(str_eq_c(res->content_type, "text/plain; charset=utf-8"));
    assert_int_equal(pit_reply_text(res, 200, "%*d", 5000, 1), PIT_OK);
    assert_int_equal(res->body.n, 5000);
    assert_int_equal(res->body.p[4999], '1');
    assert_int_equal(pit_reply_text(res, 99, "x"), PIT_INVALID);
    assert_int_equal(pit_reply_text(res, 600, "x"), PIT_INVALID);

    assert_int_equal(pit_reply_json(res, 201, "{s:i}", "id", 7), PIT_OK);
    assert_true(str_eq_c(res->body, "{\"id\":7}"));
    assert_true(str_eq_c(res->content_type, "application/json"));
    assert_int_equal(pit_reply_json(res, 201, "{s:", "id", 7), PIT_INVALID);
    assert_int_equal(response_json_take(res, 200, NULL), ST_BUG);

    memset(big, 'x', RESPONSE_BODY_MAX);
    assert_int_equal(
        pit_reply_bytes(res, 200, "a/b", big, RESPONSE_BODY_MAX + 1),
        PIT_TOO_LARGE);
    assert_int_equal(pit_reply_bytes(res, 200, "a/b", big, RESPONSE_BODY_MAX),
                     PIT_OK);
    assert_int_equal(res->body.n, RESPONSE_BODY_MAX);
    free(big);

    buf_init(&body, 10);
    buf_add_c(&body, "taken");
    assert_int_equal(response_take(res, 203, "a/b", &body), ST_OK);
    assert_true(str_eq_c(res->body, "taken"));
    assert_null(body.p);
    buf_add_c(&body, "more than ten bytes");
    assert_int_equal(response_take(res, 203, "a/b", &body), ST_TOO_LARGE);
    assert_null(body.p);

    assert_int_equal(response_empty(res, 204), ST_OK);
    assert_int_equal(res->body.n, 0);
    res->sealed = true;
    assert_int_equal(pit_reply_text(res, 200, "x"), PIT_INVALID);
    assert_int_equal(pit_response_header(res, "a", "b"), PIT_INVALID);
    res->sealed = false;
}

static void
test_problem_reply(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        pit_reply_problem(&f->res, PIT_NOT_FOUND, "no order %d", 7), PIT_OK);
    assert_int_equal(f->res.status, 404);
    json_t *json = json_loadb(f->res.body.p, f->res.body.n, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "detail")),
                        "no order 7");
    json_decref(json);
}

static void
test_reasons(void **state)
{
    (void)state;
    assert_string_equal(response_reason(404), "Not Found");
    assert_string_equal(response_reason(299), "Unknown");
    for (unsigned kind = 0; kind < PROBLEM_KINDS; kind++)
        assert_string_not_equal(response_reason(problem_type(kind)->http),
                                "Unknown");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_arena),
        TEST(test_path_is_decoded),
        TEST(test_query),
        TEST(test_bad_queries_are_refused),
        TEST(test_fields_and_body),
        TEST(test_no_answer_can_be_split),
        TEST(test_fields_are_limited),
        TEST(test_replies),
        TEST(test_problem_reply),
        TEST(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
