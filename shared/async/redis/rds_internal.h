/* rds_internal.h - what the parts of a Redis connection share.
 *
 *   rds.c            its life: address, connecting, greeting, loss, waiting
 *   rds_call.c       commands: sending, deadlines, replies, what errors mean
 *   rds_subscribe.c  channels
 *
 * For these files only. */
#ifndef ASYNC_RDS_INTERNAL_H
#define ASYNC_RDS_INTERNAL_H

#include <netdb.h>

#include "async/redis/rds.h"
#include "async/redis/rds_adapter.h"
#include "async/redis/rds_resolve.h"
#include "async/redis/rds_url.h"
#include "base/list.h"

enum rds_state {
    RDS_RESOLVING,
    RDS_CONNECTING,
    RDS_GREETING, /* AUTH, SELECT, SETNAME, PING, SUBSCRIBE are under way */
    RDS_UP,
    RDS_WAITING, /* for the next attempt */
};

enum rds_pending_kind {
    RDS_PENDING_CALL,
    RDS_PENDING_AUTH,
    RDS_PENDING_SELECT,
    RDS_PENDING_NAME,
    RDS_PENDING_PING,
    RDS_PENDING_SUBSCRIBE,
};

/* One command that Redis has not answered. */
struct rds_pending {
    struct list link; /* rds.pending, in the order of sending */
    struct list due;  /* rds.due, or alone */
    int64_t deadline_ms;
    uint64_t end; /* output.filled behind its last byte */
    enum rds_pending_kind kind;
    struct rds_call *call; /* NULL: given up, or none of a caller's */
    /* Only of an EVALSHA: where its words behind the SHA-1 stand. */
    const struct rds_script *script;
    struct rds_chunk *chunk;
    size_t words_at;
    size_t words_len;
    int words;
};

struct rds {
    struct loop *loop;
    struct rds_url url;
    char client_name[65];
    int64_t connect_timeout_ms;
    int64_t command_timeout_ms;
    void (*on_state)(struct rds *rds, bool up, void *arg);
    void *arg;

    enum rds_state state;
    bool reported, reported_up; /* on_state was told; what */
    bool *freed; /* set by rds_free(), for who called the owner's code */
    struct loop_task state_task;
    struct list waiters; /* of rds_wait_up() */
    char last_error[ERROR_MSG_SIZE];

    struct rds_adapter adapter;
    struct rds_resolve *resolve;
    struct addrinfo *addresses;
    struct addrinfo *address; /* the next one to try */
    uint32_t attempts;        /* since the start */
    uint32_t retries;         /* since it was last up for a while */
    int64_t up_since_ms;
    struct loop_timer attempt_timer; /* bounds resolving to greeting */
    struct loop_timer next_timer;    /* the next attempt, or look-up poll */

    struct list pending;
    struct list due; /* rising deadlines; see rds_call.c */
    uint32_t pending_n;
    struct list unused; /* struct rds_pending for the next commands */
    uint32_t unused_n;
    struct loop_timer deadline_timer;
    int64_t deadline_ms; /* what that timer waits for; 0: not running */

    struct list subscriptions;
    struct list messages; /* to be handed out in the ready pass */
    struct loop_task message_task;
};

/* rds.c: gives the connection up and starts waiting for the next attempt. */
void rds_lose(struct rds *rds, const struct error *why);

/* rds_call.c: sends a command of our own. False when there is no room for it:
 * the caller gives the connection up. @deadline: watch it. */
CHECK bool rds_call_own(struct rds *rds, enum rds_pending_kind kind, int argc,
                        const char *const *argv, bool deadline);
/* The reply to the oldest command. Takes @reply. */
void rds_call_replied(struct rds *rds, redisReply *reply);
/* Settles everything under way; what had not left yet with @unsent, the rest
 * with @sent. Before the adapter is closed. */
void rds_call_fail_all(struct rds *rds, enum status unsent, enum status sent,
                       const char *why);
void rds_call_free_unused(struct rds *rds);
/* What an error reply means; see struct rds_call. */
enum status rds_call_classify(struct str text);

/* rds.c: the reply to one of our own commands. Takes nothing. */
void rds_greeted(struct rds *rds, enum rds_pending_kind kind,
                 const redisReply *reply);

/* rds_subscribe.c */
void rds_subscribe_init(struct rds *rds);
CHECK bool rds_subscribe_all(struct rds *rds);
/* True when @reply was a channel's message; it is taken then. */
CHECK bool rds_subscribe_replied(struct rds *rds, redisReply *reply);
void rds_subscribe_free(struct rds *rds);

#endif
