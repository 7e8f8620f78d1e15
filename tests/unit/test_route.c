/* Routes: one table as the programs have it, then what cannot be a table. */
#include "app/http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/error.h"

static const struct {
    enum pit_method method;
    const char *pattern;
} routes[] = {
    {PIT_GET, "/"},
    {PIT_GET, "/async/"},
    {PIT_POST, "/v1/jobs"},
    {PIT_POST, "/v1/jobs:batch"},
    {PIT_GET, "/v1/jobs/{id}"},
    {PIT_PUT, "/v1/jobs/{job_id}"},
    {PIT_GET, "/v1/jobs/{id}/result"},
    {PIT_POST, "/v1/jobs/{id}:cancel"},
    {PIT_POST, "/v1/jobs/{id}:retry"},
    {PIT_GET, "/v1/jobs/special"},
    {PIT_GET, "/orders/{id:int}"},
    {PIT_GET, "/orders/{name}"},
    {PIT_DELETE, "/orders/{name}"},
    {PIT_GET, "/a/{x}/c"},
    {PIT_GET, "/a/b/d"},
    {PIT_OPTIONS, "/own"},
    {PIT_HEAD, "/own"},
    {PIT_GET, "/own"},
};

struct fixture {
    struct route_table *table;
    struct arena arena;
    char memory[2048];
    struct pit_request req;
    struct route_match match;
};

static int
set_up(void **state)
{
    static struct fixture fixture;
    struct error err;

    fixture.table = route_table_new();
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (route_add(fixture.table, routes[i].method, routes[i].pattern,
                      routes[i].pattern, &err) != ST_OK)
            return -1;
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    route_table_free(f->table);
    arena_clear(&f->arena);
    return 0;
}

static enum route_result
match(struct fixture *f, enum pit_method method, const char *path)
{
    arena_init(&f->arena, f->memory, sizeof f->memory, 0);
    f->req = (struct pit_request){
        .arena = &f->arena, .method = method, .raw_path = str_c(path)};
    memset(&f->match, 0, sizeof f->match);
    return route_match(f->table, &f->req, &f->match);
}

