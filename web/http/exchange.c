/* Exchange: the handler's side of a request.
 *
 * INVARIANTS
 * 1. The handler's coroutine is resumed only from the loop's ready pass: input,
 *    output and deadlines settle an operation and return.
 * 2. Bytes lent by exchange_read() lie in the connection's block below in_pos;
 *    the block is rewound only by the next exchange_read(), when all of them
 *    are used.
 * 3. Nothing here closes the connection: it sets `last`, and connection.c does
 *    what follows. So the connection outlives every call of a handler. */
#include "http/exchange.h"

#include <assert.h>

#include "access.h"
#include "app/problem.h"
#include "base/clock.h"
#include "http/connection.h"

enum { WRITE_PIECE = 64 * 1024 };

static struct exchange *
exchange_of(const struct http_exchange *pub)
{
    return (struct exchange *)(uintptr_t)pub;
}

static void
cancel_read(struct op *op)
{
    struct exchange *x = op->arg;

    x->read_waiting = false;
}

static void
cancel_write(struct op *op)
{
    struct exchange *x = op->arg;

    x->write_waiting = false;
}

static const struct op_class read_class = {"http body", cancel_read};
static const struct op_class write_class = {"http output", cancel_write};

/* ---- the answer ---- */

static void
add_to_access_log(struct exchange *x, int status)
{
    const struct pit_request *req = &x->pub.req;
    struct access_log *access = x->connection->front->options.access;

    access_add(access, &(struct access_entry){
                           .peer = x->connection->peer,
                           .method = x->head.method
                                         ? request_method_name(x->head.method)
                                         : "-",
                           .path = req->raw_path,
                           .query = req->raw_query,
                           .version_minor = req->version_minor,
                           .status = status,
                           .bytes = x->sent,
                           .duration_us = clock_mono_us() - x->started_us,
                           .request_id = req->id,
                       });
}

static void
log_access(struct exchange *x, int status)
{
    if (x->connection->front->options.access)
        add_to_access_log(x, status);
}

/* Without a body whatever the handler says (RFC 9110 sections 9.3.2, 15). */
static bool
is_bodiless(const struct exchange *x)
{
    int status = x->pub.res.status;

    return x->head.method == PIT_HEAD || status < 200 || status == 204 ||
           status == 304;
}

/* What the client has not sent yet is read and dropped, if it is little and on
 * its way; else the connection ends here. */
static bool
must_close(const struct exchange *x)
{
    const struct connection *c = x->connection;

    if (x->refusal || c->front->draining)
        return true;
    if (x->body_done)
        return false;
    return x->expect || c->eof || x->body_left > x->body_max;
}

static void
send_answer(struct exchange *x)
{
    struct connection *c = x->connection;
    struct pit_response *res = &x->pub.res;
    struct str body = res->body;

    if (res->status < 200) /* 0: never set; 1xx is no final answer */
        res->status = 204;
    x->last |= must_close(x);
    x->bodiless = is_bodiless(x);
    front_out_take(c->front, &c->out);
    bool copied = !x->bodiless && body.n <= BODY_COPY_MAX;
    answer_head(x, (int64_t)body.n, copied ? body.n : 0, &c->out);
    res->sealed = true;
    if (!x->bodiless) {
        x->sent = (int64_t)body.n;
        if (!copied)
            c->tail = body;
        else if (body.n > 0)
            buf_add_str(&c->out, body);
    }
    c->state = CONNECTION_ENDING;
    c->front->stats.requests++;
    log_access(x, res->status);
}

static void
send_problem(struct exchange *x, const struct problem *problem)
{
    response_reset(&x->pub.res);
    if (problem_reply(&x->pub.res, problem) != ST_OK)
        x->pub.res.status = problem_type(problem->kind)->http;
    send_answer(x);
}

