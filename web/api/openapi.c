/* Openapi: fragments merged, refusals added, kept as text.
 *
 * It is made once in the life of a process, when somebody first asks: most
 * processes never need it. */
#include "api/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/preference.h"

/* ---- merging ---- */

/* Adds every member of @from to @into; a name that stands in both is merged
 * @depth levels down, and below that is defined twice. */
static enum status
merge(json_t *into, json_t *from, int depth, const char *fragment,
      struct error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(from, name, value)
    {
        json_t *there = json_object_get(into, name);
        if (!there) {
            if (json_object_set(into, name, value) != 0)
                return error_set(err, ST_LIMIT, "out of memory");
        } else if (json_is_array(there) && json_is_array(value)) {
            json_array_extend(there, value);
        } else if (depth > 0 && json_is_object(there) &&
                   json_is_object(value)) {
            enum status st = merge(there, value, depth - 1, fragment, err);
            if (st != ST_OK)
                return st;
        } else {
            return error_set(err, ST_BUG, "openapi/%s defines \"%s\" twice",
                             fragment, name);
        }
    }
    return ST_OK;
}

static enum status
load(json_t **ret, struct error *err)
{
    enum { PATHS_AND_COMPONENTS = 2 };
    json_t *document = json_object();
    enum status st = ST_OK;

    for (const struct embedded *f = openapi_fragments; f->name && st == ST_OK;
         f++) {
        json_error_t why;
        json_t *fragment =
            json_loadb(f->bytes, f->len, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(fragment))
            st = error_set(err, ST_BUG, "openapi/%s, line %d: %s", f->name,
                           why.line, why.text);
        else
            st = merge(document, fragment, PATHS_AND_COMPONENTS, f->name, err);
        json_decref(fragment);
    }
    if (st == ST_OK)
        *ret = document;
    else
        json_decref(document);
    return st;
}

/* ---- refusals ---- */

static const struct problem_type *
find_problem(const char *name)
{
    for (int kind = 0; kind < PROBLEM_KINDS; kind++)
        if (strcmp(problem_type((enum problem_kind)kind)->name, name) == 0)
            return problem_type((enum problem_kind)kind);
    return NULL;
}

/* The response of one HTTP code, which several kinds may share. */
static json_t *
make_response(void)
{
    return json_pack("{s:s, s:{s:{s:{s:[{s:s}, {s:{s:{s:[]}}}]}}}}",
                     "description", "", "content", PROBLEM_CONTENT_TYPE,
                     "schema", "allOf", "$ref", "#/components/schemas/Problem",
                     "properties", "type", "enum");
}

static void
add_kind(json_t *response, const struct problem_type *type)
{
    char text[512];
    json_t *content = json_object_get(json_object_get(response, "content"),
                                      PROBLEM_CONTENT_TYPE);
    json_t *all = json_object_get(json_object_get(content, "schema"), "allOf");
    json_t *kinds = json_object_get(
        json_object_get(json_object_get(json_array_get(all, 1), "properties"),
                        "type"),
        "enum");
    const char *before =
        json_string_value(json_object_get(response, "description"));

    snprintf(text, sizeof text, "%s%s%s: %s", before, before[0] ? "; " : "",
             type->name, type->title);
    json_object_set_new(response, "description", json_string(text));
    json_array_append_new(kinds,
                          json_sprintf("%s%s", PROBLEM_TYPE_BASE, type->name));
}

static enum status
add_problem(json_t *responses, const char *name, const char *path,
            struct error *err)
{
    const struct problem_type *type = name ? find_problem(name) : NULL;
    char code[16];

    if (!type)
        return error_set(err, ST_BUG,
                         "%s: x-problems has \"%s\", which app/http/problem.c "
                         "has not",
                         path, name ? name : "(no text)");
    snprintf(code, sizeof code, "%d", type->http);
    json_t *response = json_object_get(responses, code);
    if (!response) {
        response = make_response();
        json_object_set_new(responses, code, response);
    }
    /* A success of that code would have no such content. */
    if (!json_object_get(json_object_get(response, "content"),
                         PROBLEM_CONTENT_TYPE))
        return error_set(err, ST_BUG,
                         "%s: describes the response %s itself and has the "
                         "problem \"%s\" too",
                         path, code, name);
    add_kind(response, type);
    return ST_OK;
}

static enum status
add_problems(json_t *operation, const char *path, struct error *err)
{
    const json_t *names = json_object_get(operation, "x-problems");
    json_t *responses = json_object_get(operation, "responses");
    enum status st = ST_OK;

    if (!json_is_object(responses))
        return error_set(err, ST_BUG, "%s: an operation without responses",
                         path);
    for (size_t i = 0; i < json_array_size(names) && st == ST_OK; i++)
        st = add_problem(responses, json_string_value(json_array_get(names, i)),
                         path, err);
    return st;
}

enum status
openapi_build(json_t **ret, struct error *err)
{
    json_t *document = NULL, *item, *operation;
    const char *path, *method;

    enum status st = load(&document, err);
    if (st != ST_OK)
        return st;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            if (st == ST_OK && strcmp(method, "parameters") != 0)
                st = add_problems(operation, path, err);
        }
    }
    json_object_set_new(json_object_get(document, "info"), "version",
                        json_string(PIT_VERSION));
    if (st == ST_OK)
        *ret = document;
    else
        json_decref(document);
    return st;
}

/* ---- serving ---- */

static struct {
    char *text; /* for the life of the process */
    char etag[24];
} kept;

static enum status
make_text(struct error *err)
{
    json_t *document = NULL;

    enum status st = openapi_build(&document, err);
    if (st != ST_OK)
        return st;
    kept.text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (!kept.text)
        return error_set(err, ST_LIMIT, "out of memory");
    snprintf(kept.etag, sizeof kept.etag, "\"%016llx\"",
             (unsigned long long)str_hash(str_c(kept.text)));
    return ST_OK;
}

enum status
openapi_get(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct pit_response *res = &exchange->res;

    (void)co;
    (void)arg;
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (!kept.text)
        st = make_text(&exchange->err);
    if (st == ST_OK)
        st = response_set(res, STR("ETag"), str_c(kept.etag));
    if (st == ST_OK)
        st = response_set(res, STR("Cache-Control"), STR("no-cache"));
    if (st != ST_OK)
        return st;
    if (preference_lists_etag(&exchange->req, STR("If-None-Match"), kept.etag))
        return response_empty(res, 304);
    return response_lend(res, 200, "application/json", str_c(kept.text));
}
