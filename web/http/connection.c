/* Connection: what comes next.
 *
 * DESIGN. Everything happens in connection_run(): events, deadlines and
 * handlers that end only note what is new and call it. It never runs twice on
 * one stack, and it alone frees the connection.
 *
 * THE BLOCK that input goes to:
 *
 *     0        in_head   in_pos        in_len      block_size
 *     | head    | used    | to be taken | free      |
 *     `pinned: the request's slices
 *
 * Input begins in a small block. One that is full before the head is complete
 * gives way to a large one, where the head starts at 0 and the parser's slices
 * follow; once a handler has the slices, the small one is pinned until the
 * request ends and input goes on in a large one. In a large block a head starts
 * only where head_max bytes fit behind it, so it never has to move again.
 *
 * A CLIENT THAT CLOSED sends a FIN whether it will still read or not. On a
 * local socket poll() tells; on TCP only an answer to something that we send
 * does. So an HTTP/1.1 client that still has no answer after probe_ms gets an
 * interim "100 Continue", which every client must skip (RFC 9110 section 15.2):
 * from one that is gone comes a reset, and the handler is cancelled. */
#include "http/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

/* Empty lines before a request line may take as much beside head_max. */
enum { HEAD_SLACK = 64 };

static void
give_exchange(struct connection *c)
{
    assert(!c->exchange->co);
    front_exchange_give(c->front, c->exchange);
    c->exchange = NULL;
    c->tail = STR_NULL;
    if (c->pinned)
        front_block_give(c->front, c->pinned, SMALL_BLOCK);
    c->pinned = NULL;
}

static inline void
release_exchange(struct connection *c)
{
    if (c->exchange)
        give_exchange(c);
}

static ALWAYS_INLINE void
release_block(struct connection *c)
{
    if (c->in)
        front_block_give(c->front, c->in, c->in_size);
    c->in = NULL;
    c->in_pos = c->in_len = c->in_head = 0;
}

/* ---- the end ---- */

/* Gives back the socket and all that no handler needs. Idempotent. */
static void
shut(struct connection *c)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    c->state = CONNECTION_CLOSED;
    event_free(c->read_event);
    event_free(c->write_event);
    tls_session_free(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->fd = -1;
    front_deadline_stop(&c->reading);
    front_deadline_stop(&c->writing);
    front_deadline_stop(&c->beat);
    c->tail = STR_NULL;
    front_out_give(c->front, &c->out);
}

void
connection_vanish(struct connection *c)
{
    struct exchange *x = c->exchange;

    if (c->state == CONNECTION_CLOSED)
        return;
    shut(c);
    if (x && x->co) {
        c->front->stats.hung_up++;
        co_cancel(x->co, ST_CANCELLED);
    }
}

static void
connection_free(struct connection *c)
{
    struct front *front = c->front;

    release_exchange(c);
    release_block(c);
    list_remove(&c->link);
    list_remove(&c->dirty);
    loop_unready(&c->task);
    free(c);
    front_left(front);
}

/* ---- what comes next: each returns true when the state has changed ---- */

static void
start_head(struct connection *c)
{
    c->exchange = front_exchange_take(c->front);
    c->exchange->connection = c;
    parser_init(&c->parser, &c->front->limits);
    /* What is left of the block must hold any head. */
    if (c->in_size > SMALL_BLOCK &&
        c->in_size - c->in_pos < c->front->limits.head_max + HEAD_SLACK) {
        memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
        c->in_len -= c->in_pos;
        c->in_pos = 0;
    }
}

/* Nothing has come of the next request. In a draining front what wakes a
 * connection for nothing does not make it live longer. */
static bool
be_idle(struct connection *c)
{
    bool draining = c->front->draining;
    bool counting = !list_empty(&c->reading.link);

    release_exchange(c);
    release_block(c);
    if (c->eof) {
        c->state = CONNECTION_CLOSING;
        return true;
    }
    if (draining ? !counting : c->requests > 0)
        front_deadline(c->front, &c->reading, DEADLINE_IDLE);
    else if (!counting)
        front_deadline(c->front, &c->reading, DEADLINE_HEAD);
    return false;
}

static bool
is_begun(const struct connection *c)
{
    return c->exchange &&
           parser_begun(&c->parser, c->in + c->in_pos, c->in_len - c->in_pos);
}

