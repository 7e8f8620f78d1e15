/* Forms: parsed once, strictly, in one pass.
 *
 *   --boundary CRLF          the first may come after a preamble
 *   header fields CRLF CRLF
 *   content CRLF             up to the next delimiter, whatever it is
 *   --boundary-- CRLF        what follows is ignored
 *
 * A delimiter is CRLF "--" boundary; the CRLF belongs to it, not to the
 * content. A body that ends before its closing delimiter is refused: it was cut
 * off, and half a file must not pass for a whole one. */
#include "app/http/request_form.h"

#include <stdlib.h>

struct request_form {
    enum status status; /* how parsing ended */
    struct error err;
    size_t len;
    struct pit_part parts[PIT_PARTS_MAX];
};

static enum status
too_many(struct error *err)
{
    return error_set(err, ST_TOO_LARGE, "the form has more than %d parts",
                     PIT_PARTS_MAX);
}

static enum status
no_memory(struct error *err)
{
    return error_set(err, ST_TOO_LARGE, "the form takes too much memory");
}

/* ---- urlencoded ---- */

static enum status
parse_urlencoded(struct pit_request *req, struct request_form *form)
{
    struct str rest = str_from(req->body, req->body_len);

    if (rest.n > 0 && memchr(rest.p, '\0', rest.n))
        return error_set(&form->err, ST_INVALID,
                         "the form holds a NUL byte: it must be urlencoded "
                         "text");
    while (rest.n > 0) {
        struct str value, pair = str_cut(rest, '&', &rest);
        struct str name = str_cut(pair, '=', &value);
        struct pit_part *part = &form->parts[form->len];
        if (pair.n == 0)
            continue;
        if (form->len == PIT_PARTS_MAX)
            return too_many(&form->err);
        enum status st =
            request_percent_decode(req->arena, name, true, &name, &form->err);
        if (st == ST_OK)
            st = request_percent_decode(req->arena, value, true, &value,
                                        &form->err);
        if (st == ST_INVALID)
            return error_set(&form->err, st,
                             "broken percent-encoding in the form: '%%' must "
                             "be followed by two hex digits, and %%00 is "
                             "refused");
        if (st != ST_OK)
            return st;
        *part = (struct pit_part){.name = name.p,
                                  .content_type = "text/plain",
                                  .data = value.p,
                                  .len = value.n};
        form->len++;
    }
    return ST_OK;
}

/* ---- parameters of a header field ---- */

/* A quoted string or a token at the front of @s, copied; false when it is
 * neither. Browsers escape a quote as %22 (WHATWG HTML section 4.10.21.8),
 * others as \": both are taken, backslashes otherwise stand for themselves, as
 * in C:\\photo.jpg. */
static bool
take_value(struct arena *arena, struct str *s, struct str *ret)
{
    size_t from = 0, end, n = 0;
    bool quoted = s->n > 0 && s->p[0] == '"';

    if (quoted) {
        for (from = end = 1; end < s->n && s->p[end] != '"'; end++)
            end += s->p[end] == '\\' && end + 1 < s->n && s->p[end + 1] == '"';
        if (end >= s->n)
            return false;
    } else {
        for (end = 0; end < s->n && !memchr("; \t\"", s->p[end], 4);)
            end++;
        if (end == 0)
            return false;
    }
    char *p = arena_alloc(arena, end - from + 1);
    if (!p)
        return false;
    for (size_t i = from; i < end; i++) {
        if (quoted && s->p[i] == '\\' && i + 1 < end && s->p[i + 1] == '"')
            continue;
        p[n++] = s->p[i];
    }
    p[n] = '\0';
    *ret = str_from(p, n);
    *s = str_skip(*s, end + quoted);
    return true;
}

/* Looks for a parameter in what stands behind a field's first value. *ret.p is
 * NULL when it is absent; false for what is no list of parameters. */
static bool
find_parameter(struct arena *arena, struct str list, struct str wanted,
               struct str *ret)
{
    *ret = STR_NULL;
    for (list = str_trim(list); list.n > 0; list = str_trim(list)) {
        struct str value, after;
        if (list.p[0] != ';')
            return false;
        list = str_trim(str_skip(list, 1));
        if (list.n == 0)
            return true;
        struct str name = str_trim(str_cut(list, '=', &after));
        if (!after.p || name.n == 0)
            return false;
        list = str_trim(after);
        if (!take_value(arena, &list, &value))
            return false;
        if (!ret->p && str_eq_nocase(name, wanted))
            *ret = value;
    }
    return true;
}

