/* Batch, its answer: one result a job, in the order of the jobs, held back
 * until the whole body was read (many clients read no answer before that), but
 * never more than HELD_MAX bytes of them. */
#include "api/jobs/batch.h"

#include <assert.h>
#include <stdio.h>

/* ---- results ---- */

static void
begin_result(struct batch *batch)
{
    if (batch->ndjson_out)
        return;
    if (batch->written == 0)
        buf_add_c(&batch->out, "{\"results\":[");
    else
        buf_add_char(&batch->out, ',');
}

static void
end_result(struct batch *batch)
{
    if (batch->ndjson_out)
        buf_add_char(&batch->out, '\n');
    batch->written++;
}

/* 202 for a job that was stored, 200 for one that stands for it. */
void
batch_write_accepted(struct batch *batch, const struct item *item,
                     bool stands_for_it)
{
    begin_result(batch);
    buf_add_c(&batch->out, stands_for_it ? "{\"status\":200,\"id\":\""
                                         : "{\"status\":202,\"id\":\"");
    buf_add_str(&batch->out, item->enqueue.spec.queue);
    buf_add_char(&batch->out, '.');
    buf_add_c(&batch->out,
              stands_for_it ? item->enqueue.holder : item->enqueue.local);
    buf_add_c(&batch->out, "\"}");
    end_result(batch);
    batch->accepted++;
}

void
batch_write_problem(struct batch *batch, const struct problem *problem,
                    const struct item *item)
{
    begin_result(batch);
    buf_addf(&batch->out, "{\"status\":%d,", problem_type(problem->kind)->http);
    if (item)
        buf_addf(&batch->out, "\"id\":\"%.*s.%s\",",
                 STR_ARG(item->enqueue.spec.queue), item->enqueue.local);
    buf_add_c(&batch->out, "\"problem\":");
    problem_write(problem, &batch->out);
    buf_add_char(&batch->out, '}');
    end_result(batch);
}

void
batch_set_accepted_bit(struct batch *batch, uint32_t index)
{
    struct idempotency_entry *entry = &batch->key->entry;

    entry->accepted[index / 8] |= (unsigned char)(0x80 >> index % 8);
}

bool
batch_accepted_bit(const struct batch *batch, uint32_t index)
{
    assert(batch->key); /* only a key's entry can be replayed */
    const struct idempotency_entry *entry = &batch->key->entry;

    return index / 8 < entry->accepted_len &&
           (entry->accepted[index / 8] & (0x80 >> index % 8)) != 0;
}

/* Its unique key belongs to another job. */
static void
write_duplicate(struct batch *batch, const struct item *item)
{
    struct problem problem;
    char existing[ID_TEXT];

    if (item->enqueue.spec.unique.on_conflict == UNIQUE_RETURN) {
        batch_write_accepted(batch, item, true);
        return;
    }
    snprintf(existing, sizeof existing, "%.*s.%s",
             STR_ARG(item->enqueue.spec.queue), item->enqueue.holder);
    json_t *extra = json_pack("{s:s}", "existing", existing);
    problem = (struct problem){.kind = PROBLEM_DUPLICATE_JOB,
                               .detail = "another job holds this unique key",
                               .pointer = "/unique/key",
                               .extra = extra};
    batch_write_problem(batch, &problem, NULL);
    json_decref(extra);
}

/* A job that Redis was asked to take. */
static void
write_settled(struct batch *batch, const struct item *item)
{
    enum status st = item->enqueue.op.status;
    struct problem problem;

    if (st == ST_OK && item->enqueue.outcome == ENQUEUE_OTHER) {
        problem = (struct problem){
            .kind = PROBLEM_DUPLICATE_JOB,
            .detail = "the id belongs to a job with other content"};
        batch_write_problem(batch, &problem, item);
        batch->failed++;
    } else if (st == ST_OK && item->enqueue.outcome == ENQUEUE_DUPLICATE) {
        /* The key's holder will not be that one for ever: not for a replay. */
        batch->failed++;
        write_duplicate(batch, item);
    } else if (st == ST_OK) {
        if (batch->key)
            batch_set_accepted_bit(batch, batch->written);
        batch_write_accepted(batch, item, false);
    } else {
        problem = problem_from_error(st, &item->enqueue.err);
        batch_write_problem(batch, &problem, st == ST_UNCLEAR ? item : NULL);
        batch->failed++;
    }
}

/* What the line itself says is wrong, and will be at every repeat. */
static bool
is_final(enum status st)
{
    return st == ST_INVALID || st == ST_UNKNOWN_TASK || st == ST_TOO_LARGE;
}

