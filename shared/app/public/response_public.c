/* Public response: pit/http.h on top of app/http/response.h. */
#include <stdarg.h>
#include <stdio.h>

#include "app/http/problem.h"
#include "app/http/response.h"
#include "app/http/site.h"
#include "app/public/co_public.h"
#include "base/log.h"

enum pit_status
pit_response_header(struct pit_response *res, const char *name,
                    const char *value)
{
    return (enum pit_status)response_set(res, str_c(name), str_c(value));
}

enum pit_status
pit_response_headerf(struct pit_response *res, const char *name,
                     const char *fmt, ...)
{
    struct str value = STR_NULL;
    va_list ap;

    va_start(ap, fmt);
    enum status st = response_format(res->arena, fmt, ap, &value);
    va_end(ap);
    if (st == ST_OK)
        st = response_set(res, str_c(name), value);
    return (enum pit_status)st;
}

enum pit_status
pit_reply_text(struct pit_response *res, int status, const char *fmt, ...)
{
    struct str body = STR_NULL;
    va_list ap;

    enum status st = ST_OK;
    const char *end = strchrnul(fmt, '%');
    if (!*end) { /* nothing to format, a tenth of the cost */
        body = str_from(fmt, (size_t)(end - fmt));
        body.p = arena_copy(res->arena, body);
        st = body.p ? ST_OK : ST_TOO_LARGE;
    } else {
        va_start(ap, fmt);
        st = response_format(res->arena, fmt, ap, &body);
        va_end(ap);
    }
    if (st == ST_OK)
        st = response_lend(res, status, "text/plain; charset=utf-8", body);
    return (enum pit_status)st;
}

enum pit_status
pit_reply_bytes(struct pit_response *res, int status, const char *content_type,
                const void *body, size_t len)
{
    if (len > RESPONSE_BODY_MAX)
        return PIT_TOO_LARGE;
    if (!response_value_valid(str_c(content_type)))
        return PIT_INVALID;
    const char *type = arena_copy(res->arena, str_c(content_type));
    const char *copy = arena_copy(res->arena, str_from(body, len));
    if (!type || !copy)
        return PIT_TOO_LARGE;
    return (enum pit_status)response_lend(res, status, type,
                                          str_from(copy, len));
}

enum pit_status
pit_reply_json(struct pit_response *res, int status, const char *fmt, ...)
{
    json_error_t why;
    va_list ap;

    va_start(ap, fmt);
    json_t *json = json_vpack_ex(&why, 0, fmt, ap);
    va_end(ap);
    if (!json) { /* the format, or text that is not UTF-8 */
        log_warn("pit_reply_json(\"%s\"): %s", fmt, why.text);
        return PIT_INVALID;
    }
    return (enum pit_status)response_json_take(res, status, json);
}

PRINTF(4, 0)
static enum pit_status
reply_problem(struct pit_response *res, enum problem_kind kind,
              const char *pointer, const char *fmt, va_list ap)
{
    struct str detail = STR_NULL;

    enum status st = response_format(res->arena, fmt, ap, &detail);
    if (st != ST_OK)
        return (enum pit_status)st;
    struct problem problem = {.kind = kind,
                              .detail = detail.p,
                              .instance = res->instance,
                              .pointer = pointer};
    return (enum pit_status)problem_reply(res, &problem);
}

enum pit_status
pit_reply_problem(struct pit_response *res, enum pit_status status,
                  const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    enum pit_status st = reply_problem(
        res, problem_of_status((enum status)status), NULL, fmt, ap);
    va_end(ap);
    return st;
}

enum pit_status
pit_reply_invalid(struct pit_response *res, const char *pointer,
                  const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    enum pit_status st =
        reply_problem(res, PROBLEM_INVALID_REQUEST, pointer, fmt, ap);
    va_end(ap);
    return st;
}

enum pit_status
pit_reply_empty(struct pit_response *res, int status)
{
    return (enum pit_status)response_empty(res, status);
}

enum pit_status
pit_reply_redirect(struct pit_response *res, int status, const char *location)
{
    if (status != 301 && status != 302 && status != 303 && status != 307 &&
        status != 308)
        return PIT_INVALID;
    if (!location || !*location)
        return PIT_INVALID;
    enum status st = response_set(res, STR("Location"), str_c(location));
    if (st == ST_OK)
        st = response_empty(res, status);
    return (enum pit_status)st;
}

/* ---- the head ---- */

enum pit_status
pit_response_add(struct pit_response *res, const char *name, const char *value)
{
    return (enum pit_status)response_add(res, str_c(name), str_c(value));
}

const char *
pit_response_get(const struct pit_response *res, const char *name)
{
    if (str_eq_nocase(str_c(name), STR("content-type")))
        return res->content_type.p;
    for (size_t i = 0; i < res->fields_len; i++)
        if (str_eq_nocase(res->fields[i].name, str_c(name)))
            return res->fields[i].value.p;
    return NULL;
}

int
pit_response_status(const struct pit_response *res)
{
    return res->status;
}

enum pit_status
pit_response_set_status(struct pit_response *res, int status)
{
    if (res->sealed || status < 200 || status > 599)
        return PIT_INVALID;
    res->status = status;
    return PIT_OK;
}

/* ---- streams ---- */

enum pit_status
pit_stream_write(struct pit_co *co, struct pit_response *res, const void *bytes,
                 size_t len)
{
    if (!res->site_host || !res->site_host->write)
        return PIT_INVALID;
    return (enum pit_status)res->site_host->write(co_public_core(co), res,
                                                  str_from(bytes, len));
}

enum pit_status
pit_stream_printf(struct pit_co *co, struct pit_response *res, const char *fmt,
                  ...)
{
    struct buf text;
    va_list ap;

    buf_init(&text, RESPONSE_BODY_MAX);
    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    enum pit_status st = text.failed
                             ? PIT_TOO_LARGE
                             : pit_stream_write(co, res, text.p, text.len);
    buf_clear(&text);
    return st;
}

enum pit_status
pit_sse_send(struct pit_co *co, struct pit_response *res,
             const struct pit_event *event)
{
    if (!res->site_host || !res->site_host->send_event)
        return PIT_INVALID;
    return (enum pit_status)res->site_host->send_event(co_public_core(co), res,
                                                       event);
}

const char *
pit_sse_last_id(const struct pit_request *req)
{
    return pit_request_header(req, "Last-Event-ID");
}
