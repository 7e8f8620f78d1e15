/* pit/test.h - an application's views, middleware and tasks, run in a test.
 *
 *     struct pit_test *test = pit_test_new(&pit_app);
 *     pit_test_upstream(test, "GET https://example.org/quote",
 *                       &(struct pit_test_reply){.content = "Hm"});
 *     const struct pit_test_answer *a = pit_test_get(test, "/quote");
 *     assert(a->status == 200 && strcmp(a->body, "Hm") == 0);
 *     pit_test_free(test);
 *
 * Everything happens in the test's own process: no socket is opened, no Redis,
 * mail server or upstream is asked; what they would say is scripted. Time is
 * the test's: whenever nothing can happen but a timer, the clock jumps to it,
 * so pit_sleep(co, 3600000) takes no time. Functions on threads (sync views,
 * files, SQLite) do run, in real time. Link libpit_test (pitmaster::test); one
 * thread.
 *
 * A test that asks for what cannot be (a bad table, a view that waits for ever)
 * ends with a line on standard error and abort(). */
#ifndef PIT_TEST_H
#define PIT_TEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pit/app.h"
#include "pit/fetch.h"
#include "pit/mail.h"
#include "pit/queue.h"
#include "pit/redis.h"

struct pit_test;

/* @app is borrowed. Everything lent below lives until pit_test_free(). */
struct pit_test *pit_test_new(const struct pit_app *app);
/* Cancels what is still under way, and waits for it. NULL is fine. */
void pit_test_free(struct pit_test *test);

/* ---- requests ---- */

struct pit_test_request {
    enum pit_method method;     /* 0: GET */
    const char *target;         /* "/orders/?page=2", percent-encoded */
    const char *const *headers; /* "Name: value", ends with NULL; NULL: none */
    const char *content_type;   /* of the body; NULL: none */
    const void *body;
    size_t body_len; /* 0 with a body: it is a string */
};

struct pit_test_answer {
    int status;       /* 0: there is none yet, or the client hung up */
    const char *body; /* never NULL; a NUL follows. Of a stream: what came, also
                         while it goes on: lent until more comes */
    size_t body_len;
    const char *content_type; /* "" for none */
    int64_t took_ms;          /* by the test's clock */
};

/* Sends it and runs the application until the answer is complete; detached work
 * may go on after that. A status that a view returned is problem+json here as
 * it is for a client. */
const struct pit_test_answer *
pit_test_send(struct pit_test *test, const struct pit_test_request *request);
const struct pit_test_answer *pit_test_get(struct pit_test *test,
                                           const char *target);
const struct pit_test_answer *pit_test_post(struct pit_test *test,
                                            const char *target,
                                            const char *content_type,
                                            const char *body);
/* Sends and does not wait: the view runs until it first suspends. */
const struct pit_test_answer *
pit_test_start(struct pit_test *test, const struct pit_test_request *request);
/* Waits for one that was started. */
void pit_test_wait(struct pit_test *test, const struct pit_test_answer *answer);
/* Its client hangs up: the view is cancelled. Waits for its end. */
void pit_test_hang_up(struct pit_test *test,
                      const struct pit_test_answer *answer);
/* The first header of that name in any case; NULL if absent. */
const char *pit_test_header(const struct pit_test_answer *answer,
                            const char *name);

/* ---- time and what goes on by itself ---- */

/* Milliseconds since pit_test_new(), by the test's clock. */
int64_t pit_test_now_ms(const struct pit_test *test);
/* Lets so much time pass. */
void pit_test_advance(struct pit_test *test, int64_t ms);
/* Runs what is detached to its end, or so much time; false: some is left. */
bool pit_test_drain(struct pit_test *test, int64_t ms);
/* What was logged so far (pit/log.h and Pitmaster itself), a line a message,
 * without time and level. */
const char *pit_test_logged(const struct pit_test *test);

/* ---- upstreams ---- */

struct pit_test_reply {
    enum pit_status status;     /* not PIT_OK: the fetch fails so */
    int code;                   /* HTTP status; 0: 200 */
    const char *content;        /* NULL: "" */
    size_t content_len;         /* 0: it is a string */
    const char *const *headers; /* "Name: value", ends with NULL */
    int64_t delay_ms;           /* before it comes */
    int times;                  /* so often; 0: always */
};
/* @what is "METHOD URL"; a URL that ends in '*' stands for all that begin so.
 * The newest that fits and is not used up answers. All strings are copied. A
 * fetch that nothing fits fails with PIT_UNAVAILABLE, and says so in its
 * error. */
