/* queue_public.h - what pit/queue.h works with: the queues of a process.
 *
 * A program whose coroutines run application code gives its loop the queues and
 * the tasks' catalog once; both are borrowed. Loop thread only. */
#ifndef APP_QUEUE_PUBLIC_H
#define APP_QUEUE_PUBLIC_H

#include "app/task/task_catalog.h"
#include "pit/queue.h"

struct changes;    /* queue/changes.h */
struct durability; /* queue/durability.h */

/* What durability is waited for with; borrowed. Without it pit_enqueue() with
 * one is PIT_UNAVAILABLE. */
void queue_public_attach_durability(struct loop *loop,
                                    struct durability *durability);
struct durability *queue_public_durability(const struct loop *loop);

/* What pit/follow.h hears by; borrowed. Without it it is PIT_UNAVAILABLE. */
void queue_public_attach_changes(struct loop *loop, struct changes *changes);
struct changes *queue_public_changes(const struct loop *loop);

/* @catalog holds the queues; NULL takes them away. Waiting for results needs
 * queues_listen() too; without it pit_result_wait() is PIT_UNAVAILABLE. */
void queue_public_attach(struct loop *loop, struct task_catalog *catalog);
/* NULL when the process has none. */
struct task_catalog *queue_public_catalog(const struct loop *loop);

/* Can jobs be enqueued? A process without queues cannot; a test can. */
bool queue_public_possible(const struct co *co);

/* What every verb of the public headers begins with. Errors: the coroutine's
 * cancellation; ST_UNAVAILABLE: the process has no queues. */
CHECK enum status queue_public_begin(struct co *co, struct queues **ret,
                                     struct error *err);
/* The same for what is about one job or flow. Errors: also ST_INVALID for an
 * @id that is none. *ret_id lends from @id. */
CHECK enum status queue_public_begin_id(struct co *co, const char *id,
                                        struct queues **ret,
                                        struct job_id *ret_id,
                                        struct error *err);
/* ST_INVALID at @field for what can be no queue's name. */
CHECK enum status queue_public_name(const char *name, const char *field,
                                    struct error *err);
/* How many a page has: @limit, @standard for 0. Errors: ST_INVALID above @max
 * or below 0. */
CHECK enum status queue_public_limit(int limit, int standard, int max,
                                     size_t *ret, struct error *err);
/* The words for people, with the field that they are about; "" for ST_OK. */
void queue_public_words(enum status st, const struct error *err,
                        char words[PIT_WORDS_SIZE]);
/* The same to the log, for a call without a place for words whose mistake is
 * its caller's own: nobody would hear of it. */
void queue_public_log(const char *call, enum status st,
                      const struct error *err);
/* And ends with: the words (NULL: nobody wants them), and the status. What only
 * reads (@wrote false) has no outcome that could be unclear; what the
 * coroutine's own deadline cut off while it wrote has one. */
enum pit_status queue_public_end(const struct co *co, enum status st,
                                 bool wrote, const struct error *err,
                                 char *words);

/* Jobs by their public states, those that ended well or not under PIT_ENDED. */
void queue_public_counts(const struct queue_counts *counts,
                         int64_t ret[PIT_ENDED + 1]);

/* What a job that @co enqueues comes from; lent as co_trace() says. */
struct job_origin queue_public_origin(const struct co *co);

/* Fills in @spec from the task's policy and @options (may be NULL), and checks
 * it. The spec borrows from both, and from @room as task_catalog_find() says.
 * args and origin are the caller's. May suspend. */
CHECK enum status queue_public_spec(struct co *co, struct task_catalog *catalog,
                                    const char *task,
                                    const struct pit_enqueue *options,
                                    struct task_entry *room,
                                    struct job_spec *ret, struct error *err);
/* The same, but what neither says of retries is left open: for a schedule,
 * whose jobs go by their queue's policy when they fire. */
CHECK enum status queue_public_policy(struct co *co,
                                      struct task_catalog *catalog,
                                      const char *task,
                                      const struct pit_enqueue *options,
                                      struct task_entry *room,
                                      struct job_spec *ret, struct error *err);

/* The args as text for the coroutine's use, at @ret; frees the reference. NULL
 * gives the empty text. Errors: ST_INVALID for what pit_args() could not make,
 * ST_TOO_LARGE above JOB_ARGS_MAX. */
CHECK enum status queue_public_args(json_t *args, struct buf *ret,
                                    struct error *err);

#endif