/* ---- multipart ---- */

struct multipart {
    struct pit_request *req;
    struct request_form *form;
    char *p; /* the body; ours to put NULs into */
    size_t n;
    size_t pos;
    char delimiter[REQUEST_FORM_BOUNDARY_MAX + 5]; /* CRLF "--" boundary */
    size_t delimiter_len;
};

static enum status
broken(const struct multipart *m, const char *what)
{
    return error_set(&m->form->err, ST_INVALID,
                     "broken multipart body at byte %zu: %s", m->pos, what);
}

static enum status
read_field(struct multipart *m, struct str line, struct pit_part *part)
{
    struct str value, parameters, found;
    struct str name = str_cut(line, ':', &value);
    struct arena *arena = m->req->arena;

    if (!value.p || name.n == 0)
        return broken(m, "a header field without a colon");
    value = str_trim(value);
    if (str_eq_nocase(name, STR("content-type"))) {
        part->content_type = arena_copy(arena, value);
        return part->content_type ? ST_OK : no_memory(&m->form->err);
    }
    if (str_eq_nocase(name, STR("content-transfer-encoding")) &&
        !str_eq_nocase(value, STR("binary")) &&
        !str_eq_nocase(value, STR("8bit")) &&
        !str_eq_nocase(value, STR("7bit")))
        return broken(m, "a Content-Transfer-Encoding (RFC 7578 forbids it)");
    if (!str_eq_nocase(name, STR("content-disposition")))
        return ST_OK;
    size_t type_len = 0;
    while (type_len < value.n && value.p[type_len] != ';')
        type_len++;
    parameters = str_skip(value, type_len);
    if (!str_eq_nocase(str_trim(str_from(value.p, type_len)), STR("form-data")))
        return broken(m, "a Content-Disposition that is not form-data");
    if (!find_parameter(arena, parameters, STR("name"), &found))
        return broken(m, "a Content-Disposition with broken parameters");
    part->name = found.p;
    (void)find_parameter(arena, parameters, STR("filename"), &found);
    part->filename = found.p;
    return ST_OK;
}

static enum status
read_head(struct multipart *m, struct pit_part *part)
{
    size_t began = m->pos;

    for (;;) {
        const char *line = m->p + m->pos;
        const char *end = memmem(line, m->n - m->pos, "\r\n", 2);
        size_t n = end ? (size_t)(end - line) : 0;
        if (!end)
            return broken(m, "a part's header without an end");
        if (m->pos + n - began > REQUEST_FORM_PART_HEAD_MAX)
            return broken(m, "a part's header is too large");
        if (n == 0)
            break;
        if (memchr(line, '\0', n))
            return broken(m, "a NUL in a part's header");
        enum status st = read_field(m, str_from(line, n), part);
        if (st != ST_OK)
            return st;
        m->pos += n + 2;
    }
    /* The empty line's CRLF may be the delimiter's, when there is no content:
     * so it is left where it is. */
    if (!part->name)
        return broken(m, "a part without a name");
    return ST_OK;
}

/* Behind a delimiter. *ret_last: it was the closing one. */
static enum status
end_delimiter(struct multipart *m, bool *ret_last)
{
    struct str rest = str_from(m->p + m->pos, m->n - m->pos);

    *ret_last = str_starts(rest, STR("--"));
    if (*ret_last)
        return ST_OK;
    while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
        rest = str_skip(rest, 1); /* padding (RFC 2046 section 5.1.1) */
    if (!str_starts(rest, STR("\r\n")))
        return broken(m, "a boundary that is not a line of its own");
    m->pos = (size_t)(rest.p - m->p) + 2;
    return ST_OK;
}

static enum status
read_part(struct multipart *m)
{
    struct pit_part *part = &m->form->parts[m->form->len];

    if (m->form->len == PIT_PARTS_MAX)
        return too_many(&m->form->err);
    *part = (struct pit_part){.content_type = "text/plain"};
    enum status st = read_head(m, part);
    if (st != ST_OK)
        return st;
    /* From the empty line on: its CRLF may begin the delimiter. */
    char *from = m->p + m->pos;
    char *end = memmem(from, m->n - m->pos, m->delimiter, m->delimiter_len);
    if (!end)
        return broken(m, "it ends before its last boundary");
    char *data = end == from ? from : from + 2;
    part->data = data;
    part->len = (size_t)(end - data);
    m->pos = (size_t)(end - m->p) + m->delimiter_len;
    *end = '\0';
    m->form->len++;
    return ST_OK;
}

