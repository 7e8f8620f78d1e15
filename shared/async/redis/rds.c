/* The life of a Redis connection.
 *
 *            +--> RESOLVING --> CONNECTING --> GREETING --> UP
 *            |        |             |              |         |
 *   start ---+        +-------------+--------------+---------+ lost
 *            |                      v
 *            +------------------ WAITING  50 ms, doubled to 2 s, half of it
 *                                         random
 *
 * One timer bounds an attempt from the look-up to the end of the greeting: a
 * server that accepts and says nothing (stopped, or a dead peer behind a proxy)
 * is as far away as one that does not accept.
 *
 * The greeting ends with PING, so that a server that is still loading its data
 * is not "up". PING is refused with MISCONF when the disk is full, although
 * reads work: that counts as up.
 *
 * Invariants: the adapter is open in CONNECTING, GREETING and UP only; commands
 * are pending in GREETING (our own) and UP only. The owner's code is called
 * from the ready pass alone. */
#include "async/redis/rds.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "async/redis/rds_internal.h"
#include "async/redis/rds_reply.h"
#include "async/waiter.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    BACKOFF_MS = 50,
    BACKOFF_MAX_MS = 2000,
    SETTLED_MS = 1000, /* up for so long: the next loss starts anew */
    RESOLVE_POLL_MS = 2,
    CONNECT_TIMEOUT_MS = 1000,
    COMMAND_TIMEOUT_MS = 2000,
};

static void begin_attempt(struct rds *rds);

/* State ------------------------------------------------------------------- */

static void
state_cb(struct loop_task *task)
{
    struct rds *rds = LIST_ENTRY(task, struct rds, state_task);
    bool up = rds_up(rds);

    if (rds->reported && up == rds->reported_up)
        return;
    rds->reported = true;
    rds->reported_up = up;
    if (rds->on_state)
        rds->on_state(rds, up, rds->arg); /* may free it */
}

static void
come_up(struct rds *rds)
{
    rds->state = RDS_UP;
    rds->up_since_ms = clock_mono_ms();
    rds->last_error[0] = '\0';
    loop_timer_stop(&rds->attempt_timer);
    waiter_settle_all(&rds->waiters, ST_OK);
    loop_ready(rds->loop, &rds->state_task);
}

static void
next_attempt_cb(struct loop_timer *timer)
{
    begin_attempt(LIST_ENTRY(timer, struct rds, next_timer));
}

static int64_t
backoff_ms(const struct rds *rds)
{
    int64_t delay = BACKOFF_MS;

    for (uint32_t i = 0; i < rds->retries && delay < BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    return delay - (int64_t)arc4random_uniform((uint32_t)delay / 2);
}

static void
drop_addresses(struct rds *rds)
{
    rds_resolve_free(rds->resolve);
    rds->resolve = NULL;
    if (rds->addresses)
        freeaddrinfo(rds->addresses);
    rds->addresses = rds->address = NULL;
}

static void
name_server(const struct rds *rds, char *dst, size_t size)
{
    if (rds->url.is_unix)
        snprintf(dst, size, "%s", rds->url.path);
    else
        snprintf(dst, size, "%.128s:%u", rds->url.host,
                 (unsigned)rds->url.port);
}

void
rds_lose(struct rds *rds, const struct error *why)
{
    char server[160];
    struct error err;
    int64_t now_ms = clock_mono_ms();

    assert(rds->state != RDS_WAITING);
    if (rds->state == RDS_UP && now_ms - rds->up_since_ms >= SETTLED_MS)
        rds->retries = 0;
    name_server(rds, server, sizeof server);
    (void)error_set(&err, ST_UNAVAILABLE, "%s: %s", server, why->msg);
    memcpy(rds->last_error, err.msg, sizeof rds->last_error);
    rds->state = RDS_WAITING;
    rds_call_fail_all(rds, ST_UNAVAILABLE, ST_UNCLEAR, rds->last_error);
    rds_adapter_close(&rds->adapter);
    drop_addresses(rds);
    loop_timer_stop(&rds->attempt_timer);
    loop_timer_start(rds->loop, &rds->next_timer, backoff_ms(rds),
                     next_attempt_cb);
    if (rds->retries < UINT32_MAX)
        rds->retries++;
    loop_ready(rds->loop, &rds->state_task);
}

static void
lose_text(struct rds *rds, const char *what, struct str detail)
{
    struct error err;

    (void)error_set(
        &err, ST_UNAVAILABLE, "%s%.*s", what,
        (int)(detail.n < ERROR_MSG_SIZE ? detail.n : ERROR_MSG_SIZE), detail.p);
    rds_lose(rds, &err);
}

/* Greeting ---------------------------------------------------------------- */

static bool
send_greeting(struct rds *rds)
{
    const struct rds_url *url = &rds->url;
    char db[8];
    const char *auth[] = {"AUTH", url->user, url->password};
    const char *select[] = {"SELECT", db};
    const char *name[] = {"CLIENT", "SETNAME", rds->client_name};
    const char *ping[] = {"PING"};
    bool sent = true;

    if (url->password[0] && url->user[0])
        sent = rds_call_own(rds, RDS_PENDING_AUTH, 3, auth, false);
    else if (url->password[0])
        sent = rds_call_own(rds, RDS_PENDING_AUTH, 2,
                            (const char *[]){"AUTH", url->password}, false);
    snprintf(db, sizeof db, "%d", url->db);
    if (sent && url->db != 0)
        sent = rds_call_own(rds, RDS_PENDING_SELECT, 2, select, false);
    if (sent && rds->client_name[0])
        sent = rds_call_own(rds, RDS_PENDING_NAME, 3, name, false);
    return sent && rds_call_own(rds, RDS_PENDING_PING, 1, ping, false) &&
           rds_subscribe_all(rds);
}

static void
connected_cb(struct rds_adapter *adapter)
{
    struct rds *rds = LIST_ENTRY(adapter, struct rds, adapter);

    rds->state = RDS_GREETING;
    if (!send_greeting(rds))
        lose_text(rds, "no room for the greeting", STR_NULL);
}

/* NULL when a refusal of @kind does not matter. */
static const char *
refusal(enum rds_pending_kind kind, struct str text)
{
    switch (kind) {
    case RDS_PENDING_AUTH:
        return "the user name or password was refused: ";
    case RDS_PENDING_SELECT:
        return "the database was refused: ";
    case RDS_PENDING_SUBSCRIBE:
        return "a subscription was refused: ";
    case RDS_PENDING_PING:
        return str_starts(text, STR("MISCONF")) ? NULL : "it is not ready: ";
    default: /* the name is only for people */
        return NULL;
    }
}

void
rds_greeted(struct rds *rds, enum rds_pending_kind kind,
            const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        struct str text = str_from(reply->str, reply->len);
        const char *what = refusal(kind, text);
        if (what) {
            lose_text(rds, what, text);
            return;
        }
    }
    if (rds->state == RDS_GREETING && list_empty(&rds->pending))
        come_up(rds);
}

