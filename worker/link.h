/* link.h - what supervisor and dispatcher tell each other.
 *
 * A pair of local sockets that keep messages whole (SOCK_SEQPACKET), made anew
 * for each dispatcher, so that none hears what was meant for one before it. The
 * messages are few and small; sending never blocks. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum link_kind {
    /* supervisor to dispatcher */
    LINK_DIED = 1, /* this slot's child, with its wait status */
    LINK_STOP,     /* drain and end */
    LINK_STOP_NOW, /* hand back and end */
    /* dispatcher to supervisor */
    LINK_START, /* this slot's ring is prepared: start its child */
    LINK_KILL,  /* SIGKILL to this slot's child */
    LINK_DRAIN, /* an order came to drain: as for SIGTERM */
};

struct link_message {
    uint32_t kind;
    uint32_t slot;
    int32_t wait_status;
};

CHECK enum status link_pair(int ret_fds[2], struct error *err);
/* False when the other side is gone or does not read. */
bool link_send(int fd, enum link_kind kind, uint32_t slot, int wait_status);
/* False when there is nothing to read; *ret_closed then says whether there will
 * ever be. */
bool link_receive(int fd, struct link_message *ret, bool *ret_closed);

#endif
