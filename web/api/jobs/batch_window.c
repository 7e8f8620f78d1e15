/* Batch, its windows: WINDOWS of them, used in turn. One is filled while the
 * others are on their way to Redis; before one is filled again every job of it
 * has settled and its results are written. So the body is read no faster than
 * Redis takes it, and memory does not grow with the number of jobs.
 *
 * A window owns the bytes of its lines: a spec borrows them until it is sent.
 */
#include "api/jobs/batch.h"
#include "api/jobs/payload.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "queue/flow/queue_after.h"
#include "queue/queue_retry.h"

/* ---- windows ---- */

struct window *
batch_window_new(void)
{
    struct window *window = xcalloc(1, sizeof *window);

    buf_init(&window->text, SIZE_MAX / 4);
    arena_init(&window->arena, NULL, 0, WINDOW_ARENA_MAX);
    return window;
}

void
batch_window_free(struct window *window)
{
    if (!window)
        return;
    for (size_t i = 0; i < window->len; i++)
        if (window->item[i].queued)
            op_cancel(&window->item[i].enqueue.op);
    arena_clear(&window->arena);
    buf_clear(&window->text);
    free(window);
}

/* Waits for its jobs and writes their results; empty afterwards. */
static enum status
settle_window(struct batch *batch, struct window *window)
{
    bool awaited = false;

    for (size_t i = 0; i < window->len; i++) {
        struct item *item = &window->item[i];
        if (item->queued) {
            /* Its own failure is its result; only ours ends the batch. */
            if (co_await(batch->co, &item->enqueue.op) != ST_OK &&
                co_cancelled(batch->co) != ST_OK)
                return co_cancelled(batch->co);
            awaited = true;
        }
        batch_write_result(batch, item);
        item->queued = false;
    }
    /* A window of nothing but refusals must not keep the loop from others. */
    if (window->len > 0 && !awaited && co_yield(batch->co) != ST_OK)
        return co_cancelled(batch->co);
    window->len = 0;
    buf_reset(&window->text);
    arena_clear(&window->arena);
    return batch_stream_results(batch);
}

/* The next window to fill, its former content settled. */
enum status
batch_next_window(struct batch *batch)
{
    batch->filling = (batch->filling + 1) % WINDOWS;
    return settle_window(batch, batch->windows[batch->filling]);
}

enum status
batch_settle_rest(struct batch *batch)
{
    enum status st = ST_OK;

    for (int i = 0; i < WINDOWS && st == ST_OK; i++)
        st = batch_next_window(batch);
    return st;
}

/* ---- items ---- */

/* Reads one job and finds its task; what is wrong is left in item->err. */
bool
batch_read_item(struct batch *batch, struct window *window, struct item *item,
                struct str line, const struct jsontext *value)
{
    struct envelope envelope;

    item->err.status = ST_OK;
    enum status st =
        value ? envelope_read(*value, &window->arena, &envelope, &item->err)
              : envelope_parse(line, &window->arena, &envelope, &item->err);
    if (st == ST_OK) {
        envelope.spec.origin = batch->origin;
        st = catalog_complete(batch->co, &batch->api->catalog, &window->arena,
                              &envelope, &item->err);
    }
    if (st == ST_OK)
        st = queue_retry_fill(batch->co, batch->api->queues, &envelope.spec,
                              &item->err);
    if (st == ST_OK && (envelope.given & ENVELOPE_DURABILITY))
        st = error_set_at(&item->err, "/durability",
                          "is for the batch as a whole: put it into the query "
                          "(?durability=fsync)");
    if (st == ST_OK) {
        item->enqueue.spec = envelope.spec;
        item->after = envelope.after;
    }
    return st == ST_OK;
}

void
batch_name_item(struct batch *batch, struct item *item, uint32_t index)
{
    if (!batch->key)
        return;
    item->enqueue.named = true;
    id_derive(batch->key->entry.seed, index, item->enqueue.local);
}

/* A job that waits for others takes several steps, so it is awaited here. */
static void
send(struct batch *batch, struct item *item)
{
    struct enqueue *e = &item->enqueue;

    if (e->spec.kin.parents == 0) {
        queue_enqueue(batch->queues, e, NULL, NULL);
        item->queued = true;
        return;
    }
    enum status st = queue_after_enqueue(
        batch->co, batch->queues, e, item->after, (size_t)e->spec.kin.parents);
    item->queued = e->op.settled;
    item->good = item->queued;
    if (!item->queued) { /* one of the others was refused */
        item->err = e->err;
        item->err.status = st;
    }
}

/* Adds a job to the window that is being filled. @line lies in it, or lives as
 * long as the request. */
enum status
batch_add_item(struct batch *batch, struct str line,
               const struct jsontext *value)
{
    struct window *window = batch->windows[batch->filling];
    struct item *item = &window->item[window->len++];
    uint32_t index = batch->total++;

    *item = (struct item){.good = false};
    if ((batch->key || batch_is_durable(batch)) &&
        index >= IDEMPOTENCY_JOBS_MAX) {
        (void)error_set(&item->err, ST_TOO_LARGE,
                        "a batch with %s has at most %d jobs",
                        batch->key ? "an Idempotency-Key" : "a durability",
                        IDEMPOTENCY_JOBS_MAX);
    } else if (batch_read_item(batch, window, item, line, value)) {
        batch_name_item(batch, item, index);
        item->good = !batch->replay || batch_accepted_bit(batch, index);
        if (!batch->replay)
            send(batch, item);
        else if (!item->good) /* the one refusal that the line does not show */
            (void)error_set(&item->err, ST_UNKNOWN_TASK,
                            "there was no such task at the first time");
    }
    return window->len == WINDOW_JOBS ? batch_next_window(batch) : ST_OK;
}
