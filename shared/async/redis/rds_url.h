/* rds_url.h - the address of a Redis, as a URL.
 *
 *   redis://[[user]:password@]host[:port][/db]
 *   unix://[[user]:password@]/path/to/socket[?db=N]
 *
 * After the schemes that IANA has on record ("redis") and redis-py's "unix".
 * User and password are percent-decoded (RFC 3986 section 2.1), so that any
 * byte but NUL may stand in them. No allocation, no look-up. */
#ifndef ASYNC_RDS_URL_H
#define ASYNC_RDS_URL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/str.h"

enum {
    RDS_URL_PORT = 6379,
    RDS_URL_DB_MAX = 65535,
    RDS_URL_SECRET_MAX = 512, /* bytes of a user name, or of a password */
};

struct rds_url {
    bool is_unix;
    char host[254]; /* a name, or an address without brackets; "" for unix */
    uint16_t port;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    char user[RDS_URL_SECRET_MAX + 1];     /* "": the default user */
    char password[RDS_URL_SECRET_MAX + 1]; /* "": no AUTH */
    int db;                                /* 0 .. RDS_URL_DB_MAX */
};

/* Errors: ST_INVALID; the message names the part and never holds the
 * password. */
CHECK enum status rds_url_parse(struct str text, struct rds_url *ret,
                                struct error *err);

#endif
