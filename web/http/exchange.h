/* exchange.h - one request and its answer, as a handler sees them.
 *
 * The front makes an exchange when a head is complete and runs the handler in a
 * coroutine. The handler reads the request, reads the body if it wants it
 * (nothing has asked the client for it before), and either fills the response
 * and returns ST_OK, or streams with exchange_write(). Any other status that it
 * returns becomes a problem document, with the words that it left in
 * exchange->err.
 *
 * A client that vanished cancels the coroutine: every await returns
 * ST_CANCELLED, and what the handler returns is dropped. A client that only
 * closed its sending half still gets its answer.
 *
 * Owned by its connection and valid until the handler has returned. Loop thread
 * only; a function that takes a struct co may suspend. */
#ifndef WEB_HTTP_EXCHANGE_H
#define WEB_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/http/request.h"
#include "app/http/response.h"
#include "async/co/co.h"
#include "base/error.h"
#include "base/str.h"

struct http_exchange {
    struct pit_request req;
    struct pit_response res;
    struct error err; /* the handler's, for the problem document */
};

/* Returns ST_OK when exchange->res is the answer (a status that was never set
 * is 204), or when it streamed and the stream is complete. */
typedef enum status http_handler(struct co *co, struct http_exchange *exchange,
                                 void *arg);

/* The body limit of this exchange in place of the front's. Before reading. */
void exchange_body_max(struct http_exchange *exchange, int64_t max);
/* Content-Length, 0 without a body, -1 when only the end will tell (chunked).
 */
int64_t exchange_body_len(const struct http_exchange *exchange);

/* The next bytes of the body, 1..64 KiB, lent until the next call; the empty
 * slice at its end. The first call sends 100 Continue where the client waits
 * for it (RFC 9110 section 10.1.1).
 * Errors: ST_TOO_LARGE (413; before anything is read when Content-Length says
 * so), ST_INVALID (400: broken chunks, or cut off), ST_TIMEOUT (408: too slow),
 * or the cancellation. After one of them the front answers with the code in
 * brackets if the handler returns that status, and closes. */
CHECK enum status exchange_read(struct co *co, struct http_exchange *exchange,
                                struct str *ret);
/* The whole body into req->body. A second call does nothing. */
CHECK enum status exchange_read_all(struct co *co,
                                    struct http_exchange *exchange);

/* Sends the head as res has it (status 0: 200) and seals it; the body follows
 * by exchange_write(), chunked, or up to the close for HTTP/1.0. Does nothing
 * the second time. For HEAD the body is dropped. */
CHECK enum status exchange_start(struct co *co, struct http_exchange *exchange);
/* Appends to the body; starts it if need be. The bytes are copied; they leave
 * in this turn of the loop. Suspends while more than the front's output_max is
 * unread by the client. Returns ST_OK or the cancellation (a client that does
 * not read for write_timeout_ms is a vanished one). */
CHECK enum status exchange_write(struct co *co, struct http_exchange *exchange,
                                 struct str bytes);
/* True once the client has gone for good; never suspends. */
bool exchange_gone(const struct http_exchange *exchange);

#endif
