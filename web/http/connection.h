/* connection.h - one client's socket, and the exchange that is under way on it.
 *
 * Private to web/http: the front owns connections, a connection owns at most
 * one exchange at a time, so pipelined answers keep their order by
 * construction. connection.c decides what comes next, connection_io.c moves
 * bytes, exchange.c and exchange_body.c are the handler's side, answer.c makes
 * bytes of a response.
 *
 *          bytes           handler ends        body and answer through
 *   HEAD ---------> BUSY ---------> ENDING ---------> HEAD
 *     \ refused                        \ last one
 *      `------------------------------> CLOSING ------> DRAIN ------> CLOSED
 *                                        output sent     EOF or time
 *   A vanished client leads to CLOSED from everywhere; the connection is freed
 *   once its handler has ended too. */
#ifndef WEB_HTTP_CONNECTION_H
#define WEB_HTTP_CONNECTION_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/co/co.h"
#include "async/loop.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/chunked.h"
#include "http/exchange.h"
#include "http/front.h"
#include "http/parser.h"
#include "http/tls.h"

enum {
    POOL_MAX = 64,                     /* spare objects of each kind */
    BODY_WINDOW = 32 * 1024,           /* bytes read ahead of the handler */
    SMALL_BLOCK = 1024 - PARSER_SLACK, /* for nearly every head; no body */
    OUT_BLOCK = 16 * 1024,             /* first size of an output buffer */
    FIELDS_FEW = 20, /* of a request, for which the exchange has room */
    BODY_COPY_MAX = 8 * 1024, /* a longer body is sent from where it is */
    REQUESTS_A_RUN = 64,      /* then the others get their turn */
    DRAIN_MAX = 1024 * 1024,  /* bytes read on after a refusal */
    FRONT_DATE_LEN = 29,      /* "Mon, 23 Nov 2026 09:00:00 GMT" */
    FRONT_ID_LEN = 16,
};

enum connection_state {
    CONNECTION_HEAD,
    CONNECTION_BUSY,
    CONNECTION_ENDING,
    CONNECTION_CLOSING,
    CONNECTION_DRAIN,
    CONNECTION_CLOSED,
};

/* Each kind has one delay, so each list is in the order of time by itself. */
enum deadline_kind {
    DEADLINE_IDLE,
    DEADLINE_HEAD,
    DEADLINE_BODY, /* looks at the rate, and starts again */
    DEADLINE_PROBE,
    DEADLINE_DRAIN,
    DEADLINE_WRITE,
    DEADLINE_BEAT, /* a stream of events is silent */
    DEADLINE_KINDS,
};

struct deadline {
    struct list link;
    int64_t at_ms; /* of the loop's clock */
    enum deadline_kind kind;
};

struct connection;

struct exchange {
    struct http_exchange pub; /* first: what handlers see */
    struct connection *connection;
    struct co *co; /* while the handler runs */

    struct chunked chunked;
    struct op read_op;
    struct op write_op;

    /* From here to the arena: zero at first. */
    int64_t body_left; /* by Content-Length */
    int64_t body_received;
    int64_t body_max;
    int64_t body_started_ms;
    bool body_done;
    bool body_asked; /* the handler has started to read it */
    bool expect;     /* the client waits for 100 Continue */
    struct buf body; /* a chunked one, read as a whole */

    bool read_waiting;
    bool write_waiting;

    bool watched;   /* a handler that waits, and its client */
    bool last;      /* the connection closes after this answer */
    bool streaming; /* the head has left by exchange_start() */
    bool chunking;  /* the answer's body goes in chunks */
    bool sse;       /* it is a stream of events */
    bool bodiless;  /* HEAD, 204, 304 */
    int refusal;    /* HTTP code, once the body failed */
    const char *refusal_reason;
    int64_t started_us; /* for the access log */
    int64_t sent;       /* bytes of the answer's body */

