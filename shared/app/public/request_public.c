/* Public request: the look-ups of pit/http.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "app/http/request.h"

enum pit_method
pit_request_method(const struct pit_request *req)
{
    return req->method;
}

const char *
pit_request_path(const struct pit_request *req)
{
    return req->path;
}

const char *
pit_request_param(const struct pit_request *req, const char *name)
{
    for (size_t i = 0; i < req->params_len; i++)
        if (str_eq_c(req->params[i].name, name))
            return req->params[i].value;
    return NULL;
}

const char *
pit_request_query(const struct pit_request *req, const char *name)
{
    return request_query(req, str_c(name)).p;
}

const char *
pit_request_header(const struct pit_request *req, const char *name)
{
    return request_field(req, str_c(name)).p;
}

const char *
pit_request_body(const struct pit_request *req, size_t *ret_len)
{
    *ret_len = req->body_len;
    return req->body ? req->body : "";
}

int64_t
pit_request_param_int(const struct pit_request *req, const char *name)
{
    int64_t value = 0;

    (void)str_to_i64(str_c(pit_request_param(req, name)), &value);
    return value;
}

const char *
pit_request_query_nth(const struct pit_request *req, const char *name, size_t n)
{
    for (size_t i = 0; i < req->query_len; i++)
        if (str_eq_c(req->query[i].name, name) && n-- == 0)
            return req->query[i].value.p;
    return NULL;
}

enum pit_status
pit_request_query_int(struct pit_request *req, const char *name,
                      int64_t standard, int64_t min, int64_t max, int64_t *ret)
{
    struct str text = request_query(req, str_c(name)), digits = text;
    int64_t value = 0;

    if (!text.p) {
        *ret = standard;
        return PIT_OK;
    }
    bool negative = text.n > 0 && text.p[0] == '-';
    if (negative)
        digits = str_skip(text, 1);
    if (!str_to_i64(digits, &value) || (negative ? -value : value) < min ||
        (negative ? -value : value) > max)
        return (enum pit_status)error_set(
            req->err, ST_INVALID,
            "the query parameter %s must be a whole number within %" PRId64
            "..%" PRId64,
            name, min, max);
    *ret = negative ? -value : value;
    return PIT_OK;
}

const char *
pit_request_id(const struct pit_request *req)
{
    return req->id;
}

const char *
pit_request_peer(const struct pit_request *req)
{
    return req->peer;
}

const char *
pit_request_scheme(const struct pit_request *req)
{
    return req->scheme;
}

const char *
pit_request_host(const struct pit_request *req)
{
    return req->host;
}

const char *
pit_request_route(const struct pit_request *req)
{
    return req->route ? req->route : "";
}

enum pit_status
pit_request_fail(struct pit_request *req, enum pit_status status,
                 const char *pointer, const char *fmt, ...)
{
    char words[ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    (void)error_set(req->err, (enum status)status, "%s", words);
    if (req->err && pointer)
        str_copy_to(str_c(pointer), req->err->pointer,
                    sizeof req->err->pointer);
    return status;
}

/* ---- what middleware leaves ---- */

enum { NOTES_MAX = 16 };

struct request_notes {
    size_t len;
    struct {
        const char *name;
        void *value;
    } notes[NOTES_MAX];
};

void *
pit_request_alloc(struct pit_request *req, size_t len)
{
    return arena_alloc(req->arena, len);
}

enum pit_status
pit_request_set(struct pit_request *req, const char *name, void *value)
{
    struct request_notes *notes = req->notes;
    size_t i = 0;

    if (!notes) {
        notes = arena_alloc(req->arena, sizeof *notes);
        if (!notes)
            return PIT_LIMIT;
        notes->len = 0;
        req->notes = notes;
    }
    while (i < notes->len && strcmp(notes->notes[i].name, name) != 0)
        i++;
    if (i == NOTES_MAX)
        return PIT_LIMIT;
    notes->notes[i].name = name;
    notes->notes[i].value = value;
    if (i == notes->len)
        notes->len++;
    return PIT_OK;
}

void *
pit_request_get(const struct pit_request *req, const char *name)
{
    for (size_t i = 0; req->notes && i < req->notes->len; i++)
        if (strcmp(req->notes->notes[i].name, name) == 0)
            return req->notes->notes[i].value;
    return NULL;
}
