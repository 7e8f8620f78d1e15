/* tls.h - TLS on a connection's socket, by OpenSSL, without blocking.
 *
 * A context holds certificate and key and is made once a process; a session
 * stands between one connection and its socket, and reads and writes like
 * recv() and send(). The handshake is part of the first read. TLS 1.2 and 1.3,
 * ALPN http/1.1, no renegotiation, no compression. Tickets let clients resume;
 * their key is given, so that all processes of a generation know it.
 *
 * Loop thread only. The program ignores SIGPIPE. */
#ifndef WEB_HTTP_TLS_H
#define WEB_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { TLS_TICKET_KEY_SIZE = 80 };

struct tls;
struct tls_session;

struct tls_options {
    const char *cert; /* PEM: the certificate, then the chain up to the root */
    const char *key;  /* PEM, without a password */
    const unsigned char *ticket_key; /* TLS_TICKET_KEY_SIZE random bytes; NULL:
                                        one of its own */
};

/* Errors: ST_INVALID, one line that names option and file: not readable, not
 * PEM, a key with a password, a key of another certificate. A certificate that
 * has expired is logged and taken. */
CHECK enum status tls_new(const struct tls_options *options, struct tls **ret,
                          struct error *err);
/* NULL is fine; sessions live on. */
void tls_free(struct tls *tls);

/* NULL without memory. @fd stays the caller's. */
struct tls_session *tls_accept(struct tls *tls, int fd);
/* NULL is fine. Sends nothing. */
void tls_session_free(struct tls_session *session);

/* As recv() and send() on a non-blocking socket: the number of bytes, 0 at the
 * end of what the peer sends, or -1 with errno. EAGAIN: later, when the socket
 * can be read and written, respectively, or the other way round when
 * tls_turned(). EPROTO: the peer does not speak TLS as we do. */
ssize_t tls_read(struct tls_session *session, void *dst, size_t n);
ssize_t tls_write(struct tls_session *session, const void *p, size_t n);
/* The last EAGAIN of a read waits for a writable socket, or that of a write for
 * a readable one. */
bool tls_turned(const struct tls_session *session);
/* The peer spoke plain HTTP. */
bool tls_was_plain(const struct tls_session *session);
/* Says that nothing more will be sent (close_notify). */
void tls_close(struct tls_session *session);

#endif