void
exchange_refuse(struct exchange *x, int http, const char *reason)
{
    struct problem problem = {.kind = problem_of_http(http), .detail = reason};

    x->last = true;
    x->body_done = true;                /* nothing of it is to be looked at */
    x->pub.req.raw_path = x->head.path; /* as far as it came, for the log */
    x->connection->front->stats.refused++;
    if (http == 413)
        problem.max_bytes = x->body_max;
    response_reset(&x->pub.res);
    if (problem_reply(&x->pub.res, &problem) != ST_OK)
        x->pub.res.status = http;
    if (http == 405 &&
        response_set(&x->pub.res, STR("Allow"),
                     STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")) !=
            ST_OK)
        x->pub.res.status = 501; /* a 405 must say what is allowed */
    send_answer(x);
}

/* The end of a streamed body; a failed one is cut off visibly. */
static void
end_stream(struct exchange *x, enum status status)
{
    struct connection *c = x->connection;

    if (status == ST_OK && x->chunking)
        buf_add(&c->out, "0\r\n\r\n", 5);
    if (status != ST_OK)
        x->last = true;
    x->last |= must_close(x);
    c->state = CONNECTION_ENDING;
    c->front->stats.requests++;
    log_access(x, x->pub.res.status);
}

static void
on_handler_end(void *arg, enum status status)
{
    struct exchange *x = arg;
    struct connection *c = x->connection;

    x->co = NULL;
    if (!c->running)
        front_read_clock(c->front);
    c->front->stats.in_flight--;
    front_deadline_stop(&c->reading);
    if (c->state == CONNECTION_CLOSED) {
        log_access(x, 499);
    } else if (x->streaming) {
        end_stream(x, status);
    } else if (status == ST_OK) {
        send_answer(x);
    } else if (x->refusal) {
        exchange_refuse(x, x->refusal, x->refusal_reason);
    } else {
        struct problem problem = problem_from_error(status, &x->pub.err);
        problem.instance = x->pub.req.path;
        send_problem(x, &problem);
    }
    connection_run(c);
}

static enum status
run_handler(struct co *co, void *arg)
{
    struct exchange *x = arg;
    struct front *front = x->connection->front;

    x->co = co;
    return front->handler(co, &x->pub, front->arg);
}

/* ---- the beginning ---- */

static void
fill_request(struct exchange *x)
{
    struct pit_request *req = &x->pub.req;
    const struct parser_head *head = &x->head;

    req->method = head->method;
    req->version_minor = head->version_minor;
    req->raw_path = head->path;
    req->raw_query = head->query;
    req->fields = head->fields;
    req->fields_len = head->fields_len;
    req->peer = x->connection->peer;
    answer_request_id(x);
}

static void
frame_body(struct exchange *x)
{
    const struct parser_head *head = &x->head;

    x->body_left = head->content_length > 0 ? head->content_length : 0;
    x->body_done = !head->chunked && x->body_left == 0;
    x->expect = head->expect_continue && !x->body_done;
    if (head->chunked)
        chunked_init(&x->chunked);
}

/* OPTIONS * is about the server, not about a resource (RFC 9110 section
 * 9.3.7). */
static void
answer_server_options(struct exchange *x)
{
    if (response_set(&x->pub.res, STR("Allow"),
                     STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")) ==
        ST_OK)
        x->pub.res.status = 204;
    send_answer(x);
}

static void
answer_overloaded(struct exchange *x, const char *detail)
{
    x->connection->front->stats.refused++;
    send_problem(
        x, &(struct problem){.kind = PROBLEM_OVERLOADED, .detail = detail});
}

void
exchange_begin(struct exchange *x)
{
    struct connection *c = x->connection;
    struct front *front = c->front;

    fill_request(x);
    frame_body(x);
    x->last = !x->head.keep_alive || c->requests >= front->options.requests_max;
    if (x->head.path.p[0] == '*') {
        answer_server_options(x);
        return;
    }
    enum status st = request_decode(&x->pub.req, &x->pub.err);
    if (st != ST_OK) {
        struct problem problem = problem_from_error(st, &x->pub.err);
        front->stats.refused++;
        send_problem(x, &problem);
        return;
    }
    if (front->stats.in_flight >= front->options.in_flight_max) {
        answer_overloaded(x, "too many requests are in flight in this process");
        return;
    }
    front->stats.in_flight++;
    c->state = CONNECTION_BUSY;
    if (co_spawn(front->loop, "request", run_handler, x, on_handler_end) !=
        ST_OK) {
        front->stats.in_flight--;
        answer_overloaded(x, "no coroutine is free in this process");
    }
}

/* ---- the body ---- */

void
exchange_body_max(struct http_exchange *pub, int64_t max)
{
    struct exchange *x = exchange_of(pub);

    assert(max >= 0 && !x->body_asked);
    x->body_max = max;
}

int64_t
exchange_body_len(const struct http_exchange *pub)
{
    const struct parser_head *head = &exchange_of(pub)->head;

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
    front_read_clock(c->front);
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
    if (c->in_pos == c->in_len)
        c->in_pos = c->in_len = c->in_head;
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
    front_read_clock(c->front);
    front_deadline(c->front, &c->reading, DEADLINE_BODY);
    /* The edge may have been seen when there was no room. */
    if (c->readable && !c->running)
        loop_ready(c->front->loop, &c->task);
    return co_await (co, &x->read_op);
}

enum status
exchange_read(struct co *co, struct http_exchange *pub, struct str *ret)
{
    struct exchange *x = exchange_of(pub);
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
    struct exchange *x = exchange_of(pub);

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

/* ---- streaming ---- */

enum status
exchange_start(struct co *co, struct http_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    struct connection *c = x->connection;
    enum status st = co_cancelled(co);

    if (st != ST_OK || x->streaming)
        return st;
    if (pub->res.status < 200)
        pub->res.status = 200;
    x->streaming = true;
    front_read_clock(c->front);
    x->last |= must_close(x);
    x->bodiless = is_bodiless(x);
    front_out_take(c->front, &c->out);
    answer_head(x, -1, 0, &c->out);
    pub->res.sealed = true;
    front_mark_dirty(c->front, c);
    return ST_OK;
}

static enum status
wait_for_output(struct co *co, struct exchange *x)
{
    op_init(&x->write_op, x->connection->front->loop, &write_class, NULL, x);
    x->write_waiting = true;
    return co_await (co, &x->write_op);
}

enum status
exchange_write(struct co *co, struct http_exchange *pub, struct str bytes)
{
    struct exchange *x = exchange_of(pub);
    struct connection *c = x->connection;
    enum status st = exchange_start(co, pub);

    while (st == ST_OK && bytes.n > 0 && !x->bodiless) {
        struct str piece =
            str_from(bytes.p, bytes.n < WRITE_PIECE ? bytes.n : WRITE_PIECE);
        bytes = str_skip(bytes, piece.n);
        front_out_take(c->front, &c->out);
        if (x->chunking)
            answer_chunk(piece, &c->out);
        else
            buf_add_str(&c->out, piece);
        x->sent += (int64_t)piece.n;
        front_mark_dirty(c->front, c);
        if (connection_pending(c) > c->front->options.output_max)
            st = wait_for_output(co, x);
    }
    return st;
}

void
exchange_on_output(struct exchange *x)
{
    struct connection *c = x->connection;

    if (!x->write_waiting ||
        connection_pending(c) > c->front->options.output_max / 2)
        return;
    x->write_waiting = false;
    op_settle(&x->write_op, ST_OK);
}

bool
exchange_gone(const struct http_exchange *pub)
{
    return exchange_of(pub)->connection->state == CONNECTION_CLOSED;
}
