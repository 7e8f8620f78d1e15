/* Loop: libevent waits for descriptors and signals; timers, the ready list and
 * the hooks are ours.
 *
 * Why own timers: libevent computes a timeout from the time it cached when the
 * turn began, by a clock that is up to 4 ms behind, so its timers come early
 * or late by that. Here a timer's due time is a reading of the precise clock,
 * and one timerfd wakes the loop for the soonest. The timerfd is set lazily: a
 * soonest timer that moves back (which is what the timeouts of a busy process
 * do all day) leaves it as it is and costs one wake-up for nothing at the old
 * time, instead of a system call in every turn.
 *
 * Invariants: a task is in at most one of ready, next and posted. A timer is
 * active when it is in the heap, or when its task waits in the ready list. */
#include "async/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "async/co/co.h"
#include "async/curl/fetch_pool.h"
#include "async/loop_private.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- tasks ---- */

static bool
waiting(const struct loop_task *task)
{
    return task->link.next && task->link.next != &task->link;
}

void
loop_ready(struct loop *loop, struct loop_task *task)
{
    assert(task->fn);
    if (!waiting(task))
        list_append(&loop->ready, &task->link);
}

void
loop_ready_next(struct loop *loop, struct loop_task *task)
{
    assert(task->fn);
    if (!waiting(task))
        list_append(&loop->next, &task->link);
}

void
loop_unready(struct loop_task *task)
{
    if (waiting(task))
        list_remove(&task->link);
}

/* The flag rather than the link tells whether it is posted already: the link is
 * the loop's once the task left the posted list. */
void
loop_post(struct loop *loop, struct loop_task *task)
{
    const uint64_t one = 1;

    assert(task->fn);
    if (atomic_exchange(&task->posted, true))
        return;
    pthread_mutex_lock(&loop->post_lock);
    bool wake = list_empty(&loop->posted);
    list_append(&loop->posted, &task->link);
    /* Within the lock: as soon as it is released the loop may run the task and
     * be gone. Fails only when the counter is full, so the loop is awake. */
    if (wake && write(loop->post_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
    pthread_mutex_unlock(&loop->post_lock);
}

static void
run_task(struct loop_task *task)
{
    if (atomic_load_explicit(&task->posted, memory_order_relaxed))
        atomic_store(&task->posted, false);
    task->fn(task);
}

static void
post_cb(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t count;

    (void)what;
    pthread_mutex_lock(&loop->post_lock);
    if (read(fd, &count, sizeof count) < 0)
        assert(errno == EAGAIN);
    list_splice(&loop->ready, &loop->posted);
    pthread_mutex_unlock(&loop->post_lock);
}

/* ---- timers ---- */

static void
timer_task(struct loop_task *task)
{
    struct loop_timer *timer = LIST_ENTRY(task, struct loop_timer, task);

    timer->fn(timer);
}

void
loop_timer_start_at(struct loop *loop, struct loop_timer *timer, int64_t due_us,
                    void (*fn)(struct loop_timer *timer))
{
    loop_timer_stop(timer);
    timer->loop = loop;
    timer->fn = fn;
    timer->due_us = due_us;
    timer->task.fn = timer_task;
    timers_add(&loop->timers, timer);
}

void
loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ms,
                 void (*fn)(struct loop_timer *timer))
{
    int64_t now_us = clock_mono_us();

    assert(delay_ms >= 0);
    /* A delay beyond the clock's range never fires, as asked. */
    int64_t delay_us = delay_ms > (INT64_MAX - now_us) / 1000
                           ? INT64_MAX - now_us
                           : delay_ms * 1000;
    loop_timer_start_at(loop, timer, now_us + delay_us, fn);
}

bool
loop_timer_active(const struct loop_timer *timer)
{
    return timer->loop &&
           (timers_has(&timer->loop->timers, timer) || waiting(&timer->task));
}

void
loop_timer_stop(struct loop_timer *timer)
{
    if (!timer->loop)
        return;
    if (timers_has(&timer->loop->timers, timer))
        timers_remove(&timer->loop->timers, timer);
    loop_unready(&timer->task);
}

/* What is due goes to the ready list. That decides it: nobody reads the clock
 * again to find out whether a deadline has really passed. */
static void
expire_timers(struct loop *loop)
{
    struct loop_timer *timer;

    while ((timer = loop->timers.root) && timer->due_us <= loop->now_us) {
        timers_remove(&loop->timers, timer);
        loop_ready(loop, &timer->task);
    }
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t expirations;

    (void)what;
    if (read(fd, &expirations, sizeof expirations) < 0)
        assert(errno == EAGAIN);
    loop->armed_us = 0;
}

/* Sets the timerfd, unless it fires soon enough as it is. */
static void
arm_timer(struct loop *loop)
{
    if (!loop->timers.root)
        return;
    int64_t due_us = loop->timers.root->due_us - clock_skipped_us();
    if (due_us < 1) /* long past: zero would disarm it */
        due_us = 1;
    if (loop->armed_us != 0 && loop->armed_us <= due_us)
        return;
    const struct itimerspec at = {
        .it_value.tv_sec = due_us / 1000000,
        .it_value.tv_nsec = due_us % 1000000 * 1000,
    };
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) != 0)
        log_fatal("loop: timerfd_settime: error %d", errno);
    loop->armed_us = due_us;
}