    struct arena arena;
    struct parser_head head;
    struct request_field *many; /* for more than FIELDS_FEW; NULL: none */
    /* What the fields do not take of it is the arena's first chunk. */
    struct request_field few[FIELDS_FEW];
};

struct connection {
    struct front *front;
    struct list link;  /* of front->connections */
    struct list dirty; /* of front->dirty */
    struct deadline reading;
    struct deadline writing;
    struct deadline beat;
    struct loop_task task;
    struct event *read_event;
    struct event *write_event;
    struct tls_session *tls; /* NULL: plain */
    int fd;
    enum connection_state state;

    char *in;       /* a block of the front's; NULL while idle */
    size_t in_size; /* SMALL_BLOCK, or the front's block_size */
    char *pinned;   /* the small one that the request's slices point into, once
                       `in` had to grow behind it; else NULL */
    size_t in_pos;  /* the first byte that nobody has taken */
    size_t in_len;  /* bytes there */
    size_t in_head; /* end of the present head: what lies before is pinned */
    struct parser parser;

    struct buf out;
    size_t out_sent;
    struct str tail; /* goes after out; lent by the exchange */
    int queued;      /* bytes in the kernel when `writing` was started */

    struct exchange *exchange;
    uint32_t requests;
    uint32_t budget; /* requests left in this run */
    size_t drained;
    bool running;     /* connection_run() is on the stack */
    bool readable;    /* recv() may have something */
    bool closed_half; /* epoll has announced a FIN */
    bool eof;         /* recv() has seen it */
    bool probed;
    bool writable_wait; /* write_event is pending, or write_turned */
    bool read_turned;   /* TLS reads on when the socket can be written */
    bool write_turned;  /* and writes on when it can be read */
    bool trusted;       /* the peer is a proxy that may say who it speaks for */
    char peer[REQUEST_PEER_MAX];
};

struct front {
    struct loop *loop;
    struct front_options options;
    struct parser_limits limits;
    http_handler *handler;
    void *arg;
    struct list connections;
    struct list dirty; /* run before the loop sleeps */
    struct loop_hook hook;
    struct list deadlines[DEADLINE_KINDS];
    int64_t delays_ms[DEADLINE_KINDS];
    struct loop_timer sweep;
    int64_t now_ms; /* monotonic, see front_read_clock() */
    int64_t sweep_at_ms;
    size_t block_size;
    void *spare_blocks[POOL_MAX];
    size_t spare_blocks_len;
    void *spare_small[POOL_MAX];
    size_t spare_small_len;
    void *spare_outs[POOL_MAX];
    size_t spare_outs_len;
    void *spare_fields[POOL_MAX];
    size_t spare_fields_len;
    void *spare_exchanges[POOL_MAX];
    size_t spare_exchanges_len;
    struct front_stats stats;
    bool draining;
    struct list waiters;        /* for room */
    char next_id[FRONT_ID_LEN]; /* hex: 8 random digits, 8 that count */
    char date[80]; /* "Mon, 23 Nov 2026 09:00:00 GMT"; room for any int */
    int64_t date_until_ms;
};

/* front.c: time, pools and deadlines. */
/* Sets now_ms to the loop's last reading. Whatever enters the front from
 * outside calls this first. */
void front_read_clock(struct front *front);
/* The same with a new reading: for what a handler calls, which may have worked
 * for long. */
void front_read_clock_again(struct front *front);
/* Of SMALL_BLOCK or front->block_size bytes, and PARSER_SLACK more. */
char *front_block_take(struct front *front, size_t size);
void front_block_give(struct front *front, char *block, size_t size);
struct exchange *front_exchange_take(struct front *front);
/* After PARSER_FULL: room for PARSER_FIELDS_MAX fields. */
void front_exchange_widen(struct front *front, struct exchange *exchange);
/* The head is complete: its table of fields does not grow any more. */
void front_exchange_begun(struct exchange *exchange);
void front_exchange_give(struct front *front, struct exchange *exchange);
void front_out_take(struct front *front, struct buf *out);
void front_out_give(struct front *front, struct buf *out);
/* (Re)starts @deadline as one of @kind. */
void front_deadline(struct front *front, struct deadline *deadline,
                    enum deadline_kind kind);
