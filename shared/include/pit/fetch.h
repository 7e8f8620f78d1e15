/* pit/fetch.h - an HTTP request to another server, awaited.
 *
 *     struct pit_fetch quote PIT_FETCH = {.url = "https://example.org/quote"};
 *     enum pit_status st = pit_fetch(co, &quote);
 *     if (st != PIT_OK)
 *         return st;
 *     return pit_reply_text(res, 200, "%s", quote.content);
 *
 * Connections are kept and used again. http and https only; certificates are
 * verified; no redirect is followed and no proxy taken from the environment. */
#ifndef PIT_FETCH_H
#define PIT_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "pit/co.h"
#include "pit/status.h"

/* Zero what is not set. The first part is the request and borrowed for the
 * call, the second is the answer and lives until pit_fetch_clear(). */
struct pit_fetch {
    const char *url;
    const char *method;         /* NULL: GET, or POST with a body */
    const char *const *headers; /* "Name: value", ends with NULL; NULL: none */
    const void *body;
    size_t body_len;
    int64_t timeout_ms; /* for all of it, 0: 10 s */
    size_t content_max; /* bytes of the answer's body, 0: 1 MiB */
    int public_only;    /* not 0: the URL comes from a user; an address that is
                           not public is refused with PIT_FORBIDDEN */

    int code;            /* HTTP status of the answer, 0: there was none */
    const char *content; /* never NULL; a NUL follows */
    size_t content_len;
    const char *error; /* what went wrong, for people; "" */
    void *private_;
};

/* Suspends. PIT_OK for any complete answer, whatever its code. PIT_INVALID: the
 * request cannot be made as asked; PIT_UNAVAILABLE: no connection;
 * PIT_UNCLEAR: sent, but no complete answer came; PIT_TIMEOUT; PIT_TOO_LARGE;
 * PIT_LIMIT: too many are under way; PIT_FORBIDDEN; PIT_CANCELLED. A further
 * call with the same struct drops the former answer. */
enum pit_status pit_fetch(struct pit_co *co, struct pit_fetch *fetch);
/* The same, but blocks instead of suspending: for sync views, for what runs on
 * threads, and for C tasks. Never in an async view or task. The connection is
 * not used again, and no X-Request-Id or traceparent is added. Errors: as
 * above but for PIT_CANCELLED. */
enum pit_status pit_fetch_blocking(struct pit_fetch *fetch);
/* The answer's first header field of that name in any case, or NULL. */
const char *pit_fetch_header(const struct pit_fetch *fetch, const char *name);
/* Frees the answer. Harmless on a zeroed one, and twice. */
void pit_fetch_clear(struct pit_fetch *fetch);
/* Clears it at the end of the block. */
#define PIT_FETCH __attribute__((cleanup(pit_fetch_clear)))

#endif