static enum status
read_parts(struct multipart *m)
{
    /* The first delimiter may stand at the very beginning, without its CRLF. */
    const char *opening = m->delimiter + 2;
    size_t opening_len = m->delimiter_len - 2;
    bool last = false;
    struct str body = str_from(m->p, m->n);

    if (str_starts(body, str_from(opening, opening_len))) {
        m->pos = opening_len;
    } else {
        const char *first = memmem(m->p, m->n, m->delimiter, m->delimiter_len);
        if (!first)
            return broken(m, "its boundary does not occur in it");
        m->pos = (size_t)(first - m->p) + m->delimiter_len;
    }
    for (;;) {
        enum status st = end_delimiter(m, &last);
        if (st != ST_OK || last)
            return st;
        st = read_part(m);
        if (st != ST_OK)
            return st;
    }
}

static bool
is_boundary(struct str s)
{
    static const char others[] = "'()+_,-./:=? ";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        if (!((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
              memchr(others, c, sizeof others - 1)))
            return false;
    }
    return s.n > 0 && s.n <= REQUEST_FORM_BOUNDARY_MAX && s.p[s.n - 1] != ' ';
}

static enum status
parse_multipart(struct pit_request *req, struct request_form *form,
                struct str parameters)
{
    struct multipart m = {.req = req, .form = form, .n = req->body_len};
    struct str boundary;

    if (!find_parameter(req->arena, parameters, STR("boundary"), &boundary) ||
        !is_boundary(boundary))
        return error_set(&form->err, ST_INVALID,
                         "the Content-Type has no boundary of 1 to %d "
                         "characters",
                         REQUEST_FORM_BOUNDARY_MAX);
    /* A copy: the body stays what the client sent. */
    m.p = arena_copy(req->arena, str_from(req->body ? req->body : "", m.n));
    if (!m.p)
        return no_memory(&form->err);
    memcpy(m.delimiter, "\r\n--", 4);
    memcpy(m.delimiter + 4, boundary.p, boundary.n);
    m.delimiter_len = boundary.n + 4;
    return read_parts(&m);
}

/* ---- both ---- */

static enum status
parse(struct pit_request *req, struct request_form *form)
{
    struct str type = request_field(req, STR("content-type"));
    size_t n = 0;

    while (n < type.n && type.p[n] != ';')
        n++;
    struct str media = str_trim(str_from(type.p, n));
    if (str_eq_nocase(media, STR("application/x-www-form-urlencoded")))
        return parse_urlencoded(req, form);
    if (str_eq_nocase(media, STR("multipart/form-data")))
        return parse_multipart(req, form, str_skip(type, n));
    return error_set(&form->err, ST_INVALID,
                     "the body's Content-Type must be "
                     "application/x-www-form-urlencoded or "
                     "multipart/form-data");
}

static void
drop(void *object)
{
    free(object);
}

enum status
request_form_parse(struct pit_request *req)
{
    struct request_form *form = req->form;

    if (!form) {
        form = calloc(1, sizeof *form);
        if (!form || !arena_defer(req->arena, drop, form)) {
            free(form);
            return error_set(req->err, ST_LIMIT, "no memory for the form");
        }
        form->status = parse(req, form);
        if (form->status != ST_OK)
            form->len = 0;
        req->form = form;
    }
    if (form->status != ST_OK && req->err)
        *req->err = form->err;
    return form->status;
}

enum pit_status
pit_request_form_parse(struct pit_request *req)
{
    return (enum pit_status)request_form_parse(req);
}

const struct pit_part *
pit_request_part(struct pit_request *req, const char *name, size_t n)
{
    if (request_form_parse(req) != ST_OK)
        return NULL;
    for (size_t i = 0; i < req->form->len; i++) {
        const struct pit_part *part = &req->form->parts[i];
        if ((!name || strcmp(part->name, name) == 0) && n-- == 0)
            return part;
    }
    return NULL;
}

const char *
pit_request_form(struct pit_request *req, const char *name)
{
    const struct pit_part *part = pit_request_part(req, name, 0);

    return part ? part->data : NULL;
}
