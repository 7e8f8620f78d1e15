/* Answer: a response as bytes.
 *
 * The room for a head is asked for once, with an upper bound, and filled by
 * plain copies: what could be wrong with names and values was refused when they
 * were set (response.c). */
#include <assert.h>

#include "http/connection.h"

/* Status line, Date, Content-Length, Connection, X-Request-Id. */
enum { FIXED_MAX = 384 };

static char *
put(char *p, struct str s)
{
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static char *
put_number(char *p, uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;

    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put(p, str_from(digits + n, sizeof digits - n));
}

static char *
put_field(char *p, struct str name, struct str value)
{
    p = put(p, name);
    p = put(p, STR(": "));
    p = put(p, value);
    return put(p, STR("\r\n"));
}

static char *
put_status_line(char *p, int status)
{
    if (status == 200)
        return put(p, STR("HTTP/1.1 200 OK\r\n"));
    p = put(p, STR("HTTP/1.1 "));
    p = put_number(p, (uint64_t)status);
    p = put(p, STR(" "));
    p = put(p, str_c(response_reason(status)));
    return put(p, STR("\r\n"));
}

static size_t
room_for(const struct pit_response *res)
{
    size_t n = FIXED_MAX + res->content_type.n;

    for (size_t i = 0; i < res->fields_len; i++)
        n += res->fields[i].name.n + res->fields[i].value.n + 4;
    return n;
}

/* RFC 9112 section 6.3: how the client finds the end of the body. */
static char *
put_framing(char *p, struct exchange *x, int64_t body_len)
{
    int status = x->pub.res.status;

    if (body_len < 0 && x->head.version_minor > 0 && !x->bodiless) {
        x->chunking = true;
        return put(p, STR("Transfer-Encoding: chunked\r\n"));
    }
    if (body_len < 0) {
        x->last |= !x->bodiless;
        return p;
    }
    if (status < 200 || status == 204 || status == 304)
        return p;
    p = put(p, STR("Content-Length: "));
    p = put_number(p, (uint64_t)body_len);
    return put(p, STR("\r\n"));
}

void
answer_head(struct exchange *x, int64_t body_len, struct buf *out)
{
    const struct pit_response *res = &x->pub.res;
    struct front *front = x->connection->front;
    char *start = buf_room(out, room_for(res)), *p = start;

    if (!p)
        return; /* out->failed: the caller closes */
    p = put_status_line(p, res->status);
    p = put_field(p, STR("Date"), str_c(front_date(front)));
    p = put_framing(p, x, body_len);
    if (res->content_type.n > 0)
        p = put_field(p, STR("Content-Type"), res->content_type);
    for (size_t i = 0; i < res->fields_len; i++)
        p = put_field(p, res->fields[i].name, res->fields[i].value);
    p = put_field(p, STR("X-Request-Id"), str_c(x->pub.req.id));
    if (x->last)
        p = put(p, STR("Connection: close\r\n"));
    else if (x->head.version_minor == 0)
        p = put(p, STR("Connection: keep-alive\r\n"));
    p = put(p, STR("\r\n"));
    assert((size_t)(p - start) <= room_for(res));
    buf_grew(out, (size_t)(p - start));
}

void
answer_chunk(struct str bytes, struct buf *out)
{
    buf_addf(out, "%zx\r\n", bytes.n);
    buf_add_str(out, bytes);
    buf_add(out, "\r\n", 2);
}

static bool
is_id_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '_' || c == '.' || c == ':';
}

static bool
id_acceptable(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!is_id_char(id.p[i]))
            return false;
    return id.n > 0 && id.n <= REQUEST_ID_MAX;
}

static void
put_hex(char *p, uint32_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 4)
        p[i] = "0123456789abcdef"[number & 15];
}

void
answer_request_id(struct exchange *x)
{
    struct front *front = x->connection->front;
    struct str theirs = request_field(&x->pub.req, STR("x-request-id"));

    if (id_acceptable(theirs)) {
        str_copy_to(theirs, x->pub.req.id, sizeof x->pub.req.id);
        return;
    }
    put_hex(x->pub.req.id, front->id_prefix);
    put_hex(x->pub.req.id + 8, front->id_count++);
    x->pub.req.id[16] = '\0';
}