static void
test_finds(void **state)
{
    static const struct {
        enum pit_method method;
        const char *path, *pattern, *param, *value;
    } rows[] = {
        {PIT_GET, "/", "/", NULL, NULL},
        {PIT_HEAD, "/", "/", NULL, NULL},
        {PIT_GET, "/async/", "/async/", NULL, NULL},
        {PIT_POST, "/v1/jobs", "/v1/jobs", NULL, NULL},
        {PIT_POST, "/v1/jobs:batch", "/v1/jobs:batch", NULL, NULL},
        {PIT_GET, "/v1/jobs/q.1", "/v1/jobs/{id}", "id", "q.1"},
        {PIT_PUT, "/v1/jobs/q.1", "/v1/jobs/{job_id}", "job_id", "q.1"},
        {PIT_GET, "/v1/jobs/q.1/result", "/v1/jobs/{id}/result", "id", "q.1"},
        /* ids may hold colons: the last one parts the verb */
        {PIT_POST, "/v1/jobs/a:b:cancel", "/v1/jobs/{id}:cancel", "id", "a:b"},
        {PIT_POST, "/v1/jobs/q.1:retry", "/v1/jobs/{id}:retry", "id", "q.1"},
        {PIT_GET, "/v1/jobs/q.1:cancel", "/v1/jobs/{id}", "id", "q.1:cancel"},
        {PIT_GET, "/v1/jobs/a:b", "/v1/jobs/{id}", "id", "a:b"},
        /* exact before general */
        {PIT_GET, "/v1/jobs/special", "/v1/jobs/special", NULL, NULL},
        {PIT_PUT, "/v1/jobs/special", "/v1/jobs/{job_id}", "job_id", "special"},
        {PIT_GET, "/orders/17", "/orders/{id:int}", "id", "17"},
        {PIT_GET, "/orders/17a", "/orders/{name}", "name", "17a"},
        {PIT_GET, "/orders/1234567890123456789", "/orders/{name}", "name",
         "1234567890123456789"},
        {PIT_DELETE, "/orders/17", "/orders/{name}", "name", "17"},
        /* back from a branch that led nowhere */
        {PIT_GET, "/a/b/c", "/a/{x}/c", "x", "b"},
        {PIT_GET, "/a/b/d", "/a/b/d", NULL, NULL},
        /* escapes */
        {PIT_GET, "/%61sync/", "/async/", NULL, NULL},
        {PIT_GET, "/orders/a%2Fb", "/orders/{name}", "name", "a/b"},
        {PIT_GET, "/orders/%31", "/orders/{id:int}", "id", "1"},
        {PIT_GET, "/orders/a%20b%c3%a9", "/orders/{name}", "name",
         "a b\xc3\xa9"},
        {PIT_OPTIONS, "/own", "/own", NULL, NULL},
        {PIT_HEAD, "/own", "/own", NULL, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum route_result result = match(f, rows[i].method, rows[i].path);
        if (result != ROUTE_FOUND)
            fail_msg("row %zu: %s: %d", i, rows[i].path, result);
        assert_string_equal(f->match.pattern, rows[i].pattern);
        assert_ptr_equal(f->match.target, f->match.pattern);
        if (!rows[i].param) {
            assert_int_equal(f->req.params_len, 0);
            continue;
        }
        assert_int_equal(f->req.params_len, 1);
        assert_string_equal(pit_request_param(&f->req, rows[i].param),
                            rows[i].value);
        assert_null(pit_request_param(&f->req, "nothing"));
    }
}

static void
test_refuses(void **state)
{
    static const struct {
        enum pit_method method;
        const char *path;
        enum route_result want;
        const char *allow;
    } rows[] = {
        {PIT_GET, "/nothing", ROUTE_NOT_FOUND, ""},
        {PIT_GET, "/async", ROUTE_NOT_FOUND, ""},
        {PIT_GET, "//", ROUTE_NOT_FOUND, ""},
        {PIT_GET, "/orders/", ROUTE_NOT_FOUND, ""},
        {PIT_GET, "/orders/1/", ROUTE_NOT_FOUND, ""},
        {PIT_OPTIONS, "/nothing", ROUTE_NOT_FOUND, ""},
        {PIT_POST, "/", ROUTE_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"},
        {PIT_GET, "/v1/jobs", ROUTE_METHOD_NOT_ALLOWED, "POST, OPTIONS"},
        {PIT_POST, "/orders/1", ROUTE_METHOD_NOT_ALLOWED,
         "GET, HEAD, DELETE, OPTIONS"},
        {PIT_PATCH, "/v1/jobs/a:cancel", ROUTE_METHOD_NOT_ALLOWED,
         "GET, HEAD, POST, PUT, OPTIONS"},
        {PIT_POST, "/v1/jobs/:cancel", ROUTE_METHOD_NOT_ALLOWED,
         "GET, HEAD, PUT, OPTIONS"},
        {PIT_OPTIONS, "/", ROUTE_OPTIONS, "GET, HEAD, OPTIONS"},
        {PIT_GET, "/orders/%0", ROUTE_BAD, ""},
        {PIT_GET, "/orders/%00", ROUTE_BAD, ""},
        {PIT_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", ROUTE_BAD, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char allow[ROUTE_ALLOW_SIZE];
        enum route_result result = match(f, rows[i].method, rows[i].path);
        if (result != rows[i].want)
            fail_msg("row %zu: %s: %d", i, rows[i].path, result);
        route_allow(f->match.allow, allow);
        assert_string_equal(allow, rows[i].allow);
    }
}

static void
test_a_full_arena_is_no_match(void **state)
{
    struct fixture *f = *state;

    arena_init(&f->arena, f->memory, 4, 0);
    f->req = (struct pit_request){.arena = &f->arena,
                                  .method = PIT_GET,
                                  .raw_path = STR("/orders/12345678")};
    assert_int_equal(route_match(f->table, &f->req, &f->match), ROUTE_BAD);
}

static void
test_clashes_and_bad_patterns_are_errors(void **state)
{
    static const struct {
        enum pit_method method;
        const char *pattern;
        enum status want;
    } rows[] = {
        {PIT_GET, "/", ST_CONFLICT},
        {PIT_GET, "/orders/{other}", ST_CONFLICT},
        {PIT_GET, "/orders/{n:int}", ST_CONFLICT},
        {PIT_POST, "/v1/jobs/{x}:cancel", ST_CONFLICT},
        {PIT_GET, "/a/{y}/c", ST_CONFLICT},
        {PIT_GET, "/a/{y}/{z}", ST_OK},
        {PIT_POST, "/orders/{n:int}", ST_OK},
        {0, "/x", ST_INVALID},
        {PIT_GET, "", ST_INVALID},
        {PIT_GET, "x", ST_INVALID},
        {PIT_GET, "/{", ST_INVALID},
        {PIT_GET, "/{}", ST_INVALID},
        {PIT_GET, "/{a", ST_INVALID},
        {PIT_GET, "/a}", ST_INVALID},
        {PIT_GET, "/a{b}", ST_INVALID},
        {PIT_GET, "/{a:float}", ST_INVALID},
        {PIT_GET, "/{a}b", ST_INVALID},
        {PIT_GET, "/{a}:", ST_INVALID},
        {PIT_GET, "/{a:int}:b", ST_INVALID},
        {PIT_GET, "/{a b}", ST_INVALID},
        {PIT_GET, "/{a}/{a}", ST_INVALID},
        {PIT_GET, "/%41", ST_INVALID},
        {PIT_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", ST_INVALID},
        {PIT_GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", ST_INVALID},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err = {0};
        enum status got =
            route_add(f->table, rows[i].method, rows[i].pattern, NULL, &err);
        if (got != rows[i].want)
            fail_msg("row %zu: %s: %d", i, rows[i].pattern, got);
        if (got != ST_OK)
            assert_non_null(strstr(err.msg, rows[i].pattern));
    }
}

static void
count(enum pit_method method, const char *pattern, const void *target,
      void *arg)
{
    size_t *n = arg;

    assert_ptr_equal(pattern, target);
    assert_int_equal(method, routes[*n].method);
    assert_string_equal(pattern, routes[*n].pattern);
    ++*n;
}

static void
test_lists_in_order(void **state)
{
    struct fixture *f = *state;
    size_t n = 0;

    route_each(f->table, count, &n);
    assert_int_equal(n, ARRAY_LEN(routes));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_arena_is_no_match, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_clashes_and_bad_patterns_are_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists_in_order, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
