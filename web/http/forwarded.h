/* forwarded.h - who a request really comes from, when a proxy sent it.
 *
 * A proxy says in a header whom it speaks for. Anybody can write such a header,
 * so it counts only on connections from networks that the operator trusts, and
 * only as far as the chain of trusted proxies goes: from the right, the first
 * address that is not one of them is the client. One kind of header is looked
 * at, the one that the proxies are known to set: a proxy that sets one passes
 * the other on as the client wrote it.
 *
 * A table is made once and only read afterwards. */
#ifndef WEB_HTTP_FORWARDED_H
#define WEB_HTTP_FORWARDED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "app/http/request.h"
#include "base/error.h"

enum { FORWARDED_NETWORKS_MAX = 64 };

enum forwarded_kind {
    FORWARDED_X,       /* X-Forwarded-For, -Proto, -Host */
    FORWARDED_RFC7239, /* Forwarded */
};

struct forwarded {
    enum forwarded_kind kind;
    struct forwarded_network {
        struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d */
        unsigned bits;           /* 0..128 */
    } networks[FORWARDED_NETWORKS_MAX];
    size_t len;
    bool local; /* unix sockets */
};

/* @networks: "10.0.0.0/8,::1,unix" (unix: whoever may open the socket); NULL:
 * nobody. @kind: "x-forwarded" or "forwarded". Errors: ST_INVALID, one line
 * that names the option. */
CHECK enum status forwarded_parse(const char *networks, const char *kind,
                                  struct forwarded *ret, struct error *err);
/* True when a connection from there is one of a trusted proxy. */
bool forwarded_trusts(const struct forwarded *table,
                      const struct sockaddr_storage *peer);

/* Sets peer, scheme and host of a request that a trusted proxy sent. What it
 * does not tell stays. Errors: ST_INVALID for a host that is none; ST_TOO_LARGE
 * when the arena is full. */
CHECK enum status forwarded_apply(const struct forwarded *table,
                                  struct pit_request *req, struct error *err);

#endif
