/* loop.h - one event loop: libevent's, with a ready list and a before-sleep
 * pass.
 *
 * A turn of the loop is: wait for events and run their callbacks; drain the
 * ready list (settled operations, woken coroutines) until it is empty or
 * LOOP_READY_MAX of them ran; run the before-sleep hooks, which flush what the
 * turn gathered (Redis pipelines, enqueue batches, HTTP answers). So one turn's
 * work leaves in one write.
 *
 * One thread owns a loop and everything made with it; only loop_post() may be
 * called from another thread. Nothing here may suspend. */
#ifndef ASYNC_LOOP_H
#define ASYNC_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct event_base;
struct loop;

enum { LOOP_READY_MAX = 10000 };

struct loop_options {
    uint32_t coroutines_max;     /* 0: 8192 */
    uint32_t stack_size;         /* bytes, 0: 128 KiB; a multiple of the page */
    uint32_t detached_max;       /* of them nobody waits for; 0: 1024 */
    uint32_t threads_max;        /* for blocking functions; 0: 4 */
    uint32_t threads_queue;      /* calls that wait for a thread; 0: 1024 */
    uint32_t view_threads_max;   /* the same for sync views; 0: 4 */
    uint32_t view_threads_queue; /* 0: 1024 */
    int64_t stall_warn_ms;       /* a turn longer than this is logged; 0: 100 */
};

/* Never NULL: a process without a loop cannot go on (log_fatal). @options may
 * be NULL. Freed by loop_free(), after every coroutine has ended; waits
 * for the functions that threads still run. */
struct loop *loop_new(const struct loop_options *options);
void loop_free(struct loop *loop);

/* Runs turns until loop_stop(). */
void loop_run(struct loop *loop);
/* Ends loop_run() after the present turn. */
void loop_stop(struct loop *loop);
/* One turn that waits at most @timeout_ms (< 0: for ever, 0: not at all). */
void loop_turn(struct loop *loop, int64_t timeout_ms);

/* What can happen next, if nothing comes from outside: for tests that move the
 * clock instead of waiting (clock_skip()). LOOP_BUSY: another turn has work.
 * LOOP_THREADS: only a thread's function that ends. LOOP_TIMER: the timer that
 * is due at *ret_due_us of clock_mono_us(). LOOP_NOTHING. */
enum loop_idle { LOOP_BUSY, LOOP_THREADS, LOOP_TIMER, LOOP_NOTHING };
enum loop_idle loop_idle(const struct loop *loop, int64_t *ret_due_us);

/* For libevent's own API (struct event). Borrowed. */
struct event_base *loop_base(struct loop *loop);
/* Monotonic milliseconds: read when somebody asks for the first time in a turn,
 * and again whenever a coroutine has run. Cheap; never for deciding whether a
 * timer is due (its callback is the deadline). */
int64_t loop_now_ms(struct loop *loop);

/* What a process keeps beside its loop for those who have a coroutine and
 * nothing else: its queues, its connections. @key is an address that stands for
 * the kind of object; @object is borrowed, NULL takes it away. At most
 * LOOP_OBJECTS_MAX kinds. */
enum { LOOP_OBJECTS_MAX = 16 };
void loop_attach(struct loop *loop, const void *key, void *object);
/* NULL when there is none. */
void *loop_attached(const struct loop *loop, const void *key);

/* A before-sleep hook, in the owner's storage; runs every turn, in the order of
 * adding. fn may add events and settle operations (another ready pass then
 * follows before the loop sleeps). A hook may remove itself, but no other. */
struct loop_hook {
    struct list link;
    void (*fn)(struct loop_hook *hook);
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
/* The same, before all that are there: for what gathers work that another hook
 * sends, whichever of the two came first. */
void loop_hook_add_first(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop_hook *hook);

/* Something to run in the ready pass of this turn (or the next one), in the
 * owner's storage, zero-initialised before first use. Adding one that is
 * already waiting does nothing. A task is used either with loop_ready() and
 * loop_ready_next(), or with loop_post(), not with both. */
struct loop_task {
    struct list link;
    void (*fn)(struct loop_task *task);
    _Atomic bool posted;
};
void loop_ready(struct loop *loop, struct loop_task *task);
/* The same, but not before events were looked at once more. */
void loop_ready_next(struct loop *loop, struct loop_task *task);
/* Takes it back; harmless when it is not waiting. Not for a posted one. */
void loop_unready(struct loop_task *task);
/* loop_ready() from any thread: wakes the loop. The task must stay where it is
 * until it runs, and the loop must outlive the call. */
void loop_post(struct loop *loop, struct loop_task *task);

/* A one-shot timer, in the owner's storage. Zero-initialise before first use.
 * fn is called once from the ready pass; it may start the timer again. Accurate
 * to a millisecond, never early by the monotonic clock. Needs no memory, so
 * starting one cannot fail. */
struct loop_timer {
    struct loop *loop; /* NULL until first started */
    void (*fn)(struct loop_timer *timer);
    int64_t due_us; /* monotonic */
    uint64_t order; /* among timers due at the same time */
    struct loop_timer *child, *next, *prev; /* timers.h */
    struct loop_task task;
};
/* (Re)starts: fires after @delay_ms >= 0. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer,
                      int64_t delay_ms, void (*fn)(struct loop_timer *timer));
/* The same for a point in time of clock_mono_us(). */
void loop_timer_start_at(struct loop *loop, struct loop_timer *timer,
                         int64_t due_us, void (*fn)(struct loop_timer *timer));
/* True from the start until fn is called, or the stop. */
bool loop_timer_active(const struct loop_timer *timer);
/* Harmless when never started. */
void loop_timer_stop(struct loop_timer *timer);

/* Calls @fn in the loop when the process gets @signo. The loop keeps it. */
void loop_on_signal(struct loop *loop, int signo,
                    void (*fn)(int signo, void *arg), void *arg);

#endif
