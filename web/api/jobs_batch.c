/* POST /v1/jobs:batch: many jobs, each with its own outcome.
 *
 *   body --> lines --> window: up to WINDOW_JOBS jobs --> queue_enqueue()
 *                         |                                   |
 *                         +--> results, in order <-- settled -+
 *
 * BOUNDED MEMORY
 *   A batch has WINDOWS windows, used in turn. One is filled while the others
 *   are on their way to Redis; before one is filled again every job of it has
 *   settled and its results are written. So NDJSON is read no faster than Redis
 *   takes it, and memory does not grow with the number of jobs. Results are
 * held back until the whole body was read, since many clients read no answer
 *   before that; above HELD_MAX bytes they are streamed all the same.
 *
 * A window owns the bytes of its lines: a spec borrows them until it is sent.
 */
#include "api/api.h"
#include "api/idempotency.h"
#include "api/payload.h"
#include "api/preference.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum {
    WINDOWS = 3,
    WINDOW_JOBS = 384, /* three scripts' worth */
    WINDOW_BYTES = 96 * 1024,
    WINDOW_ARENA_MAX = 4 * 1024 * 1024,
    HELD_MAX = 8 * 1024 * 1024, /* bytes of results before they are streamed */
    PIECE_MIN = 64 * 1024,      /* bytes of results to stream at once */
    ID_TEXT = ID_JOB_MAX + 1,
};

/* One line of the batch and what became of it. */
struct item {
    struct enqueue enqueue;
    bool good;        /* it is to be stored, or was at the first time */
    bool queued;      /* enqueue.op is under way or settled */
    struct error err; /* why it is not good */
};

struct window {
    struct buf text; /* the lines */
    struct arena arena;
    size_t len;
    struct item item[WINDOW_JOBS];
};

struct batch {
    struct co *co;
    struct api *api;
    struct http_exchange *exchange;
    struct str traceparent;
    bool ndjson_out;
    struct buf out; /* results that have not been sent */
    bool streaming;
    bool body_read;
    uint32_t total;   /* lines so far */
    uint32_t written; /* results so far */
    uint32_t accepted;
    uint32_t failed;         /* could succeed at a repeat: the key stays open */
    struct idempotency *key; /* NULL: none */
    bool replay;
    int64_t reserved; /* of api->bodies */
    struct window *windows[WINDOWS];
    unsigned filling; /* which window */
};

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
static void
write_accepted(struct batch *batch, const struct item *item, bool stands_for_it)
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

static void
write_problem(struct batch *batch, const struct problem *problem,
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

static void
set_accepted_bit(struct batch *batch, uint32_t index)
{
    struct idempotency_entry *entry = &batch->key->entry;

    entry->accepted[index / 8] |= (unsigned char)(0x80 >> index % 8);
}

static bool
accepted_bit(const struct batch *batch, uint32_t index)
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
        write_accepted(batch, item, true);
        return;
    }
    snprintf(existing, sizeof existing, "%.*s.%s",
             STR_ARG(item->enqueue.spec.queue), item->enqueue.holder);
    json_t *extra = json_pack("{s:s}", "existing", existing);
    problem = (struct problem){.kind = PROBLEM_DUPLICATE_JOB,
                               .detail = "another job holds this unique key",
                               .pointer = "/unique/key",
                               .extra = extra};
    write_problem(batch, &problem, NULL);
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
        write_problem(batch, &problem, item);
        batch->failed++;
    } else if (st == ST_OK && item->enqueue.outcome == ENQUEUE_DUPLICATE) {
        /* The key's holder will not be that one for ever: not for a replay. */
        batch->failed++;
        write_duplicate(batch, item);
    } else if (st == ST_OK) {
        if (batch->key)
            set_accepted_bit(batch, batch->written);
        write_accepted(batch, item, false);
    } else {
        problem = problem_from_error(st, &item->enqueue.err);
        write_problem(batch, &problem, st == ST_UNCLEAR ? item : NULL);
        batch->failed++;
    }
}

/* What the line itself says is wrong, and will be at every repeat. */
static bool
is_final(enum status st)
{
    return st == ST_INVALID || st == ST_UNKNOWN_TASK || st == ST_TOO_LARGE;
}

