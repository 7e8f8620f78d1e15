/* Outbox: read some, carry each to its queue, delete what arrived, go on.
 *
 * What a read brings is sorted by the queue that it is for: jobs go through
 * queue_enqueue(), which gathers them into one call a queue, and ends into one
 * call of scripts/deliver.lua a queue. A message counts as arrived when all of
 * its parts have. The reply lends all words, so nothing is copied. */
#include "queue/flow/outbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "queue/queue_private.h"
#include "queue/script_call.h"

enum {
    PARTS_MAX = 4096, /* jobs or ends of one read */
    WORDS_OF_END = 4,
    CALL_ENDS_MAX = 128, /* of one script call */
    CALL_BYTES_MAX = 1 << 20,
    CALLS_MAX = 16, /* under way at once */
};

struct message {
    const char *id; /* of the stream */
    size_t id_len;
    bool failed; /* a part did not arrive */
};

/* A job that a flow wants to be there. */
struct part {
    struct enqueue enqueue;
    struct message *from;
};

/* That one has ended. */
struct end {
    struct message *from;
    struct job_id to;
    struct str who;
    struct str code;
    struct str result;
    bool sent;
};

struct carry {
    struct queues *queues;
    struct rds_call read;
    struct message messages[OUTBOX_READ_MAX];
    size_t len;
    struct part *parts; /* PARTS_MAX */
    size_t parts_len;
    struct end *ends; /* PARTS_MAX */
    size_t ends_len;
    char cursor[64]; /* the id behind which the next read begins */
    struct error err;
    enum status status; /* of the first failure */
};

static void
fail(struct carry *carry, struct message *message, enum status status,
     const struct error *err)
{
    message->failed = true;
    if (carry->status == ST_OK) {
        carry->status = status;
        carry->err = *err;
    }
}

static void
drop(const struct message *message, const char *why)
{
    log_warn("outbox: the message %.*s is dropped: %s", (int)message->id_len,
             message->id, why);
}

/* ---- reading ---- */

static void
read_job(struct carry *carry, struct message *message, struct str full,
         struct str record)
{
    struct part *part = &carry->parts[carry->parts_len];
    struct job_spec spec;
    struct job_id id;
    int64_t created_ms;
    struct error err;

    if (id_split(full, &id, &err) != ST_OK ||
        job_decode(record, &spec, &created_ms, &err) != ST_OK) {
        drop(message, err.msg);
        return;
    }
    *part = (struct part){.from = message};
    part->enqueue.spec = spec;
    part->enqueue.spec.queue = id.queue;
    part->enqueue.spec.local = id.local;
    part->enqueue.named = true;
    str_copy_to(id.local, part->enqueue.local, sizeof part->enqueue.local);
    carry->parts_len++;
}

static void
read_jobs(struct carry *carry, struct message *message, const redisReply *words)
{
    for (size_t i = 2; i + 3 < words->elements; i += 4)
        if (carry->parts_len < PARTS_MAX)
            read_job(carry, message, script_call_text(words->element[i + 1]),
                     script_call_text(words->element[i + 3]));
}

static void
read_end(struct carry *carry, struct message *message, const redisReply *words)
{
    struct end end = {.from = message};
    struct error err;

    for (size_t i = 2; i + 1 < words->elements; i += 2) {
        struct str name = script_call_text(words->element[i]);
        struct str value = script_call_text(words->element[i + 1]);
        if (str_eq_c(name, "to") && id_split(value, &end.to, &err) != ST_OK)
            end.to = (struct job_id){0};
        else if (str_eq_c(name, "from"))
            end.who = value;
        else if (str_eq_c(name, "code"))
            end.code = value;
        else if (str_eq_c(name, "result"))
            end.result = value;
    }
    if (end.to.local.n == 0 || end.who.n == 0 || end.code.n != 1)
        drop(message, "it is damaged");
    else
        carry->ends[carry->ends_len++] = end;
}

/* One entry of the stream: its id, and its fields and values in turn. */
static void
read_message(struct carry *carry, const redisReply *entry)
{
    struct message *message = &carry->messages[carry->len++];
    const redisReply *words = entry->element[1];
    struct str kind;

    *message =
        (struct message){entry->element[0]->str, entry->element[0]->len, false};
    kind =
        words->elements >= 2 ? script_call_text(words->element[1]) : STR_NULL;
    if (str_eq_c(kind, "enqueue"))
        read_jobs(carry, message, words);
    else if (str_eq_c(kind, "end"))
        read_end(carry, message, words);
    else
        drop(message, "its kind is not known");
}

