/* Looking: one job, the depth of a queue, the names of all. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/queue_private.h"
#include "queue/script_call.h"

/* Sends a script with the keys that @which names. */
static void
send(struct queues *queues, struct rds_call *call,
     const struct rds_script *script, const struct keys *keys,
     const enum key *which, int nkeys, struct str arg)
{
    const char *argv[KEYS_OF_QUEUE + 1];
    size_t len[KEYS_OF_QUEUE + 1];
    int argc = nkeys;

    for (int i = 0; i < nkeys; i++) {
        argv[i] = keys->p[which[i]];
        len[i] = keys->n[which[i]];
    }
    if (arg.n > 0) {
        argv[argc] = arg.p;
        len[argc++] = arg.n;
    }
    rds_send_script(queues->rds, call, script, nkeys, argc, argv, len, NULL,
                    NULL);
}

static enum status
read_view(struct job_view *view, struct job_id id, struct error *err)
{
    const redisReply *reply = view->call.reply;
    double due = 0;

    enum status status = script_call_found(reply, id, err);
    if (status != ST_OK)
        return status;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 7)
        return error_set(err, ST_BUG, "get: a reply of another shape");
    redisReply *const *words = reply->element;
    status = job_decode(script_call_text(words[0]), &view->spec,
                        &view->created_ms, err);
    if (status == ST_OK)
        status =
            job_history_decode(script_call_text(words[1]), &view->history, err);
    if (status != ST_OK)
        return status;
    view->spec.queue = id.queue;
    view->spec.local = id.local;
    view->result = script_call_text(words[2]);
    view->progress = script_call_text(words[3]);
    if (words[4]->type == REDIS_REPLY_STRING)
        due = strtod(words[4]->str, NULL);
    view->due_ms = (int64_t)due;
    bool blocked = words[5]->type == REDIS_REPLY_STRING;
    struct str cancel = script_call_text(words[6]);
    if (cancel.n > 0 &&
        !str_to_i64(str_cut(cancel, ' ', &cancel), &view->cancel_asked_ms))
        view->cancel_asked_ms = 0;
    view->state = job_history_state(view->history.code, view->due_ms, blocked);
    return ST_OK;
}

void
queue_get_send(struct queues *queues, struct job_id id, struct job_view *ret)
{
    static const enum key which[] = {KEY_JOBS,     KEY_STATE, KEY_RESULTS,
                                     KEY_PROGRESS, KEY_DUE,   KEY_GONE,
                                     KEY_RETRYING};
    struct keys keys;

    *ret = (struct job_view){0};
    queue_keys(queues, id.queue, &keys);
    send(queues, &ret->call, &script_get, &keys, which, ARRAY_LEN(which),
         id.local);
}

enum status
queue_get_result(struct job_view *view, struct job_id id, struct error *err)
{
    if (view->call.op.status == ST_OK)
        return read_view(view, id, err);
    if (err)
        *err = view->call.err;
    return view->call.op.status;
}

enum status
queue_expire(struct co *co, struct queues *queues, struct job_id id,
             struct error *err)
{
    static const enum key which[] = {KEY_JOBS};
    struct rds_call call = {0};
    struct script_call words;

    script_call_init(&words, queues, id.queue, which, ARRAY_LEN(which));
    script_call_add(&words, STR("expire"));
    script_call_add(&words, id.local);
    script_call_add(&words, STR("0"));
    for (int i = 0; i < 3; i++)
        script_call_add(&words, STR_NULL);
    enum status st =
        script_call_await(co, &words, queues, &script_control, &call, err);
    rds_call_clear(&call);
    return st;
}

/* No worker may be there to meet it. This machine's clock says whether to ask,
 * Redis' what becomes of it. */
enum status
queue_get_settled(struct co *co, struct queues *queues, struct job_id id,
                  struct job_view *view, struct error *err)
{
    bool waits = !job_state_ended(view->state) && view->state != JOB_RUNNING;

    if (!waits || view->spec.expires_at_ms == 0 ||
        view->spec.expires_at_ms > clock_wall_ms())
        return ST_OK;
    enum status st = queue_expire(co, queues, id, err);
    if (st != ST_OK) /* a server that takes no writes still shows its jobs */
        return ST_OK;
    queue_view_clear(view);
    queue_get_send(queues, id, view);
    st = co_await(co, &view->call.op);
    return st == ST_OK ? queue_get_result(view, id, err) : st;
}

enum status
queue_get(struct co *co, struct queues *queues, struct job_id id,
          struct job_view *ret, struct error *err)
{
    queue_get_send(queues, id, ret);
    enum status status = co_await(co, &ret->call.op);
    if (status == ST_OK)
        status = queue_get_result(ret, id, err);
    else if (err)
        *err = ret->call.err;
    return status == ST_OK ? queue_get_settled(co, queues, id, ret, err)
                           : status;
}