void pit_test_upstream(struct pit_test *test, const char *what,
                       const struct pit_test_reply *reply);

struct pit_test_fetch {
    const char *method, *url;
    const char *headers; /* "Name: value\n"... */
    const char *body;
    size_t body_len;
};
/* The @n-th that the application made, from 0; NULL when there were fewer. */
const struct pit_test_fetch *pit_test_fetched(const struct pit_test *test,
                                              size_t n);

struct pit_test_mail {
    const char *to; /* "ada@example.org, bob@example.org" */
    const char *from, *subject, *text, *html, *message_id; /* "" for none */
};
/* The @n-th that was sent, from 0; NULL when there were fewer. */
const struct pit_test_mail *pit_test_mailed(const struct pit_test *test,
                                            size_t n);
/* From now on mails end so, and only PIT_OK counts as sent. */
void pit_test_mail_status(struct pit_test *test, enum pit_status status);

/* What Redis replies to a command, its words with one space between them; in
 * place of an earlier one. @text NULL is nil. A command without a reply fails
 * with PIT_UNAVAILABLE. */
void pit_test_redis(struct pit_test *test, const char *command,
                    const char *text);
/* Any reply; what it points to is borrowed. */
void pit_test_redis_value(struct pit_test *test, const char *command,
                          const struct pit_redis_value *value);
/* From now on commands fail so; PIT_OK: no more. */
void pit_test_redis_status(struct pit_test *test, enum pit_status status);

/* ---- jobs ---- */

/* pit/follow.h hears of these as of real ones, by the test's clock; what a C
 * task says on its thread, when its attempt has ended. */
struct pit_test_job {
    const char *id, *task, *queue;
    const char *flow; /* the id of the flow that it belongs to; "" */
    const char *args; /* JSON; "null" for none */
    const json_t *args_json;
    int64_t delay_ms; /* as it was enqueued */
    enum pit_state state;
    int attempt;            /* how often it ran */
    bool ended;             /* it will not run again */
    enum pit_status status; /* of the last attempt */
    const char *result;     /* JSON; "" for none */
    const char *progress;   /* of the last attempt, JSON; "" for none */
    const char *error;      /* why it failed, or was cancelled; "" */
    const char *log;        /* what pit_job_log() said, a line each; "" */
};
/* The @n-th that the application enqueued, from 0, those of flows included, in
 * the order of their jobs; NULL when there were fewer. Tasks of other
 * applications are taken too, with the usual policy. */
const struct pit_test_job *pit_test_enqueued(const struct pit_test *test,
                                             size_t n);
/* The job of that id; NULL: there is none. */
const struct pit_test_job *pit_test_find_job(const struct pit_test *test,
                                             const char *id);
/* From now on pit_enqueue() and the flows end so; PIT_OK: no more. */
void pit_test_enqueue_status(struct pit_test *test, enum pit_status status);
/* No more than @max jobs may wait in the queue: PIT_QUEUE_FULL above. */
void pit_test_queue_max(struct pit_test *test, const char *queue, size_t max);

/* Enqueues one, with the task's own policy. @args is JSON; NULL: none. */
const struct pit_test_job *pit_test_enqueue(struct pit_test *test,
                                            const char *task, const char *args);
/* Runs one attempt of each job that has not ended and waits for no other, in
 * order, those that they enqueue or set free meanwhile included; returns how
 * many ran. A C task runs on a thread. Delays, back-off and limits are passed
 * over; what is past its expires_at_ms ends as PIT_EXPIRED. */
size_t pit_test_run_jobs(struct pit_test *test);
/* Enqueues one without retries, and runs it once. */
const struct pit_test_job *pit_test_run(struct pit_test *test, const char *task,
                                        const char *args);
/* From now on a worker takes what falls due, by the test's clock, whenever time
 * may pass (while a request is waited for, in pit_test_advance(), ...): with
 * delays, back-off, expiry and limits, as many at once as may be. False: no
 * more; what runs goes on. */
void pit_test_worker(struct pit_test *test, bool works);
/* Ends a job that waits, as if a worker had run it: PIT_OK with @text as its
 * result (JSON; NULL: none), anything else dead with @text as the reason. For
 * other applications' tasks, and for what is not to be run. */
void pit_test_end_job(struct pit_test *test, const char *id,
                      enum pit_status status, const char *text);

#endif
