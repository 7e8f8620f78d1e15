/* Exchange: the handler's side of a request.
 *
 * INVARIANTS
 * 1. The handler's coroutine is resumed only from the loop's ready pass: input,
 *    output and deadlines settle an operation and return.
 * 2. Nothing here closes the connection: it sets `last`, and connection.c does
 *    what follows. So the connection outlives every call of a handler. */
#include "http/exchange.h"

#include <assert.h>

#include "access.h"
#include "app/http/problem.h"
#include "base/clock.h"
#include "http/connection.h"
#include "http/forwarded.h"

enum { WRITE_PIECE = 64 * 1024 };

static void
cancel_write(struct op *op)
{
    struct exchange *x = op->arg;

    x->write_waiting = false;
}

static const struct op_class write_class = {"http output", cancel_write};

/* ---- the answer ---- */

static void
add_to_access_log(struct exchange *x, int status)
{
    const struct pit_request *req = &x->pub.req;
    struct access_log *access = x->connection->front->options.access;

    access_add(
        access,
        &(struct access_entry){
            .peer = req->peer,
            .method =
                x->head.method ? request_method_name(x->head.method) : "-",
            .path = req->raw_path,
            .query = req->raw_query,
            .version_minor = req->version_minor,
            .status = status,
            .bytes = x->sent,
            .duration_us = x->started_us ? clock_mono_us() - x->started_us : 0,
            .request_id = req->id,
            .traceparent = req->traceparent,
            .scheme = req->scheme,
            .host = str_c(req->host),
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

    if (x->refusal)
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
    x->last |= must_close(x) || c->front->draining;
    x->bodiless = is_bodiless(x);
    front_out_take(c->front, &c->out);
    bool copied = !x->bodiless && body.n <= BODY_COPY_MAX;
    int64_t len = x->bodiless && res->content_len >= 0 ? res->content_len
                                                       : (int64_t)body.n;
    answer_head(x, len, copied ? body : STR_NULL, &c->out);
    res->sealed = true;
    if (!x->bodiless) {
        x->sent = (int64_t)body.n;
        if (!copied)
            c->tail = body;
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
    if (x->refusal) /* of the body: the head was good */
        problem.instance = x->pub.req.raw_path.p;
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

/* The end of a streamed body; a failed one is cut off visibly. One whose head
 * has left before the front drained did not announce the end: its client may
 * have sent the next request. */
static void
end_stream(struct exchange *x, enum status status)
{
    struct connection *c = x->connection;

    if (status == ST_OK && x->chunking)
        buf_add(&c->out, "0\r\n\r\n", 5);
    /* Less than was announced is a cut that only the close can tell. */
    if (status != ST_OK || (!x->bodiless && x->pub.res.content_len > x->sent))
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
    front_deadline_stop(&c->beat);
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
        problem.instance = x->pub.req.raw_path.p;
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
    if (head->path_plain)
        req->path = head->path.p;
    req->raw_query = head->query;
    req->fields = head->fields;
    req->fields_len = head->fields_len;
    req->traceparent = head->traceparent;
    req->peer = x->connection->peer;
    if (head->host.p)
        req->host = head->host.p; /* a field's value ends in NUL */
    if (x->connection->tls)
        req->scheme = "https";
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
    if (x->body_done)
        x->pub.req.body = ""; /* as if it had been read */
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

    if (front->options.access) /* nobody else reads the clock for it */
        x->started_us = clock_mono_us();
    front_exchange_begun(x);
    fill_request(x);
    frame_body(x);
    x->last = !x->head.keep_alive || c->requests >= front->options.requests_max;
    if (x->head.path.p[0] == '*') {
        answer_server_options(x);
        return;
    }
    enum status st = request_decode(&x->pub.req, &x->pub.err);
    if (st == ST_OK && c->trusted)
        st =
            forwarded_apply(front->options.forwarded, &x->pub.req, &x->pub.err);
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

/* ---- streaming ---- */

enum status
exchange_start(struct co *co, struct http_exchange *pub)
{
    struct exchange *x = exchange_private(pub);
    struct connection *c = x->connection;
    enum status st = co_cancelled(co);

    if (st != ST_OK || x->streaming)
        return st;
    if (pub->res.status < 200)
        pub->res.status = 200;
    x->streaming = true;
    front_read_clock_again(c->front);
    x->last |= must_close(x) || c->front->draining;
    x->bodiless = is_bodiless(x);
    front_out_take(c->front, &c->out);
    answer_head(x, pub->res.content_len, STR_NULL, &c->out);
    pub->res.sealed = true;
    front_mark_dirty(c->front, c);
    return ST_OK;
}

static enum status
wait_for_output(struct co *co, struct exchange *x)
{
    op_init(&x->write_op, x->connection->front->loop, &write_class, NULL, x);
    x->write_waiting = true;
    return co_await(co, &x->write_op);
}

enum status
exchange_write(struct co *co, struct http_exchange *pub, struct str bytes)
{
    struct exchange *x = exchange_private(pub);
    struct connection *c = x->connection;
    enum status st = exchange_start(co, pub);
    int64_t announced = pub->res.content_len;

    if (st == ST_OK && announced >= 0 &&
        bytes.n > (uint64_t)(announced - x->sent))
        return error_set(&pub->err, ST_BUG,
                         "the stream is longer than its Content-Length");
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
    return exchange_private(pub)->connection->state == CONNECTION_CLOSED;
}