void
queue_view_clear(struct job_view *view)
{
    rds_call_clear(&view->call);
}

/* A total's name -> its field. */
static int64_t *
total_of(struct queue_counts *counts, struct str name)
{
    const struct {
        const char *name;
        int64_t *field;
    } totals[] = {
        {"enqueued", &counts->enqueued},
        {"succeeded", &counts->succeeded},
        {"failed", &counts->failed},
        {"retried", &counts->retried},
        {"dead", &counts->dead},
        {"crashed", &counts->crashed},
        {"lost", &counts->lost},
        {"timeout", &counts->timeout},
        {"released", &counts->released},
        {"expired", &counts->expired},
        {"quarantined", &counts->quarantined},
        {"retrying", &counts->count[JOB_RETRYING]},
        {"blocked", &counts->count[JOB_BLOCKED]},
        {"kept", &counts->count[JOB_SUCCEEDED]},
    };

    for (size_t i = 0; i < ARRAY_LEN(totals); i++)
        if (str_eq_c(name, totals[i].name))
            return totals[i].field;
    return NULL;
}

static enum status
read_counts(const redisReply *reply, struct queue_counts *ret,
            struct error *err)
{
    enum { FIXED = 8 };

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < FIXED)
        return error_set(err, ST_BUG, "counts: a reply of another shape");
    redisReply *const *words = reply->element;
    ret->count[JOB_READY] = words[0]->integer;
    ret->count[JOB_SCHEDULED] = words[1]->integer;
    ret->count[JOB_RUNNING] = words[2]->integer;
    ret->count[JOB_DEAD] = words[3]->integer;
    ret->count[JOB_QUARANTINED] = words[4]->integer;
    ret->paused = words[5]->integer == 1;
    ret->now_ms = words[7]->integer;
    ret->oldest_ready_ms = -1;
    if (words[6]->integer > 0) {
        int64_t age = words[7]->integer - words[6]->integer;
        ret->oldest_ready_ms = age < 0 ? 0 : age;
    }
    for (size_t i = FIXED; i + 1 < reply->elements; i += 2) {
        int64_t *field = total_of(ret, script_call_text(words[i]));
        if (field)
            *field = words[i + 1]->type == REDIS_REPLY_INTEGER
                         ? words[i + 1]->integer
                         : strtoll(words[i + 1]->str, NULL, 10);
    }
    return ST_OK;
}

enum status
queue_counts(struct co *co, struct queues *queues, struct str queue,
             struct queue_counts *ret, struct error *err)
{
    static const enum key which[] = {
        KEY_JOBS,        KEY_DUE,       KEY_LEASED,    KEY_DEAD,
        KEY_QUARANTINED, KEY_STATS,     KEY_META,      KEY_READY,
        KEY_READY + 1,   KEY_READY + 2, KEY_READY + 3, KEY_READY + 4,
        KEY_READY + 5,   KEY_READY + 6, KEY_READY + 7, KEY_READY + 8,
        KEY_READY + 9,   KEY_RETRYING,
    };
    struct rds_call call = {0};
    struct queue_counts found = {0};
    struct keys keys;

    queue_keys(queues, queue, &keys);
    str_copy_to(queue, found.name, sizeof found.name);
    send(queues, &call, &script_counts, &keys, which, ARRAY_LEN(which),
         STR_NULL);
    enum status status = co_await(co, &call.op);
    if (status != ST_OK && err)
        *err = call.err;
    if (status == ST_OK)
        status = read_counts(call.reply, &found, err);
    if (status == ST_OK)
        *ret = found;
    rds_call_clear(&call);
    return status;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum status
queue_names(struct co *co, struct queues *queues,
            char (**ret)[ID_QUEUE_MAX + 1], size_t *ret_n, struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];
    size_t n = 0;

    keys_global(queues->prefix, "queues", key);
    enum status status = rds_await(co, queues->rds, &call, "SMEMBERS %s", key);
    if (status != ST_OK) {
        if (err)
            *err = call.err;
        goto out;
    }
    char(*names)[ID_QUEUE_MAX + 1] =
        calloc(call.reply->elements + 1, sizeof *names);
    if (!names) {
        status = error_set(err, ST_LIMIT, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < call.reply->elements && n < QUEUE_LIST_MAX; i++) {
        struct str name = script_call_text(call.reply->element[i]);
        if (id_queue_valid(name))
            str_copy_to(name, names[n++], sizeof names[0]);
    }
    qsort(names, n, sizeof *names, compare_names);
    *ret = names;
    *ret_n = n;
out:
    rds_call_clear(&call);
    return status;
}
