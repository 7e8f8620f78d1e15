/* sockets.h - what pit-web listens on: the supervisor's sockets.
 *
 * Each TCP address has one listening socket a process (SO_REUSEPORT), made once
 * and kept while processes come and go, so that a connection that arrives
 * during a restart waits instead of being refused. A unix socket, and one that
 * systemd handed over, is a single one which all processes accept from.
 *
 * A set is a list of counted addresses: a reload makes a new set that takes
 * over the addresses which it has in common with the old one. Supervisor only;
 * no threads. */
#ifndef WEB_SOCKETS_H
#define WEB_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    SOCKETS_ADDRESSES_MAX = 16,
    SOCKETS_NAME_SIZE = 160,
};

struct sockets_address {
    unsigned refs;
    char text[SOCKETS_NAME_SIZE]; /* as it was asked for */
    char name[SOCKETS_NAME_SIZE]; /* where it is: the port that was found */
    bool tls;
    bool handed; /* by systemd: never closed before the end */
    bool shared; /* one descriptor for all processes */
    bool local;  /* a unix socket with a path of ours */
    int *fds;    /* owned; one a process, or a single one */
    unsigned len;
};

struct sockets {
    struct sockets_address *addresses[SOCKETS_ADDRESSES_MAX];
    size_t len;
};

/* Opens what @list names, for @processes: addresses between commas as
 * listener_open() takes them, "http://" or "https://" (TLS) before them,
 * "systemd" for every socket handed over (sd_listen_fds(3)). NULL: the sockets
 * handed over if there are any, else 127.0.0.1:8000. Addresses that stand in
 * @before (may be NULL) are taken from there, both sets hold them then.
 * Errors, one line: ST_INVALID for the list, as listener_open() else; nothing
 * stays open. */
CHECK enum status sockets_open(const char *list, unsigned processes,
                               const struct sockets *before,
                               struct sockets *ret, struct error *err);
/* Gives up the set's addresses; those that no set holds are closed. */
void sockets_close(struct sockets *sockets);

/* The descriptor of address @i for a process. */
int sockets_fd(const struct sockets *sockets, size_t i, unsigned process);
/* In the child of a fork: closes all that is not @process's own. */
void sockets_keep(struct sockets *sockets, unsigned process);
/* "http://127.0.0.1:8000, unix:/run/pit.sock", cut to @size. */
void sockets_names(const struct sockets *sockets, char *dst, size_t size);

/* Makes sockets for one more process. Errors: as listener_open(); then nothing
 * has changed. */
CHECK enum status sockets_grow(struct sockets *sockets, struct error *err);
/* Lets no new connection begin on the last process' sockets: the others get
 * them. Call it before that process is told to stop, sockets_shrink() after. */
void sockets_steer_off_last(struct sockets *sockets);
/* Closes the last process' sockets, here. */
void sockets_shrink(struct sockets *sockets);

/* Lets no new connection begin on the addresses that @kept (may be NULL) does
 * not hold; handshakes that have begun complete. What is in the queues is left
 * to the processes: close a moment later. */
void sockets_refuse(const struct sockets *sockets, const struct sockets *kept);

/* Takes over what systemd handed to this process (LISTEN_PID, LISTEN_FDS), if
 * anything. Once, at start. Errors: ST_INVALID for a descriptor that is no
 * listening stream socket. */
CHECK enum status sockets_take_handed(struct error *err);

#endif
