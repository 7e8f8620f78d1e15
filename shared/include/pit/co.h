/* pit/co.h - what a view or an async task can wait for.
 *
 * A function that may suspend takes the coroutine as its first parameter; the
 * process goes on serving others meanwhile. Once a coroutine is cancelled (the
 * client hung up, the deadline passed, the process stops) every await returns
 * PIT_CANCELLED or PIT_TIMEOUT at once: return it, and let your cleanup run. */
#ifndef PIT_CO_H
#define PIT_CO_H

#include <stddef.h>
#include <stdint.h>

#include "pit/status.h"

struct pit_co;

/* Suspends for @ms >= 0 milliseconds. */
enum pit_status pit_sleep(struct pit_co *co, int64_t ms);
/* PIT_OK while the coroutine is not cancelled, else the reason. Never suspends.
 */
enum pit_status pit_cancelled(const struct pit_co *co);
/* Every await from now on ends within @ms_from_now with PIT_TIMEOUT. Can only
 * make a deadline earlier. Never suspends. */
void pit_deadline(struct pit_co *co, int64_t ms_from_now);

/* What runs in a coroutine of its own. */
typedef enum pit_status pit_co_fn(struct pit_co *co, void *arg);
/* What runs on a thread: it may block, and must not touch requests, responses
 * or coroutines. */
typedef enum pit_status pit_thread_fn(void *arg);

/* pit_await_all(co, fn1, arg1, fn2, arg2, ...): runs up to 8 functions at once,
 * each in a coroutine of its own, and waits for all of them. The first that
 * fails cancels the others. It returns when every one has ended, so they may
 * work on the caller's variables. Returns the first failure, or PIT_OK;
 * PIT_LIMIT when the process has too many coroutines. */
#define pit_await_all(co, ...)                                       \
    pit_await_calls(                                                 \
        (co), (const struct pit_call[]){PIT_CALLS_(__VA_ARGS__)},    \
        sizeof((const struct pit_call[]){PIT_CALLS_(__VA_ARGS__)}) / \
            sizeof(struct pit_call))

struct pit_call {
    pit_co_fn *fn;
    void *arg;
};
/* The same for an array of at most 64. */
enum pit_status pit_await_calls(struct pit_co *co, const struct pit_call *calls,
                                size_t n);

/* pit_await_any(co, &index, fn1, arg1, ...): runs up to 8 functions at once and
 * waits for the first to end, however it ends; the others are cancelled. As
 * above it returns when every one has ended. Returns the first one's status,
 * and which it was (index may be NULL): 0 is fn1. */
#define pit_await_any(co, ret_index, ...)                            \
    pit_await_any_call(                                              \
        (co), (const struct pit_call[]){PIT_CALLS_(__VA_ARGS__)},    \
        sizeof((const struct pit_call[]){PIT_CALLS_(__VA_ARGS__)}) / \
            sizeof(struct pit_call),                                 \
        (ret_index))
/* The same for an array of 1 to 64. */
enum pit_status pit_await_any_call(struct pit_co *co,
                                   const struct pit_call *calls, size_t n,
                                   size_t *ret_index);
/* Lets others run, for a long loop without awaits; back in the next turn. */
enum pit_status pit_yield(struct pit_co *co);

/* Runs a blocking function on a thread of the process and suspends until it
 * has ended; returns what it returned. @arg is lent: when the coroutine is
 * cancelled while a thread is at it, this still waits for the function's end.
 * Errors besides the function's own: PIT_LIMIT when too many wait for one. */
enum pit_status pit_await_thread(struct pit_co *co, pit_thread_fn *fn,
                                 void *arg);
/* The same, but a cancellation returns at once. So @arg must be on the heap: it
 * moves to the call, which frees it with @arg_free when nobody uses it any
 * more; do not touch it again. */
enum pit_status pit_await_thread_take(struct pit_co *co, pit_thread_fn *fn,
                                      void *arg, void (*arg_free)(void *arg));

/* Starts @fn in a coroutine of its own that nobody waits for: it goes on when
 * the caller has ended, and is lost when the process dies (what must not be
 * lost is a job). Runs at once, until it first suspends. @name is copied, for
 * logs. Never suspends. Errors: PIT_LIMIT when too many are detached. */
enum pit_status pit_detach(struct pit_co *co, const char *name, pit_co_fn *fn,
                           void *arg);
/* The same; @arg_free(@arg) is called when it has ended, or could not start. */
enum pit_status pit_detach_take(struct pit_co *co, const char *name,
                                pit_co_fn *fn, void *arg,
                                void (*arg_free)(void *arg));

/* The same with a copy of the @len bytes at @arg, which is freed for you. */
enum pit_status pit_detach_copy(struct pit_co *co, const char *name,
                                pit_co_fn *fn, const void *arg, size_t len);
/* Has a blocking function run on a thread, and waits for nothing: as
 * pit_detach() of a coroutine that awaits pit_await_thread(). @arg is lent
 * until it has ended. */
enum pit_status pit_detach_thread(struct pit_co *co, const char *name,
                                  pit_thread_fn *fn, void *arg);

/* How pit_await_all() makes pairs of its arguments. */
#define PIT_CALLS_(...)                                                   \
    PIT_CALLS_PICK_(__VA_ARGS__, PIT_CALLS_8_, 0, PIT_CALLS_7_, 0,        \
                    PIT_CALLS_6_, 0, PIT_CALLS_5_, 0, PIT_CALLS_4_, 0,    \
                    PIT_CALLS_3_, 0, PIT_CALLS_2_, 0, PIT_CALLS_1_, 0, 0) \
    (__VA_ARGS__)
#define PIT_CALLS_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, pick, \
                        ...)                                                  \
    pick
#define PIT_CALLS_1_(fn, arg) \
    {                         \
        (fn), (arg)           \
    }
#define PIT_CALLS_2_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_1_(__VA_ARGS__)
#define PIT_CALLS_3_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_2_(__VA_ARGS__)
#define PIT_CALLS_4_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_3_(__VA_ARGS__)
#define PIT_CALLS_5_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_4_(__VA_ARGS__)
#define PIT_CALLS_6_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_5_(__VA_ARGS__)
#define PIT_CALLS_7_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_6_(__VA_ARGS__)
#define PIT_CALLS_8_(fn, arg, ...) {(fn), (arg)}, PIT_CALLS_7_(__VA_ARGS__)

#endif
