/* generation.h - what one reading of the settings led to.
 *
 * Counted: each instance of a process holds the generation that it serves with,
 * and the server holds the present one. When the last reference goes, sockets
 * that no other generation shares are closed. Supervisor only. */
#ifndef WEB_GENERATION_H
#define WEB_GENERATION_H

#include "base/error.h"
#include "http/tls.h"
#include "settings.h"
#include "sockets.h"

struct generation {
    unsigned refs; /* instances, and the server */
    struct settings settings;
    struct sockets sockets;
    int access_fd; /* -1: none */
    unsigned char ticket_key[TLS_TICKET_KEY_SIZE];
};

/* Reads the settings and opens the access log, with one reference; there are no
 * sockets yet: those come when the settings are known to be good. Errors: as
 * settings_load(); ST_INVALID for a log that cannot be written. */
CHECK enum status generation_new(const struct settings_source *source,
                                 struct generation **ret, struct error *err);
/* Gives up a reference; NULL is fine. */
void generation_unref(struct generation *generation);

#endif
