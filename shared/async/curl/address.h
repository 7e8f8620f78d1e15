/* address.h - may a request that somebody else chose the target of go there?
 *
 * A URL that comes from outside must not reach what only this machine or its
 * network can: so an address is checked after a name was resolved and before a
 * connection is made, and refused unless it is a public unicast address or
 * stands in the list of networks that are allowed. Ranges: IANA's registries of
 * special-purpose addresses (RFC 6890 and what was added to them). Pure
 * functions. */
#ifndef ASYNC_ADDRESS_H
#define ASYNC_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/str.h"

enum { ADDRESS_NETWORKS_MAX = 64, ADDRESS_TEXT_SIZE = 64 };

/* IPv4 as IPv4-mapped IPv6, so that one comparison serves both. */
struct address_network {
    unsigned char bytes[16];
    unsigned bits;
};

/* Who may be reached besides the public. Zeroed: nobody. */
struct address_rules {
    struct address_network networks[ADDRESS_NETWORKS_MAX];
    size_t networks_len;
};

/* Reads "10.1.0.0/16,::1,192.168.7.4"; empty is the empty list. Errors:
 * ST_INVALID, names the word that is no network. */
CHECK enum status address_rules_parse(struct str text,
                                      struct address_rules *ret,
                                      struct error *err);
/* False for every family but IPv4 and IPv6. IPv4 within IPv6 (mapped, NAT64)
 * counts as the IPv4 address that it stands for. */
bool address_allowed(const struct sockaddr *address, socklen_t len,
                     const struct address_rules *rules);
/* For messages: "127.0.0.1", "::1", or "?". */
void address_text(const struct sockaddr *address, socklen_t len,
                  char dst[ADDRESS_TEXT_SIZE]);

#endif
