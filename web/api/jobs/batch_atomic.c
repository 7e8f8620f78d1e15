/* Batch, all or nothing: every job is looked at before the first is sent, and
 * all of them go in one script. */
#include "api/jobs/batch.h"

#include <assert.h>
#include <stdio.h>

/* ---- all or nothing ---- */

static enum status
refuse_item(struct batch *batch, size_t index, const struct error *err)
{
    char pointer[sizeof err->pointer + 16];
    struct problem problem = problem_from_error(err->status, err);

    snprintf(pointer, sizeof pointer, "/%zu%s", index, err->pointer);
    problem.pointer = pointer;
    batch->failed++;
    return api_refuse(batch->exchange, &problem);
}

/* The first job whose unique key belongs to another; NULL: none. */
static const struct enqueue *
first_held(struct enqueue *const *jobs, size_t n, size_t *ret_index)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i]->outcome == ENQUEUE_DUPLICATE &&
            jobs[i]->spec.unique.on_conflict != UNIQUE_RETURN) {
            *ret_index = i;
            return jobs[i];
        }
    return NULL;
}

static enum status
refuse_held(struct batch *batch, size_t index, const struct enqueue *job)
{
    char pointer[48], existing[ID_JOB_MAX + 1];

    snprintf(pointer, sizeof pointer, "/%zu/unique/key", index);
    snprintf(existing, sizeof existing, "%.*s.%s", STR_ARG(job->spec.queue),
             job->holder);
    struct problem problem = {
        .kind = PROBLEM_DUPLICATE_JOB,
        .detail = "another job holds this unique key: nothing was stored",
        .pointer = pointer,
    };
    return api_refuse_naming(batch->exchange, &problem, "existing", existing);
}

/* A repeat finds its jobs in place: that is as good as new. */
static bool
all_there(struct enqueue *const *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i]->outcome != ENQUEUE_SAME &&
            jobs[i]->outcome != ENQUEUE_GONE)
            return false;
    return true;
}

static enum status
enqueue_atomic(struct batch *batch, struct window *window)
{
    struct http_exchange *exchange = batch->exchange;
    struct enqueue *jobs[QUEUE_ENQUEUE_MAX];
    struct error *err = &exchange->err;

    for (size_t i = 0; i < window->len; i++) {
        struct item *item = &window->item[i];
        jobs[i] = &item->enqueue;
        if (item->err.status != ST_OK)
            return refuse_item(batch, i, &item->err);
        assert(jobs[i]->spec.queue.p);
        if (queue_enqueue_together(jobs[i]->spec.queue,
                                   (size_t)jobs[i]->spec.kin.parents,
                                   jobs[0]->spec.queue, &item->err) != ST_OK)
            return refuse_item(batch, i, &item->err);
    }
    if (window->len > 0 && !batch->replay) {
        enum status st =
            queue_enqueue_all(batch->co, batch->queues, jobs, window->len, err);
        if (st == ST_CONFLICT && batch->key && all_there(jobs, window->len))
            st = ST_OK;
        if (st != ST_OK) {
            size_t index = 0;
            const struct enqueue *held =
                st == ST_CONFLICT ? first_held(jobs, window->len, &index)
                                  : NULL;
            batch->failed++;
            return held ? refuse_held(batch, index, held)
                        : api_fail(exchange, st, err, true);
        }
    }
    for (size_t i = 0; i < window->len; i++) {
        if (batch->key)
            batch_set_accepted_bit(batch, (uint32_t)i);
        batch_write_accepted(batch, &window->item[i],
                             jobs[i]->outcome == ENQUEUE_DUPLICATE);
    }
    return batch_finish_answer(batch);
}

/* Like batch_add_item(), but nothing is sent before all are known to be good.
 */
static enum status
add_atomic(struct batch *batch, struct str line, const struct jsontext *value)
{
    struct window *window = batch->windows[0];

    if (window->len == QUEUE_ENQUEUE_MAX)
        return error_set(&batch->exchange->err, ST_TOO_LARGE,
                         "an atomic batch has at most %d jobs",
                         QUEUE_ENQUEUE_MAX);
    struct item *item = &window->item[window->len];
    *item = (struct item){.good = false};
    if (batch_read_item(batch, window, item, line, value))
        batch_name_item(batch, item, (uint32_t)window->len);
    window->len++;
    return ST_OK;
}

enum status
batch_run_atomic(struct batch *batch, struct str body,
                 const struct jsontext *array)
{
    enum status st = ST_OK;

    if (array) {
        struct jsontext_walk walk = jsontext_walk(*array);
        struct jsontext value;
        struct str key;
        while (st == ST_OK && jsontext_next(&walk, &key, &value))
            st = add_atomic(batch, value.raw, &value);
    }
    while (!array && st == ST_OK && body.n > 0) {
        struct str line = str_trim(str_cut(body, '\n', &body));
        if (line.n > 0)
            st = add_atomic(batch, line, NULL);
    }
    if (st != ST_OK) {
        batch->failed++;
        return api_fail(batch->exchange, st, &batch->exchange->err, false);
    }
    return enqueue_atomic(batch, batch->windows[0]);
}
