/* Enqueue batch: a window of jobs, made from the lines that one read gave.
 *
 *   read --> text: line line line li... --> window: <= WINDOW_JOBS in flight
 *                                              |
 *                     results, in order <------+ all settled
 *
 * A spec lends from its line, so the text does not move while the window holds
 * any: it is settled before every read. So memory does not grow with the file,
 * and whoever writes a line at a time into a pipe gets its result at once.
 *
 * All or nothing is read to its end, looked at, and sent in one script. */
#include "enqueue_batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/document/catalog.h"
#include "app/http/problem.h"
#include "async/co/co.h"
#include "base/log.h"
#include "input.h"
#include "queue/flow/queue_after.h"
#include "queue/queue_retry.h"
#include "queue/schema.h"

enum {
    WINDOW_JOBS = 384, /* three scripts' worth */
    PIECE = 128 * 1024,
    LINE_MAX_BYTES = JOB_ARGS_MAX + 64 * 1024,
    ARENA_MAX = 4 * 1024 * 1024,
    ATOMIC_BYTES_MAX = 16 * 1024 * 1024, /* held as a whole */
};

/* One line and what became of it. */
struct item {
    struct enqueue enqueue;
    const struct job_id *after; /* enqueue.spec.kin.parents of them */
    uint64_t line;
    bool queued; /* enqueue.op is under way or settled */
    enum status st;
    struct error err; /* for @st */
};

struct batch {
    struct co *co;
    struct session *session;
    const struct enqueue_batch *request;
    struct queues *queues; /* those that are as durable as was asked for */
    struct input input;
    struct task_catalog catalog;
    struct arena arena; /* of the window */
    struct buf text;
    size_t at;     /* what of the text was taken */
    bool dropping; /* up to the end of a line that is too long */
    uint64_t line; /* number of the last that was taken */
    uint64_t jobs;
    uint64_t refused;
    struct error gone; /* status is not ST_OK: Redis went away */
    size_t len;
    struct item item[WINDOW_JOBS];
};

/* ---- results ---- */

/* What the answer over HTTP has for it, and the line's number before. */
static void
print_json(const struct item *item, const char *id)
{
    struct buf text;

    buf_init(&text, 64 * 1024);
    buf_addf(&text, "{\"line\":%" PRIu64 ",\"status\":", item->line);
    if (item->st == ST_OK) {
        bool stands = item->enqueue.outcome == ENQUEUE_DUPLICATE;
        buf_addf(&text, "%d,\"id\":\"%s\"}", stands ? 200 : 202, id);
    } else {
        struct problem problem = problem_from_error(item->st, &item->err);
        if (item->enqueue.outcome == ENQUEUE_DUPLICATE)
            problem.kind = PROBLEM_DUPLICATE_JOB;
        buf_addf(&text, "%d,", problem_type(problem.kind)->http);
        if (id[0])
            buf_addf(&text, "\"id\":\"%s\",", id);
        buf_add_c(&text, "\"problem\":");
        problem_write(&problem, &text);
        buf_add_char(&text, '}');
    }
    printf("%.*s\n", STR_ARG(buf_str(&text)));
    buf_clear(&text);
}

static void
print_result(struct batch *batch, const struct item *item)
{
    char id[ID_JOB_MAX + 1] = "";
    const struct enqueue *e = &item->enqueue;

    if (item->st == ST_OK || item->st == ST_UNCLEAR)
        snprintf(id, sizeof id, "%.*s.%s", STR_ARG(e->spec.queue),
                 e->outcome == ENQUEUE_DUPLICATE ? e->holder : e->local);
    batch->jobs++;
    batch->refused += item->st != ST_OK;
    if (batch->session->options->json)
        print_json(item, id);
    else if (item->st == ST_OK)
        printf("%s\n", id);
    else
        printf("line %" PRIu64 ": %s%s%s\n", item->line, item->err.pointer,
               item->err.pointer[0] ? ": " : "", item->err.msg);
}

