/* exchange_sse.h - server-sent events on top of a streaming answer.
 *
 * The handler starts the stream once and then sends events, as the HTML
 * standard's section 9.2 writes them. While it waits for something to send,
 * the front sends a comment every sse_heartbeat_ms by itself, so that proxies
 * keep the connection and a client that is gone is noticed; the handler needs
 * no timer for that. A client that reads too slowly suspends the sender, as in
 * exchange_write().
 *
 * Loop thread only; belongs to its exchange. */
#ifndef WEB_HTTP_EXCHANGE_SSE_H
#define WEB_HTTP_EXCHANGE_SSE_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "http/exchange.h"

enum { EXCHANGE_SSE_NAME_MAX = 256 }; /* bytes of an id, or of a name */

struct exchange_sse_event {
    struct str id;    /* p NULL: none. Empty: forget the last one */
    struct str event; /* empty: "message" */
    struct str data;  /* any lines; empty and no id, no retry: not sent */
    int64_t retry_ms; /* how long clients wait to reconnect; 0: not said */
};

/* Sends the head: 200, text/event-stream, never cached or gathered by a proxy.
 * Errors: as exchange_start(), ST_INVALID when the answer had been started. */
CHECK enum status exchange_sse_start(struct co *co,
                                     struct http_exchange *exchange);
/* Sends one event, starting the stream if need be. May suspend. Errors:
 * ST_INVALID for an id or a name of more than EXCHANGE_SSE_NAME_MAX bytes or
 * with a line break or a NUL in it, for a negative retry; else as
 * exchange_write(). Nothing of a refused event was sent. */
CHECK enum status exchange_sse_send(struct co *co,
                                    struct http_exchange *exchange,
                                    const struct exchange_sse_event *event);
/* Sends @text as a comment, which clients skip. */
CHECK enum status exchange_sse_comment(struct co *co,
                                       struct http_exchange *exchange,
                                       struct str text);
/* The id that a client which comes back saw last; p NULL for a new one. Lent
 * for the request's life. */
struct str exchange_sse_last_id(const struct http_exchange *exchange);

#endif
