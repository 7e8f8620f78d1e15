/* loop_private.h - the loop as its own files see it: loop.c and co*.c.
 *
 * Nobody else includes this. */
#ifndef ASYNC_LOOP_PRIVATE_H
#define ASYNC_LOOP_PRIVATE_H

#include <event2/event.h>
#include <pthread.h>

#include "async/co/stack.h"
#include "async/loop.h"
#include "async/threads.h"
#include "async/timers.h"

enum {
    LOOP_COROUTINES_MAX = 8192,
    LOOP_STACK_SIZE = 128 * 1024,
    LOOP_STALL_WARN_MS = 100,
    LOOP_DETACHED_MAX = 1024,
    LOOP_THREADS_MAX = 4,
    LOOP_THREADS_QUEUE = 1024,
    LOOP_MAILS_MAX = 16, /* at once */
};

struct loop {
    struct event_base *base;
    int64_t now_us; /* the last reading; 0: it is too old */
    bool running;
    bool stopping;
    struct list ready; /* struct loop_task, run in this turn */
    struct list next;  /* those that wait for one more look at events */
    struct list hooks;
    struct list signals;

    struct timers timers;
    int timer_fd;
    int64_t armed_us; /* what timer_fd is set to; 0: not set */
    struct event *timer_event;
    struct loop_timer turn_timer; /* bounds a turn's wait */

    pthread_mutex_t post_lock; /* guards posted */
    struct list posted;
    int post_fd;
    struct event *post_event;

    struct list coroutines; /* struct co, oldest first */
    uint32_t coroutines_count;
    uint32_t coroutines_max;
    struct list detached; /* struct detached, oldest first */
    uint32_t detached_count;
    uint32_t detached_max;
    struct stack_pool stacks;
    struct threads *threads[THREADS_POOLS];
    struct fetch_pool *fetch_pool; /* NULL until the first fetch */
    int64_t stall_warn_us;
    struct {
        const void *key;
        void *object;
    } objects[LOOP_OBJECTS_MAX];
    size_t objects_len;
    bool stall_named; /* this turn's stall was put down to a coroutine */
};

/* Reads the clock, for loop_now_us(). */
int64_t loop_read_clock(struct loop *loop);
/* The last reading of this turn. */
static inline int64_t
loop_now_us(struct loop *loop)
{
    return loop->now_us ? loop->now_us : loop_read_clock(loop);
}

#endif
