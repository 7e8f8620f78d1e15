/* listener.h - a listening socket that feeds a front.
 *
 * Accepts until the socket has no more, at most LISTENER_BATCH a turn so that
 * the connections there are get their turn. Pauses while the front is full.
 * Out of descriptors (EMFILE, ENFILE) it gives up a descriptor kept in reserve
 * to accept and close one connection, so that clients see an end instead of
 * hanging, and pauses for a moment: it never spins. Loop thread only. */
#ifndef WEB_HTTP_LISTENER_H
#define WEB_HTTP_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "http/front.h"

enum { LISTENER_BATCH = 64, LISTENER_BACKLOG = 1024 };

struct listener;

/* Opens a socket for @address: "127.0.0.1:8000", "[::1]:8000", ":8000" (every
 * address, IPv6 and IPv4), "unix:/path" (mode 0660, an old socket nobody
 * listens on is replaced). TCP gets SO_REUSEADDR and, with @shared,
 * SO_REUSEPORT: several processes share the port. Port 0: any free one.
 * Non-blocking, close-on-exec, listening. Errors: ST_INVALID for the address,
 * ST_UNAVAILABLE when it cannot be bound (taken, not ours), both in words. */
CHECK enum status listener_open(const char *address, bool shared, int *ret_fd,
                                struct error *err);
/* The address a socket really has, "127.0.0.1:40213" or "unix:/path". */
void listener_name(int fd, char *dst, size_t size);

/* Starts accepting for @front from @fd, which is taken. */
struct listener *listener_new(struct loop *loop, struct front *front, int fd);
/* Whoever connects from now on speaks TLS. @tls is borrowed. */
void listener_use_tls(struct listener *listener, struct tls *tls);
/* Accepts all that waits, before the socket is closed: whoever is still in its
 * queue then is reset. False when the front has no room for it, or there is no
 * descriptor: try again. Where others accept from the same socket, a round. */
bool listener_drain(struct listener *listener);
/* Stops accepting and closes the socket. Connections live on. NULL is fine. */
void listener_free(struct listener *listener);

#endif
