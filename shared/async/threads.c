/* Threads: one queue, one lock, and a post to the loop for each call that ends.
 *
 *   loop: co_thread() ─> queue ─> thread: fn(arg) ─> loop_post() ─> loop: done
 *
 * A call (struct threads_call) is on the heap, since it may outlive who awaits
 * it: that is call->op, which only the loop's thread touches, NULL when nobody
 * does. What is shared between threads: the queue and the counts beside it,
 * under the lock; and a call's result, handed over by the post. */
#include "async/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "async/co/co_private.h"
#include "base/log.h"

struct threads {
    struct loop *loop;
    uint32_t threads_max;
    uint32_t queue_max;
    uint32_t calls; /* all that were made and have not been freed; the loop's */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    struct list queue;
    uint32_t queued;
    uint32_t idle;
    uint32_t running;
    uint64_t refused;
    bool stopping;
    uint32_t started;
    pthread_t ids[];
};

void
threads_call_free(struct threads_call *call)
{
    call->threads->calls--;
    if (call->arg_free)
        call->arg_free(call->arg);
    free(call);
}

static void
call_done(struct loop_task *task)
{
    struct threads_call *call = LIST_ENTRY(task, struct threads_call, done);
    struct op *op = call->op;
    enum status result = call->result;

    threads_call_free(call);
    if (op)
        op_settle(op, result);
}

static void *
thread_main(void *arg)
{
    struct threads *t = arg;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        t->idle++;
        while (list_empty(&t->queue) && !t->stopping)
            pthread_cond_wait(&t->work, &t->lock);
        t->idle--;
        if (t->stopping)
            break;
        struct threads_call *call =
            LIST_ENTRY(list_shift(&t->queue), struct threads_call, link);
        t->queued--;
        t->running++;
        pthread_mutex_unlock(&t->lock);
        co_tag_lend((struct log_tag){call->job, call->request});
        call->result = call->fn(call->arg);
        co_tag_lend((struct log_tag){"", ""});
        pthread_mutex_lock(&t->lock);
        t->running--;
        /* Posted, it may be gone. */
        loop_post(t->loop, &call->done);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* With the lock held. Signals are the loop's: none is delivered to a thread. */
static bool
start_thread(struct threads *t)
{
    sigset_t all, before;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&t->ids[t->started], NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return false;
    pthread_setname_np(t->ids[t->started], "pit-thread");
    t->started++;
    return true;
}

/* ST_LIMIT when the queue is full, or there is no thread and none can be had.
 */
enum status
threads_submit(struct threads *t, struct threads_call *call)
{
    enum status status = ST_OK;

    pthread_mutex_lock(&t->lock);
    if (t->queued >= t->queue_max) {
        status = ST_LIMIT;
        goto out;
    }
    if (t->idle <= t->queued && t->started < t->threads_max &&
        !start_thread(t) && t->started == 0) {
        status = ST_LIMIT;
        goto out;
    }
    list_append(&t->queue, &call->link);
    t->queued++;
    pthread_cond_signal(&t->work);
out:
    t->refused += status != ST_OK;
    pthread_mutex_unlock(&t->lock);
    return status;
}

bool
threads_take_back(struct threads_call *call)
{
    struct threads *t = call->threads;

    pthread_mutex_lock(&t->lock);
    bool waiting = call->link.next != &call->link;
    if (waiting) {
        list_remove(&call->link);
        t->queued--;
    }
    pthread_mutex_unlock(&t->lock);
    return waiting;
}

struct threads_call *
threads_call_new(struct threads *t, threads_fn *fn, void *arg,
                 void (*arg_free)(void *arg), struct op *op)
{
    struct threads_call *call = xcalloc(1, sizeof *call);

    *call = (struct threads_call){
        .done.fn = call_done,
        .threads = t,
        .fn = fn,
        .arg = arg,
        .arg_free = arg_free,
        .op = op,
    };
    list_init(&call->link);
    t->calls++;
    return call;
}

struct threads_stats
threads_stats(struct threads *t)
{
    pthread_mutex_lock(&t->lock);
    struct threads_stats stats = {t->running, t->queued, t->refused};
    pthread_mutex_unlock(&t->lock);
    return stats;
}

bool
threads_busy(const struct threads *t)
{
    return t->calls > 0;
}

struct threads *
threads_new(struct loop *loop, uint32_t threads_max, uint32_t queue_max)
{
    struct threads *t = xcalloc(1, sizeof *t + threads_max * sizeof(pthread_t));

    t->loop = loop;
    t->threads_max = threads_max;
    t->queue_max = queue_max;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    list_init(&t->queue);
    return t;
}

void
threads_free(struct threads *t)
{
    struct list *link;

    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (uint32_t i = 0; i < t->started; i++)
        pthread_join(t->ids[i], NULL);
    while ((link = list_shift(&t->queue)))
        threads_call_free(LIST_ENTRY(link, struct threads_call, link));
    while (t->calls > 0) /* those that ended are posted */
        loop_turn(t->loop, 0);
    pthread_cond_destroy(&t->work);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
