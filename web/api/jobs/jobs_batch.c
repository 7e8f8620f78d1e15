/* POST /v1/jobs:batch: many jobs, each with its own outcome.
 *
 *   body --> lines --> window: up to WINDOW_JOBS jobs --> queue_enqueue()
 *                         |                                   |
 *                         +--> results, in order <-- settled -+
 *
 * This file reads the request; batch.h says where the rest is. */
#include "api/jobs/batch.h"
#include "api/jobs/payload.h"
#include "api/preference.h"

#include <stdio.h>
#include <stdlib.h>

static enum status
add_array(struct batch *batch, struct jsontext array)
{
    struct jsontext_walk walk = jsontext_walk(array);
    struct jsontext value;
    struct str key;
    enum status st = ST_OK;

    batch->body_read = true;
    while (st == ST_OK && jsontext_next(&walk, &key, &value))
        st = batch_add_item(batch, value.raw, &value);
    return st;
}

/* ---- lines ---- */

/* A line that is longer than any single job's body may be. */
static enum status
refuse_line(struct batch *batch)
{
    struct window *window = batch->windows[batch->filling];
    struct item *item = &window->item[window->len++];

    *item = (struct item){.good = false};
    batch->total++;
    (void)error_set(&item->err, ST_TOO_LARGE, "a line may hold %lld bytes",
                    (long long)batch->api->settings->max_body);
    return window->len == WINDOW_JOBS ? batch_next_window(batch) : ST_OK;
}

/* A copy of @line in the window, where it stays: the buffer was made large
 * enough before its first line. */
static enum status
add_line(struct batch *batch, struct str line)
{
    struct window *window = batch->windows[batch->filling];

    line = str_trim(line);
    if (line.n == 0)
        return ST_OK;
    if (line.n > (size_t)batch->api->settings->max_body)
        return refuse_line(batch);
    if (window->text.len > 0 && line.n > window->text.cap - window->text.len) {
        enum status st = batch_next_window(batch);
        if (st != ST_OK)
            return st;
        window = batch->windows[batch->filling];
    }
    if (window->text.len == 0 &&
        !buf_room(&window->text, line.n > WINDOW_BYTES ? line.n : WINDOW_BYTES))
        return error_set(&batch->exchange->err, ST_LIMIT, "out of memory");
    char *copy = window->text.p + window->text.len;
    buf_add_str(&window->text, line);
    return batch_add_item(batch, str_from(copy, line.n), NULL);
}

/* Splits a text that is there as a whole. */
static enum status
add_lines(struct batch *batch, struct str text)
{
    enum status st = ST_OK;

    batch->body_read = true;
    while (text.n > 0 && st == ST_OK)
        st = add_line(batch, str_cut(text, '\n', &text));
    return st;
}

/* Takes the complete lines of @held + @piece; what is left of the last one
 * stays in @held. One that does not fit fails the buffer: its rest is dropped.
 */
static enum status
add_piece(struct batch *batch, struct buf *held, struct str piece)
{
    enum status st = ST_OK;

    while (piece.n > 0 && st == ST_OK) {
        struct str rest;
        struct str line = str_cut(piece, '\n', &rest);

        if (held->failed || held->len > 0 || !rest.p)
            buf_add_str(held, line);
        if (!rest.p) /* no end of line in sight */
            return ST_OK;
        if (held->failed)
            st = refuse_line(batch);
        else
            st = add_line(batch, held->len > 0 ? buf_str(held) : line);
        buf_reset(held);
        piece = rest;
    }
    return st;
}

/* Reads NDJSON as it comes. *ret_broken is what ended the body early; the jobs
 * before it count. */
static enum status
add_stream(struct batch *batch, enum status *ret_broken)
{
    struct buf held;
    struct str piece;
    enum status st = ST_OK;

    buf_init(&held, (size_t)batch->api->settings->max_body);
    for (;;) {
        *ret_broken = exchange_read(batch->co, batch->exchange, &piece);
        if (*ret_broken != ST_OK || piece.n == 0)
            break;
        st = add_piece(batch, &held, piece);
        if (st != ST_OK)
            break;
    }
    batch->body_read = true;
    if (st == ST_OK && *ret_broken == ST_OK)
        st = held.failed ? refuse_line(batch) : add_line(batch, buf_str(&held));
    buf_clear(&held);
    return st;
}

