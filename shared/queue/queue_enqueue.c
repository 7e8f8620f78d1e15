/* Enqueue: what one turn of the loop gathers leaves in one script call a queue.
 *
 * A call costs Redis some 40 us whatever it carries, a job in it 4: so nothing
 * is sent before the loop is about to sleep. A call holds at most
 * QUEUE_ENQUEUE_MAX jobs and about BATCH_BYTES_MAX bytes, so that no call makes
 * the others wait long. Jobs with an id of their own (named) are looked up
 * first and go in calls of their own. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_private.h"
#include "queue/script_call.h"

enum {
    BATCH_BYTES_MAX = 1 << 20, /* args and options; then no more is added */
    HEADER_MAX = 512,          /* of a record without what follows */
    OPTIONS_MAX = JOB_TAGS_MAX * (JOB_TAG_LEN_MAX + 1) + 2 * JOB_KEY_MAX +
                  JOB_URL_MAX + JOB_CHILDREN_MAX_BYTES,
    BATCH_ROOM = BATCH_BYTES_MAX + JOB_ARGS_MAX + OPTIONS_MAX +
                 QUEUE_ENQUEUE_MAX * HEADER_MAX,
};
enum { FIXED_KEYS = 6, WORDS_OF_JOB = 4 };
enum { WORDS_MAX = FIXED_KEYS + 10 + 1 + QUEUE_ENQUEUE_MAX * WORDS_OF_JOB };
enum { WHERE_LEN = 24 };

enum mode { MODE_FRESH, MODE_NAMED, MODE_ALL };
static const char *const mode_names[] = {"fresh", "named", "all"};

/* One script call with its jobs, in order. */
struct batch {
    struct rds_call call;
    struct queue *queue;
    enum mode mode;
    size_t n;
    struct enqueue *jobs[QUEUE_ENQUEUE_MAX];
    struct str records[QUEUE_ENQUEUE_MAX]; /* in bytes */
    struct buf bytes;
};

/* The words of a call while it is built. */
struct words {
    int n;
    const char *p[WORDS_MAX];
    size_t len[WORDS_MAX];
};

static void
add(struct words *words, const char *p, size_t n)
{
    assert(words->n < WORDS_MAX);
    words->p[words->n] = p;
    words->len[words->n++] = n;
}

static const char digits[10][2] = {"0", "1", "2", "3", "4",
                                   "5", "6", "7", "8", "9"};
static const char *const list_numbers[11] = {"0", "1", "2", "3", "4", "5",
                                             "6", "7", "8", "9", "10"};

static bool
is_scheduled(const struct job_spec *spec)
{
    return spec->delay_ms > 0 || spec->run_at_ms > 0;
}

/* The keys; list_of[priority] becomes the number of its ready list. */
static int
add_keys(struct words *words, const struct batch *batch, int list_of[10])
{
    static const enum key fixed[FIXED_KEYS] = {KEY_JOBS,  KEY_GONE, KEY_DUE,
                                               KEY_STATS, KEY_WAKE, KEY_META};
    const struct keys *keys = &batch->queue->keys;
    int lists = 0;

    for (int i = 0; i < FIXED_KEYS; i++)
        add(words, keys->p[fixed[i]], keys->n[fixed[i]]);
    for (size_t i = 0; i < batch->n; i++) {
        int priority = batch->jobs[i]->spec.priority;
        if (list_of[priority] || is_scheduled(&batch->jobs[i]->spec))
            continue;
        list_of[priority] = ++lists;
        enum key key = keys_ready(priority);
        add(words, keys->p[key], keys->n[key]);
    }
    return words->n;
}

/* Where the job goes and, of a unique one, what becomes of a conflict. */
static size_t
write_where(const struct job_spec *spec, int list, char dst[WHERE_LEN])
{
    static const char conflict[] = {
        [UNIQUE_REJECT] = 'r', [UNIQUE_RETURN] = 't', [UNIQUE_REPLACE] = 'p'};
    size_t n = 0;

    if (spec->unique.hold != UNIQUE_NEVER)
        dst[n++] = conflict[spec->unique.on_conflict];
    if (!is_scheduled(spec))
        return n + (size_t)snprintf(dst + n, WHERE_LEN - n, "%d", list);
    return n +
           (size_t)snprintf(dst + n, WHERE_LEN - n, "%c%lld",
                            spec->run_at_ms > 0 ? '@' : '+',
                            (long long)(spec->run_at_ms > 0 ? spec->run_at_ms
                                                            : spec->delay_ms));
}