static void
reply_cb(struct rds_adapter *adapter, redisReply *reply)
{
    struct rds *rds = LIST_ENTRY(adapter, struct rds, adapter);

    if (rds_subscribe_replied(rds, reply))
        return;
    if (!list_empty(&rds->pending)) {
        rds_call_replied(rds, reply);
        return;
    }
    /* "-ERR max number of clients reached", and the like. */
    if (reply->type == REDIS_REPLY_ERROR)
        lose_text(rds, "the server said: ", str_from(reply->str, reply->len));
    else
        lose_text(rds, "an answer came that nobody asked for", STR_NULL);
    rds_reply_free(reply);
}

/* Attempts ---------------------------------------------------------------- */

static void
try_address(struct rds *rds, struct error *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    enum status st = ST_UNAVAILABLE;

    rds->state = RDS_CONNECTING;
    if (rds->url.is_unix) {
        str_copy_to(str_c(rds->url.path), un.sun_path, sizeof un.sun_path);
        st = rds_adapter_open(&rds->adapter, (const struct sockaddr *)&un,
                              sizeof un, err);
    }
    while (st != ST_OK && rds->address) {
        struct addrinfo *address = rds->address;
        rds->address = address->ai_next;
        st = rds_adapter_open(&rds->adapter, address->ai_addr,
                              address->ai_addrlen, err);
    }
    if (st != ST_OK)
        rds_lose(rds, err);
}

static void
lost_cb(struct rds_adapter *adapter, const struct error *why)
{
    struct rds *rds = LIST_ENTRY(adapter, struct rds, adapter);
    struct error err = *why;

    if (rds->state == RDS_CONNECTING && rds->address) {
        rds_adapter_close(adapter);
        try_address(rds, &err);
    } else {
        rds_lose(rds, why);
    }
}

static void
poll_resolve_cb(struct loop_timer *timer)
{
    struct rds *rds = LIST_ENTRY(timer, struct rds, next_timer);
    enum status st;
    struct error err;

    if (!rds_resolve_done(rds->resolve, &st, &rds->addresses, &err)) {
        loop_timer_start(rds->loop, &rds->next_timer, RESOLVE_POLL_MS,
                         poll_resolve_cb);
        return;
    }
    rds_resolve_free(rds->resolve);
    rds->resolve = NULL;
    if (st != ST_OK) {
        rds_lose(rds, &err);
        return;
    }
    /* Each attempt begins with another address, lest one that swallows
     * packets hides those behind it. */
    uint32_t n = 0;
    for (struct addrinfo *a = rds->addresses; a; a = a->ai_next)
        n++;
    assert(n > 0);
    rds->address = rds->addresses;
    for (uint32_t skip = rds->attempts % n; skip > 0; skip--)
        rds->address = rds->address->ai_next;
    rds->attempts++;
    try_address(rds, &err);
}