static void
write_result(struct batch *batch, const struct item *item)
{
    if (item->queued) {
        write_settled(batch, item);
    } else if (item->good) {
        write_accepted(batch, item, false);
    } else {
        struct problem problem =
            problem_from_error(item->err.status, &item->err);
        write_problem(batch, &problem, NULL);
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

/* Sends what there is, if it must not or need not be held any more. */
static enum status
stream_results(struct batch *batch)
{
    size_t least = batch->streaming || batch->body_read ? PIECE_MIN : HELD_MAX;
    enum status st = ST_OK;

    if (batch->out.len < least)
        return ST_OK;
    if (!batch->streaming)
        st = start_answer(batch);
    batch->streaming = true;
    if (st == ST_OK)
        st = exchange_write(batch->co, batch->exchange, buf_str(&batch->out));
    buf_reset(&batch->out);
    return st;
}

static enum status
finish_answer(struct batch *batch)
{
    struct pit_response *res = &batch->exchange->res;

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

/* ---- windows ---- */

static struct window *
window_new(void)
{
    struct window *window = xcalloc(1, sizeof *window);

    buf_init(&window->text, SIZE_MAX / 4);
    arena_init(&window->arena, NULL, 0, WINDOW_ARENA_MAX);
    return window;
}

static void
window_free(struct window *window)
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
        write_result(batch, item);
        item->queued = false;
    }
    /* A window of nothing but refusals must not keep the loop from others. */
    if (window->len > 0 && !awaited && co_yield(batch->co) != ST_OK)
        return co_cancelled(batch->co);
    window->len = 0;
    buf_reset(&window->text);
    arena_clear(&window->arena);
    return stream_results(batch);
}

/* The next window to fill, its former content settled. */
static enum status
next_window(struct batch *batch)
{
    batch->filling = (batch->filling + 1) % WINDOWS;
    return settle_window(batch, batch->windows[batch->filling]);
}

static enum status
settle_rest(struct batch *batch)
{
    enum status st = ST_OK;

    for (int i = 0; i < WINDOWS && st == ST_OK; i++)
        st = next_window(batch);
    return st;
}

/* ---- items ---- */

/* Reads one job and finds its task; what is wrong is left in item->err. */
static bool
read_item(struct batch *batch, struct window *window, struct item *item,
          struct str line, const struct jsontext *value)
{
    struct envelope envelope;

    item->err.status = ST_OK;
    enum status st =
        value ? envelope_read(*value, &window->arena, &envelope, &item->err)
              : envelope_parse(line, &window->arena, &envelope, &item->err);
    if (st == ST_OK) {
        envelope.spec.traceparent = batch->traceparent;
        st = catalog_complete(batch->co, &batch->api->catalog, &window->arena,
                              &envelope, &item->err);
    }
    if (st == ST_OK)
        item->enqueue.spec = envelope.spec;
    return st == ST_OK;
}

static void
name_item(struct batch *batch, struct item *item, uint32_t index)
{
    if (!batch->key)
        return;
    item->enqueue.named = true;
    id_derive(batch->key->entry.seed, index, item->enqueue.local);
}

/* Adds a job to the window that is being filled. @line lies in it, or lives as
 * long as the request. */
static enum status
add_item(struct batch *batch, struct str line, const struct jsontext *value)
{
    struct window *window = batch->windows[batch->filling];
    struct item *item = &window->item[window->len++];
    uint32_t index = batch->total++;

    *item = (struct item){.good = false};
    if (batch->key && index >= IDEMPOTENCY_JOBS_MAX) {
        (void)error_set(&item->err, ST_TOO_LARGE,
                        "a batch with an Idempotency-Key has at most %d jobs",
                        IDEMPOTENCY_JOBS_MAX);
    } else if (read_item(batch, window, item, line, value)) {
        name_item(batch, item, index);
        item->good = !batch->replay || accepted_bit(batch, index);
        item->queued = !batch->replay;
        if (item->queued)
            queue_enqueue(batch->api->queues, &item->enqueue, NULL, NULL);
        else if (!item->good) /* the one refusal that the line does not show */
            (void)error_set(&item->err, ST_UNKNOWN_TASK,
                            "there was no such task at the first time");
    }
    return window->len == WINDOW_JOBS ? next_window(batch) : ST_OK;
}

static enum status
add_array(struct batch *batch, struct jsontext array)
{
    struct jsontext_walk walk = jsontext_walk(array);
    struct jsontext value;
    struct str key;
    enum status st = ST_OK;

    batch->body_read = true;
    while (st == ST_OK && jsontext_next(&walk, &key, &value))
        st = add_item(batch, value.raw, &value);
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
    return window->len == WINDOW_JOBS ? next_window(batch) : ST_OK;
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
        enum status st = next_window(batch);
        if (st != ST_OK)
            return st;
        window = batch->windows[batch->filling];
    }
    if (window->text.len == 0 &&
        !buf_room(&window->text, line.n > WINDOW_BYTES ? line.n : WINDOW_BYTES))
        return error_set(&batch->exchange->err, ST_LIMIT, "out of memory");
    char *copy = window->text.p + window->text.len;
    buf_add_str(&window->text, line);
    return add_item(batch, str_from(copy, line.n), NULL);
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
    write_problem(batch, &problem, NULL);
}

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
        if (!str_eq(jobs[i]->spec.queue, jobs[0]->spec.queue)) {
            (void)error_set_at(&item->err, "/queue",
                               "an atomic batch goes to one queue, the first "
                               "job's is \"%.*s\"",
                               STR_ARG(jobs[0]->spec.queue));
            return refuse_item(batch, i, &item->err);
        }
    }
    if (window->len > 0 && !batch->replay) {
        enum status st = queue_enqueue_all(batch->co, batch->api->queues, jobs,
                                           window->len, err);
        if (st == ST_CONFLICT && batch->key && all_there(jobs, window->len))
            st = ST_OK;
        if (st != ST_OK) {
            batch->failed++;
            return api_fail(exchange, st, err, true);
        }
    }
    for (size_t i = 0; i < window->len; i++) {
        if (batch->key)
            set_accepted_bit(batch, (uint32_t)i);
        write_accepted(batch, &window->item[i]);
    }
    return finish_answer(batch);
}

