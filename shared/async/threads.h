/* threads.h - a few threads for what blocks, and the await for it.
 *
 * For a blocking library call or a burst of computing inside of a view:
 * Django's sync_to_async. Bounded twice: so many threads, so many calls that
 * wait for one; above that the answer is ST_LIMIT, never a longer queue. The
 * threads are started when they are first needed and belong to a loop, which
 * has a few pools of them: whole sync views, and slow mail servers, may take
 * seconds, and must not keep those waiting who want a file.
 *
 * A call cannot be interrupted once a thread runs it. When the coroutine that
 * awaits it is cancelled, it depends on who owns the argument whether the
 * coroutine may leave before the call has ended; co_thread() says how. What the
 * function logs carries the coroutine's job and request. */
#ifndef ASYNC_THREADS_H
#define ASYNC_THREADS_H

#include <stdint.h>

#include "async/co/co.h"

struct threads;

enum threads_pool {
    THREADS_AWAITS, /* files, blocking calls: short */
    THREADS_VIEWS,  /* sync views */
    THREADS_MAILS,  /* mails that are sent: most of it is waiting */
    THREADS_POOLS,
};

/* Of one pool, now; refused: ST_LIMIT, since the start. */
struct threads_stats {
    uint32_t running;
    uint32_t waiting;
    uint64_t refused;
};

typedef enum status threads_fn(void *arg);

/* For loop.c. Starts nothing yet. Never NULL. */
struct threads *threads_new(struct loop *loop, uint32_t threads_max,
                            uint32_t queue_max);
/* Waits for the calls that run, drops those that wait. NULL is fine. */
void threads_free(struct threads *threads);

struct threads_stats threads_stats(struct threads *threads);
/* Whether a call has been made that has not ended, or not been told yet. */
bool threads_busy(const struct threads *threads);

/* A function to run; on the heap, since it may outlive who awaits it. */
struct threads_call {
    struct list link; /* in the queue, until a thread takes it */
    struct loop_task done;
    struct threads *threads;
    threads_fn *fn;
    void *arg;
    void (*arg_free)(void *arg); /* may be NULL */
    enum status result;
    struct op *op; /* settled when it has ended; NULL: nobody awaits it */
    /* Whose work it is, for log lines. */
    char job[CO_JOB_MAX + 1];
    char request[CO_REQUEST_MAX + 1];
};

/* For co_thread.c, all in the loop. */
struct threads_call *threads_call_new(struct threads *threads, threads_fn *fn,
                                      void *arg, void (*arg_free)(void *arg),
                                      struct op *op);
/* Calls arg_free. A call that ended was freed already. */
void threads_call_free(struct threads_call *call);
/* ST_LIMIT when the queue is full, or there is no thread and none can be had.
 */
CHECK enum status threads_submit(struct threads *threads,
                                 struct threads_call *call);
/* Off the queue; false when a thread has it. */
bool threads_take_back(struct threads_call *call);

/* Runs @fn(@arg) on one of the loop's threads and returns what it returned.
 * @name is borrowed for as long, for dumps.
 *
 * With @arg_free the argument moves to the call: a cancellation returns at
 * once while the function goes on, and @arg_free(@arg) is called in the loop,
 * exactly once, when nobody uses it any more: before this returns, or when the
 * function has ended. A caller that wants results from @arg must count holders.
 * Without @arg_free the argument is lent and may lie on the caller's stack: a
 * cancellation takes a call back that no thread has begun, and else waits for
 * its end before it returns the reason.
 *
 * Errors besides @fn's own: ST_LIMIT when too many wait. */
CHECK enum status co_thread(struct co *co, const char *name, threads_fn *fn,
                            void *arg, void (*arg_free)(void *arg));
/* The same in a pool of one's choice; co_thread() is for THREADS_AWAITS. */
CHECK enum status co_thread_of(struct co *co, enum threads_pool pool,
                               const char *name, threads_fn *fn, void *arg,
                               void (*arg_free)(void *arg));
struct threads_stats co_thread_stats(const struct loop *loop,
                                     enum threads_pool pool);

#endif
