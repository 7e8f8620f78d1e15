/* Pull: claims, and what becomes of those that nobody wants any more.
 *
 * A batch is held by its handler and, while that runs, by its claimer. When the
 * handler is cancelled meanwhile the batch is only marked as abandoned: the
 * claimer hands back what it got. pull_wait.c has the waiting. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/leases/pull_private.h"
#include "base/log.h"
#include "base/random.h"

enum { TOKEN_ROOM = QUEUE_CLAIM_MAX };

struct pull *
pull_new(struct loop *loop, struct queues *queues, const char *redis_url)
{
    struct pull *pull = xcalloc(1, sizeof *pull);
    unsigned char bytes[5];

    pull->loop = loop;
    pull->queues = queues;
    pull->redis_url = xstrdup(redis_url);
    list_init(&pull->pollers);
    list_init(&pull->sources);
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(pull->stem + 2 * i, 3, "%02x", bytes[i]);
    return pull;
}

void
pull_free(struct pull *pull)
{
    if (!pull)
        return;
    pull_wait_clear(pull);
    free(pull->redis_url);
    free(pull);
}

/* ---- a batch ---- */

size_t
pull_batch_parts(const struct pull_batch *batch)
{
    return batch->parts_len;
}

const struct pull_part *
pull_batch_part(const struct pull_batch *batch, size_t i)
{
    assert(i < batch->parts_len);
    return batch->parts[i];
}

const char *
pull_batch_worker(const struct pull_batch *batch)
{
    return batch->worker;
}

void
pull_batch_free(struct pull_batch *batch)
{
    if (!batch || --batch->holders > 0)
        return;
    for (size_t i = 0; i < batch->parts_len; i++) {
        rds_call_clear(&batch->parts[i]->work.call);
        free(batch->parts[i]);
    }
    free(batch);
}

static void
batch_cancel(struct op *op)
{
    LIST_ENTRY(op, struct pull_batch, op)->abandoned = true;
}

static const struct op_class batch_class = {"claim", batch_cancel};

static struct pull_batch *
batch_new(struct pull *pull, const struct pull_wish *wish)
{
    struct pull_batch *batch = xcalloc(1, sizeof *batch);

    batch->pull = pull;
    batch->holders = 1;
    batch->max = wish->max;
    batch->lease_ms = wish->lease_ms;
    batch->queues_len = wish->queues_len;
    batch->next_ms = -1;
    for (size_t i = 0; i < wish->queues_len; i++)
        str_copy_to(wish->queues[i], batch->queues[i], sizeof batch->queues[i]);
    snprintf(batch->worker, sizeof batch->worker, "%.*s-%s",
             STR_ARG(wish->worker), pull->stem);
    return batch;
}

/* ---- handing back ---- */

static enum status
give_back_part(struct co *co, struct pull *pull, const struct pull_part *part,
               const char *worker)
{
    struct finish finishes[QUEUE_CLAIM_MAX];
    struct work work = {.queue = str_c(part->queue),
                        .lease_ms = 1000,
                        .worker = worker,
                        .token_first = pull->tokens};
    size_t n = part->work.claimed_len;

    for (size_t i = 0; i < n; i++) {
        const struct claimed *claimed = &part->work.claimed[i];
        finishes[i] = (struct finish){.local = claimed->local,
                                      .token = str_c(claimed->token),
                                      .priority = claimed->priority,
                                      .outcome = OUTCOME_RELEASED,
                                      .keep_ms = JOB_KEEP_STANDARD_MS};
    }
    queue_work(pull->queues, &work, finishes, n, NULL, NULL);
    enum status st = co_await(co, &work.call.op);
    if (st != ST_OK)
        log_warn("pull: %zu jobs of %s could not be handed back (%s): they "
                 "come back when their lease is over",
                 n, part->queue, work.call.err.msg);
    rds_call_clear(&work.call);
    return st;
}

static enum status
give_back(struct co *co, void *arg)
{
    struct pull_batch *batch = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < batch->parts_len && st == ST_OK; i++)
        st = give_back_part(co, batch->pull, batch->parts[i], batch->worker);
    return st;
}