void
batch_write_result(struct batch *batch, const struct item *item)
{
    if (item->queued) {
        write_settled(batch, item);
    } else if (item->good) {
        batch_write_accepted(batch, item, false);
    } else {
        struct problem problem =
            problem_from_error(item->err.status, &item->err);
        batch_write_problem(batch, &problem, NULL);
        if (!is_final(item->err.status))
            batch->failed++;
    }
}

/* ---- the answer ---- */

static enum status
start_answer(struct batch *batch)
{
    struct pit_response *res = &batch->exchange->res;

    res->status = 200;
    return response_set(res, STR("Content-Type"),
                        batch->ndjson_out ? STR("application/x-ndjson")
                                          : STR("application/json"));
}

bool
batch_is_durable(const struct batch *batch)
{
    return batch->durability.kind == DURABILITY_FSYNC ||
           batch->durability.kind == DURABILITY_REPLICA;
}

/* Sends what there is, if it must not or need not be held any more. */
enum status
batch_stream_results(struct batch *batch)
{
    size_t least = batch->streaming || batch->body_read ? PIECE_MIN : HELD_MAX;
    enum status st = ST_OK;

    if (batch->out.len < least || batch_is_durable(batch))
        return ST_OK;
    if (!batch->streaming)
        st = start_answer(batch);
    batch->streaming = true;
    if (st == ST_OK)
        st = exchange_write(batch->co, batch->exchange, buf_str(&batch->out));
    buf_reset(&batch->out);
    return st;
}

/* Stored, but not as durable as asked for: the problem has the results, with
 * the ids. */
static enum status
refuse_unreached(struct batch *batch)
{
    struct buf text;

    buf_init(&text, SIZE_MAX / 4);
    if (batch->ndjson_out) {
        struct str lines = buf_str(&batch->out);
        buf_add_c(&text, "{\"results\":[");
        while (lines.n > 0) {
            buf_add_str(&text, str_cut(lines, '\n', &lines));
            buf_add_c(&text, lines.n > 0 ? "," : "");
        }
    } else {
        buf_add_str(&text, buf_str(&batch->out));
    }
    buf_addf(&text, "],\"accepted\":%u,\"rejected\":%u}", batch->accepted,
             batch->written - batch->accepted);
    json_t *extra = json_loadb(text.p, text.len, 0, NULL);
    buf_clear(&text);
    if (!extra)
        return error_set(&batch->exchange->err, ST_LIMIT, "out of memory");
    struct problem problem = {.kind = PROBLEM_DURABILITY_NOT_REACHED,
                              .detail = batch->exchange->err.msg,
                              .extra = extra};
    enum status st = api_refuse(batch->exchange, &problem);
    json_decref(extra);
    return st;
}

/* One wait for all that was stored. *ret_refused: it did not get there, and
 * that is the answer. */
static enum status
reach(struct batch *batch, bool *ret_refused)
{
    struct http_exchange *exchange = batch->exchange;
    char word[16];

    *ret_refused = false;
    if (batch->durability.kind == DURABILITY_UNSAID || batch->accepted == 0)
        return ST_OK;
    enum status st = durability_reach(batch->co, batch->api->durability,
                                      &batch->durability, &exchange->err);
    *ret_refused = st == ST_TIMEOUT;
    if (*ret_refused)
        return refuse_unreached(batch);
    durability_name(&batch->durability, word);
    return st != ST_OK ? st
                       : response_set(&exchange->res, STR("Pit-Durability"),
                                      str_c(word));
}

enum status
batch_finish_answer(struct batch *batch)
{
    struct pit_response *res = &batch->exchange->res;
    bool refused = false;

    enum status st = reach(batch, &refused);
    if (st != ST_OK || refused)
        return st;
    if (!batch->ndjson_out) {
        buf_add_c(&batch->out, batch->written == 0 ? "{\"results\":[" : "");
        buf_addf(&batch->out, "],\"accepted\":%u,\"rejected\":%u}\n",
                 batch->accepted, batch->written - batch->accepted);
    }
    if (batch->out.failed)
        return error_set(&batch->exchange->err, ST_LIMIT, "out of memory");
    if (batch->streaming && batch->out.len == 0)
        return ST_OK;
    if (batch->streaming)
        return exchange_write(batch->co, batch->exchange, buf_str(&batch->out));
    return response_take(res, 200,
                         batch->ndjson_out ? "application/x-ndjson"
                                           : "application/json",
                         &batch->out);
}