/* The body broke off behind jobs that are stored already: that is one more
 * result, and the connection ends. */
static void
write_broken(struct batch *batch, enum status broken)
{
    struct error *err = &batch->exchange->err;

    if (err->status != broken)
        (void)error_set(err, broken,
                        broken == ST_TOO_LARGE
                            ? "the body is above --max-batch-body"
                            : "the body broke off here");
    struct problem problem = problem_from_error(broken, err);
    batch_write_problem(batch, &problem, NULL);
}

/* ---- the request ---- */

struct shape {
    enum payload_kind kind;
    bool atomic;
    struct str key;        /* p is NULL: no Idempotency-Key */
    struct str body;       /* once it was read as a whole */
    struct jsontext array; /* for PAYLOAD_JSON */
};

static enum status
run_each(struct batch *batch, const struct shape *shape)
{
    enum status broken = ST_OK;
    enum status st;

    if (shape->kind == PAYLOAD_JSON)
        st = add_array(batch, shape->array);
    else if (batch->exchange->req.body)
        st = add_lines(batch, shape->body);
    else
        st = add_stream(batch, &broken);
    if (st == ST_OK && broken == ST_CANCELLED)
        st = ST_CANCELLED;
    /* Nothing was stored, nothing was answered: the front says it best. */
    if (st == ST_OK && broken != ST_OK && batch->total == 0)
        return broken;
    if (st == ST_OK)
        st = batch_settle_rest(batch);
    if (st != ST_OK) {
        batch->failed++;
        return batch->streaming || st == ST_CANCELLED
                   ? st
                   : api_fail(batch->exchange, st, &batch->exchange->err, true);
    }
    if (broken != ST_OK)
        write_broken(batch, broken);
    return batch_finish_answer(batch);
}

static enum status
run(struct batch *batch, const struct shape *shape)
{
    const struct jsontext *array =
        shape->kind == PAYLOAD_JSON ? &shape->array : NULL;

    return shape->atomic ? batch_run_atomic(batch, shape->body, array)
                         : run_each(batch, shape);
}

static enum status
run_under_key(struct batch *batch, const struct shape *shape)
{
    struct http_exchange *exchange = batch->exchange;
    struct idempotency key;
    bool refused = false;

    enum status st = api_begin_key(batch->co, batch->api, exchange, shape->key,
                                   &key, &batch->replay, &refused);
    if (st != ST_OK || refused)
        return st;
    batch->key = &key;
    if (batch->replay)
        st = response_set(&exchange->res, STR("Idempotency-Replayed"),
                          STR("true"));
    if (st == ST_OK)
        st = run(batch, shape);
    batch->key = NULL;
    if (batch->replay)
        return st;
    uint32_t jobs = batch->total ? batch->total : batch->accepted;
    if (jobs > IDEMPOTENCY_JOBS_MAX)
        jobs = IDEMPOTENCY_JOBS_MAX;
    key.entry.accepted_len = (jobs + 7) / 8;
    if (st == ST_OK && batch->failed == 0)
        idempotency_finish(batch->co, &key);
    else
        idempotency_fail(batch->co, &key);
    return st;
}

/* A body that is held as a whole counts with its full length before it comes:
 * many slow ones must not add up to more than there is. False: too many. One
 * alone is always taken. */
static bool
reserve_body(struct batch *batch)
{
    struct api *api = batch->api;
    int64_t len = exchange_body_len(batch->exchange);

    if (len < 0)
        len = api->settings->max_batch_body;
    else if (len > api->settings->max_batch_body)
        len = 0; /* it is refused before any of it is read */
    if (api->bodies > 0 && api->bodies + len > API_BODIES_MAX)
        return false;
    api->bodies += len;
    batch->reserved = len;
    return true;
}

/* Whatever needs the body as a whole gets it; *ret_refused when the answer is
 * made already. */
