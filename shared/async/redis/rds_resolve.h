/* rds_resolve.h - a host name's addresses, without blocking the loop.
 *
 * getaddrinfo() may take many seconds when a name server is away, which is just
 * when Redis tends to be away too; so a name is looked up on a thread of its
 * own, and the loop asks whether it is done. An address in figures needs no
 * thread. Nothing of it touches the loop: a look-up that is given up ends by
 * itself. */
#ifndef ASYNC_RDS_RESOLVE_H
#define ASYNC_RDS_RESOLVE_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Look-ups of the process that have not ended, given up ones included. */
enum { RDS_RESOLVE_MAX = 8 };

struct rds_resolve;

/* Starts. @host is copied. Errors: ST_UNAVAILABLE when RDS_RESOLVE_MAX are
 * under way or no thread can be had. */
CHECK enum status rds_resolve_start(const char *host, uint16_t port,
                                    struct rds_resolve **ret,
                                    struct error *err);
/* False: not done yet. True: *ret_status is ST_OK and *ret a list that the
 * caller frees with freeaddrinfo(), or ST_UNAVAILABLE and err says why. Call
 * it once more after true never. */
CHECK bool rds_resolve_done(struct rds_resolve *resolve,
                            enum status *ret_status, struct addrinfo **ret,
                            struct error *err);
/* Gives it up, or ends it after rds_resolve_done(). NULL is fine. */
void rds_resolve_free(struct rds_resolve *resolve);

#endif