/* ---- hooks and signals ---- */

void
loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    assert(hook->fn);
    list_append(&loop->hooks, &hook->link);
}

void
loop_hook_add_first(struct loop *loop, struct loop_hook *hook)
{
    assert(hook->fn);
    list_prepend(&loop->hooks, &hook->link);
}

void
loop_hook_remove(struct loop_hook *hook)
{
    list_remove(&hook->link);
}

struct loop_signal {
    struct list link;
    struct event *event;
    void (*fn)(int signo, void *arg);
    void *arg;
};

static void
signal_cb(evutil_socket_t signo, short what, void *arg)
{
    struct loop_signal *s = arg;

    (void)what;
    s->fn((int)signo, s->arg);
}

static struct event *
event_or_die(struct loop *loop, int fd, short what, event_callback_fn fn,
             void *arg)
{
    struct event *event = event_new(loop->base, fd, what | EV_PERSIST, fn, arg);

    if (!event || event_add(event, NULL) != 0)
        log_fatal("loop: cannot watch descriptor or signal %d", fd);
    return event;
}

void
loop_on_signal(struct loop *loop, int signo, void (*fn)(int signo, void *arg),
               void *arg)
{
    struct loop_signal *s = xcalloc(1, sizeof *s);

    s->fn = fn;
    s->arg = arg;
    s->event = event_or_die(loop, signo, EV_SIGNAL, signal_cb, s);
    list_append(&loop->signals, &s->link);
}

/* ---- turns ---- */

int64_t
loop_read_clock(struct loop *loop)
{
    return loop->now_us = clock_mono_us();
}

static void
turn_timer_cb(struct loop_timer *timer)
{
    (void)timer;
}

static void
wait_for_events(struct loop *loop, int64_t timeout_ms)
{
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    bool idle = list_empty(&loop->ready) && list_empty(&loop->next);

    if (!idle || timeout_ms == 0) {
        flags |= EVLOOP_NONBLOCK;
    } else {
        if (timeout_ms > 0)
            loop_timer_start(loop, &loop->turn_timer, timeout_ms,
                             turn_timer_cb);
        arm_timer(loop);
    }
    loop->now_us = 0;
    if (event_base_loop(loop->base, flags) < 0)
        log_fatal("loop: libevent: error %d", errno);
    if (timeout_ms > 0)
        loop_timer_stop(&loop->turn_timer);
}

/* Returns how many ran, at most @max. A coroutine reads the clock when it has
 * run; what anything else takes must not be put down to the next one. */
static uint32_t
run_ready(struct loop *loop, uint32_t max)
{
    struct list *link;
    uint32_t n = 0;

    for (; n < max && (link = list_shift(&loop->ready)); n++) {
        int64_t before_us = loop->now_us;
        run_task(LIST_ENTRY(link, struct loop_task, link));
        if (loop->now_us == before_us)
            loop->now_us = 0;
    }
    return n;
}

static void
warn_of_stall(struct loop *loop, int64_t began_us, uint32_t tasks)
{
    int64_t took_us = loop_read_clock(loop) - began_us;

    if (!loop->stall_named && took_us > loop->stall_warn_us)
        log_warn("a turn of the loop took %lld ms (%u tasks)",
                 (long long)took_us / 1000, tasks);
    loop->stall_named = false;
    loop->now_us = 0;
}

void
loop_turn(struct loop *loop, int64_t timeout_ms)
{
    uint32_t ran = 0;

    assert(!co_running());
    wait_for_events(loop, timeout_ms);
    int64_t began_us = loop_now_us(loop);
    expire_timers(loop);
    list_splice(&loop->ready, &loop->next);
    do {
        ran += run_ready(loop, LOOP_READY_MAX - ran);
        LIST_FOREACH_SAFE (link, following, &loop->hooks) {
            struct loop_hook *hook = LIST_ENTRY(link, struct loop_hook, link);
            hook->fn(hook);
        }
        loop->now_us = 0;
    } while (!list_empty(&loop->ready) && ran < LOOP_READY_MAX);
    warn_of_stall(loop, began_us, ran);
}

void
loop_run(struct loop *loop)
{
    assert(!loop->running);
    loop->running = true;
    while (!loop->stopping)
        loop_turn(loop, -1);
    loop->stopping = false;
    loop->running = false;
}

void
loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

/* ---- life ---- */

static void
libevent_fatal_cb(int error)
{
    log_fatal("libevent gave up with error %d", error);
}