void front_deadline_stop(struct deadline *deadline);
void front_mark_dirty(struct front *front, struct connection *connection);
/* A connection is gone: counts it, and tells who waits for room. */
void front_left(struct front *front);
/* For the Date field, by the loop's clock. */
const char *front_date(struct front *front);

/* connection.c */
/* @tls NULL: plain. NULL when the descriptor cannot be watched; it is closed
 * then. */
struct connection *connection_new(struct front *front, int fd, struct tls *tls);
/* Does whatever can be done now, and may free the connection: nobody touches it
 * afterwards. Within itself it does nothing: the outer call goes on. */
void connection_run(struct connection *connection);
/* A deadline of it has passed. */
void connection_expired(struct connection *connection, enum deadline_kind kind);
/* The client is gone for good, or is to be: closes at once, cancels the
 * handler. connection_run() must follow. */
void connection_vanish(struct connection *connection);

/* connection_io.c */
/* One recv(); true when bytes came. May see the client vanish. */
bool connection_receive(struct connection *connection);
/* The same, where something may have come. */
static inline bool
connection_fill(struct connection *connection)
{
    return connection->readable && connection_receive(connection);
}
/* Sends what it can; true when something may go on that waited for that. */
bool connection_flush(struct connection *connection);
/* Bytes that the client has not taken yet. */
size_t connection_pending(const struct connection *connection);
/* True when the peer has closed both directions, or reset. */
bool connection_is_hung_up(const struct connection *connection);
/* (Re)starts the deadline for output that the client does not take. */
void connection_watch_output(struct connection *connection);
/* True when the client has taken enough of it since then: nobody is told by an
 * event before a third of the socket's buffer is free. */
bool connection_is_read(const struct connection *connection);
/* Lets the close that follows reset the connection: what the client does not
 * read would stay in the kernel's memory for minutes. */
void connection_drop_output(struct connection *connection);
/* Socket options, and who the peer is. */
void connection_prepare(struct connection *connection);

/* exchange.c, exchange_body.c */
static inline struct exchange *
exchange_private(const struct http_exchange *pub)
{
    return (struct exchange *)(uintptr_t)pub; /* its first member */
}
/* The head is complete: runs the handler, or answers in its place. */
void exchange_begin(struct exchange *exchange);
/* Input or EOF has come while the handler runs. */
void exchange_on_input(struct exchange *exchange);
/* Output has left. */
void exchange_on_output(struct exchange *exchange);
/* Answers @http with a problem in place of a handler; the connection closes
 * after it. */
void exchange_refuse(struct exchange *exchange, int http, const char *reason);
/* The body did not come in time. */
void exchange_body_expired(struct exchange *exchange);
/* True when the body keeps neither to body_timeout_ms nor to its rate. */
bool exchange_body_late(const struct exchange *exchange);
/* exchange_sse.c: a stream of events has been silent for its time. */
void exchange_beat(struct exchange *exchange);
/* Takes what is there of the body and drops it. False: more must come. A broken
 * one makes this exchange the last and counts as its end. */
bool exchange_discard(struct exchange *exchange);

/* answer.c */
/* Appends the head of the response as it is now, and @body. @body_len, which is
 * what the head says: < 0: chunked, or up to the close. */
void answer_head(struct exchange *exchange, int64_t body_len, struct str body,
                 struct buf *out);
/* Appends one piece of a chunked body. */
void answer_chunk(struct str bytes, struct buf *out);
/* Fills req.id: the client's X-Request-Id where it is harmless, else a new
 * one. */
void answer_request_id(struct exchange *exchange);

#endif