static void
free_batch(void *arg)
{
    pull_batch_free(arg);
}

void
pull_give_back(struct pull *pull, struct pull_batch *batch)
{
    if (co_detach(pull->loop, "pull-back", give_back, batch, free_batch) !=
        ST_OK)
        log_warn("pull: claimed jobs could not be handed back: they come back "
                 "when their lease is over");
}

/* ---- claiming ---- */

static enum status
claim_from(struct co *co, struct pull_batch *batch, const char *queue)
{
    struct pull *pull = batch->pull;
    struct pull_part *part = xcalloc(1, sizeof *part);
    struct work *work = &part->work;

    str_copy_to(str_c(queue), part->queue, sizeof part->queue);
    work->queue = str_c(part->queue);
    work->claim = batch->max - (int)batch->jobs;
    work->lease_ms = batch->lease_ms;
    work->worker = batch->worker;
    work->token_first = pull->tokens;
    pull->tokens += TOKEN_ROOM;
    queue_work(pull->queues, work, NULL, 0, NULL, NULL);
    enum status st = co_await(co, &work->call.op);
    if (st == ST_OK)
        st = queue_work_result(work, &batch->err);
    else
        batch->err = work->call.err;
    if (st == ST_OK && work->next_ms >= 0 &&
        (batch->next_ms < 0 || work->next_ms < batch->next_ms))
        batch->next_ms = work->next_ms;
    if (st == ST_OK && work->outbox)
        pull_deliver(pull, str_c(queue));
    if (st == ST_OK && work->claimed_len > 0) {
        batch->jobs += work->claimed_len;
        batch->parts[batch->parts_len++] = part;
        return ST_OK;
    }
    rds_call_clear(&work->call);
    free(part);
    return st;
}

/* The claimer. What one queue refuses does not take away what another gave. */
static enum status
claim(struct co *co, void *arg)
{
    struct pull_batch *batch = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < batch->queues_len && st == ST_OK &&
                       (int)batch->jobs < batch->max && !batch->abandoned;
         i++)
        st = claim_from(co, batch, batch->queues[i]);
    if (!batch->abandoned)
        op_settle(&batch->op, batch->jobs > 0 ? ST_OK : st);
    else if (batch->jobs > 0 && co_cancelled(co) == ST_OK)
        return give_back(co, batch);
    return ST_OK;
}

/* One round over the queues. After a failure the batch is not the caller's any
 * more. */
static enum status
claim_once(struct co *co, struct pull_batch *batch, struct error *err)
{
    struct pull *pull = batch->pull;

    op_init(&batch->op, pull->loop, &batch_class, NULL, NULL);
    batch->next_ms = -1;
    batch->holders++;
    if (co_detach(pull->loop, "pull", claim, batch, free_batch) != ST_OK) {
        pull_batch_free(batch);
        return error_set(err, ST_LIMIT, "too many claims are under way");
    }
    enum status st = co_await(co, &batch->op);
    if (st == ST_OK)
        return st;
    if (err)
        *err = batch->err;
    if (batch->jobs > 0 && !batch->abandoned) /* cancelled a moment too late */
        pull_give_back(pull, batch);
    else
        pull_batch_free(batch);
    return st;
}

enum status
pull_claim(struct co *co, struct pull *pull, const struct pull_wish *wish,
           struct pull_batch **ret, struct error *err)
{
    int64_t until_ms = loop_now_ms(pull->loop) + wish->wait_ms;
    struct pull_batch *batch = batch_new(pull, wish);

    for (;;) {
        enum status st = claim_once(co, batch, err);
        int64_t left_ms = until_ms - loop_now_ms(pull->loop);
        if (st != ST_OK)
            return st;
        if (batch->jobs > 0 || left_ms <= 0)
            break;
        st = pull_wait(co, pull, batch, left_ms, err);
        if (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)
            break; /* one more look would find what the token's taker left */
        if (st != ST_OK) {
            pull_batch_free(batch);
            return st;
        }
    }
    *ret = batch;
    return ST_OK;
}