/* Of a job that Redis was asked to take. */
static void
judge(struct item *item)
{
    const struct enqueue *e = &item->enqueue;

    item->st = e->op.status;
    item->err = e->err;
    if (item->st == ST_UNCLEAR)
        (void)error_set(&item->err, ST_UNCLEAR,
                        "nobody knows whether %.*s.%s was stored (%.80s)",
                        STR_ARG(e->spec.queue), e->local, e->err.msg);
    if (item->st != ST_OK || e->outcome == ENQUEUE_NEW ||
        e->outcome == ENQUEUE_SAME)
        return;
    item->st = ST_CONFLICT;
    if (e->outcome != ENQUEUE_DUPLICATE)
        (void)error_set(&item->err, ST_CONFLICT, "%.*s.%s is there already, %s",
                        STR_ARG(e->spec.queue), e->local,
                        e->outcome == ENQUEUE_GONE ? "and past its retention"
                                                   : "with other content");
    else if (e->spec.unique.on_conflict == UNIQUE_RETURN)
        item->st = ST_OK;
    else {
        (void)error_set_at(&item->err, "/unique/key", "%.*s.%s holds this key",
                           STR_ARG(e->spec.queue), e->holder);
        item->err.status = ST_CONFLICT;
    }
}

/* Not the job's fault: the next one would fare no better. */
static bool
is_away(enum status st)
{
    return st == ST_UNAVAILABLE || st == ST_UNCLEAR || st == ST_TIMEOUT;
}

/* Waits for the jobs of the window and prints what became of them. */
static enum status
settle(struct batch *batch)
{
    for (size_t i = 0; i < batch->len; i++) {
        struct item *item = &batch->item[i];
        if (item->queued) {
            /* Its own failure is its result; only ours ends the batch. */
            if (co_await(batch->co, &item->enqueue.op) != ST_OK &&
                co_cancelled(batch->co) != ST_OK)
                return co_cancelled(batch->co);
            item->queued = false;
            judge(item);
        }
        print_result(batch, item);
        if (is_away(item->st) && batch->gone.status == ST_OK) {
            batch->gone = item->err;
            batch->gone.status = item->st;
        }
    }
    batch->len = 0;
    arena_clear(&batch->arena);
    if (batch->gone.status != ST_OK)
        return error_set(&batch->session->err, batch->gone.status,
                         "what lies behind line %" PRIu64
                         " was not sent: %.120s",
                         batch->line, batch->gone.msg);
    return ST_OK;
}

/* ---- jobs ---- */

static void
name(const struct batch *batch, struct item *item)
{
    const char *id = batch->request->id;

    if (!id)
        return;
    item->enqueue.named = true;
    snprintf(item->enqueue.local, sizeof item->enqueue.local, "%s:%" PRIu64, id,
             item->line);
}

static enum status
read_job(struct batch *batch, struct str line, struct item *item)
{
    struct error *err = &item->err;
    struct envelope envelope;

    enum status st = envelope_parse(line, &batch->arena, &envelope, err);
    if (st == ST_OK && (envelope.given & ENVELOPE_DURABILITY))
        st = error_set_at(err, "/durability",
                          "is not for a line of a batch: POST /v1/jobs:batch "
                          "takes it for all in its query");
    if (st == ST_OK)
        st = catalog_complete(batch->co, &batch->catalog, &batch->arena,
                              &envelope, err);
    if (st == ST_OK)
        st = queue_retry_fill(batch->co, batch->session->queues, &envelope.spec,
                              err);
    if (st == ST_OK) {
        name(batch, item);
        item->enqueue.spec = envelope.spec;
        item->after = envelope.after;
    }
    return st;
}

/* One that waits for others takes several steps, so it is awaited here. */
static void
send(struct batch *batch, struct item *item)
{
    struct enqueue *e = &item->enqueue;
    struct queues *queues = batch->queues;

    if (e->spec.kin.parents == 0) {
        queue_enqueue(queues, e, NULL, NULL);
        item->queued = true;
        return;
    }
    item->st = queue_after_enqueue(batch->co, queues, e, item->after,
                                   (size_t)e->spec.kin.parents);
    item->queued = e->op.settled;
    if (!item->queued) /* one of the others was refused */
        item->err = e->err;
}

