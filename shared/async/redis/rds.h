/* rds.h - a Redis connection of a loop: hiredis behind operations.
 *
 * It connects by itself, and again for ever after a loss (50 ms, doubled to
 * 2 s, with jitter). Commands of one loop turn leave in one write. Each command
 * has a deadline of its own; one that passes closes the connection, since
 * nothing behind it could be trusted either. While there is no connection a
 * command settles at once with ST_UNAVAILABLE: waiting is the caller's choice.
 *
 * Built for hiredis 0.14 and 1.x, RESP2. Belongs to its loop's thread. */
#ifndef ASYNC_RDS_H
#define ASYNC_RDS_H

#include <hiredis/hiredis.h>

#include "async/co/co.h"
#include "async/loop.h"
#include "base/error.h"
#include "base/str.h"

struct rds;

struct rds_options {
    const char *url;            /* see rds_url.h; borrowed for the call */
    const char *client_name;    /* CLIENT SETNAME; [A-Za-z0-9_.:-] */
    int64_t connect_timeout_ms; /* 0: 1,000 */
    int64_t command_timeout_ms; /* 0: 2,000; the default of each command */
    /* Called from the ready pass when the connection comes (after AUTH, SELECT
     * and SETNAME) or goes, and when the first attempt fails. May be NULL. */
    void (*on_state)(struct rds *rds, bool up, void *arg);
    void *arg;
};

/* Starts connecting. Errors: ST_INVALID for a bad URL, in words. */
CHECK enum status rds_new(struct loop *loop, const struct rds_options *options,
                          struct rds **ret, struct error *err);
/* Settles everything under way with ST_CANCELLED and closes. NULL is fine. */
void rds_free(struct rds *rds);
bool rds_up(const struct rds *rds);
/* Since when it is up, by clock_mono_ms(); INT64_MAX while it is not. */
int64_t rds_up_since_ms(const struct rds *rds);
/* Why it is not up; "" when it is. Lent until the next turn. */
const char *rds_last_error(const struct rds *rds);
/* Suspends until it is up: ST_OK, or ST_TIMEOUT, or the cancellation. */
CHECK enum status rds_wait_up(struct co *co, struct rds *rds,
                              int64_t timeout_ms);

/* A script: text and its SHA-1 in hex, made by the build (queue/script.h). */
struct rds_script {
    const char *name;
    const char *text;
    char sha1[41];
};

/* One command under way; zero-initialise it. The reply belongs to the operation
 * until rds_call_clear(); it is NULL unless status is ST_OK.
 *
 * Status: ST_OK with any reply that is not an error; ST_UNAVAILABLE not sent,
 * so it did not happen; ST_LIMIT the same, since 65,536 commands or 64 MiB are
 * under way; ST_UNCLEAR sent, but the connection was lost or the deadline
 * passed: it may have happened; ST_READ_ONLY for the replies OOM, MISCONF,
 * READONLY and NOREPLICAS (nothing was written); ST_UNAVAILABLE for LOADING,
 * BUSY, MASTERDOWN, CLUSTERDOWN and TRYAGAIN; ST_INVALID for WRONGTYPE, ST_BUG
 * for every other error reply. The text is in err.msg. */
struct rds_call {
    struct op op;
    struct rds *rds;
    redisReply *reply;
    struct error err;
    int64_t timeout_ms; /* 0: the connection's; set before sending */
    void *private;      /* rds.c's own record of it */
};

/* Sends; the bytes are copied before the return. @on_settled NULL: await it.
 * A call may be used again after rds_call_clear(). */
void rds_send(struct rds *rds, struct rds_call *call, int argc,
              const char *const *argv, const size_t *argv_len,
              void (*on_settled)(struct op *), void *arg);
/* EVALSHA with the first @nkeys of the @argc words as KEYS; when the server
 * answers NOSCRIPT, EVAL once, behind what was sent meanwhile. */
void rds_send_script(struct rds *rds, struct rds_call *call,
                     const struct rds_script *script, int nkeys, int argc,
                     const char *const *argv, const size_t *argv_len,
                     void (*on_settled)(struct op *), void *arg);
/* Frees the reply; gives up a command that is still under way (its reply is
 * dropped when it comes, its deadline still counts). on_settled is not called
 * any more. */
void rds_call_clear(struct rds_call *call);

/* Sends words and awaits: ST_OK and call->reply, or as struct rds_call says.
 * @format as in printf("%s %b"): hiredis' redisFormatCommand. */
CHECK enum status rds_await(struct co *co, struct rds *rds,
                            struct rds_call *call, const char *format, ...);

/* A connection for blocking commands and subscriptions is a struct rds of its
 * own. Subscribes to @channel; @on_message is called from the ready pass for
 * each message, and the subscription is renewed after each reconnect (messages
 * in between are lost: ask again on on_state). */
void rds_subscribe(struct rds *rds, const char *channel,
                   void (*on_message)(struct rds *rds, struct str payload,
                                      void *arg),
                   void *arg);

#endif
