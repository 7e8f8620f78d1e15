/* The await for a function on a thread (threads.h). */
#include "async/co/co_private.h"
#include "async/threads.h"

enum status
co_thread_of(struct co *co, enum threads_pool pool, const char *name,
             threads_fn *fn, void *arg, void (*arg_free)(void *arg))
{
    struct threads *t = co->loop->threads[pool];
    const struct op_class class = {name, NULL};
    struct op op;
    struct threads_call *call = threads_call_new(t, fn, arg, arg_free, &op);

    memcpy(call->job, co->job, sizeof call->job);
    str_copy_to(str_c(co->request), call->request, sizeof call->request);
    op_init(&op, co->loop, &class, NULL, NULL);
    enum status status = co->cancelled;
    if (status == ST_OK)
        status = threads_submit(t, call);
    if (status != ST_OK) {
        threads_call_free(call);
        return status;
    }
    status = co_await_kept(co, &op);
    if (op.settled)
        return status;
    if (threads_take_back(call))
        threads_call_free(call);
    else if (arg_free)
        call->op = NULL;
    else
        co_await_rest(co, &op);
    return status;
}

enum status
co_thread(struct co *co, const char *name, threads_fn *fn, void *arg,
          void (*arg_free)(void *arg))
{
    return co_thread_of(co, THREADS_AWAITS, name, fn, arg, arg_free);
}

struct threads_stats
co_thread_stats(const struct loop *loop, enum threads_pool pool)
{
    return threads_stats(loop->threads[pool]);
}