static struct item *
next_item(struct batch *batch)
{
    struct item *item = &batch->item[batch->len++];

    *item = (struct item){.line = batch->line};
    return item;
}

static enum status
refuse_long(struct batch *batch)
{
    struct item *item = next_item(batch);

    item->st = error_set(&item->err, ST_TOO_LARGE, "a line may hold %d bytes",
                         LINE_MAX_BYTES);
    return batch->len == WINDOW_JOBS ? settle(batch) : ST_OK;
}

/* ---- lines ---- */

static enum status
take_line(struct batch *batch, struct str line)
{
    batch->line++;
    if (batch->dropping) {
        batch->dropping = false;
        return refuse_long(batch);
    }
    if (line.n > LINE_MAX_BYTES)
        return refuse_long(batch);
    line = str_trim(line);
    if (line.n == 0)
        return ST_OK;
    if (batch->line == 1 && line.p[0] == '[')
        return error_set(&batch->session->err, ST_INVALID,
                         "%.100s holds a JSON array: give one job a line, as "
                         "jq -c '.[]' makes them",
                         batch->input.name);
    struct item *item = next_item(batch);
    item->st = read_job(batch, line, item);
    if (item->st == ST_OK)
        send(batch, item);
    return batch->len == WINDOW_JOBS ? settle(batch) : ST_OK;
}

/* Every line that is there as a whole. What is left of the text begins one, or
 * goes on with one that is dropped. */
static enum status
take_lines(struct batch *batch)
{
    enum status st = ST_OK;

    while (st == ST_OK) {
        struct str rest =
            str_from(batch->text.p + batch->at, batch->text.len - batch->at);
        const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
        if (!end)
            break;
        size_t n = (size_t)(end - rest.p);
        batch->at += n + 1;
        st = take_line(batch, str_from(rest.p, n));
    }
    if (st == ST_OK)
        st = settle(batch);
    buf_consume(&batch->text, batch->at);
    batch->at = 0;
    if (batch->dropping || batch->text.len > LINE_MAX_BYTES) {
        batch->dropping = true;
        buf_reset(&batch->text);
    }
    return st;
}

static enum status
take_file(struct batch *batch)
{
    enum status st = ST_OK;
    size_t n = 1;

    while (st == ST_OK && n > 0) {
        st = input_read(&batch->input, &batch->text, PIECE, &n,
                        &batch->session->err);
        if (st == ST_OK && n > 0)
            st = take_lines(batch);
        /* Nobody reads the results: what they tell of must not go on. */
        if (st == ST_OK && fflush(stdout) != 0) {
            batch->session->exit = COMMAND_FAILED;
            return ST_OK;
        }
    }
    /* The last line may have no end. */
    if (st == ST_OK && (batch->text.len > 0 || batch->dropping))
        st = take_line(batch, buf_str(&batch->text));
    return st == ST_OK ? settle(batch) : st;
}

/* ---- all or nothing ---- */

static enum status
fit_together(const struct batch *batch, struct item *item)
{
    const struct job_spec *spec = &item->enqueue.spec;

    if (item->st != ST_OK)
        return item->st;
    return queue_enqueue_together(spec->queue, (size_t)spec->kin.parents,
                                  batch->item[0].enqueue.spec.queue,
                                  &item->err);
}

/* Nothing was stored, for @item's sake. */
static enum status
refuse_all(struct batch *batch, const struct item *item)
{
    return error_set(&batch->session->err, ST_INVALID,
                     "line %" PRIu64 ": %s%s%s: no job was stored", item->line,
                     item->err.pointer, item->err.pointer[0] ? ": " : "",
                     item->err.msg);
}

