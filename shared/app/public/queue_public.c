/* Public queue: what the files on top of the public queue headers share. */
#include "app/public/queue_public.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/document/job_info.h"
#include "app/outside.h"
#include "app/public/co_public.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "queue/queue_retry.h"

static const char attached;

void
queue_public_attach(struct loop *loop, struct task_catalog *catalog)
{
    loop_attach(loop, &attached, catalog);
}

static const char attached_durability;

void
queue_public_attach_durability(struct loop *loop, struct durability *durability)
{
    loop_attach(loop, &attached_durability, durability);
}

struct durability *
queue_public_durability(const struct loop *loop)
{
    return loop_attached(loop, &attached_durability);
}

static const char attached_changes;

void
queue_public_attach_changes(struct loop *loop, struct changes *changes)
{
    loop_attach(loop, &attached_changes, changes);
}

struct changes *
queue_public_changes(const struct loop *loop)
{
    return loop_attached(loop, &attached_changes);
}

struct task_catalog *
queue_public_catalog(const struct loop *loop)
{
    return loop_attached(loop, &attached);
}

enum status
queue_public_begin(struct co *co, struct queues **ret, struct error *err)
{
    struct task_catalog *catalog = queue_public_catalog(co_loop(co));
    enum status st = co_cancelled(co);

    if (st != ST_OK)
        return error_set(err, st, "nothing was done: %s", status_name(st));
    if (!catalog)
        return error_set(err, ST_UNAVAILABLE, "this process has no queues");
    *ret = catalog->queues;
    return ST_OK;
}

enum status
queue_public_begin_id(struct co *co, const char *id, struct queues **ret,
                      struct job_id *ret_id, struct error *err)
{
    enum status st = queue_public_begin(co, ret, err);

    return st == ST_OK ? id_split(str_c(id), ret_id, err) : st;
}

enum status
queue_public_name(const char *name, const char *field, struct error *err)
{
    if (id_queue_valid(str_c(name)))
        return ST_OK;
    return error_set_at(err, field,
                        "a queue's name is 1 to %d characters A-Z a-z 0-9 _ . "
                        ": -",
                        ID_QUEUE_MAX);
}

enum status
queue_public_limit(int limit, int standard, int max, size_t *ret,
                   struct error *err)
{
    if (limit < 0 || limit > max)
        return error_set_at(err, "/limit", "must be 1 to %d", max);
    *ret = (size_t)(limit ? limit : standard);
    return ST_OK;
}

void
queue_public_counts(const struct queue_counts *counts,
                    int64_t ret[PIT_ENDED + 1])
{
    for (int i = 0; i < JOB_STATES; i++)
        if (!job_state_ended((enum job_state)i) || i == JOB_DEAD ||
            i == JOB_QUARANTINED)
            ret[job_info_state((enum job_state)i)] = counts->count[i];
    /* The core counts them under the first of the three. */
    ret[PIT_ENDED] = counts->count[JOB_SUCCEEDED];
}

struct job_origin
queue_public_origin(const struct co *co)
{
    return (struct job_origin){.traceparent = co_trace(co),
                               .request_id = co_request_sent(co)};
}

void
queue_public_words(enum status st, const struct error *err,
                   char words[PIT_WORDS_SIZE])
{
    const char *where = err->pointer;
    struct error whole = {.msg = ""};

    if (st != ST_OK)
        (void)error_set(&whole, st, "%s%s%s", where[0] ? where + 1 : "",
                        where[0] ? ": " : "",
                        err->msg[0] ? err->msg : status_name(st));
    str_copy_to(str_c(whole.msg), words, PIT_WORDS_SIZE);
}

void
queue_public_log(const char *call, enum status st, const struct error *err)
{
    char words[PIT_WORDS_SIZE];

    if (st != ST_INVALID && st != ST_UNKNOWN_TASK)
        return;
    queue_public_words(st, err, words);
    log_warn("%s: %s", call, words);
}

enum pit_status
queue_public_end(const struct co *co, enum status st, bool wrote,
                 const struct error *err, char *words)
{
    struct error cut;

    if (st == ST_UNCLEAR && !wrote) {
        st = ST_UNAVAILABLE;
    } else if (st == ST_TIMEOUT && wrote && co_cancelled(co) == ST_TIMEOUT) {
        st = error_set(&cut, ST_UNCLEAR,
                       "the deadline passed before Redis answered: it may have "
                       "happened");
        err = &cut;
    }
    if (words)
        queue_public_words(st, err, words);
    return (enum pit_status)st;
}

/* ---- args ---- */

/* Stands for args that could not be made; jansson never frees this count. */
static json_t not_made = {JSON_NULL, (size_t)-1};

json_t *
pit_args(const char *fmt, ...)
{
    json_error_t why;
    va_list ap;

    va_start(ap, fmt);
    json_t *args = json_vpack_ex(&why, 0, fmt, ap);
    va_end(ap);
    if (!args)
        log_warn("pit_args(\"%s\"): %s", fmt, why.text);
    return args ? args : &not_made;
}

static int
add_text(const char *bytes, size_t n, void *arg)
{
    struct buf *dst = arg;

    buf_add(dst, bytes, n);
    return dst->failed ? -1 : 0;
}

