/* co.h - coroutines, the operations they wait for, and cancellation.
 *
 * A coroutine is a function with a stack of its own that runs on one loop. It
 * can suspend only inside functions that take it as their first parameter, so
 * every suspension point is visible where it is called.
 *
 * An operation (struct op) is something under way: a timer, a Redis command, a
 * fetch. It is settled exactly once, with a status. Either a coroutine awaits
 * it, or a callback is called from the ready pass; never from inside a
 * library's callback.
 *
 * Cancellation is a return code and sticky: once a coroutine is cancelled every
 * later await returns ST_CANCELLED (or ST_TIMEOUT when its own deadline passed)
 * at once, and the function unwinds through its own cleanup.
 *
 * Everything belongs to the loop's thread. */
#ifndef ASYNC_CO_H
#define ASYNC_CO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "async/loop.h"
#include "base/error.h"
#include "base/str.h"

struct co;
struct op;

struct op_class {
    const char *name; /* what a dump says it awaits: "sleep", "redis" */
    /* Gives up the operation now: no callback of it may touch the op after
     * this returns. Called at most once, before the op is settled. */
    void (*cancel)(struct op *op);
};

/* First member of every kind of operation. Zeroed by op_init(). */
struct op {
    const struct op_class *class;
    struct loop *loop;
    struct co *waiter;               /* resumed when settled, or */
    void (*on_settled)(struct op *); /* called from the ready pass */
    void *arg;                       /* for on_settled */
    enum status status;
    bool settled;
    struct loop_task task;
};

/* @on_settled NULL: a coroutine will await it. */
void op_init(struct op *op, struct loop *loop, const struct op_class *class,
             void (*on_settled)(struct op *), void *arg);
/* Settles and schedules waiter or callback. A second call is a bug (assert).
 * May be called from inside a library's callback: it runs nothing itself. */
void op_settle(struct op *op, enum status status);
/* Cancels it if it is still under way: it is settled with ST_CANCELLED, which
 * wakes a coroutine that awaits it. Its callback is not called, not even when
 * it was settled before and the callback was only due. Harmless afterwards. */
void op_cancel(struct op *op);

typedef enum status co_fn(struct co *co, void *arg);

/* Starts @fn on a stack of its own; it runs at once, until it first suspends.
 * @name is borrowed until the coroutine ends. @on_end (may be NULL) is called
 * when it has ended, with what it returned, on the loop's stack: before
 * co_spawn() returns when it never suspended, or from the ready pass when a
 * coroutine spawned it. @fn learns its own struct co, for a co_cancel() from
 * outside, which must not come after @on_end was called.
 * Errors: ST_LIMIT when the loop's cap is reached or the system has no memory
 * for a stack (nothing was started, @on_end is not called). */
CHECK enum status co_spawn(struct loop *loop, const char *name, co_fn *fn,
                           void *arg,
                           void (*on_end)(void *arg, enum status status));

struct loop *co_loop(const struct co *co);
const char *co_name(const struct co *co);
/* Once it is known what it does. Borrowed until the coroutine ends, and by
 * those that it spawns from now on. */
void co_name_set(struct co *co, const char *name);
/* NULL outside of a coroutine. For logs and the watchdog only. */
struct co *co_running(void);

/* What the coroutine works for, as a W3C traceparent (Trace Context, section
 * 3.2: 55 characters); any other length means none. A coroutine that it spawns
 * or detaches later starts with the same. Copied. */
enum { CO_TRACE_LEN = 55 };
void co_trace_set(struct co *co, struct str traceparent);
/* Empty when there is none; lent until the next co_trace_set(). */
struct str co_trace(const struct co *co);

/* Whose work it is, for log lines and for what it sends: the request's id, and
 * in a worker the job's. Inherited in the same way; cut to the sizes below.
 * Copied; empty when there is none. @sent: the client chose the id itself, so
 * that it means something to somebody outside, and goes on to jobs. */
enum { CO_REQUEST_MAX = 64, CO_JOB_MAX = 129 };
void co_request_set(struct co *co, struct str id, bool sent);
/* The same, but @id is lent until the coroutine has ended. */
void co_request_lend(struct co *co, const char *id, bool sent);
void co_job_set(struct co *co, struct str id);
struct str co_request(const struct co *co);
/* The same, but empty unless the client chose it. */
struct str co_request_sent(const struct co *co);
struct str co_job(const struct co *co);

/* From outside: @reason is what the awaits return (ST_CANCELLED,
 * ST_TIMEOUT). What it waits for now is given up. Idempotent. */