static void
attempt_timeout_cb(struct loop_timer *timer)
{
    struct rds *rds = LIST_ENTRY(timer, struct rds, attempt_timer);
    struct error err;

    (void)error_set(&err, ST_UNAVAILABLE, "%s within %lld ms",
                    rds->state == RDS_RESOLVING    ? "the host was not found"
                    : rds->state == RDS_CONNECTING ? "no connection"
                                                   : "no answer",
                    (long long)rds->connect_timeout_ms);
    rds_lose(rds, &err);
}

static void
begin_attempt(struct rds *rds)
{
    struct error err;

    rds->state = RDS_RESOLVING;
    loop_timer_start(rds->loop, &rds->attempt_timer, rds->connect_timeout_ms,
                     attempt_timeout_cb);
    if (rds->url.is_unix) {
        try_address(rds, &err);
        return;
    }
    if (rds_resolve_start(rds->url.host, rds->url.port, &rds->resolve, &err) !=
        ST_OK) {
        rds_lose(rds, &err);
        return;
    }
    poll_resolve_cb(&rds->next_timer);
}

/* The public side --------------------------------------------------------- */

static const struct rds_adapter_events adapter_events = {connected_cb, reply_cb,
                                                         lost_cb};

static enum status
check_name(const char *name, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-";

    if (strspn(name, allowed) != strlen(name) || strlen(name) > 64)
        return error_set(err, ST_INVALID,
                         "Redis client name: at most 64 letters, digits and "
                         "_ . : - are allowed");
    return ST_OK;
}

enum status
rds_new(struct loop *loop, const struct rds_options *options, struct rds **ret,
        struct error *err)
{
    const char *name = options->client_name ? options->client_name : "";
    struct rds_url url;
    enum status st = rds_url_parse(str_c(options->url), &url, err);

    if (st == ST_OK)
        st = check_name(name, err);
    if (st != ST_OK)
        return st;

    struct rds *rds = xcalloc(1, sizeof *rds);
    rds->loop = loop;
    rds->url = url;
    str_copy_to(str_c(name), rds->client_name, sizeof rds->client_name);
    rds->connect_timeout_ms = options->connect_timeout_ms > 0
                                  ? options->connect_timeout_ms
                                  : CONNECT_TIMEOUT_MS;
    rds->command_timeout_ms = options->command_timeout_ms > 0
                                  ? options->command_timeout_ms
                                  : COMMAND_TIMEOUT_MS;
    rds->on_state = options->on_state;
    rds->arg = options->arg;
    rds->state_task.fn = state_cb;
    list_init(&rds->waiters);
    list_init(&rds->pending);
    list_init(&rds->due);
    list_init(&rds->unused);
    rds_subscribe_init(rds);
    snprintf(rds->last_error, sizeof rds->last_error, "connecting");
    rds_adapter_init(&rds->adapter, loop, &adapter_events);
    begin_attempt(rds);
    *ret = rds;
    return ST_OK;
}

void
rds_free(struct rds *rds)
{
    if (!rds)
        return;
    if (rds->freed)
        *rds->freed = true;
    rds_call_fail_all(rds, ST_CANCELLED, ST_CANCELLED,
                      "the connection was closed");
    waiter_settle_all(&rds->waiters, ST_CANCELLED);
    rds_adapter_close(&rds->adapter);
    drop_addresses(rds);
    loop_timer_stop(&rds->attempt_timer);
    loop_timer_stop(&rds->next_timer);
    loop_unready(&rds->state_task);
    rds_subscribe_free(rds);
    rds_call_free_unused(rds);
    explicit_bzero(rds, sizeof *rds); /* it holds a password */
    free(rds);
}

bool
rds_up(const struct rds *rds)
{
    return rds->state == RDS_UP;
}

int64_t
rds_up_since_ms(const struct rds *rds)
{
    return rds->state == RDS_UP ? rds->up_since_ms : INT64_MAX;
}

const char *
rds_last_error(const struct rds *rds)
{
    return rds->last_error;
}

enum status
rds_wait_up(struct co *co, struct rds *rds, int64_t timeout_ms)
{
    static const struct op_class class = {"redis up", waiter_cancel};
    struct waiter waiter = {.timer = {0}};

    if (rds_up(rds))
        return co_cancelled(co);
    waiter_start(&waiter, rds->loop, &class, &rds->waiters, timeout_ms);
    return co_await(co, &waiter.op);
}
