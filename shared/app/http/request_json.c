/* A request's body as JSON: jansson, behind the linear scan that bounds the
 * nesting, and freed with the request's arena. */
#include <jansson.h>
#include <stdarg.h>

#include "app/http/request.h"
#include "base/jsontext.h"

/* "application/json", "application/problem+json; charset=utf-8". None at all
 * is taken for JSON: a client that says nothing means what the view wants. */
static bool
says_json(const struct pit_request *req)
{
    struct str parameters, type = request_field(req, STR("content-type"));
    static const struct str json = {"application/json", 16};
    static const struct str suffix = {"+json", 5};

    if (!type.p)
        return true;
    type = str_trim(str_cut(type, ';', &parameters));
    return str_eq_nocase(type, json) ||
           (type.n > suffix.n &&
            str_eq_nocase(str_skip(type, type.n - suffix.n), suffix));
}

static void
drop(void *object)
{
    json_decref(object);
}

static enum status
parse(struct pit_request *req)
{
    struct str text = str_from(req->body ? req->body : "", req->body_len);
    struct jsontext value;

    if (!says_json(req))
        return error_set(req->err, ST_INVALID,
                         "the body's Content-Type must be application/json");
    if (text.n == 0)
        return error_set(req->err, ST_INVALID, "the body is empty: send JSON");
    enum status st = jsontext_check(text, &value, req->err);
    if (st == ST_OK && value.type == JSONTEXT_OBJECT)
        st = jsontext_unique_keys(value, req->err);
    if (st != ST_OK)
        return st;
    json_error_t why;
    json_t *json = json_loadb(text.p, text.n,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return error_set(req->err, ST_INVALID, "the body, byte %d: %s",
                         why.position, why.text);
    if (!arena_defer(req->arena, drop, json)) {
        json_decref(json);
        return error_set(req->err, ST_LIMIT, "no memory for the body");
    }
    req->json = json;
    return ST_OK;
}

enum pit_status
pit_request_json(struct pit_request *req, const json_t **ret)
{
    enum status st = req->json ? ST_OK : parse(req);

    if (st == ST_OK)
        *ret = req->json;
    return (enum pit_status)st;
}

enum pit_status
pit_request_unpack(struct pit_request *req, const char *fmt, ...)
{
    const json_t *json;
    json_error_t why;
    va_list ap;
    enum pit_status st = pit_request_json(req, &json);

    if (st != PIT_OK)
        return st;
    va_start(ap, fmt);
    int failed = json_vunpack_ex(req->json, &why, 0, fmt, ap);
    va_end(ap);
    if (!failed)
        return PIT_OK;
    return (enum pit_status)error_set(req->err, ST_INVALID, "the body: %s",
                                      why.text);
}