/* Like add_item(), but nothing is sent before all are known to be good. */
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
    if (read_item(batch, window, item, line, value))
        name_item(batch, item, (uint32_t)window->len);
    window->len++;
    return ST_OK;
}

static enum status
run_atomic(struct batch *batch, struct str body, const struct jsontext *array)
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
        st = settle_rest(batch);
    if (st != ST_OK) {
        batch->failed++;
        return batch->streaming || st == ST_CANCELLED
                   ? st
                   : api_fail(batch->exchange, st, &batch->exchange->err, true);
    }
    if (broken != ST_OK)
        write_broken(batch, broken);
    return finish_answer(batch);
}

static enum status
run(struct batch *batch, const struct shape *shape)
{
    const struct jsontext *array =
        shape->kind == PAYLOAD_JSON ? &shape->array : NULL;

    return shape->atomic ? run_atomic(batch, shape->body, array)
                         : run_each(batch, shape);
}

static enum status
run_under_key(struct batch *batch, const struct shape *shape)
{
    struct http_exchange *exchange = batch->exchange;
    struct idempotency key;
    enum idempotency_verdict verdict = IDEMPOTENCY_BUSY;

    enum status st =
        idempotency_begin(batch->co, batch->api->queues, shape->key,
                          &exchange->req, &key, &verdict, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    if (verdict == IDEMPOTENCY_REUSED || verdict == IDEMPOTENCY_BUSY)
        return api_refuse_key(exchange, verdict == IDEMPOTENCY_REUSED);
    batch->key = &key;
    batch->replay = verdict == IDEMPOTENCY_REPLAY;
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
    struct str atomic = request_query(req, STR("atomic"));

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
    enum status st = api_query(req, STR("atomic"), err);
    if (st == ST_OK)
        st = idempotency_key(req, &shape->key, err);
    if (st == ST_OK)
        st = api_store(batch->api, err);
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
        batch->windows[i] = window_new();
    enum status st =
        shape->key.p ? run_under_key(batch, shape) : run(batch, shape);
    for (int i = 0; i < WINDOWS; i++)
        window_free(batch->windows[i]);
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
        .traceparent = payload_traceparent(&exchange->req),
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
