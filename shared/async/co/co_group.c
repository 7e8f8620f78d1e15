/* Group: several functions at once, and the caller waits for all of them.
 *
 * Each runs in a child coroutine. The children work on the caller's memory, so
 * whatever happens the caller leaves only when the last of them has ended: on a
 * failure, or at the first end where any will do, the others are cancelled,
 * which makes them return soon. */
#include <assert.h>

#include "async/co/co_private.h"

struct group;

struct child {
    struct group *group;
    const struct co_call *call;
    struct co *co; /* NULL once it has ended */
};

struct group {
    struct op op; /* settled when the last child has ended */
    struct co *parent;
    size_t alive;
    bool any;  /* the first to end decides, else the first to fail */
    bool over; /* cancelled, or one could not start: none decides any more */
    struct child *first; /* the one that decided; NULL: none yet */
    enum status result;
    struct child children[CO_CALLS_MAX];
};

static const struct op_class group_class = {"calls", NULL};

static void
cancel_children(struct group *group, enum status reason)
{
    for (size_t i = 0; i < CO_CALLS_MAX; i++)
        if (group->children[i].co)
            co_cancel(group->children[i].co, reason);
}

static void
child_ended(void *arg, enum status status)
{
    struct child *child = arg;
    struct group *group = child->group;

    child->co = NULL;
    if (!group->first && !group->over && (group->any || status != ST_OK)) {
        group->first = child;
        group->result = status;
        cancel_children(group, ST_CANCELLED);
    }
    if (--group->alive == 0)
        op_settle(&group->op, group->result);
}

static enum status
child_fn(struct co *co, void *arg)
{
    struct child *child = arg;

    child->co = co;
    co->deadline_us = child->group->parent->deadline_us;
    return child->call->fn(co, child->call->arg);
}

/* Starts them all; a failure to start one is the group's. */
static enum status
start_children(struct co *co, struct group *group, const struct co_call *calls,
               size_t n)
{
    enum status status = ST_OK;

    for (size_t i = 0; i < n && status == ST_OK; i++) {
        group->children[i] = (struct child){.group = group, .call = &calls[i]};
        status = co_spawn(co->loop, co->name, child_fn, &group->children[i],
                          child_ended);
        group->alive += status == ST_OK;
    }
    if (status != ST_OK) {
        group->over = true;
        group->result = status;
        cancel_children(group, ST_CANCELLED);
    }
    return status;
}

static enum status
run_group(struct co *co, struct group *group, const struct co_call *calls,
          size_t n)
{
    assert(n <= CO_CALLS_MAX);
    group->parent = co;
    op_init(&group->op, co->loop, &group_class, NULL, NULL);
    enum status status = start_children(co, group, calls, n);
    if (group->alive == 0)
        return status;
    status = co_await_kept(co, &group->op);
    if (!group->op.settled) {
        group->over = true;
        cancel_children(group, status);
        co_await_rest(co, &group->op);
    }
    return status;
}

enum status
co_await_calls(struct co *co, const struct co_call *calls, size_t n)
{
    struct group group = {0};

    if (co->cancelled || n == 0)
        return co->cancelled;
    return run_group(co, &group, calls, n);
}

enum status
co_await_any_call(struct co *co, const struct co_call *calls, size_t n,
                  size_t *ret_index)
{
    struct group group = {.any = true};

    assert(n > 0);
    if (co->cancelled)
        return co->cancelled;
    enum status status = run_group(co, &group, calls, n);
    if (group.first && ret_index)
        *ret_index = (size_t)(group.first - group.children);
    return status;
}
