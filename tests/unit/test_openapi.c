/* The OpenAPI document and the routes say the same: every route has an
 * operation, every operation a route, and nothing in it leads nowhere. */
#include "api/openapi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "app/http/route.h"

enum { OPERATIONS_MAX = 256 };

static json_t *document;
static struct route_table *routes;

static int
set_up(void **state)
{
    static struct api api; /* the routes point into it */
    struct error err = {.msg = ""};

    (void)state;
    if (openapi_build(&document, &err) != ST_OK)
        fail_msg("%s", err.msg);
    routes = route_table_new();
    if (api_route(&api, routes, &err) != ST_OK)
        fail_msg("%s", err.msg);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    route_table_free(routes);
    json_decref(document);
    return 0;
}

static void
lower(const char *from, char *dst, size_t size)
{
    size_t n = 0;

    for (; from[n] && n + 1 < size; n++)
        dst[n] =
            (char)(from[n] >= 'A' && from[n] <= 'Z' ? from[n] + 32 : from[n]);
    dst[n] = '\0';
}

/* ---- both ways ---- */

static void
count_undescribed(enum pit_method method, const char *pattern,
                  const void *target, void *arg)
{
    int *undescribed = arg;
    char name[16];

    (void)target;
    lower(request_method_name(method), name, sizeof name);
    const json_t *item =
        json_object_get(json_object_get(document, "paths"), pattern);
    if (json_object_get(item, name))
        return;
    print_error("%s %s has a route and no description: add it to "
                "web/api/openapi/<resource>.json (CONTRIBUTING.md says how)\n",
                request_method_name(method), pattern);
    (*undescribed)++;
}

static void
test_every_route_is_described(void **state)
{
    int undescribed = 0;

    (void)state;
    route_each(routes, count_undescribed, &undescribed);
    assert_int_equal(undescribed, 0);
}

struct wanted {
    const char *method;
    const char *path;
    bool found;
};

static void
look_for(enum pit_method method, const char *pattern, const void *target,
         void *arg)
{
    struct wanted *wanted = arg;
    char name[16];

    (void)target;
    lower(request_method_name(method), name, sizeof name);
    if (strcmp(name, wanted->method) == 0 && strcmp(pattern, wanted->path) == 0)
        wanted->found = true;
}

static void
test_every_description_has_a_route(void **state)
{
    const char *path, *method;
    json_t *item, *operation;
    int stray = 0;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            struct wanted wanted = {method, path, false};
            if (strcmp(method, "parameters") == 0)
                continue;
            route_each(routes, look_for, &wanted);
            if (!wanted.found) {
                print_error("%s %s is described and has no route\n", method,
                            path);
                stray++;
            }
        }
    }
    assert_int_equal(stray, 0);
}

/* ---- what an operation must say ---- */

static bool
declares(const json_t *parameters, struct str name)
{
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *parameter = json_array_get(parameters, i);
        const char *ref = json_string_value(json_object_get(parameter, "$ref"));
        if (ref) {
            const char *last = strrchr(ref, '/');
            parameter = json_object_get(
                json_object_get(json_object_get(document, "components"),
                                "parameters"),
                last ? last + 1 : "");
        }
        if (str_eq_c(name,
                     json_string_value(json_object_get(parameter, "name"))) &&
            strcmp(json_string_value(json_object_get(parameter, "in")),
                   "path") == 0)
            return true;
    }
    return false;
}

static void
check_parameters(const char *path, const json_t *item, const json_t *operation)
{
    struct str rest = str_c(path);

    while (rest.n > 0) {
        (void)str_cut(rest, '{', &rest);
        if (rest.n == 0)
            break;
        struct str name = str_cut(rest, '}', &rest);
        if (!declares(json_object_get(item, "parameters"), name) &&
            !declares(json_object_get(operation, "parameters"), name))
            fail_msg("%s does not declare its parameter %.*s", path,
                     STR_ARG(name));
    }
}

static bool
has_success(const json_t *operation)
{
    const char *code;
    json_t *response;

    json_object_foreach(json_object_get(operation, "responses"), code, response)
    {
        if (code[0] == '2' || code[0] == '3')
            return true;
    }
    return false;
}

static void
check_operation(const char *path, const json_t *item, const json_t *operation,
                const char **ids, size_t n)
{
    const char *id =
        json_string_value(json_object_get(operation, "operationId"));
    const json_t *tags = json_object_get(operation, "tags");

    if (!id || !json_string_value(json_object_get(operation, "summary")) ||
        json_array_size(tags) != 1 || !has_success(operation))
        fail_msg("%s needs operationId, summary, one tag and a success", path);
    for (size_t i = 0; i < n; i++)
        if (strcmp(ids[i], id) == 0)
            fail_msg("two operations are called %s", id);
    ids[n] = id;
    check_parameters(path, item, operation);
}

static void
test_operations_are_complete(void **state)
{
    const char *ids[OPERATIONS_MAX];
    const char *path, *method;
    json_t *item, *operation;
    size_t n = 0;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            if (strcmp(method, "parameters") == 0)
                continue;
            assert_true(n < OPERATIONS_MAX);
            check_operation(path, item, operation, ids, n++);
        }
    }
    assert_true(n > 0);
    assert_string_equal(json_string_value(json_object_get(document, "openapi")),
                        "3.1.0");
}

/* ---- references ---- */

static const json_t *
follow(const char *ref)
{
    const json_t *at = document;
    struct str rest = str_c(ref);

    if (!str_starts(rest, STR("#/")))
        return NULL;
    rest = str_skip(rest, 2);
    while (at && rest.n > 0) {
        char name[128];
        str_copy_to(str_cut(rest, '/', &rest), name, sizeof name);
        at = json_object_get(at, name);
    }
    return at;
}

static void
check_references(json_t *value)
{
    const char *name;
    json_t *member;

    for (size_t i = 0; i < json_array_size(value); i++)
        check_references(json_array_get(value, i));
    json_object_foreach(value, name, member)
    {
        if (strcmp(name, "$ref") == 0 && !follow(json_string_value(member)))
            fail_msg("%s leads nowhere", json_string_value(member));
        check_references(member);
    }
}

static void
test_references_lead_somewhere(void **state)
{
    (void)state;
    check_references(document);
}

static void
test_refusals_come_from_the_table(void **state)
{
    (void)state;
    const json_t *response = json_object_get(
        json_object_get(
            json_object_get(
                json_object_get(json_object_get(document, "paths"), "/v1/jobs"),
                "post"),
            "responses"),
        "422");
    assert_non_null(response);
    const char *text =
        json_string_value(json_object_get(response, "description"));
    assert_non_null(strstr(text, "unknown-task"));
    assert_non_null(strstr(text, "idempotency-key-reuse"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_described),
        cmocka_unit_test(test_every_description_has_a_route),
        cmocka_unit_test(test_operations_are_complete),
        cmocka_unit_test(test_references_lead_somewhere),
        cmocka_unit_test(test_refusals_come_from_the_table),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