static enum status
read_some(struct co *co, struct carry *carry, const char *key)
{
    carry->len = carry->parts_len = carry->ends_len = 0;
    enum status st = rds_await(co, carry->queues->rds, &carry->read,
                               "XRANGE %s %s + COUNT %d", key, carry->cursor,
                               OUTBOX_READ_MAX);
    if (st != ST_OK) {
        carry->err = carry->read.err;
        return st;
    }
    const redisReply *reply = carry->read.reply;
    for (size_t i = 0; i < reply->elements && i < OUTBOX_READ_MAX; i++) {
        const redisReply *entry = reply->element[i];
        if (entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
            entry->element[0]->type == REDIS_REPLY_STRING &&
            entry->element[1]->type == REDIS_REPLY_ARRAY)
            read_message(carry, entry);
    }
    if (carry->len > 0) {
        const struct message *last = &carry->messages[carry->len - 1];
        snprintf(carry->cursor, sizeof carry->cursor, "(%.*s",
                 (int)last->id_len, last->id);
    }
    return ST_OK;
}

/* ---- jobs ---- */

static void
arrived(struct carry *carry, struct part *part, enum status status)
{
    struct enqueue *e = &part->enqueue;

    if (status != ST_OK)
        fail(carry, part->from, status, &e->err);
    else if (e->outcome == ENQUEUE_OTHER)
        drop(part->from, "the id of one of its jobs belongs to another job");
}

/* All of them at once; a cancellation gives up those under way. */
static enum status
deliver_jobs(struct co *co, struct carry *carry)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < carry->parts_len; i++)
        queue_enqueue(carry->queues, &carry->parts[i].enqueue, NULL, NULL);
    for (size_t i = 0; i < carry->parts_len; i++) {
        struct part *part = &carry->parts[i];
        if (st != ST_OK) {
            op_cancel(&part->enqueue.op);
            continue;
        }
        enum status one = co_await(co, &part->enqueue.op);
        if (co_cancelled(co) != ST_OK)
            st = co_cancelled(co);
        else
            arrived(carry, part, one);
    }
    return st;
}

/* ---- ends ---- */

struct call {
    struct rds_call call;
    struct end *members[CALL_ENDS_MAX];
    size_t len;
};

static void
send_call(struct queues *queues, struct call *call, struct str queue)
{
    const char *argv[1 + CALL_ENDS_MAX * WORDS_OF_END];
    size_t len[ARRAY_LEN(argv)];
    struct keys keys;
    int n = 1;

    queue_keys(queues, queue, &keys);
    argv[0] = keys.p[KEY_JOBS];
    len[0] = keys.n[KEY_JOBS];
    for (size_t i = 0; i < call->len; i++) {
        const struct end *end = call->members[i];
        const struct str words[WORDS_OF_END] = {end->to.local, end->who,
                                                end->code, end->result};
        for (int w = 0; w < WORDS_OF_END; w++, n++) {
            argv[n] = words[w].n ? words[w].p : "";
            len[n] = words[w].n;
        }
    }
    rds_send_script(queues->rds, &call->call, &script_deliver, 1, n, argv, len,
                    NULL, NULL);
}

/* The ends for the queue of @first that are not sent yet, as one call. */
static void
gather(struct carry *carry, size_t first, struct call *call)
{
    struct str queue = carry->ends[first].to.queue;
    size_t bytes = 0;

    for (size_t i = first; i < carry->ends_len; i++) {
        struct end *end = &carry->ends[i];
        if (end->sent || !str_eq(end->to.queue, queue))
            continue;
        if (call->len == CALL_ENDS_MAX || bytes > CALL_BYTES_MAX)
            break;
        end->sent = true;
        bytes += end->result.n;
        call->members[call->len++] = end;
    }
    send_call(carry->queues, call, queue);
}

/* Up to CALLS_MAX calls, from the first end on that is not sent yet. */
static size_t
send_calls(struct carry *carry, struct call *calls)
{
    size_t n = 0;

    memset(calls, 0, CALLS_MAX * sizeof *calls);
    for (size_t i = 0; i < carry->ends_len && n < CALLS_MAX; i++)
        if (!carry->ends[i].sent)
            gather(carry, i, &calls[n++]);
    return n;
}

static enum status
deliver_ends(struct co *co, struct carry *carry)
{
    struct call *calls = calloc(CALLS_MAX, sizeof *calls);
    size_t n;

    if (!calls)
        return error_set(&carry->err, ST_LIMIT, "out of memory");
    while (co_cancelled(co) == ST_OK && (n = send_calls(carry, calls)) > 0)
        for (size_t c = 0; c < n; c++) {
            struct call *call = &calls[c];
            enum status st = co_await(co, &call->call.op);
            for (size_t i = 0; i < call->len && st != ST_OK; i++)
                fail(carry, call->members[i]->from, st, &call->call.err);
            rds_call_clear(&call->call);
        }
    free(calls);
    return co_cancelled(co);
}

/* Of the jobs that were stored: those with parents whose ends came first. */
static void
add_checks(struct carry *carry)
{
    for (size_t i = 0; i < carry->parts_len; i++) {
        const struct part *part = &carry->parts[i];
        const struct job_spec *spec = &part->enqueue.spec;
        if (spec->kin.parents == 0 || part->from->failed)
            continue;
        carry->ends[carry->ends_len++] =
            (struct end){.from = part->from, .to = {spec->queue, spec->local}};
    }
}

