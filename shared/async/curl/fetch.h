/* fetch.h - an HTTP request to somebody else, as an operation: libcurl's multi
 * interface on the loop.
 *
 * Connections are kept and used again, so many to one host and in all at the
 * same time; what is above waits its turn. HTTP and HTTPS only. No redirect is
 * followed, no proxy is taken from the environment, no answer is decompressed,
 * and each is cut off at a size and a time. Certificates are verified.
 *
 * Belongs to the loop's thread (but for fetch_block()); names are resolved in
 * libcurl's threads. */
#ifndef ASYNC_FETCH_H
#define ASYNC_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "async/co/co.h"
#include "async/curl/address.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    FETCH_TIMEOUT_MS = 10 * 1000,
    FETCH_CONNECT_TIMEOUT_MS = 3 * 1000,
    FETCH_BODY_MAX = 1024 * 1024,  /* of an answer, bytes */
    FETCH_HEADERS_MAX = 64 * 1024, /* of an answer, bytes */
    FETCH_HOST_MAX = 64,           /* connections to one host */
    FETCH_CONNECTIONS_MAX = 256,   /* in all */
    FETCH_UNDER_WAY_MAX = 4096,    /* fetches, with those that wait */
};

/* Everything is borrowed until the fetch is settled. */
struct fetch_options {
    const char *url;            /* absolute, http or https, no user in it */
    const char *method;         /* NULL: GET, or POST with a body */
    const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
    const void *body;
    size_t body_len;
    int64_t timeout_ms; /* for all of it; 0: FETCH_TIMEOUT_MS */
    size_t body_max;    /* of the answer; 0: FETCH_BODY_MAX */
    /* Not NULL: somebody else chose the URL. Only public addresses and those of
     * the rules are connected to, by a connection of its own that nobody uses
     * again. */
    const struct address_rules *guard;
};

/* Zero-initialise. Answer and error belong to it until fetch_clear().
 *
 * Status: ST_OK for any complete answer, whatever its code; ST_INVALID the
 * request cannot be made as asked; ST_LIMIT too many under way; ST_UNAVAILABLE
 * no connection, so it did not happen; ST_UNCLEAR sent, but there was no
 * complete answer; ST_TIMEOUT; ST_TOO_LARGE; ST_FORBIDDEN the guard refused
 * every address, so it did not happen. The text is in err.msg. After anything
 * but ST_OK, code says what had come of the answer. */
struct fetch {
    struct op op;
    int code;          /* HTTP status, 0 until it is known */
    struct buf body;   /* followed by a NUL that is not counted */
    struct buf fields; /* header fields as they came, each ends in NUL */
    struct error err;
    void *private; /* fetch.c's, while it is under way */
};

/* Starts. @on_settled NULL: await it. */
void fetch_start(struct loop *loop, struct fetch *fetch,
                 const struct fetch_options *options,
                 void (*on_settled)(struct op *), void *arg);
/* Starts and awaits. */
CHECK enum status fetch_await(struct co *co, struct fetch *fetch,
                              const struct fetch_options *options);
/* The same without a loop: returns when it has ended. For threads; makes a
 * connection of its own. */
CHECK enum status fetch_block(struct fetch *fetch,
                              const struct fetch_options *options);
/* What the answer's Retry-After (RFC 9110 section 10.2.3) asks for, in ms from
 * @now_ms of the wall clock: a number of seconds or a date. -1: nothing that
 * can be read. */
int64_t fetch_retry_after_ms(const struct fetch *fetch, int64_t now_ms);
/* The first field of that name in any case, without spaces around it; p is NULL
 * when there is none, else a NUL follows. Lives until fetch_clear(). */
struct str fetch_field(const struct fetch *fetch, struct str name);
/* Gives up what is under way and frees the answer; it may be used again. */
void fetch_clear(struct fetch *fetch);

#endif