static void
batch_send(struct batch *batch, void (*on_settled)(struct op *))
{
    struct words words = {0};
    char where[QUEUE_ENQUEUE_MAX][WHERE_LEN];
    int list_of[10] = {0};
    int nkeys = add_keys(&words, batch, list_of);
    const char *mode = mode_names[batch->mode];

    add(&words, mode, strlen(mode));
    for (size_t i = 0; i < batch->n; i++) {
        const struct job_spec *spec = &batch->jobs[i]->spec;
        const char *where_word = list_numbers[list_of[spec->priority]];
        size_t where_n = strlen(where_word);

        if (is_scheduled(spec) || spec->unique.hold != UNIQUE_NEVER) {
            where_n = write_where(spec, list_of[spec->priority], where[i]);
            where_word = where[i];
        }
        add(&words, batch->jobs[i]->local, strlen(batch->jobs[i]->local));
        add(&words, digits[spec->priority], 1);
        add(&words, batch->records[i].p, batch->records[i].n);
        add(&words, where_word, where_n);
    }
    rds_send_script(batch->queue->queues->rds, &batch->call, &script_enqueue,
                    nkeys, words.n, words.p, words.len, on_settled, batch);
}

static struct batch *
batch_new(struct queue *queue, enum mode mode)
{
    struct batch *batch = xcalloc(1, sizeof *batch);

    batch->queue = queue;
    batch->mode = mode;
    buf_init(&batch->bytes, BATCH_ROOM);
    return batch;
}

static void
batch_free(struct batch *batch)
{
    buf_clear(&batch->bytes);
    free(batch);
}

/* Encodes every record. Slices are made last: the buffer moves as it grows. */
static bool
batch_encode(struct batch *batch)
{
    size_t ends[QUEUE_ENQUEUE_MAX];
    size_t start = 0;
    int64_t now = clock_wall_ms();

    for (size_t i = 0; i < batch->n; i++) {
        job_encode(&batch->jobs[i]->spec, now, &batch->bytes);
        ends[i] = batch->bytes.len;
    }
    for (size_t i = 0; i < batch->n; i++) {
        batch->records[i] = str_from(batch->bytes.p + start, ends[i] - start);
        start = ends[i];
    }
    return !batch->bytes.failed;
}

/* The queue's name in the set of all queues. Nobody waits for it: it is put
 * there again by the next process, and by whoever finds the queue new. */
static void
registered_cb(struct op *op)
{
    struct queue *queue = op->arg;

    queue->registered = op->status == ST_OK;
    queue->registering = false;
    rds_call_clear(&queue->registration);
}

static void
register_queue(struct queue *queue)
{
    char key[KEYS_MAX_LEN];

    if (queue->registering)
        return;
    keys_global(queue->queues->prefix, "queues", key);
    const char *argv[] = {"SADD", key, queue->name};
    const size_t len[] = {4, strlen(key), strlen(queue->name)};
    queue->registering = true;
    queue->registration = (struct rds_call){0};
    rds_send(queue->queues->rds, &queue->registration, 3, argv, len,
             registered_cb, queue);
}

/* What became of one job, from its word of the reply:
 *   1 stored   0 the id is gone   -1 the queue is full   -2 it is closed
 *   =<id> that job has the unique key   ~<id> stored, that job was replaced
 *   <record> what stands under the id already */
static enum status
read_outcome(struct enqueue *job, const redisReply *word, struct str record,
             const char *queue)
{
    struct str text = script_call_text(word);

    job->holder[0] = '\0';
    job->outcome = ENQUEUE_NEW;
    if (word->type == REDIS_REPLY_INTEGER) {
        if (word->integer == -1)
            return error_set(&job->err, ST_QUEUE_FULL,
                             "the queue %s has as many jobs waiting as it may",
                             queue);
        if (word->integer == -2)
            return error_set(&job->err, ST_QUEUE_FULL,
                             "the queue %s takes no new jobs at present",
                             queue);
        if (word->integer == 0)
            job->outcome = ENQUEUE_GONE;
    } else if (text.n > 0 && (text.p[0] == '=' || text.p[0] == '~')) {
        if (text.p[0] == '=')
            job->outcome = ENQUEUE_DUPLICATE;
        str_copy_to(str_skip(text, 1), job->holder, sizeof job->holder);
    } else {
        job->outcome = job_same(text, record) ? ENQUEUE_SAME : ENQUEUE_OTHER;
    }
    return ST_OK;
}