/* ---- a round ---- */

static enum status
delete_arrived(struct co *co, struct carry *carry, const char *key)
{
    const char *argv[2 + OUTBOX_READ_MAX] = {"XDEL", key};
    size_t len[ARRAY_LEN(argv)] = {4, strlen(key)};
    struct rds_call call = {0};
    int n = 2;

    for (size_t i = 0; i < carry->len; i++) {
        if (carry->messages[i].failed)
            continue;
        argv[n] = carry->messages[i].id;
        len[n++] = carry->messages[i].id_len;
    }
    if (n == 2)
        return ST_OK;
    rds_send(carry->queues->rds, &call, n, argv, len, NULL, NULL);
    enum status st = co_await(co, &call.op);
    if (st != ST_OK)
        carry->err = call.err;
    rds_call_clear(&call);
    return st;
}

static enum status
carry_some(struct co *co, struct carry *carry, const char *key)
{
    enum status st = read_some(co, carry, key);

    if (st == ST_OK)
        st = deliver_jobs(co, carry);
    if (st == ST_OK)
        st = deliver_ends(co, carry);
    if (st == ST_OK) {
        carry->ends_len = 0;
        add_checks(carry);
        st = deliver_ends(co, carry);
    }
    if (st == ST_OK)
        st = delete_arrived(co, carry, key);
    rds_call_clear(&carry->read);
    return st;
}

static void
carry_free(struct carry *carry)
{
    free(carry->parts);
    free(carry->ends);
    free(carry);
}

enum status
outbox_deliver(struct co *co, struct queues *queues, struct str queue,
               bool *ret_left, struct error *err)
{
    struct carry *carry = calloc(1, sizeof *carry);
    struct keys keys;
    enum status st = ST_OK;
    size_t total = 0;

    if (!carry)
        return error_set(err, ST_LIMIT, "out of memory");
    carry->parts = calloc(PARTS_MAX, sizeof *carry->parts);
    carry->ends = calloc(PARTS_MAX, sizeof *carry->ends);
    if (!carry->parts || !carry->ends) {
        carry_free(carry);
        return error_set(err, ST_LIMIT, "out of memory");
    }
    carry->queues = queues;
    queue_keys(queues, queue, &keys);
    str_copy_to(STR("-"), carry->cursor, sizeof carry->cursor);
    do {
        st = carry_some(co, carry, keys.p[KEY_OUTBOX]);
        total += carry->len;
    } while (st == ST_OK && carry->len > 0 && total < OUTBOX_DELIVER_MAX);
    if (ret_left)
        *ret_left = st != ST_OK || carry->status != ST_OK || carry->len > 0;
    if (st == ST_OK)
        st = carry->status;
    if (st != ST_OK && err)
        *err = carry->err;
    carry_free(carry);
    return st;
}

/* ---- one job ---- */

static enum status
read_attached(int64_t answer, struct job_id parent, bool *ret_ended,
              struct error *err)
{
    if (answer == 0)
        return error_set(err, ST_NOT_FOUND, "there is no job %.*s.%.*s",
                         STR_ARG(parent.queue), STR_ARG(parent.local));
    if (answer < 0)
        return error_set(err, ST_GONE,
                         "the job %.*s.%.*s has ended and is past its "
                         "retention: nobody knows how",
                         STR_ARG(parent.queue), STR_ARG(parent.local));
    *ret_ended = answer == 2;
    return ST_OK;
}

enum status
outbox_attach(struct co *co, struct queues *queues, struct job_id parent,
              struct str child, bool *ret_ended, struct error *err)
{
    static const enum key which[] = {KEY_JOBS, KEY_STATE,    KEY_RESULTS,
                                     KEY_GONE, KEY_CHILDREN, KEY_OUTBOX};
    enum { WORDS = ARRAY_LEN(which) + 3 };
    const char *argv[WORDS];
    size_t len[WORDS];
    char full[ID_JOB_MAX + 1];
    struct rds_call call = {0};
    struct keys keys;
    int n = 0;

    queue_keys(queues, parent.queue, &keys);
    for (; n < (int)ARRAY_LEN(which); n++) {
        argv[n] = keys.p[which[n]];
        len[n] = keys.n[which[n]];
    }
    snprintf(full, sizeof full, "%.*s.%.*s", STR_ARG(parent.queue),
             STR_ARG(parent.local));
    const struct str words[] = {parent.local, str_c(full), child};
    for (size_t w = 0; w < ARRAY_LEN(words); w++, n++) {
        argv[n] = words[w].p;
        len[n] = words[w].n;
    }
    rds_send_script(queues->rds, &call, &script_attach, ARRAY_LEN(which), n,
                    argv, len, NULL, NULL);
    enum status st = co_await(co, &call.op);
    if (st == ST_OK)
        st = read_attached(call.reply->integer, parent, ret_ended, err);
    else if (err)
        *err = call.err;
    rds_call_clear(&call);
    return st;
}
