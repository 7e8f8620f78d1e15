/* Server-sent events: lines made in the connection's output buffer by way of
 * exchange_write(), one call an event, so that an event is never half sent when
 * the handler is cancelled in between. */
#include "http/exchange_sse.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "http/connection.h"

enum { EVENT_MAX = 16 * 1024 * 1024 };

enum status
exchange_sse_start(struct co *co, struct http_exchange *pub)
{
    struct exchange *x = exchange_private(pub);
    struct pit_response *res = &pub->res;

    if (x->streaming)
        return x->sse ? ST_OK
                      : error_set(&pub->err, ST_INVALID,
                                  "the answer has begun without being a "
                                  "stream of events");
    res->status = 200;
    enum status st = response_set(res, STR("Content-Type"),
                                  STR("text/event-stream; charset=utf-8"));
    if (st == ST_OK)
        st = response_set(res, STR("Cache-Control"), STR("no-store"));
    /* nginx gathers an answer otherwise, until its buffers are full. */
    if (st == ST_OK)
        st = response_set(res, STR("X-Accel-Buffering"), STR("no"));
    if (st == ST_OK)
        st = exchange_start(co, pub);
    if (st == ST_OK) {
        x->sse = true;
        front_deadline(x->connection->front, &x->connection->beat,
                       DEADLINE_BEAT);
    }
    return st;
}

/* Each line of @text behind @name; CR, LF and CRLF all end one, as a client
 * would read them. */
static void
add_lines(struct buf *out, const char *name, struct str text)
{
    size_t from = 0;

    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] != '\n' && text.p[i] != '\r')
            continue;
        buf_add_c(out, name);
        if (i > from)
            buf_add(out, text.p + from, i - from);
        buf_add_char(out, '\n');
        if (i + 1 < text.n && text.p[i] == '\r' && text.p[i + 1] == '\n')
            i++;
        from = i + 1;
    }
}

static enum status
check_name(struct http_exchange *pub, const char *what, struct str name)
{
    if (name.n > EXCHANGE_SSE_NAME_MAX)
        return error_set(&pub->err, ST_INVALID,
                         "an event's %s has %zu bytes, at most %d are allowed",
                         what, name.n, EXCHANGE_SSE_NAME_MAX);
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '\n' || name.p[i] == '\r' || name.p[i] == '\0')
            return error_set(&pub->err, ST_INVALID,
                             "an event's %s holds a line break or a NUL", what);
    return ST_OK;
}

static enum status
check_event(struct http_exchange *pub, const struct exchange_sse_event *event)
{
    enum status st = check_name(pub, "id", event->id);

    if (st == ST_OK)
        st = check_name(pub, "name", event->event);
    if (st == ST_OK && event->retry_ms < 0)
        st = error_set(&pub->err, ST_INVALID, "an event's retry is negative");
    return st;
}

static enum status
send_buffer(struct co *co, struct http_exchange *pub, struct buf *out)
{
    enum status st = ST_OK;

    if (out->failed)
        st = error_set(&pub->err, ST_TOO_LARGE,
                       "an event is larger than %d bytes", EVENT_MAX);
    if (st == ST_OK)
        st = exchange_sse_start(co, pub);
    if (st == ST_OK) {
        struct connection *c = exchange_private(pub)->connection;
        front_read_clock_again(c->front);
        front_deadline(c->front, &c->beat, DEADLINE_BEAT);
        st = exchange_write(co, pub, buf_str(out));
    }
    buf_clear(out);
    return st;
}

enum status
exchange_sse_send(struct co *co, struct http_exchange *pub,
                  const struct exchange_sse_event *event)
{
    struct buf out;
    enum status st = check_event(pub, event);

    if (st != ST_OK)
        return st;
    buf_init(&out, EVENT_MAX);
    if (event->id.p)
        add_lines(&out, event->id.n > 0 ? "id: " : "id", event->id);
    if (event->retry_ms > 0)
        buf_addf(&out, "retry: %" PRId64 "\n", event->retry_ms);
    if (event->event.n > 0)
        add_lines(&out, "event: ", event->event);
    if (event->data.n > 0 || event->event.n > 0)
        add_lines(&out, "data: ", event->data);
    if (out.len > 0)
        buf_add_char(&out, '\n');
    return send_buffer(co, pub, &out);
}

enum status
exchange_sse_comment(struct co *co, struct http_exchange *pub, struct str text)
{
    struct buf out;

    buf_init(&out, EVENT_MAX);
    add_lines(&out, ": ", text);
    buf_add_char(&out, '\n');
    return send_buffer(co, pub, &out);
}

struct str
exchange_sse_last_id(const struct http_exchange *pub)
{
    return request_field(&pub->req, STR("last-event-id"));
}

void
exchange_beat(struct exchange *x)
{
    struct connection *c = x->connection;

    if (!x->sse || !x->co || c->state != CONNECTION_BUSY)
        return;
    front_deadline(c->front, &c->beat, DEADLINE_BEAT);
    if (connection_pending(c) > 0 || x->bodiless)
        return; /* it has something to read as it is */
    front_out_take(c->front, &c->out);
    if (x->chunking)
        answer_chunk(STR(":\n\n"), &c->out);
    else
        buf_add(&c->out, ":\n\n", 3);
    x->sent += 3;
    front_mark_dirty(c->front, c);
}