/* Each job's outcome from the reply, and its status; ST_BUG for a reply of
 * another shape. A reply to fresh jobs has outcomes only when one of them is
 * not simply stored. */
static enum status
read_outcomes(struct batch *batch, enum status ret_each[QUEUE_ENQUEUE_MAX],
              struct error *err)
{
    const redisReply *reply = batch->call.reply;
    bool short_one = batch->mode == MODE_FRESH && reply &&
                     reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;

    if (!reply || reply->type != REDIS_REPLY_ARRAY ||
        (!short_one && reply->elements != 1 + batch->n))
        return error_set(err, ST_BUG, "enqueue: a reply of another shape");
    if (reply->element[0]->integer == 1)
        register_queue(batch->queue);
    for (size_t i = 0; i < batch->n; i++) {
        struct enqueue *job = batch->jobs[i];

        ret_each[i] = ST_OK;
        if (job && short_one) {
            job->outcome = ENQUEUE_NEW;
            job->holder[0] = '\0';
        } else if (job) {
            ret_each[i] = read_outcome(job, reply->element[1 + i],
                                       batch->records[i], batch->queue->name);
        }
    }
    return ST_OK;
}

/* The whole call was refused: the reason in a caller's words. */
static void
explain_refusal(const struct batch *batch, enum status status,
                struct error *err)
{
    if (status == ST_QUEUE_FULL)
        error_set(
            err, status,
            "the queue %s takes no more jobs at the moment: it is closed, "
            "or as many wait as it may hold",
            batch->queue->name);
}

static void
settle_all(struct batch *batch, enum status status, const struct error *err)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct enqueue *job = batch->jobs[i];
        if (!job) /* given up meanwhile */
            continue;
        job->err = *err;
        job->private = NULL;
        op_settle(&job->op, status);
    }
}

static void
settle_each(struct batch *batch, const enum status each[QUEUE_ENQUEUE_MAX])
{
    for (size_t i = 0; i < batch->n; i++) {
        struct enqueue *job = batch->jobs[i];
        if (!job)
            continue;
        job->private = NULL;
        op_settle(&job->op, each[i]);
    }
}

static void
sent_cb(struct op *op)
{
    struct batch *batch = op->arg;
    struct error err = batch->call.err;
    enum status each[QUEUE_ENQUEUE_MAX];
    enum status status = op->status;

    explain_refusal(batch, status, &err);
    if (status == ST_OK)
        status = read_outcomes(batch, each, &err);
    if (status == ST_OK)
        settle_each(batch, each);
    else
        settle_all(batch, status, &err);
    rds_call_clear(&batch->call);
    batch_free(batch);
}

/* What of a record has no small bound. */
static size_t
payload_size(const struct job_spec *spec)
{
    return spec->args.n + spec->tags.n + spec->unique.key.n +
           spec->limit.key.n + spec->callback.url.n + spec->kin.children.n;
}

/* Sends one batch from the front of @pending. */
static void
flush_some(struct queue *queue, struct list *pending, enum mode mode)
{
    struct batch *batch = batch_new(queue, mode);
    size_t bytes = 0;

    while (!list_empty(pending) && batch->n < QUEUE_ENQUEUE_MAX &&
           bytes < BATCH_BYTES_MAX) {
        struct enqueue *job =
            LIST_ENTRY(list_shift(pending), struct enqueue, link);
        bytes += payload_size(&job->spec);
        job->private = batch;
        batch->jobs[batch->n++] = job;
    }
    if (!batch_encode(batch)) {
        struct error err;
        settle_all(batch, error_set(&err, ST_LIMIT, "out of memory"), &err);
        batch_free(batch);
        return;
    }
    batch_send(batch, sent_cb);
}

static void
flush_dirty(struct queues *queues)
{
    struct list *link;

    while ((link = list_shift(&queues->dirty))) {
        struct queue *queue = LIST_ENTRY(link, struct queue, dirty);

        if (!queue->registered)
            register_queue(queue);
        while (!list_empty(&queue->fresh))
            flush_some(queue, &queue->fresh, MODE_FRESH);
        while (!list_empty(&queue->named))
            flush_some(queue, &queue->named, MODE_NAMED);
    }
}

void
queue_enqueue_flush(struct loop_hook *hook)
{
    struct queues *queues = LIST_ENTRY(hook, struct queues, flush);

    if (!list_empty(&queues->dirty))
        flush_dirty(queues);
}

