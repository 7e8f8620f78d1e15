/* client_private.h - the test as its own files see it.
 *
 *   client.c    requests, the clock, life
 *   scripts.c   upstreams, mail, Redis
 *   jobs.c      what was enqueued, and running it */
#ifndef TESTING_CLIENT_PRIVATE_H
#define TESTING_CLIENT_PRIVATE_H

#include <pthread.h>

#include "app/app.h"
#include "app/outside.h"
#include "app/site.h"
#include "async/mail.h"
#include "base/buf.h"
#include "base/list.h"
#include "pit/test.h"

/* What is never freed before the test: strings and records. */
struct pit_test {
    struct arena arena;
    pthread_mutex_t arena_lock; /* threads script too, see scripts.c */
    struct loop *loop;
    struct app app;
    struct site *site;
    struct route_table *routes;
    struct outside outside;
    struct mail_server mail_server;
    int64_t began_ms;
    struct buf logged;
    struct list sends; /* struct client_send */
    uint64_t requests;

    pthread_mutex_t fetch_lock; /* the next two */
    struct list rules;          /* struct scripts_rule, newest first */
    struct list fetches, mails;
    enum pit_status mail_status;
    struct list replies; /* of Redis */
    enum pit_status redis_status;

    struct list jobs;
    uint64_t jobs_len;
    enum pit_status enqueue_status;
};

/* Memory that lives as long as the test; never NULL. */
void *client_alloc(struct pit_test *test, size_t n);
const char *client_copy(struct pit_test *test, const char *text);
const char *client_copy_n(struct pit_test *test, const void *p, size_t n);
/* The test of a coroutine. */
struct pit_test *client_of(const struct co *co);
/* That of the process' threads: the newest. */
struct pit_test *client_newest(void);
/* Runs the loop until *@done, moving the clock. */
void client_pump(struct pit_test *test, const bool *done);
/* Runs @fn in a coroutine to its end. */
enum status client_run(struct pit_test *test, const char *name, co_fn *fn,
                       void *arg);
__attribute__((noreturn))
PRINTF(1, 2) void client_give_up(const char *fmt, ...);

void scripts_init(struct pit_test *test);
enum pit_status scripts_fetch(struct co *co, struct fetch *fetch,
                              const struct fetch_options *options);
/* From any thread; a delay is not waited for. */
enum pit_status scripts_fetch_blocking(struct fetch *fetch,
                                       const struct fetch_options *options);
enum pit_status scripts_mail(struct co *co, struct pit_mail *mail);
const struct pit_redis_value *scripts_redis(struct co *co, size_t n,
                                            const char *const *words,
                                            const size_t *lens,
                                            enum pit_status *ret_status,
                                            struct error *err);
void jobs_init(struct pit_test *test);
enum pit_status jobs_enqueue(struct co *co, const char *task, json_t *args,
                             const struct pit_enqueue *options);
void jobs_clear(struct pit_test *test);

#endif