static enum status
read_shape(struct batch *batch, struct shape *shape, bool *ret_refused)
{
    struct http_exchange *exchange = batch->exchange;
    struct pit_request *req = &exchange->req;
    struct error *err = &exchange->err;
    static const struct str known[] = {STR("atomic"), STR("durability")};
    struct str atomic = request_query(req, STR("atomic"));
    struct str durability = request_query(req, STR("durability"));

    *ret_refused = true;
    if (payload_kind(req, &shape->kind, err) != ST_OK)
        return api_refuse_with(exchange, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "%s",
                               err->msg);
    if (shape->kind == PAYLOAD_RAW)
        return api_refuse_with(exchange, PROBLEM_INVALID_REQUEST,
                               "Pit-* fields are for POST /v1/jobs: in a batch "
                               "each job says its own task");
    if (atomic.p && !str_eq_c(atomic, "true") && !str_eq_c(atomic, "false"))
        return api_refuse_with(exchange, PROBLEM_INVALID_REQUEST,
                               "the query's atomic is true or false");
    shape->atomic = atomic.p && str_eq_c(atomic, "true");
    if (durability.p && !durability_parse(durability, &batch->durability))
        return api_refuse_with(exchange, PROBLEM_INVALID_REQUEST,
                               "the query's durability is memory, fsync, or "
                               "replica:1 to replica:%d",
                               DURABILITY_REPLICAS_MAX);
    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    if (st == ST_OK)
        st = idempotency_key(req, &shape->key, err);
    if (st == ST_OK)
        st = api_store(batch->api, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    st = durability_begin(batch->co, batch->api->durability, &batch->durability,
                          batch->api->queues, &batch->queues, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    *ret_refused = false;
    if (shape->kind == PAYLOAD_NDJSON && !shape->atomic && !shape->key.p)
        return ST_OK;
    *ret_refused = !reserve_body(batch);
    if (*ret_refused)
        return api_refuse_with(exchange, PROBLEM_OVERLOADED,
                               "the batches under way in this process hold too "
                               "much: try again in a moment, or send NDJSON");
    st = exchange_read_all(batch->co, exchange);
    if (st != ST_OK)
        return st;
    shape->body = str_from(req->body, req->body_len);
    if (shape->kind == PAYLOAD_JSON) {
        st = jsontext_check(shape->body, &shape->array, err);
        if (st == ST_OK && shape->array.type != JSONTEXT_ARRAY)
            st = error_set(err, ST_INVALID,
                           "a batch is a JSON array of jobs, or one job a line "
                           "as application/x-ndjson");
        *ret_refused = st != ST_OK;
    }
    return st == ST_OK ? ST_OK : api_fail(exchange, st, err, false);
}

static enum status
run_in_windows(struct batch *batch, const struct shape *shape)
{
    buf_init(&batch->out, (size_t)1 << 30);
    for (int i = 0; i < WINDOWS; i++)
        batch->windows[i] = batch_window_new();
    enum status st =
        shape->key.p ? run_under_key(batch, shape) : run(batch, shape);
    for (int i = 0; i < WINDOWS; i++)
        batch_window_free(batch->windows[i]);
    buf_clear(&batch->out);
    return st;
}

enum status
jobs_batch_post(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct shape shape = {.atomic = false};
    struct batch batch = {
        .co = co,
        .api = api,
        .exchange = exchange,
        .origin = payload_origin(&exchange->req),
        .ndjson_out =
            preference_accepts(&exchange->req, STR("application/x-ndjson")),
    };
    bool refused = false;

    if (api->batches >= API_BATCHES_MAX)
        return api_refuse_with(exchange, PROBLEM_OVERLOADED,
                               "%d batches are under way in this process: try "
                               "again in a moment",
                               API_BATCHES_MAX);
    exchange_body_max(exchange, api->settings->max_batch_body);
    api->batches++;
    enum status st = read_shape(&batch, &shape, &refused);
    if (st == ST_OK && !refused)
        st = run_in_windows(&batch, &shape);
    api->bodies -= batch.reserved;
    api->batches--;
    return st;
}
