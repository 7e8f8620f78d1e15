/* Response: checks at the door.
 *
 * Whatever gets into the struct may be sent as it stands: names are tokens,
 * values hold no control characters, the status is three digits. So the
 * serialiser has nothing left to check, and no caller can split an answer.
 *
 * A formatted body is tried in the arena's free part first, so that the small
 * answer costs one pass and no malloc. */
#include "app/http/response.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/http/problem.h"

void
response_init(struct pit_response *res, struct arena *arena)
{
    res->arena = arena;
    res->status = 0;
    res->content_type = STR_NULL;
    res->fields = NULL;
    res->fields_len = res->fields_room = 0;
    res->body = STR_NULL;
    res->content_len = -1;
    res->instance = NULL;
    res->sealed = false;
    res->failure = ST_OK;
    res->site_host = NULL;
    buf_init(&res->owned, RESPONSE_BODY_MAX);
}

void
response_clear(struct pit_response *res)
{
    if (res && res->owned.p)
        buf_clear(&res->owned);
}

void
response_reset(struct pit_response *res)
{
    assert(!res->sealed);
    const struct site_host *site_host = res->site_host;
    const char *instance = res->instance;
    response_clear(res);
    response_init(res, res->arena);
    res->site_host = site_host;
    res->instance = instance;
}

void
response_truncate(struct pit_response *res, size_t fields_len)
{
    assert(!res->sealed && fields_len <= res->fields_len);
    buf_clear(&res->owned);
    res->status = 0;
    res->content_type = STR_NULL;
    res->body = STR_NULL;
    res->content_len = -1;
    res->fields_len = fields_len;
}

/* tchar of RFC 9110 section 5.6.2. */
static bool
is_token_char(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return true;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

bool
response_name_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_token_char((unsigned char)name.p[i]))
            return false;
    return name.n > 0;
}

bool
response_value_valid(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* What frames the message is the front's alone. */
static bool
is_reserved(struct str name)
{
    static const struct str reserved[] = {
        {"connection", 10}, {"content-length", 14},    {"date", 4},
        {"keep-alive", 10}, {"transfer-encoding", 17}, {"trailer", 7},
        {"upgrade", 7},     {"x-request-id", 12},
    };

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq_nocase(name, reserved[i]))
            return true;
    return false;
}

static struct response_field *
find_field(struct pit_response *res, struct str name)
{
    for (size_t i = 0; i < res->fields_len; i++)
        if (str_eq_nocase(res->fields[i].name, name))
            return &res->fields[i];
    return NULL;
}

/* For one more field: most answers have few. */
static bool
make_room(struct pit_response *res)
{
    enum { FEW = 8 };

    if (res->fields_len < res->fields_room)
        return true;
    size_t room = res->fields_room == 0 ? FEW : RESPONSE_FIELDS_MAX;
    struct response_field *fields =
        arena_alloc(res->arena, room * sizeof *fields);
    if (!fields)
        return false;
    if (res->fields_len > 0)
        memcpy(fields, res->fields, res->fields_len * sizeof *fields);
    res->fields = fields;
    res->fields_room = room;
    return true;
}

/* @add: beside one of the same name. */
static enum status
put_field(struct pit_response *res, struct str name, struct str value, bool add)
{
    if (res->sealed || !response_name_valid(name) ||
        !response_value_valid(value) || is_reserved(name))
        return ST_INVALID;
    if (name.n + value.n > RESPONSE_FIELD_MAX)
        return ST_TOO_LARGE;

    const char *copy = arena_copy(res->arena, value);
    if (!copy)
        return ST_TOO_LARGE;
    value.p = copy;
    if (str_eq_nocase(name, STR("content-type"))) {
        res->content_type = value;
        return ST_OK;
    }
    struct response_field *field = add ? NULL : find_field(res, name);
    if (field) {
        field->value = value;
        return ST_OK;
    }
    if (res->fields_len == RESPONSE_FIELDS_MAX)
        return ST_TOO_LARGE;
    copy = arena_copy(res->arena, name);
    if (!copy || !make_room(res))
        return ST_TOO_LARGE;
    res->fields[res->fields_len++] =
        (struct response_field){str_from(copy, name.n), value};
    return ST_OK;
}

enum status
response_set(struct pit_response *res, struct str name, struct str value)
{
    return put_field(res, name, value, false);
}

enum status
response_add(struct pit_response *res, struct str name, struct str value)
{
    return put_field(res, name, value, true);
}

/* Formats into the arena; the length is known only afterwards, so the free part
 * of the present chunk is tried first. */
enum status
response_format(struct arena *arena, const char *fmt, va_list ap,
                struct str *ret)
{
    va_list again;
    size_t room = (size_t)(arena->end - arena->next);

    va_copy(again, ap);
    int n = vsnprintf(arena->next, room, fmt, ap);
    enum status st = n < 0 ? ST_INVALID : ST_OK;
    if (st == ST_OK && (size_t)n < room) {
        *ret = str_from(arena->next, (size_t)n);
        arena->next += n + 1;
    } else if (st == ST_OK) {
        char *p = arena_alloc(arena, (size_t)n + 1);
        if (p)
            *ret = str_from(p, (size_t)vsnprintf(p, (size_t)n + 1, fmt, again));
        else
            st = ST_TOO_LARGE;
    }
    va_end(again);
    return st;
}

enum status
response_setf(struct pit_response *res, const char *name, const char *fmt, ...)
{
    struct str value = STR_NULL;
    va_list ap;

    va_start(ap, fmt);
    enum status st = response_format(res->arena, fmt, ap, &value);
    va_end(ap);
    return st == ST_OK ? response_set(res, str_c(name), value) : st;
}

/* Every way to set a body ends here. */
static enum status
set_body(struct pit_response *res, int status, const char *content_type,
         struct str body)
{
    if (res->sealed || status < 100 || status > 599)
        return ST_INVALID;
    if (body.n > RESPONSE_BODY_MAX)
        return ST_TOO_LARGE;
    res->status = status;
    res->content_type = str_c(content_type);
    res->body = body;
    res->failure = ST_OK;
    return ST_OK;
}

enum status
response_lend(struct pit_response *res, int status, const char *content_type,
              struct str body)
{
    return set_body(res, status, content_type, body);
}

enum status
response_take(struct pit_response *res, int status, const char *content_type,
              struct buf *body)
{
    struct buf mine = *body;
    enum status st = mine.failed
                         ? ST_TOO_LARGE
                         : set_body(res, status, content_type, buf_str(&mine));

    buf_init(body, mine.max);
    if (st != ST_OK) {
        buf_clear(&mine);
        return st;
    }
    buf_clear(&res->owned);
    res->owned = mine;
    return ST_OK;
}

static int
dump_to_buf(const char *bytes, size_t n, void *arg)
{
    struct buf *dst = arg;

    buf_add(dst, bytes, n);
    return dst->failed ? -1 : 0;
}

enum status
response_json_take(struct pit_response *res, int status, json_t *json)
{
    struct buf body;

    if (!json)
        return ST_BUG;
    buf_init(&body, RESPONSE_BODY_MAX);
    /* 15 digits are what a double surely keeps: 70.705, not 70.70499999. */
    if (json_dump_callback(json, dump_to_buf, &body,
                           JSON_COMPACT | JSON_ENCODE_ANY |
                               JSON_REAL_PRECISION(15)) != 0)
        body.failed = true;
    json_decref(json);
    return response_take(res, status, "application/json", &body);
}

enum status
response_empty(struct pit_response *res, int status)
{
    return set_body(res, status, NULL, STR_NULL);
}

const char *
response_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].reason;
    return "Unknown";
}
