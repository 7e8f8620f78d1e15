/* Enqueue after others: attach, store, deliver; see the header for the order.
 */
#include "queue/flow/queue_after.h"

#include <stdio.h>

#include "base/log.h"
#include "queue/flow/outbox.h"

/* What a client can mend is about the id that it gave. */
static enum status
refuse_parent(struct error *err, size_t index, enum status st)
{
    struct error why = *err;
    char pointer[32];

    if (st != ST_NOT_FOUND && st != ST_GONE && st != ST_LIMIT)
        return st;
    snprintf(pointer, sizeof pointer, "/after/%zu", index);
    return error_set_at(err, pointer, "%s", why.msg);
}

static enum status
attach_all(struct co *co, struct queues *queues, struct enqueue *e,
           const struct job_id *parents, size_t n, bool *ret_ended)
{
    char child[ID_JOB_MAX + 1];

    *ret_ended = false;
    snprintf(child, sizeof child, "%.*s.%s", STR_ARG(e->spec.queue), e->local);
    for (size_t i = 0; i < n; i++) {
        bool ended = false;
        if (str_eq(parents[i].queue, e->spec.queue) &&
            str_eq_c(parents[i].local, e->local)) {
            (void)error_set(&e->err, ST_NOT_FOUND,
                            "a job cannot wait for itself");
            return refuse_parent(&e->err, i, ST_NOT_FOUND);
        }
        enum status st = outbox_attach(co, queues, parents[i], str_c(child),
                                       &ended, &e->err);
        if (st != ST_OK)
            return refuse_parent(&e->err, i, st);
        *ret_ended |= ended;
    }
    return ST_OK;
}

/* The job is stored, come what may: where this fails, workers do it. */
static void
deliver(struct co *co, struct queues *queues, const struct job_id *parents,
        size_t n)
{
    struct error err;

    for (size_t i = 0; i < n; i++) {
        bool done = false;
        for (size_t k = 0; k < i && !done; k++)
            done = str_eq(parents[k].queue, parents[i].queue);
        if (!done &&
            outbox_deliver(co, queues, parents[i].queue, NULL, &err) != ST_OK)
            log_debug("outbox of %.*s: %s", STR_ARG(parents[i].queue), err.msg);
    }
}

enum status
queue_after_enqueue(struct co *co, struct queues *queues, struct enqueue *e,
                    const struct job_id *parents, size_t n)
{
    bool ended = false;

    if (!e->named)
        id_make(e->local);
    e->named = true; /* its id is known before it is stored */
    e->spec.kin.parents = (int32_t)n;
    enum status st = attach_all(co, queues, e, parents, n, &ended);
    if (st == ST_OK)
        st = queue_enqueue_await(co, queues, e);
    if (st == ST_OK && ended && e->outcome == ENQUEUE_NEW)
        deliver(co, queues, parents, n);
    return st;
}
