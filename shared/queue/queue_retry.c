/* Retry: the queue's policy lies with the queues that this process enqueues
 * into (queue_private.h).
 *
 * When what is known grows old, the first that notices asks; those that come
 * meanwhile go on with the old, so that no burst of requests becomes a burst of
 * commands. */
#include "queue/queue_retry.h"

#include <assert.h>

#include "queue/queue_private.h"

enum { FIELDS = 5 };

static const char *const names[FIELDS] = {
    "retry_max", "retry_backoff", "retry_base", "retry_cap", "retry_jitter"};

const char *
queue_retry_name(enum job_retry field)
{
    for (int i = 0; i < FIELDS; i++)
        if ((unsigned)field == 1U << i)
            return names[i];
    assert(!"no single field");
    return NULL;
}

static bool
read_number(struct str text, int64_t min, int64_t max, int64_t *ret)
{
    int64_t n;

    if (!str_to_i64(text, &n) || n < min || n > max)
        return false;
    *ret = n;
    return true;
}

bool
queue_retry_read(struct queue_retry *retry, struct str name, struct str value)
{
    struct queue_retry read = *retry;
    struct backoff *backoff = &read.backoff;
    int64_t n = 0;
    int i = 0;
    bool good = false;

    while (i < FIELDS && !str_eq_c(name, names[i]))
        i++;
    if (i == FIELDS)
        return false;
    switch (1U << i) {
    case JOB_RETRY_MAX:
        good = read_number(value, 0, JOB_RETRIES_MAX, &n);
        read.retries = (int32_t)n;
        break;
    case JOB_RETRY_BACKOFF:
        good = str_eq_c(value, "f") || str_eq_c(value, "e");
        backoff->kind =
            str_eq_c(value, "f") ? BACKOFF_FIXED : BACKOFF_EXPONENTIAL;
        break;
    case JOB_RETRY_BASE:
        good = read_number(value, 1, JOB_DELAY_MAX_MS, &backoff->base_ms);
        break;
    case JOB_RETRY_CAP:
        good = read_number(value, 1, JOB_DELAY_MAX_MS, &backoff->cap_ms);
        break;
    case JOB_RETRY_JITTER:
        good = read_number(value, 0, 100, &n);
        backoff->jitter = (double)n / 100;
        break;
    }
    if (!good)
        return false;
    read.set |= 1U << i;
    *retry = read;
    return true;
}

void
queue_retry_apply(const struct queue_retry *retry, struct job_spec *spec)
{
    struct backoff *backoff = &spec->backoff;
    unsigned open = spec->retry_open;
    unsigned fill = open & retry->set;

    spec->retry_open = 0;
    if (!fill)
        return;
    if (fill & JOB_RETRY_MAX)
        spec->retries = retry->retries;
    if (fill & JOB_RETRY_BACKOFF)
        backoff->kind = retry->backoff.kind;
    if (fill & JOB_RETRY_BASE)
        backoff->base_ms = retry->backoff.base_ms;
    if (fill & JOB_RETRY_CAP)
        backoff->cap_ms = retry->backoff.cap_ms;
    if (fill & JOB_RETRY_JITTER)
        backoff->jitter = retry->backoff.jitter;
    if (backoff->cap_ms < backoff->base_ms) {
        if (open & JOB_RETRY_CAP)
            backoff->cap_ms = backoff->base_ms;
        else
            backoff->base_ms = backoff->cap_ms;
    }
}

/* What is set that this version cannot read is as good as not set. */
static enum status
ask(struct co *co, struct queues *queues, struct str name,
    struct queue_retry *ret, struct error *err)
{
    struct rds_call call = {0};

    enum status st =
        rds_await(co, queues->rds, &call, "HMGET %s:{%b}:meta %s %s %s %s %s",
                  queues->prefix, name.p, name.n, names[0], names[1], names[2],
                  names[3], names[4]);
    if (st == ST_OK && (call.reply->type != REDIS_REPLY_ARRAY ||
                        call.reply->elements != FIELDS))
        st = error_set(&call.err, ST_BUG, "meta: a reply of another shape");
    if (st == ST_OK) {
        *ret = (struct queue_retry){0};
        for (int i = 0; i < FIELDS; i++) {
            const redisReply *word = call.reply->element[i];
            if (word->type == REDIS_REPLY_STRING)
                (void)queue_retry_read(ret, str_c(names[i]),
                                       str_from(word->str, word->len));
        }
    } else if (err) {
        *err = call.err;
    }
    if (st == ST_UNCLEAR) { /* a read has no outcome that could be unclear */
        st = ST_UNAVAILABLE;
        if (err)
            err->status = st;
    }
    rds_call_clear(&call);
    return st;
}

enum status
queue_retry_fill(struct co *co, struct queues *queues, struct job_spec *spec,
                 struct error *err)
{
    struct queue_retry found;
    enum status st;

    if (!spec->retry_open)
        return ST_OK;
    struct queue *queue = queue_known(queues, spec->queue);
    int64_t now_ms = loop_now_ms(queues->loop);
    if (queue && now_ms < queue->retry_until_ms) {
        queue_retry_apply(&queue->retry, spec);
        return ST_OK;
    }
    /* While nothing is known, everybody asks; later one does for all. */
    bool known = queue && queue->retry_until_ms > 0;
    unsigned changes = queue ? queue->retry_changes : 0;
    if (known)
        queue->retry_until_ms = now_ms + QUEUE_RETRY_KNOWN_MS;
    st = ask(co, queues, spec->queue, &found, err);
    if (st != ST_OK) {
        if (known)
            queue->retry_until_ms = 1; /* old: the next one asks */
        return st;
    }
    /* An answer to what was asked before a change may be from before it. */
    if (queue && queue->retry_changes == changes) {
        queue->retry = found;
        queue->retry_until_ms = now_ms + QUEUE_RETRY_KNOWN_MS;
    }
    queue_retry_apply(&found, spec);
    return ST_OK;
}

void
queue_retry_forget(struct queues *queues, struct str queue)
{
    struct list *bucket = &queues->buckets[str_hash(queue) % QUEUE_BUCKETS];

    LIST_FOREACH (link, bucket) {
        struct queue *known = LIST_ENTRY(link, struct queue, link);
        if (str_eq_c(queue, known->name)) {
            known->retry_until_ms = 0;
            known->retry_changes++;
        }
    }
}
