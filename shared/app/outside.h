/* outside.h - what the application's awaits reach: the real thing, or the
 * script of a test.
 *
 * A process attaches what it has: its Redis connection, its mail server. A test
 * attaches functions that stand in for fetch, mail, Redis and the queue;
 * nothing leaves the process then. Loop thread only; everything is borrowed. */
#ifndef APP_OUTSIDE_H
#define APP_OUTSIDE_H

#include "async/co/co.h"
#include "async/redis/rds.h"
#include "pit/mail.h"
#include "pit/queue.h"
#include "pit/redis.h"
#include "queue/job/id.h"

struct app_task;
struct buf;
struct enqueue;
struct fetch;
struct fetch_options;
struct flow;
struct job_view;
struct mail_server;
struct queue_counts;
struct queue_log_page;
struct task_entry;

struct outside {
    struct rds *rds;                     /* NULL: none */
    const struct mail_server *mail;      /* async/curl/mail.h; NULL: none */
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
    /* As task_catalog_find(). */
    enum status (*find_task)(struct co *co, struct str name,
                             struct task_entry *room,
                             const struct app_task **ret, struct error *err);
    /* As queue_after_enqueue(). */
    enum status (*enqueue)(struct co *co, struct enqueue *e,
                           const struct job_id *after, size_t after_len);
    /* As flow_accept(). */
    enum status (*accept)(struct co *co, const struct flow *flow,
                          struct error *err);
    /* As queue_get() and queue_wait(). */
    enum status (*look)(struct co *co, struct job_id id, struct job_view *ret,
                        struct error *err);
    enum status (*wait)(struct co *co, struct job_id id, int64_t timeout_ms,
                        struct error *err);
    /* As queue_log_read(), queue_names(), queue_counts(), changes_history(). */
    enum status (*logs)(struct co *co, struct job_id id, struct str after,
                        size_t limit, struct queue_log_page *ret,
                        struct error *err);
    enum status (*names)(struct co *co, char (**ret)[ID_QUEUE_MAX + 1],
                         size_t *ret_n, struct error *err);
    enum status (*counts)(struct co *co, struct str queue,
                          struct queue_counts *ret, struct error *err);
    enum status (*history)(struct co *co, struct str queue, struct str id,
                           struct buf *dst, struct error *err);
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
