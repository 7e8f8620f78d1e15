/* rds_blocker.h - a Redis connection for one blocking command at a time, which
 * can be woken.
 *
 * BLPOP and XREAD BLOCK keep a connection to themselves. When what is waited
 * for changes, the command must end early: CLIENT UNBLOCK, sent over another
 * connection, which is repeated until it has met the command. Connects by
 * itself, and again. Belongs to its loop's thread. */
#ifndef ASYNC_RDS_BLOCKER_H
#define ASYNC_RDS_BLOCKER_H

#include "async/redis/rds.h"

struct rds_blocker {
    struct loop *loop;
    struct rds *rds;
    struct rds *other; /* borrowed: for waking */
    int64_t id;        /* CLIENT ID; 0: not known, nothing can be sent */
    struct rds_call call;
    struct rds_call name;
    struct rds_call unblock;
    bool busy;
    bool interrupted; /* this command is to end early */
    bool asking;      /* CLIENT UNBLOCK is under way */
    struct loop_timer again;
    void (*on_ready)(struct rds_blocker *blocker);
    void (*on_settled)(struct op *op);
    void *arg; /* the owner's */
};

/* Starts connecting. @on_ready is called each time that the connection is there
 * anew (a command may have been lost before). Errors: ST_INVALID a bad URL. */
CHECK enum status rds_blocker_init(struct rds_blocker *blocker,
                                   struct loop *loop, const char *url,
                                   const char *name, struct rds *other,
                                   void (*on_ready)(struct rds_blocker *),
                                   void *arg, struct error *err);
/* Gives up what is under way. Harmless on a zeroed one. */
void rds_blocker_clear(struct rds_blocker *blocker);
/* A command can be sent. */
static inline bool
rds_blocker_ready(const struct rds_blocker *blocker)
{
    return blocker->id > 0 && !blocker->busy;
}
/* Sends a command that blocks for at most @block_ms. @on_settled gets the
 * blocker as op->arg, with blocker->call settled: its reply lives until
 * on_settled returns. Must be ready. */
void rds_blocker_send(struct rds_blocker *blocker, int argc,
                      const char *const *argv, const size_t *len,
                      int64_t block_ms, void (*on_settled)(struct op *op));
/* Ends the command under way as if its time were over. Does nothing without
 * one. */
void rds_blocker_interrupt(struct rds_blocker *blocker);

#endif
