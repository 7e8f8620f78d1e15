/* rds_adapter.h - one connected socket between libevent and hiredis' reader.
 *
 * Of hiredis it takes the reply reader and not the async context. The context
 * asserts on what a server sends (a reply nobody asked for ends the process),
 * frees itself inside calls, copies each command twice, resolves names on the
 * loop's thread and cannot say which commands left before a connection was
 * lost; around the reader all of that is a few lines.
 *
 * One persistent read event; what is put into `output` during a turn leaves in
 * one sendmsg() before the loop sleeps; a write event only while the socket is
 * full or connecting: so a command costs no epoll_ctl(2).
 *
 * In the owner's storage, one thread. Callbacks come from libevent callbacks
 * and before-sleep hooks: they may settle operations and must not call
 * anybody's own code. */
#ifndef ASYNC_RDS_ADAPTER_H
#define ASYNC_RDS_ADAPTER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "async/loop.h"
#include "async/redis/rds_output.h"
#include "base/error.h"

struct event;
struct rds_adapter;

struct rds_adapter_events {
    void (*on_connected)(struct rds_adapter *adapter);
    /* Owns @reply from now on: rds_reply_free(). May close the adapter. */
    void (*on_reply)(struct rds_adapter *adapter, redisReply *reply);
    /* It was lost, or could not be connected; the adapter is still open, for
     * the owner to look at `output` and to close it. */
    void (*on_lost)(struct rds_adapter *adapter, const struct error *why);
};

struct rds_adapter {
    struct loop *loop;
    const struct rds_adapter_events *events;
    int fd; /* -1: closed */
    bool connecting;
    bool full;   /* waits for the write event */
    bool broken; /* a write failed; what is left to read ends it */
    struct event *read_event;
    struct event *write_event;
    redisReader *reader;
    struct rds_output output;
    struct loop_hook hook;
};

/* Closed, without a file descriptor. @events is kept. */
void rds_adapter_init(struct rds_adapter *adapter, struct loop *loop,
                      const struct rds_adapter_events *events);
/* Starts connecting to @address (IPv4, IPv6 or unix); on_connected or on_lost
 * follows, not before the next turn. TCP: no delay, keepalive after 15 s, lost
 * after 25 s without an acknowledgement.
 * Errors: ST_UNAVAILABLE, and it stays closed. */
CHECK enum status rds_adapter_open(struct rds_adapter *adapter,
                                   const struct sockaddr *address,
                                   socklen_t len, struct error *err);
/* Without a callback. What output held is dropped; references into it must
 * have been given back. Harmless when closed. */
void rds_adapter_close(struct rds_adapter *adapter);
/* Takes in whatever the socket holds now, as if it had become readable. */
void rds_adapter_catch_up(struct rds_adapter *adapter);

#endif
