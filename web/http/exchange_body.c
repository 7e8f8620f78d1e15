/* Exchange, the body: read by the handler as it comes, or dropped.
 *
 * Bytes are lent from the connection's block, never copied on the way. The
 * block is rewound only when all of them are used and more is asked for, so a
 * slice lives until the handler's next read.
 *
 * A failed body stays failed: `refusal` keeps the code that the client is
 * answered with, if the handler gives up with what it was told. */
#include <assert.h>

#include "http/connection.h"

static void
cancel_read(struct op *op)
{
    struct exchange *x = op->arg;

    x->read_waiting = false;
}

static const struct op_class read_class = {"http body", cancel_read};

void
exchange_body_max(struct http_exchange *pub, int64_t max)
{
    struct exchange *x = exchange_private(pub);

    assert(max >= 0 && !x->body_asked);
    if (max > x->body_max) /* the arena was made for a smaller one */
        x->arena.max += (size_t)(max - x->body_max);
    x->body_max = max;
}

int64_t
exchange_body_len(const struct http_exchange *pub)
{
    const struct parser_head *head = &exchange_private(pub)->head;

    if (head->chunked)
        return -1;
    return head->content_length > 0 ? head->content_length : 0;
}

/* Fails the body for good; the code is kept for the answer. */
static enum status
fail_body(struct exchange *x, enum status status, int http, const char *reason)
{
    x->refusal = http;
    x->refusal_reason = reason;
    return error_set(&x->pub.err, status, "%s", reason);
}

static enum status
again(const struct exchange *x)
{
    switch (x->refusal) {
    case 408:
        return ST_TIMEOUT;
    case 413:
        return ST_TOO_LARGE;
    default:
        return ST_INVALID;
    }
}

static enum status
too_large(struct exchange *x)
{
    return fail_body(x, ST_TOO_LARGE, 413,
                     "the body is larger than this resource takes");
}

static enum status
ask_for_body(struct exchange *x)
{
    struct connection *c = x->connection;

    if (x->body_asked)
        return ST_OK;
    x->body_asked = true;
    front_read_clock_again(c->front);
    x->body_started_ms = c->front->now_ms;
    if (x->body_left > x->body_max)
        return too_large(x);
    /* A client that has started to send does not wait any more. */
    if (x->expect && !x->streaming && c->in_pos == c->in_len) {
        front_out_take(c->front, &c->out);
        buf_add_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        front_mark_dirty(c->front, c);
    }
    x->expect = false;
    return ST_OK;
}

static enum status
next_chunked(struct exchange *x, struct str *ret)
{
    struct connection *c = x->connection;
    size_t used;
    enum chunked_result result = chunked_next(
        &x->chunked, c->in + c->in_pos, c->in_len - c->in_pos, &used, ret);

    c->in_pos += used;
    if (result == CHUNKED_BAD)
        return fail_body(x, ST_INVALID, 400, x->chunked.reason);
    if (result == CHUNKED_DONE)
        x->body_done = true;
    if (result == CHUNKED_DATA)
        x->body_received += (int64_t)ret->n;
    if (x->body_received > x->body_max)
        return too_large(x);
    return ST_OK;
}

/* The next bytes that are there; empty when none are, or at the end. */
static enum status
next_bytes(struct exchange *x, struct str *ret)
{
    struct connection *c = x->connection;

    *ret = STR_NULL;
    if (x->refusal)
        return again(x);
    if (x->body_done || c->in_pos == c->in_len)
        return ST_OK;
    if (x->head.chunked)
        return next_chunked(x, ret);

    size_t n = c->in_len - c->in_pos;
    if ((int64_t)n > x->body_left)
        n = (size_t)x->body_left;
    *ret = str_from(c->in + c->in_pos, n);
    c->in_pos += n;
    x->body_left -= (int64_t)n;
    x->body_received += (int64_t)n;
    x->body_done = x->body_left == 0;
    return ST_OK;
}

/* All that came is used: the block behind the head is free again. */
static void
rewind_block(struct connection *c)
{
    if (c->in_pos != c->in_len)
        return;
    /* A body that is longer than what came with the head goes to a large block:
     * a small one counts as full. */
    c->in_pos = c->in_len =
        c->in_size == SMALL_BLOCK ? SMALL_BLOCK : c->in_head;
}

