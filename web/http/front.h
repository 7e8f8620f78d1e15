/* front.h - the HTTP front of a process: its limits, connections and handler.
 *
 * A front belongs to one loop. Listeners (listener.h) hand it accepted sockets;
 * each becomes a connection, each request on it an exchange (exchange.h) that
 * runs the handler in a coroutine of its own. One handler serves everything;
 * routing is its business (app/http/route.h). A bad message never gets that
 * far: the front refuses it itself, with a problem document, and closes.
 *
 * Loop thread only. */
#ifndef WEB_HTTP_FRONT_H
#define WEB_HTTP_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/loop.h"
#include "base/error.h"
#include "http/exchange.h"

struct access_log;
struct forwarded;
struct front;
struct tls;

/* The limits of one process. Zero means the default in brackets. */
struct front_options {
    size_t request_line_max;   /* bytes [8 KiB]; over it 414 */
    size_t head_max;           /* bytes with the request line [16 KiB]; 431 */
    uint32_t fields_max;       /* [64], at most PARSER_FIELDS_MAX; 431 */
    int64_t body_max;          /* bytes [1 MiB]; 413. An exchange may set its
                                  own */
    int64_t head_timeout_ms;   /* head complete [10,000]; 408 */
    int64_t body_timeout_ms;   /* body complete [30,000]; 408 */
    int64_t body_grace_ms;     /* before the rate counts [5,000] */
    int64_t body_rate;         /* bytes/s after the grace [1,024]; 408 */
    int64_t idle_timeout_ms;   /* between requests [15,000] */
    int64_t write_timeout_ms;  /* no progress [30,000]; closes */
    int64_t write_rate;        /* bytes/s that are progress [1,024] */
    int64_t drain_timeout_ms;  /* reading on after a refusal [2,000] */
    int64_t drain_idle_ms;     /* without a request, once it drains [1,000] */
    int64_t probe_ms;          /* after a FIN, before we look whether the
                                  client is gone [250]; < 0: never */
    int64_t sse_heartbeat_ms;  /* of a stream of events [15,000] */
    uint32_t requests_max;     /* of a connection [10,000] */
    uint32_t in_flight_max;    /* requests of the process [8,192]; 503 */
    uint32_t connections_max;  /* of the process [10,000]; accept pauses */
    size_t output_max;         /* unread bytes that pause a producer
                                  [256 KiB] */
    struct access_log *access; /* borrowed; NULL: no access log */
    const struct forwarded *forwarded; /* borrowed; NULL: no proxy is trusted */
};

struct front_stats {
    uint64_t connections; /* accepted so far */
    uint64_t requests;    /* answered so far */
    uint64_t refused;     /* of those, by the front itself */
    uint64_t hung_up;     /* exchanges that were cancelled: client gone */
    uint64_t timed_out;   /* connections cut at a deadline */
    uint32_t open;        /* connections now */
    uint32_t in_flight;   /* exchanges now */
};

/* Never NULL. @options is copied and may be NULL. @handler is called with @arg
 * for every request. */
struct front *front_new(struct loop *loop, const struct front_options *options,
                        http_handler *handler, void *arg);
/* Closes every connection. All exchanges must have ended: front_drain(), then
 * front_cancel(), then turns of the loop until front_stats() shows none in
 * flight. NULL is fine. */
void front_free(struct front *front);

/* Takes a connected, stream-type socket of any family; closes it in the end.
 * Sets it non-blocking and, where it applies, TCP_NODELAY and SO_KEEPALIVE.
 * Closes it at once when connections_max is reached. */
void front_adopt(struct front *front, int fd);
/* The same, for a client that speaks TLS. @tls must outlive the call only. */
void front_adopt_tls(struct front *front, int fd, struct tls *tls);

/* From now on every answer says `Connection: close`, and a connection without a
 * request is closed when it has been so for drain_idle_ms. One that is new, or
 * was busy a moment ago, is left alone that long: its client may be sending,
 * and has every reason to expect an answer. Listeners are the caller's to
 * stop; connections may still be adopted. Idempotent. */
void front_drain(struct front *front);
/* Cancels every exchange under way (ST_CANCELLED). */
void front_cancel(struct front *front);
/* A snapshot. */
struct front_stats front_stats(const struct front *front);
/* True when no further connection is taken. */
bool front_full(const struct front *front);

/* Calls fn once, when a full front has room again. In the owner's storage;
 * list_init() the link first, list_remove() it to give up. Adding it again
 * moves it to the end. */
struct front_waiter {
    struct list link;
    void (*fn)(struct front_waiter *waiter);
};
void front_wait_room(struct front *front, struct front_waiter *waiter);

#endif