void co_cancel(struct co *co, enum status reason);
/* Sticky; ST_OK while it is not cancelled. */
enum status co_cancelled(const struct co *co);
/* Every await from now on ends by @ms_from_now with ST_TIMEOUT (<= 0: at once).
 * Nests: can only get earlier. It is noticed in awaits only. */
void co_deadline_ms(struct co *co, int64_t ms_from_now);
/* The same, counted from when it began or was last resumed: for what comes soon
 * after, since no clock is read. */
void co_deadline_of_run_ms(struct co *co, int64_t ms);
/* The point in time of clock_mono_us(); 0: none. */
int64_t co_deadline_at_us(const struct co *co);
/* For who has set the deadline @from_us and grants more time: it becomes @to_us
 * (0: none). False, and nothing is done, when there is another by now, an
 * earlier one that is not the caller's, or it has passed. */
bool co_deadline_move(struct co *co, int64_t from_us, int64_t to_us);
/* Milliseconds that are left, or -1 without a deadline. */
int64_t co_deadline_left_ms(const struct co *co);

/* The awaits. Each may suspend, and returns the operation's status, or the
 * reason of the cancellation; the operation is settled in any case (its own
 * status says how), so it may live on the caller's stack. It must have been
 * started without a callback, on the same loop, and nobody else awaits it. */
CHECK enum status co_await(struct co *co, struct op *op);
/* Waits for all; the first failure cancels the others and is returned. ST_OK
 * for none. */
CHECK enum status co_await_all(struct co *co, struct op *const *ops, size_t n);
/* Waits for the first to settle, cancels the others, returns its status and
 * which it was (@ret_index may be NULL). When the coroutine was cancelled
 * *ret_index is untouched. @n > 0. */
CHECK enum status co_await_any(struct co *co, struct op *const *ops, size_t n,
                               size_t *ret_index);
/* The pair for an operation that cannot simply be given up, because somebody
 * else still works with the caller's memory. The first is co_await(), but a
 * cancellation leaves the operation under way; the caller then asks for its end
 * and waits with the second, which nothing ends early. */
CHECK enum status co_await_kept(struct co *co, struct op *op);
void co_await_rest(struct co *co, struct op *op);
/* @ms >= 0. */
CHECK enum status co_sleep(struct co *co, int64_t ms);
/* Lets the others run; back in the next turn. */
CHECK enum status co_yield(struct co *co);

/* Runs the functions at once, each in a coroutine of its own with the caller's
 * name and deadline, and waits for all. The first failure, or the caller's
 * cancellation, cancels the others; it returns when every one has ended, so
 * they may work on the caller's stack. Returns the first failure, the
 * cancellation, or ST_OK; ST_LIMIT as co_spawn(). */
struct co_call {
    co_fn *fn;
    void *arg;
};
enum { CO_CALLS_MAX = 64 };
CHECK enum status co_await_calls(struct co *co, const struct co_call *calls,
                                 size_t n);
/* The same, but the first that ends, however it ends, cancels the others: its
 * status is returned and *ret_index says which it was (may be NULL; untouched
 * when none could be started, or the caller was cancelled before one ended).
 * @n > 0. */
CHECK enum status co_await_any_call(struct co *co, const struct co_call *calls,
                                    size_t n, size_t *ret_index);

/* Fire and forget: a coroutine that nobody waits for. It runs at once until it
 * first suspends, and goes on when the caller has ended; lost when the process
 * dies. @name is copied. @arg_free (may be NULL) is called with @arg when it
 * has ended, or at once when it cannot be started. A failure is logged. Errors:
 * ST_LIMIT above the loop's detached_max, or as co_spawn(). */
CHECK enum status co_detach(struct loop *loop, const char *name, co_fn *fn,
                            void *arg, void (*arg_free)(void *arg));
uint32_t co_detached(const struct loop *loop);
/* Cancels them all; returns how many were not yet. */
uint32_t co_detached_cancel(struct loop *loop);
/* For the end of a program: turns the loop until the detached ones have ended;
 * cancels those that are left after @grace_ms and waits for them too. Returns
 * how many were cancelled. */
uint32_t co_drain(struct loop *loop, int64_t grace_ms);

/* Runs @fn in a new coroutine and the loop until it has ended: for main
 * functions and tests. Returns what @fn returned. */
CHECK enum status co_run(struct loop *loop, const char *name, co_fn *fn,
                         void *arg);

/* Coroutines alive in the loop. */
uint32_t co_count(const struct loop *loop);
/* One line each, oldest first: name, whose, state, what it awaits, for how
 * long, bytes of stack in use, and the most that its stack ever had in use. */
void co_dump(const struct loop *loop, FILE *out);

#endif