static enum status
wait_for_input(struct co *co, struct exchange *x)
{
    struct connection *c = x->connection;

    if (c->eof)
        return fail_body(x, ST_INVALID, 400,
                         "the body ended before it was complete");
    op_init(&x->read_op, c->front->loop, &read_class, NULL, x);
    x->read_waiting = true;
    front_read_clock_again(c->front);
    front_deadline(c->front, &c->reading, DEADLINE_BODY);
    /* The edge may have been seen when there was no room. */
    if (c->readable && !c->running)
        loop_ready(c->front->loop, &c->task);
    return co_await(co, &x->read_op);
}

enum status
exchange_read(struct co *co, struct http_exchange *pub, struct str *ret)
{
    struct exchange *x = exchange_private(pub);
    struct str bytes = STR_NULL;
    enum status st = co_cancelled(co);

    if (st == ST_OK && !x->body_done)
        st = ask_for_body(x);
    while (st == ST_OK) {
        st = next_bytes(x, &bytes);
        if (st != ST_OK || bytes.n > 0 || x->body_done)
            break;
        rewind_block(x->connection);
        st = wait_for_input(co, x);
    }
    if (st == ST_OK)
        *ret = bytes;
    return st;
}

/* A body whose length is known goes to the arena: one copy, no growing. */
static enum status
read_known(struct co *co, struct exchange *x)
{
    size_t size = (size_t)x->body_left, n = 0;
    char *p = arena_alloc(&x->arena, size + 1);

    if (!p)
        return error_set(&x->pub.err, ST_LIMIT, "no memory for the body");
    while (n < size) {
        struct str bytes;
        enum status st = exchange_read(co, &x->pub, &bytes);
        if (st != ST_OK)
            return st;
        assert(bytes.n > 0 && bytes.n <= size - n);
        memcpy(p + n, bytes.p, bytes.n);
        n += bytes.n;
    }
    p[n] = '\0';
    x->pub.req.body = p;
    x->pub.req.body_len = n;
    return ST_OK;
}

static enum status
read_chunked(struct co *co, struct exchange *x)
{
    struct str bytes;

    buf_clear(&x->body);
    buf_init(&x->body, (size_t)x->body_max + 1);
    do {
        enum status st = exchange_read(co, &x->pub, &bytes);
        if (st != ST_OK)
            return st;
        buf_add_str(&x->body, bytes);
    } while (bytes.n > 0);
    buf_add_char(&x->body, '\0');
    if (x->body.failed)
        return error_set(&x->pub.err, ST_LIMIT, "no memory for the body");
    x->pub.req.body = x->body.p;
    x->pub.req.body_len = x->body.len - 1;
    return ST_OK;
}

enum status
exchange_read_all(struct co *co, struct http_exchange *pub)
{
    struct exchange *x = exchange_private(pub);

    if (pub->req.body)
        return ST_OK;
    if (x->head.chunked)
        return read_chunked(co, x);
    if (x->body_left > x->body_max)
        return ask_for_body(x); /* before the memory for it is taken */
    return read_known(co, x);
}

void
exchange_on_input(struct exchange *x)
{
    struct connection *c = x->connection;

    if (!x->read_waiting || (c->in_pos == c->in_len && !c->eof))
        return;
    x->read_waiting = false;
    front_deadline_stop(&c->reading);
    op_settle(&x->read_op, ST_OK);
}

bool
exchange_body_late(const struct exchange *x)
{
    const struct front_options *options = &x->connection->front->options;
    int64_t ms = x->connection->front->now_ms - x->body_started_ms;

    if (ms >= options->body_timeout_ms)
        return true;
    return ms > options->body_grace_ms &&
           x->body_received <
               (ms - options->body_grace_ms) * options->body_rate / 1000;
}

void
exchange_body_expired(struct exchange *x)
{
    enum status st =
        fail_body(x, ST_TIMEOUT, 408, "the body did not arrive in time");

    if (!x->read_waiting)
        return;
    x->read_waiting = false;
    op_settle(&x->read_op, st);
}

bool
exchange_discard(struct exchange *x)
{
    struct connection *c = x->connection;
    struct str bytes;

    if (!x->body_asked && !x->body_done) {
        x->body_asked = true;
        x->body_started_ms = c->front->now_ms;
    }
    while (!x->body_done) {
        if (next_bytes(x, &bytes) != ST_OK) {
            x->last = true;
            return true;
        }
        if (bytes.n == 0 && !x->body_done) {
            rewind_block(c);
            return false;
        }
    }
    return true;
}