/* Whoever waited went away. What was sent may still be stored: only its
 * outcome is of no interest any more. */
static void
enqueue_cancel(struct op *op)
{
    struct enqueue *job = LIST_ENTRY(op, struct enqueue, op);
    struct batch *batch = job->private;

    if (!batch) {
        list_remove(&job->link);
        return;
    }
    for (size_t i = 0; i < batch->n; i++)
        if (batch->jobs[i] == job)
            batch->jobs[i] = NULL;
    job->private = NULL;
}

static const struct op_class enqueue_class = {"enqueue", enqueue_cancel};

void
queue_enqueue(struct queues *queues, struct enqueue *e,
              void (*on_settled)(struct op *), void *arg)
{
    struct queue *queue = queue_known(queues, e->spec.queue);

    op_init(&e->op, queues->loop, &enqueue_class, on_settled, arg);
    list_init(&e->link);
    e->private = NULL;
    e->outcome = ENQUEUE_NEW;
    e->holder[0] = '\0';
    if (!e->named)
        id_make(e->local);
    if (!queue) {
        op_settle(&e->op, error_set(&e->err, ST_LIMIT,
                                    "more than %d queues are in use here",
                                    QUEUE_KNOWN_MAX));
        return;
    }
    list_append(e->named ? &queue->named : &queue->fresh, &e->link);
    if (list_empty(&queue->dirty))
        list_append(&queues->dirty, &queue->dirty);
}

enum status
queue_enqueue_await(struct co *co, struct queues *queues, struct enqueue *e)
{
    queue_enqueue(queues, e, NULL, NULL);
    return co_await(co, &e->op);
}

/* Why a batch that is all or nothing was not stored, if this job is why. */
static enum status
refusal_of(const struct queue *queue, const struct enqueue *job,
           struct error *err)
{
    switch (job->outcome) {
    case ENQUEUE_NEW:
        return ST_OK;
    case ENQUEUE_DUPLICATE:
        if (job->spec.unique.on_conflict == UNIQUE_RETURN)
            return ST_OK;
        return error_set(err, ST_CONFLICT,
                         "the job %s.%s has the unique key of %s.%s: nothing "
                         "was stored",
                         queue->name, job->holder, queue->name, job->local);
    case ENQUEUE_SAME:
    case ENQUEUE_OTHER:
    case ENQUEUE_GONE:
        break;
    }
    return error_set(err, ST_CONFLICT,
                     "the id %s.%s is taken: nothing was stored", queue->name,
                     job->local);
}

enum status
queue_enqueue_together(struct str queue, size_t parents, struct str first,
                       struct error *err)
{
    if (parents > 0)
        return error_set_at(err, "/after",
                            "jobs that are stored together cannot wait for "
                            "others: make a flow of them");
    if (!str_eq(queue, first))
        return error_set_at(err, "/queue",
                            "jobs that are stored together go to one queue, "
                            "the first one's is \"%.*s\"",
                            STR_ARG(first));
    return ST_OK;
}

enum status
queue_enqueue_all(struct co *co, struct queues *queues,
                  struct enqueue *const *jobs, size_t n, struct error *err)
{
    assert(n >= 1 && n <= QUEUE_ENQUEUE_MAX);
    struct queue *queue = queue_known(queues, jobs[0]->spec.queue);
    enum status each[QUEUE_ENQUEUE_MAX];
    enum status status;

    if (!queue)
        return error_set(err, ST_LIMIT, "more than %d queues are in use here",
                         QUEUE_KNOWN_MAX);
    struct batch *batch = batch_new(queue, MODE_ALL);
    for (size_t i = 0; i < n; i++) {
        assert(str_eq(jobs[i]->spec.queue, jobs[0]->spec.queue));
        if (!jobs[i]->named)
            id_make(jobs[i]->local);
        batch->jobs[batch->n++] = jobs[i];
    }
    if (!batch_encode(batch)) {
        status = error_set(err, ST_TOO_LARGE,
                           "an atomic batch of more than 2 MiB is not taken");
        goto out;
    }
    batch_send(batch, NULL);
    status = co_await(co, &batch->call.op);
    if (status != ST_OK) {
        if (err)
            *err = batch->call.err;
        explain_refusal(batch, status, err);
        goto out;
    }
    status = read_outcomes(batch, each, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = refusal_of(queue, jobs[i], err);
out:
    rds_call_clear(&batch->call);
    batch_free(batch);
    return status;
}