static bool
wait_for_head(struct connection *c)
{
    if (c->eof) {
        c->state = CONNECTION_CLOSING;
        return true;
    }
    if (list_empty(&c->reading.link) ||
        (is_begun(c) && c->reading.kind != DEADLINE_HEAD))
        front_deadline(c->front, &c->reading, DEADLINE_HEAD);
    return false;
}

static bool
read_head(struct connection *c)
{
    if (connection_pending(c) > c->front->options.output_max)
        return false;
    if (c->in_pos == c->in_len) {
        c->in_pos = c->in_len = c->in_head = 0;
        if (!connection_fill(c))
            return c->state == CONNECTION_HEAD && be_idle(c);
    }
    if (c->budget == 0) {
        loop_ready_next(c->front->loop, &c->task);
        return false;
    }
    if (!c->exchange)
        start_head(c);
    memset(c->in + c->in_len, 0, PARSER_SLACK);
    switch (parser_feed(&c->parser, c->in + c->in_pos, c->in_len - c->in_pos,
                        &c->exchange->head)) {
    case PARSER_FULL:
        front_exchange_widen(c->front, c->exchange);
        return true;
    case PARSER_MORE:
        if (connection_fill(c))
            return true;
        return c->state == CONNECTION_HEAD && wait_for_head(c);
    case PARSER_REFUSED:
        answer_request_id(c->exchange);
        exchange_refuse(c->exchange, c->parser.http, c->parser.reason);
        return true;
    case PARSER_DONE:
        break;
    }
    if (c->reading.kind == DEADLINE_HEAD)
        front_deadline_stop(&c->reading);
    c->budget--;
    c->requests++;
    c->probed = false;
    c->in_pos += c->parser.pos;
    c->in_head = c->in_pos;
    exchange_begin(c->exchange);
    return true;
}

/* The handler waits for something; the client may have sent more, or gone. */
static bool
watch(struct connection *c)
{
    assert(c->exchange);
    if (c->reading.kind == DEADLINE_IDLE)
        front_deadline_stop(&c->reading);
    if (!c->exchange->watched) {
        c->exchange->watched = true;
        c->readable = !c->eof; /* a reset may have come with the request */
    }
    while (connection_fill(c))
        ;
    if (c->state != CONNECTION_BUSY)
        return true;
    exchange_on_input(c->exchange);
    if (c->eof && !c->probed && c->reading.kind != DEADLINE_PROBE &&
        c->front->options.probe_ms > 0)
        front_deadline(c->front, &c->reading, DEADLINE_PROBE);
    return false;
}

/* The answer is made; what is left of body and answer goes by. */
static bool
end_exchange(struct connection *c)
{
    struct exchange *x = c->exchange;

    while (!x->last && !x->body_done && !exchange_discard(x))
        if (!connection_fill(c)) {
            if (c->state != CONNECTION_ENDING)
                return true;
            x->last |= c->eof;
            if (!x->last && c->reading.kind != DEADLINE_BODY)
                front_deadline(c->front, &c->reading, DEADLINE_BODY);
            if (!x->last)
                return false;
        }
    if (c->tail.n > 0) {
        /* The client's time to read is DEADLINE_WRITE's affair. */
        front_deadline_stop(&c->reading);
        return false;
    }
    if (c->reading.kind == DEADLINE_BODY)
        front_deadline_stop(&c->reading);
    c->state = x->last ? CONNECTION_CLOSING : CONNECTION_HEAD;
    release_exchange(c);
    return true;
}

/* The answer to a message that was refused arrives only if the client's bytes
 * are read on for a moment: unread ones make the kernel send a reset. */
static bool
start_drain(struct connection *c)
{
    if (connection_pending(c) > 0) {
        front_deadline_stop(&c->reading);
        return false;
    }
    release_block(c);
    c->state = CONNECTION_DRAIN;
    if (c->tls)
        tls_close(c->tls);
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0)
        shut(c);
    else
        front_deadline(c->front, &c->reading, DEADLINE_DRAIN);
    return true;
}

static bool
drain(struct connection *c)
{
    while (connection_fill(c)) {
        c->drained += c->in_len;
        c->in_len = 0;
        if (c->drained > DRAIN_MAX)
            break;
    }
    if (c->state == CONNECTION_DRAIN && (c->eof || c->drained > DRAIN_MAX))
        shut(c);
    release_block(c);
    return c->state != CONNECTION_DRAIN;
}

