/* co_private.h - the coroutine as its own files see it: co*.c, op.c, crash.c.
 * Nobody else includes this. */
#ifndef ASYNC_CO_PRIVATE_H
#define ASYNC_CO_PRIVATE_H

#include "async/co/annotate.h"
#include "async/co/co.h"
#include "async/co/switch.h"
#include "async/loop_private.h"
#include "base/log.h"

enum co_state { CO_RUNNING, CO_WAITING, CO_YIELDING, CO_ENDED };

enum co_mode { CO_ALL, CO_ANY };

struct co {
    struct loop *loop;
    const char *name;
    struct loop_task wake;
    struct list link; /* in loop->coroutines */
    struct stack stack;
    struct switch_context self;
    struct switch_context *resumer;
    co_fn *fn;
    void *arg;
    void (*on_end)(void *arg, enum status status);
    enum co_state state;
    enum status result;
    enum status cancelled; /* ST_OK: it is not */

    int64_t resumed_us;         /* monotonic, as all of these */
    int64_t deadline_us;        /* 0: none */
    int64_t since_us;           /* in this state */
    struct loop_timer deadline; /* as long as .loop is NULL, nothing else of it
                                   was set */

    struct op *const *ops; /* what it awaits */
    size_t ops_len;
    size_t unsettled;
    struct op *decisive; /* all: the first that failed; any: the first */
    enum co_mode mode;
    bool deaf; /* this await lasts until it is settled, cancelled or not */
    char trace[CO_TRACE_LEN + 1]; /* "": none */
    const char *request;          /* "": none; `kept`, or lent */
    char kept[CO_REQUEST_MAX + 1];
    char job[CO_JOB_MAX + 1];
    bool request_sent;
#ifdef ANNOTATE_ASAN
    void *fake_stack; /* ASan's, while it is suspended */
    const void *resumer_low;
    size_t resumer_size;
#endif
#ifdef ANNOTATE_TSAN
    void *fiber;
    void *resumer_fiber;
#endif
};

/* In a thread that has no coroutines: log lines carry @tag, which is borrowed
 * until the next call. */
void co_tag_lend(struct log_tag tag);
/* Back to whoever resumed it; returns when it is resumed again. */
void co_leave(struct co *co);
/* One of the ops that @co waits for was settled. */
void co_op_settled(struct co *co, struct op *op);
/* The running coroutine's name, NULL when none runs. *ret_overflowed: the size
 * of its stack when @address lies in the guard of that, else 0.
 * Async-signal-safe. */
const char *co_faulted(const void *address, size_t *ret_overflowed);

#endif
