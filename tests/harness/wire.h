/* wire.h - a front of the web process, and a client at the other end of one
 * connection.
 *
 * Both are in this thread: a wait turns the loop and reads what came, until
 * what it waits for is there, and fails the cmocka test after WIRE_WAIT_MS.
 *
 * What is served, by path:
 *
 *     /hello          "hello"
 *     /echo           the body; /small the same, of 4 bytes at most
 *     /late-echo?ms   the body, which is read after that time
 *     /pieces         how many bytes the body has, read piece by piece
 *     /sleep?ms       "slept"; .result is what the await came back with
 *     /stream?n       n bytes of "s" in pieces of 10,000, counted in .streamed;
 *                     with &fail the handler fails at their end
 *     /stream-slowly  "begun", 50 ms, "ended"
 *     /big            1 MiB of "b", lent
 *     /nothing        204: the handler makes no answer
 *     /fail           ST_UNAVAILABLE, "Redis is away"
 *     /field          the header X-A, the request's id and the peer
 *     other           404, "nothing at PATH" */
#ifndef HARNESS_WIRE_H
#define HARNESS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/loop.h"
#include "base/buf.h"
#include "base/str.h"
#include "http/front.h"

enum { WIRE_WAIT_MS = 5000 };

/* The line that each request of HTTP/1.1 needs. */
#define HOST "Host: a\r\n"

struct wire {
    struct loop *loop;
    struct front *front;
    int client;         /* who closes it sets it to -1 */
    struct buf got;     /* everything that the client has read */
    size_t streamed;    /* bytes that the handler has written */
    enum status result; /* of the handler's last await */
    int started, ended; /* handlers */
    bool eof;
    bool reset; /* eof, but not an orderly one */
};

/* A loop, a front with @options (NULL: none), and a connection to it over a
 * socket pair. */
void wire_start(struct wire *w, const struct front_options *options);
/* The same over TCP on the loopback. */
void wire_start_tcp(struct wire *w, const struct front_options *options);
/* Cancels what is under way and frees all; fails the test when a handler does
 * not end. */
void wire_stop(struct wire *w);

/* Sends all of it; turns the loop while the socket is full. */
void wire_send(struct wire *w, struct str s);
void wire_send_c(struct wire *w, const char *text);

/* How often @what stands in all that was read. */
size_t wire_count(const struct wire *w, const char *what);
/* Waits until @what stands there, and fails the test if it does more often. */
void wire_expect(struct wire *w, const char *what);
void wire_expect_times(struct wire *w, const char *what, size_t times);
/* Drops what was read. */
void wire_forget(struct wire *w);
/* Waits until the server has closed, in order or not. */
void wire_expect_eof(struct wire *w);
/* Waits until so many handlers have ended. */
void wire_expect_ended(struct wire *w, int handlers);
/* Waits until the front has no connection. */
void wire_expect_no_connection(struct wire *w);
/* Lets things happen that should not. */
void wire_let_pass(struct wire *w, int64_t ms);

#endif