static bool
advance(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_HEAD:
        return read_head(c);
    case CONNECTION_BUSY:
        return watch(c);
    case CONNECTION_ENDING:
        return end_exchange(c);
    case CONNECTION_CLOSING:
        return start_drain(c);
    case CONNECTION_DRAIN:
        return drain(c);
    case CONNECTION_CLOSED:
        return false;
    }
    return false;
}

void
connection_run(struct connection *c)
{
    if (c->running)
        return;
    c->running = true;
    front_read_clock(c->front);
    c->budget = REQUESTS_A_RUN;
    do
        while (advance(c))
            ;
    while (connection_flush(c));
    c->running = false;
    if (c->state == CONNECTION_CLOSED && !(c->exchange && c->exchange->co))
        connection_free(c);
}

/* ---- events ---- */

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;

    (void)fd;
    if (what & EV_CLOSED)
        c->closed_half = true;
    if (c->eof && connection_is_hung_up(c))
        connection_vanish(c);
    c->readable = !c->eof;
    if (c->write_turned)
        c->write_turned = c->writable_wait = false;
    connection_run(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;

    (void)fd;
    (void)what;
    c->writable_wait = false;
    if (c->read_turned) {
        c->read_turned = false;
        c->readable = !c->eof;
    }
    connection_run(c);
}

static void
on_task(struct loop_task *task)
{
    connection_run(LIST_ENTRY(task, struct connection, task));
}

static void
probe(struct connection *c)
{
    struct exchange *x = c->exchange;

    if (c->state != CONNECTION_BUSY || c->probed || x->streaming ||
        x->head.version_minor == 0)
        return;
    c->probed = true;
    front_out_take(c->front, &c->out);
    buf_add_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void
head_expired(struct connection *c)
{
    if (!is_begun(c)) {
        c->state = CONNECTION_CLOSING;
        return;
    }
    answer_request_id(c->exchange);
    exchange_refuse(c->exchange, 408, "the header did not arrive in time");
}

static void
body_expired(struct connection *c)
{
    if (!exchange_body_late(c->exchange)) {
        front_deadline(c->front, &c->reading, DEADLINE_BODY);
        return;
    }
    c->front->stats.timed_out++;
    if (c->state == CONNECTION_BUSY)
        exchange_body_expired(c->exchange);
    else
        c->exchange->last = true;
}

void
connection_expired(struct connection *c, enum deadline_kind kind)
{
    switch (kind) {
    case DEADLINE_IDLE:
        /* A request may have arrived that nobody has read yet. */
        c->readable = !c->eof;
        if (!connection_fill(c) && c->state == CONNECTION_HEAD)
            c->state = CONNECTION_CLOSING;
        break;
    case DEADLINE_HEAD:
        c->front->stats.timed_out++;
        head_expired(c);
        break;
    case DEADLINE_BODY:
        body_expired(c);
        break;
    case DEADLINE_PROBE:
        probe(c);
        break;
    case DEADLINE_DRAIN:
        shut(c);
        break;
    case DEADLINE_BEAT:
        if (c->exchange)
            exchange_beat(c->exchange);
        break;
    default:
        if (connection_is_read(c)) {
            connection_watch_output(c);
            break;
        }
        c->front->stats.timed_out++;
        connection_drop_output(c);
        connection_vanish(c);
        break;
    }
    connection_run(c);
}

/* ---- the beginning ---- */

struct connection *
connection_new(struct front *front, int fd, struct tls *tls)
{
    struct connection *c = xcalloc(1, sizeof *c);
    struct event_base *base = loop_base(front->loop);

    c->front = front;
    c->fd = fd;
    list_init(&c->link);
    list_init(&c->dirty);
    list_init(&c->reading.link);
    list_init(&c->writing.link);
    list_init(&c->beat.link);
    list_init(&c->task.link);
    c->task.fn = on_task;
    c->reading.kind = DEADLINE_IDLE;
    c->readable = true;
    connection_prepare(c);
    c->read_event = event_new(
        base, fd, EV_READ | EV_CLOSED | EV_PERSIST | EV_ET, on_readable, c);
    c->write_event = event_new(base, fd, EV_WRITE | EV_ET, on_writable, c);
    if (!c->read_event || !c->write_event)
        log_fatal("out of memory");
    if (tls)
        c->tls = tls_accept(tls, fd);
    if ((tls && !c->tls) || event_add(c->read_event, NULL) != 0) {
        event_free(c->read_event);
        event_free(c->write_event);
        tls_session_free(c->tls);
        close(fd);
        free(c);
        return NULL;
    }
    return c;
}
