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

/* A literal: the copy is a few moves. */
#define PUT(p, literal)                                           \
    ((p) = (char *)memcpy((p), "" literal, sizeof(literal) - 1) + \
           sizeof(literal) - 1)

static APART char *
put_digits(char *p, uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;

    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put(p, str_from(digits + n, sizeof digits - n));
}

static inline char *
put_number(char *p, uint64_t number)
{
    if (number >= 100)
        return put_digits(p, number);
    *p = (char)('0' + number / 10);
    p += number >= 10;
    *p = (char)('0' + number % 10);
    return p + 1;
}

static char *
put_status_line(char *p, int status)
{
    if (status == 200) {
        PUT(p, "HTTP/1.1 200 OK\r\n");
        return p;
    }
    PUT(p, "HTTP/1.1 ");
    p = put_number(p, (uint64_t)status);
    PUT(p, " ");
    p = put(p, str_c(response_reason(status)));
    PUT(p, "\r\n");
    return p;
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
        PUT(p, "Transfer-Encoding: chunked\r\n");
        return p;
    }
    if (body_len < 0) {
        x->last |= !x->bodiless;
        return p;
    }
    if (status < 200 || status == 204 || status == 304)
        return p;
    PUT(p, "Content-Length: ");
    p = put_number(p, (uint64_t)body_len);
    PUT(p, "\r\n");
    return p;
}

static char *
put_fields(char *p, const struct pit_response *res)
{
    if (res->content_type.n > 0) {
        PUT(p, "Content-Type: ");
        p = put(p, res->content_type);
        PUT(p, "\r\n");
    }
    for (size_t i = 0; i < res->fields_len; i++) {
        p = put(p, res->fields[i].name);
        PUT(p, ": ");
        p = put(p, res->fields[i].value);
        PUT(p, "\r\n");
    }
    return p;
}

void
answer_head(struct exchange *x, int64_t body_len, struct str body,
            struct buf *out)
{
    const struct pit_response *res = &x->pub.res;
    size_t room = room_for(res) + body.n;
    char *start = buf_room(out, room), *p = start;

    if (!p)
        return; /* out->failed: the caller closes */
    p = put_status_line(p, res->status);
    PUT(p, "Date: ");
    memcpy(p, front_date(x->connection->front), FRONT_DATE_LEN);
    p += FRONT_DATE_LEN;
    PUT(p, "\r\n");
    p = put_framing(p, x, body_len);
    p = put_fields(p, res);
    PUT(p, "X-Request-Id: ");
    if (x->pub.req.id_len == FRONT_ID_LEN)
        p = (char *)memcpy(p, x->pub.req.id, FRONT_ID_LEN) + FRONT_ID_LEN;
    else
        p = put(p, str_from(x->pub.req.id, x->pub.req.id_len));
    PUT(p, "\r\n");
    if (x->last)
        PUT(p, "Connection: close\r\n");
    else if (x->head.version_minor == 0)
        PUT(p, "Connection: keep-alive\r\n");
    PUT(p, "\r\n");
    p = put(p, body);
    assert((size_t)(p - start) <= room);
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

/* Counts up in hex, in place: cheaper than making the digits each time. */
static void
next_id(char id[FRONT_ID_LEN])
{
    for (int i = FRONT_ID_LEN - 1; i >= 0; i--) {
        if (id[i] == 'f') {
            id[i] = '0';
            continue;
        }
        id[i] = id[i] == '9' ? 'a' : (char)(id[i] + 1);
        return;
    }
}

void
answer_request_id(struct exchange *x)
{
    struct front *front = x->connection->front;
    struct pit_request *req = &x->pub.req;
    struct str theirs = x->head.request_id;

    if (theirs.n > 0 && id_acceptable(theirs)) {
        str_copy_to(theirs, req->id, sizeof req->id);
        req->id_len = theirs.n;
        req->id_sent = true;
        return;
    }
    memcpy(req->id, front->next_id, FRONT_ID_LEN);
    req->id[FRONT_ID_LEN] = '\0';
    req->id_len = FRONT_ID_LEN;
    req->id_sent = false;
    next_id(front->next_id);
}
