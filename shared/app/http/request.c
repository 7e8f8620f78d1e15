/* Request: what was asked, decoded once.
 *
 * A path without an escape is lent from the connection's buffer, where the
 * parser has put a NUL behind it; everything else is decoded into the arena.
 * So the plain GET copies nothing. Look-ups are linear: a request has a dozen
 * fields, and comparing lengths first rules out nearly all of them. */
#include "app/http/request.h"

#include <assert.h>

void
request_init(struct pit_request *req, struct arena *arena)
{
    req->arena = arena;
    req->err = NULL;
    req->site_host = NULL;
    req->body_max = 0;
    req->route = NULL;
    req->json = NULL;
    req->form = NULL;
    req->notes = NULL;
    req->method = 0;
    req->version_minor = 0;
    req->raw_path = req->raw_query = STR_NULL;
    req->path = NULL;
    req->fields = req->query = NULL;
    req->fields_len = req->query_len = req->params_len = 0;
    req->body = NULL;
    req->body_len = 0;
    req->traceparent = STR_NULL;
    req->id_len = 0;
    req->id[0] = '\0';
    req->peer = req->host = "";
    req->scheme = "http";
}

/* Decodes into @dst, which has room for s.n bytes; SIZE_MAX when an escape is
 * broken or stands for NUL, which would cut C strings. */
static size_t
percent_decode_to(char *dst, struct str s, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            int high = s.n - i > 2 ? str_hex_digit(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? str_hex_digit(s.p[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return SIZE_MAX;
            c = (char)(high * 16 + low);
            i += 2;
        }
        dst[n++] = c;
    }
    return n;
}

enum status
request_percent_decode(struct arena *arena, struct str s, bool plus,
                       struct str *ret, struct error *err)
{
    char *p = arena_alloc(arena, s.n + 1);

    if (!p)
        return error_set(err, ST_TOO_LARGE,
                         "the request takes too much memory");
    size_t n = percent_decode_to(p, s, plus);
    if (n == SIZE_MAX)
        return error_set(err, ST_INVALID,
                         "broken percent-encoding in the target: '%%' must be "
                         "followed by two hex digits, and %%00 is refused");
    p[n] = '\0';
    *ret = str_from(p, n);
    return ST_OK;
}

static enum status
decode_path(struct pit_request *req, struct error *err)
{
    struct str path = req->raw_path;

    if (!memchr(path.p, '%', path.n)) {
        req->path = path.p;
        return ST_OK;
    }
    enum status st =
        request_percent_decode(req->arena, path, false, &path, err);
    if (st == ST_OK)
        req->path = path.p;
    return st;
}

static size_t
count_parameters(struct str query)
{
    size_t n = 1;

    for (size_t i = 0; i < query.n; i++)
        n += query.p[i] == '&';
    return n;
}

static enum status
decode_query(struct pit_request *req, struct error *err)
{
    struct str rest = req->raw_query;
    size_t room = count_parameters(rest), n = 0;

    if (room > REQUEST_QUERY_MAX)
        return error_set(err, ST_INVALID,
                         "more than %d parameters in the query",
                         REQUEST_QUERY_MAX);
    struct request_field *list = arena_alloc(req->arena, room * sizeof *list);
    if (!list)
        return error_set(err, ST_TOO_LARGE,
                         "the request takes too much memory");
    while (rest.n > 0) {
        struct str value, pair = str_cut(rest, '&', &rest);
        struct str name = str_cut(pair, '=', &value);
        if (pair.n == 0)
            continue;
        enum status st =
            request_percent_decode(req->arena, name, true, &list[n].name, err);
        if (st == ST_OK)
            st = request_percent_decode(req->arena, value, true, &list[n].value,
                                        err);
        if (st != ST_OK)
            return st;
        n++;
    }
    req->query = list;
    req->query_len = n;
    return ST_OK;
}

enum status
request_decode(struct pit_request *req, struct error *err)
{
    bool plain = req->path == req->raw_path.p; /* somebody has seen that */
    enum status st = plain ? ST_OK : decode_path(req, err);

    if (st == ST_OK && req->raw_query.n > 0)
        st = decode_query(req, err);
    return st;
}

struct str
request_field(const struct pit_request *req, struct str name)
{
    for (size_t i = 0; i < req->fields_len; i++)
        if (req->fields[i].name.n == name.n &&
            ((req->fields[i].name.p[0] ^ name.p[0]) & ~0x20) == 0 &&
            str_eq_nocase(req->fields[i].name, name))
            return req->fields[i].value;
    return STR_NULL;
}

struct str
request_query(const struct pit_request *req, struct str name)
{
    for (size_t i = 0; i < req->query_len; i++)
        if (str_eq(req->query[i].name, name))
            return req->query[i].value;
    return STR_NULL;
}

enum status
request_param_add(struct pit_request *req, struct str name, struct str value)
{
    assert(req->params_len < REQUEST_PARAMS_MAX);
    char *copy = arena_copy(req->arena, value);

    if (!copy)
        return ST_TOO_LARGE;
    req->params[req->params_len++] = (struct request_param){name, copy};
    return ST_OK;
}

const char *
request_method_name(enum pit_method method)
{
    static const char *const names[] = {
        [PIT_GET] = "GET",         [PIT_HEAD] = "HEAD",
        [PIT_POST] = "POST",       [PIT_PUT] = "PUT",
        [PIT_PATCH] = "PATCH",     [PIT_DELETE] = "DELETE",
        [PIT_OPTIONS] = "OPTIONS",
    };

    if (method < PIT_GET || method > PIT_OPTIONS)
        return "";
    return names[method];
}