static enum status
read_all(struct batch *batch)
{
    struct str text;

    enum status st =
        input_read_all(&batch->input, &batch->text, &batch->session->err);
    if (st != ST_OK)
        return st;
    for (text = buf_str(&batch->text); text.n > 0;) {
        struct str line = str_trim(str_cut(text, '\n', &text));
        batch->line++;
        if (line.n == 0)
            continue;
        if (batch->len == QUEUE_ENQUEUE_MAX)
            return error_set(&batch->session->err, ST_INVALID,
                             "an atomic batch has at most %d jobs: none was "
                             "stored",
                             QUEUE_ENQUEUE_MAX);
        struct item *item = next_item(batch);
        item->st = read_job(batch, line, item);
        if (fit_together(batch, item) != ST_OK)
            return refuse_all(batch, item);
    }
    return ST_OK;
}

/* One of them stands in the way, unless all are there already. */
static enum status
settle_held(struct batch *batch)
{
    bool there = true;

    for (size_t i = 0; i < batch->len; i++) {
        struct item *item = &batch->item[i];
        item->enqueue.op.status = ST_OK;
        judge(item);
        if (item->st != ST_OK)
            return refuse_all(batch, item);
        there = there && item->enqueue.outcome == ENQUEUE_SAME;
    }
    return there ? settle(batch) : ST_CONFLICT;
}

static enum status
take_all(struct batch *batch)
{
    struct enqueue *jobs[QUEUE_ENQUEUE_MAX];

    enum status st = read_all(batch);
    if (st != ST_OK || batch->len == 0)
        return st;
    for (size_t i = 0; i < batch->len; i++)
        jobs[i] = &batch->item[i].enqueue;
    st = queue_enqueue_all(batch->co, batch->queues, jobs, batch->len,
                           &batch->session->err);
    if (st == ST_CONFLICT)
        return settle_held(batch);
    return st == ST_OK ? settle(batch) : st;
}

/* ---- the whole ---- */

static void
batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->len; i++)
        if (batch->item[i].queued)
            op_cancel(&batch->item[i].enqueue.op);
    input_close(&batch->input);
    task_catalog_clear(&batch->catalog);
    arena_clear(&batch->arena);
    buf_clear(&batch->text);
    free(batch);
}

/* The jobs, and what is asked of their durability. */
static enum status
take(struct batch *batch, struct durability *durability)
{
    struct session *session = batch->session;
    struct durability_wish wish = batch->request->durability;
    struct error why = {.msg = ""};

    enum status st =
        durability_begin(batch->co, durability, &wish, session->queues,
                         &batch->queues, &session->err);
    if (st == ST_OK)
        st = batch->request->atomic ? take_all(batch) : take_file(batch);
    if (st != ST_OK || wish.kind == DURABILITY_UNSAID ||
        batch->jobs == batch->refused)
        return st;
    st = durability_reach(batch->co, durability, &wish, &why);
    return st == ST_OK
               ? ST_OK
               : error_set(&session->err, st, "stored, but: %s", why.msg);
}

enum status
enqueue_batch_run(struct co *co, struct session *session)
{
    struct batch *batch = xcalloc(1, sizeof *batch);
    struct durability *durability =
        durability_new(session->loop, session->queues, session->options->redis);

    batch->co = co;
    batch->session = session;
    batch->request = session->arg;
    buf_init(&batch->text, batch->request->atomic ? ATOMIC_BYTES_MAX
                                                  : LINE_MAX_BYTES + 2 * PIECE);
    arena_init(&batch->arena, NULL, 0, ARENA_MAX);
    task_catalog_init(&batch->catalog, session->queues, NULL);
    enum status st =
        input_open(batch->request->path, &batch->input, &session->err);
    if (st == ST_OK)
        st = schema_claim(co, session->queues, &session->err);
    if (st == ST_OK)
        st = take(batch, durability);
    if (batch->refused > 0 && st == ST_OK)
        session->exit =
            command_fail(session->command, COMMAND_FAILED,
                         "%" PRIu64 " of %" PRIu64 " jobs were refused",
                         batch->refused, batch->jobs);
    batch_free(batch);
    durability_free(durability);
    return st;
}
