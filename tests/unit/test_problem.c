/* Problems: every kind is a document that a machine can read. */
#include "app/http/problem.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static json_t *
written(const struct problem *problem)
{
    struct buf text;
    json_error_t error;

    buf_init(&text, 65536);
    problem_write(problem, &text);
    assert_false(text.failed);
    json_t *json = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s: %.*s", error.text, STR_ARG(buf_str(&text)));
    buf_clear(&text);
    return json;
}

static const char *
text_of(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static void
test_each_kind_is_complete(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < PROBLEM_KINDS; kind++) {
        const struct problem_type *type = problem_type(kind);
        struct problem problem = {.kind = kind};
        assert_in_range(type->http, 400, 599);
        assert_non_null(type->title);
        for (const char *c = type->name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '-');
        for (unsigned other = 0; other < kind; other++)
            assert_string_not_equal(type->name, problem_type(other)->name);

        json_t *json = written(&problem);
        assert_int_equal(json_integer_value(json_object_get(json, "status")),
                         type->http);
        assert_string_equal(text_of(json, "title"), type->title);
        assert_non_null(strstr(text_of(json, "type"), type->name));
        assert_null(json_object_get(json, "detail"));
        assert_int_equal(json_is_true(json_object_get(json, "retryable")),
                         type->retryable);
        json_decref(json);
    }
}

static void
test_each_status_has_its_code(void **state)
{
    static const struct {
        enum status status;
        int http;
        const char *name;
    } rows[] = {
        {ST_INVALID, 400, "invalid-request"},
        {ST_NOT_FOUND, 404, "not-found"},
        {ST_CONFLICT, 409, "conflict"},
        {ST_GONE, 410, "gone"},
        {ST_TOO_LARGE, 413, "payload-too-large"},
        {ST_UNKNOWN_TASK, 422, "unknown-task"},
        {ST_LEASE_LOST, 409, "lease-lost"},
        {ST_LIMIT, 503, "overloaded"},
        {ST_UNAVAILABLE, 503, "store-unavailable"},
        {ST_UNCLEAR, 503, "outcome-unknown"},
        {ST_TIMEOUT, 504, "timeout"},
        {ST_CANCELLED, 503, "shutting-down"},
        {ST_FORBIDDEN, 403, "forbidden"},
        {ST_READ_ONLY, 503, "store-readonly"},
        {ST_QUEUE_FULL, 429, "queue-full"},
        {ST_FAILED, 500, "internal-error"},
        {ST_PERMANENT, 500, "internal-error"},
        {ST_BUG, 500, "internal-error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct problem_type *type =
            problem_type(problem_of_status(rows[i].status));
        assert_int_equal(type->http, rows[i].http);
        assert_string_equal(type->name, rows[i].name);
    }
}

static void
test_codes_of_the_front_keep_their_number(void **state)
{
    static const int codes[] = {400, 405, 408, 413, 414, 415,
                                417, 431, 501, 503, 505};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        assert_int_equal(problem_type(problem_of_http(codes[i]))->http,
                         codes[i]);
    assert_int_equal(problem_type(problem_of_http(400))->http, 400);
    assert_int_equal(problem_of_http(400), PROBLEM_MALFORMED_MESSAGE);
    assert_int_equal(problem_of_http(999), PROBLEM_INTERNAL_ERROR);
}

static void
test_members(void **state)
{
    json_t *extra = json_pack("{s:s, s:[i, i]}", "id", "q.1", "list", 1, 2);
    struct problem problem = {
        .kind = PROBLEM_INVALID_REQUEST,
        .detail = "a \"quoted\" \x01 \xff text",
        .pointer = "/retry/max",
        .instance = "/v1/jobs",
        .retry_after_s = 7,
        .max_bytes = 1048576,
        .extra = extra,
    };

    (void)state;
    json_t *json = written(&problem);
    assert_string_equal(text_of(json, "type"),
                        "https://pitmaster.dev/problems/invalid-request");
    assert_string_equal(text_of(json, "detail"),
                        "a \"quoted\" \x01 \xef\xbf\xbd text");
    assert_string_equal(text_of(json, "pointer"), "/retry/max");
    assert_string_equal(text_of(json, "instance"), "/v1/jobs");
    assert_string_equal(text_of(json, "id"), "q.1");
    assert_int_equal(json_array_size(json_object_get(json, "list")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "retry_after")),
                     7);
    assert_int_equal(json_integer_value(json_object_get(json, "max_bytes")),
                     1048576);
    json_decref(json);
    json_decref(extra);
}

static void
test_error_becomes_problem(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(error_set_at(&err, "/delay", "no such unit"), ST_INVALID);
    struct problem problem = problem_from_error(ST_INVALID, &err);
    assert_int_equal(problem.kind, PROBLEM_INVALID_REQUEST);
    assert_string_equal(problem.pointer, "/delay");
    assert_non_null(strstr(problem.detail, "no such unit"));
    /* Words of another failure are not put in this one's mouth. */
    problem = problem_from_error(ST_TIMEOUT, &err);
    assert_int_equal(problem.kind, PROBLEM_TIMEOUT);
    assert_null(problem.detail);
    problem = problem_from_error(ST_BUG, NULL);
    assert_int_equal(problem.kind, PROBLEM_INTERNAL_ERROR);
}

static void
test_reply_replaces_what_was_set(void **state)
{
    char memory[512];
    struct arena arena;
    struct pit_response res;
    struct problem problem = {.kind = PROBLEM_QUEUE_FULL, .detail = "full"};

    (void)state;
    arena_init(&arena, memory, sizeof memory, 0);
    response_init(&res, &arena);
    assert_int_equal(pit_reply_text(&res, 200, "fine"), PIT_OK);
    assert_int_equal(problem_reply(&res, &problem), ST_OK);
    assert_int_equal(res.status, 429);
    assert_true(str_eq_c(res.content_type, "application/problem+json"));
    assert_int_equal(res.fields_len, 1);
    assert_true(str_eq_c(res.fields[0].name, "Retry-After"));
    assert_true(str_eq_c(res.fields[0].value, "1"));
    assert_memory_equal(res.body.p, "{\"type\":", 8);
    response_clear(&res);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_is_complete),
        cmocka_unit_test(test_each_status_has_its_code),
        cmocka_unit_test(test_codes_of_the_front_keep_their_number),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_error_becomes_problem),
        cmocka_unit_test(test_reply_replaces_what_was_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