enum status
queue_public_args(json_t *args, struct buf *ret, struct error *err)
{
    enum status st = ST_OK;

    if (args == &not_made)
        st = error_set(err, ST_INVALID,
                       "the format of pit_args() does not fit its values");
    else if (args && json_dump_callback(args, add_text, ret,
                                        JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        st = error_set(err, ret->failed ? ST_TOO_LARGE : ST_INVALID,
                       "the args are no JSON, or more than %d bytes of it",
                       JOB_ARGS_MAX);
    json_decref(args);
    return st;
}

/* ---- options ---- */

static void
take_ties(const struct pit_enqueue *options, struct job_spec *spec)
{
    static const enum unique_while holds[] = {
        [PIT_UNIQUE_RUNNING] = UNIQUE_RUNNING,
        [PIT_UNIQUE_WAITING] = UNIQUE_WAITING,
        [PIT_UNIQUE_ENDED] = UNIQUE_ENDED,
    };
    const struct pit_unique *unique = &options->unique;

    if (unique->key && (unsigned)unique->until < ARRAY_LEN(holds)) {
        spec->unique = (struct job_unique){
            .hold = holds[unique->until],
            .on_conflict = (enum unique_conflict)unique->on_conflict,
            .ttl_ms = unique->ttl_ms,
            .key = str_c(unique->key),
        };
        if (unique->until == PIT_UNIQUE_ENDED && unique->ttl_ms == 0)
            spec->unique.ttl_ms = spec->keep_ms;
    }
    if (options->limit.key)
        spec->limit = (struct job_limit){
            .concurrency = options->limit.concurrency,
            .rate = options->limit.rate,
            .rate_period_ms = options->limit.rate_period_ms,
            .key = str_c(options->limit.key),
        };
    if (options->callback)
        spec->callback = (struct job_callback){
            .on_succeeded = options->callback_on != PIT_CALLBACK_DEAD,
            .on_dead = options->callback_on != PIT_CALLBACK_SUCCEEDED,
            .url = str_c(options->callback)};
}

static void
take_options(const struct pit_enqueue *options, struct job_spec *spec)
{
    if (options->queue)
        spec->queue = str_c(options->queue);
    spec->local = str_c(options->id);
    spec->delay_ms = options->delay_ms;
    spec->run_at_ms = options->run_at_ms;
    spec->expires_at_ms = options->expires_at_ms;
    spec->tags = str_c(options->tags);
    if (options->timeout_ms)
        spec->timeout_ms = options->timeout_ms;
    if (options->keep_ms)
        spec->keep_ms = options->keep_ms == PIT_NO_KEEP ? 0 : options->keep_ms;
    if (options->priority)
        spec->priority = options->priority - PIT_PRIORITY(0);
    if (options->retries)
        spec->retry_open &= ~(unsigned)JOB_RETRY_MAX;
    if (options->backoff)
        spec->retry_open &= ~(unsigned)JOB_RETRY_BACKOFF;
    if (options->backoff_ms)
        spec->retry_open &= ~(unsigned)JOB_RETRY_BASE;
    if (options->backoff_cap_ms)
        spec->retry_open &= ~(unsigned)JOB_RETRY_CAP;
    if (options->backoff_jitter != 0)
        spec->retry_open &= ~(unsigned)JOB_RETRY_JITTER;
    if (options->retries)
        spec->retries = options->retries == PIT_NO_RETRY ? 0 : options->retries;
    if (options->backoff)
        spec->backoff.kind = options->backoff == PIT_BACKOFF_FIXED
                                 ? BACKOFF_FIXED
                                 : BACKOFF_EXPONENTIAL;
    if (options->backoff_ms)
        spec->backoff.base_ms = options->backoff_ms;
    if (options->backoff_cap_ms)
        spec->backoff.cap_ms = options->backoff_cap_ms;
    else if (spec->backoff.cap_ms < spec->backoff.base_ms)
        spec->backoff.cap_ms = spec->backoff.base_ms;
    if (options->backoff_jitter == PIT_NO_JITTER)
        spec->backoff.jitter = 0;
    else if (options->backoff_jitter != 0)
        spec->backoff.jitter = options->backoff_jitter;
    take_ties(options, spec);
}

enum status
queue_public_policy(struct co *co, struct task_catalog *catalog,
                    const char *task, const struct pit_enqueue *options,
                    struct task_entry *room, struct job_spec *ret,
                    struct error *err)
{
    const struct app_task *found = NULL;

    if (!id_task_valid(str_c(task)))
        return error_set_at(err, "/task",
                            "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    const struct outside_script *script = outside_script(co);
    enum status st =
        script ? script->find_task(co, str_c(task), room, &found, err)
               : task_catalog_find(co, catalog, str_c(task), room, &found, err);
    if (st != ST_OK)
        return st;
    task_entry_spec(found, ret);
    ret->task = str_c(task);
    if (options)
        take_options(options, ret);
    return job_spec_check(ret, err);
}

enum status
queue_public_spec(struct co *co, struct task_catalog *catalog, const char *task,
                  const struct pit_enqueue *options, struct task_entry *room,
                  struct job_spec *ret, struct error *err)
{
    enum status st =
        queue_public_policy(co, catalog, task, options, room, ret, err);

    return st == ST_OK && !outside_script(co)
               ? queue_retry_fill(co, catalog->queues, ret, err)
               : st;
}

bool
queue_public_possible(const struct co *co)
{
    return outside_script(co) || queue_public_catalog(co_loop(co));
}
