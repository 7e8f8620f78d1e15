/* outside.h - what the application's awaits reach: the real thing, or the
 * script of a test.
 *
 * A process attaches what it has: its Redis connection, its mail server. A test
 * attaches functions that stand in for fetch, mail and Redis; nothing leaves
 * the process then. Loop thread only; everything is borrowed. */
#ifndef APP_OUTSIDE_H
#define APP_OUTSIDE_H

#include "async/co.h"
#include "async/rds.h"
#include "pit/mail.h"
#include "pit/queue.h"
#include "pit/redis.h"

struct fetch;
struct fetch_options;
struct mail_server;

struct outside {
    struct rds *rds;                     /* NULL: none */
    const struct mail_server *mail;      /* async/mail.h; NULL: none */
    const struct outside_script *script; /* NULL: the real ones */
};

/* All of them are set; each may suspend. */
struct outside_script {
    /* As fetch_await(), into an empty @fetch. */
    enum pit_status (*fetch)(struct co *co, struct fetch *fetch,
                             const struct fetch_options *options);
    /* From a thread: must not suspend. */
    enum pit_status (*fetch_blocking)(struct fetch *fetch,
                                      const struct fetch_options *options);
    /* @mail was checked. */
    enum pit_status (*mail)(struct co *co, struct pit_mail *mail);
    /* The value is lent for longer than the reply lives; NULL for a failure. */
    const struct pit_redis_value *(*redis)(struct co *co, size_t n,
                                           const char *const *words,
                                           const size_t *lens,
                                           enum pit_status *ret_status,
                                           struct error *err);
    enum pit_status (*enqueue)(struct co *co, const char *task, json_t *args,
                               const struct pit_enqueue *options);
};

/* NULL takes it away. */
void outside_attach(struct loop *loop, const struct outside *outside);
/* Never NULL: one that has nothing stands for none. */
const struct outside *outside_of(const struct loop *loop);
/* The script, or NULL. */
const struct outside_script *outside_script(const struct co *co);

/* What stands in for calls that have no coroutine, in all threads of the
 * process; NULL: the real ones. */
void outside_thread_script_set(const struct outside_script *script);
const struct outside_script *outside_thread_script(void);

#endif