static void
libevent_log_cb(int severity, const char *text)
{
    log_line(severity >= EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG,
             "libevent: %s", text);
}

static struct event_base *
base_or_die(void)
{
    struct event_config *config = event_config_new();

    event_set_fatal_callback(libevent_fatal_cb);
    event_set_log_callback(libevent_log_cb);
    if (!config)
        log_fatal("loop: no memory");
    /* epoll, whatever EVENT_NOEPOLL says: a hang-up must be noticed without
     * reading. One thread owns the base, so it needs no locks. */
    event_config_require_features(config, EV_FEATURE_EARLY_CLOSE);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    /* Its timers are not used, so nobody wants the time that it would read. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (!base)
        log_fatal("loop: libevent has no epoll here");
    return base;
}

/* Zero means the default. */
static struct threads *
new_threads(struct loop *loop, uint32_t threads_max, uint32_t queue_max)
{
    return threads_new(loop, threads_max ? threads_max : LOOP_THREADS_MAX,
                       queue_max ? queue_max : LOOP_THREADS_QUEUE);
}

struct loop *
loop_new(const struct loop_options *options)
{
    const struct loop_options o = options ? *options : (struct loop_options){0};
    struct loop *loop = xcalloc(1, sizeof *loop);

    loop->base = base_or_die();
    loop->now_us = clock_mono_us();
    list_init(&loop->ready);
    list_init(&loop->next);
    list_init(&loop->hooks);
    list_init(&loop->signals);
    list_init(&loop->posted);
    list_init(&loop->coroutines);
    pthread_mutex_init(&loop->post_lock, NULL);
    loop->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->timer_fd < 0 || loop->post_fd < 0)
        log_fatal("loop: no descriptor: error %d", errno);
    loop->timer_event =
        event_or_die(loop, loop->timer_fd, EV_READ, timer_cb, loop);
    loop->post_event =
        event_or_die(loop, loop->post_fd, EV_READ, post_cb, loop);
    loop->coroutines_max =
        o.coroutines_max ? o.coroutines_max : LOOP_COROUTINES_MAX;
    list_init(&loop->detached);
    loop->detached_max = o.detached_max ? o.detached_max : LOOP_DETACHED_MAX;
    loop->threads[THREADS_AWAITS] =
        new_threads(loop, o.threads_max, o.threads_queue);
    loop->threads[THREADS_VIEWS] =
        new_threads(loop, o.view_threads_max, o.view_threads_queue);
    loop->threads[THREADS_MAILS] = new_threads(loop, LOOP_MAILS_MAX, 0);
    loop->stall_warn_us =
        (o.stall_warn_ms ? o.stall_warn_ms : LOOP_STALL_WARN_MS) * 1000;
    stack_pool_init(&loop->stacks,
                    o.stack_size ? o.stack_size : LOOP_STACK_SIZE);
    return loop;
}

void
loop_free(struct loop *loop)
{
    if (!loop)
        return;
    assert(!loop->running && loop->coroutines_count == 0);
    for (int pool = 0; pool < THREADS_POOLS; pool++)
        threads_free(loop->threads[pool]);
    fetch_pool_free(loop->fetch_pool);
    LIST_FOREACH_SAFE (link, following, &loop->signals) {
        struct loop_signal *s = LIST_ENTRY(link, struct loop_signal, link);
        event_free(s->event);
        free(s);
    }
    event_free(loop->timer_event);
    event_free(loop->post_event);
    close(loop->timer_fd);
    close(loop->post_fd);
    pthread_mutex_destroy(&loop->post_lock);
    stack_pool_clear(&loop->stacks);
    event_base_free(loop->base);
    free(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
    return loop->base;
}

void
loop_attach(struct loop *loop, const void *key, void *object)
{
    size_t i = 0;

    while (i < loop->objects_len && loop->objects[i].key != key)
        i++;
    assert(i < LOOP_OBJECTS_MAX);
    if (i == loop->objects_len)
        loop->objects_len++;
    loop->objects[i].key = key;
    loop->objects[i].object = object;
}

void *
loop_attached(const struct loop *loop, const void *key)
{
    for (size_t i = 0; i < loop->objects_len; i++)
        if (loop->objects[i].key == key)
            return loop->objects[i].object;
    return NULL;
}

enum loop_idle
loop_idle(const struct loop *loop, int64_t *ret_due_us)
{
    if (!list_empty(&loop->ready) || !list_empty(&loop->next))
        return LOOP_BUSY;
    for (int pool = 0; pool < THREADS_POOLS; pool++)
        if (threads_busy(loop->threads[pool]))
            return LOOP_THREADS;
    if (!loop->timers.root)
        return LOOP_NOTHING;
    *ret_due_us = loop->timers.root->due_us;
    return LOOP_TIMER;
}

int64_t
loop_now_ms(struct loop *loop)
{
    return loop_now_us(loop) / 1000;
}
