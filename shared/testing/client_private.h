/* client_private.h - the test as its own files see it.
 *
 *   client.c    requests, the clock, life
 *   scripts.c   upstreams, mail, Redis
 *   jobs.c      what was enqueued; jobs_run.c runs it, jobs_follow.c says what
 *               happens to it */
#ifndef TESTING_CLIENT_PRIVATE_H
#define TESTING_CLIENT_PRIVATE_H

#include <pthread.h>

#include "app/app.h"
#include "app/http/site.h"
#include "app/outside.h"
#include "async/curl/mail.h"
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

    struct list jobs;         /* struct job, jobs_private.h */
    struct list queue_maxima; /* jobs.c's */
    uint64_t jobs_len;
    bool works; /* a worker takes what falls due */
    struct changes *changes;
    struct buf told; /* jobs_follow.c's: lines as changes_read() has them */
    uint64_t told_len;
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
/* No worker any more, and what it runs is cancelled. */
void jobs_stop(struct pit_test *test);
void jobs_clear(struct pit_test *test);
void jobs_follow_init(struct pit_test *test);
/* As app/outside.h has them. */
enum status jobs_find_task(struct co *co, struct str name,
                           struct task_entry *room, const struct app_task **ret,
                           struct error *err);
enum status jobs_enqueue(struct co *co, struct enqueue *e,
                         const struct job_id *after, size_t after_len);
enum status jobs_accept(struct co *co, const struct flow *flow,
                        struct error *err);
enum status jobs_look(struct co *co, struct job_id id, struct job_view *ret,
                      struct error *err);
enum status jobs_wait_end(struct co *co, struct job_id id, int64_t timeout_ms,
                          struct error *err);
enum status jobs_follow_logs(struct co *co, struct job_id id, struct str after,
                             size_t limit, struct queue_log_page *ret,
                             struct error *err);
enum status jobs_follow_names(struct co *co, char (**ret)[ID_QUEUE_MAX + 1],
                              size_t *ret_n, struct error *err);
enum status jobs_follow_counts(struct co *co, struct str queue,
                               struct queue_counts *ret, struct error *err);
enum status jobs_follow_history(struct co *co, struct str queue, struct str id,
                                struct buf *dst, struct error *err);

#endif
