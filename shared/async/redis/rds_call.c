/* Commands of a Redis connection.
 *
 * Redis answers in order, so the commands under way are one list, and a reply
 * belongs to its head. A caller may give up earlier: its record stays in the
 * list with call == NULL and drops the reply.
 *
 * Deadlines. The first deadline that passes closes the connection, so only the
 * earliest one of all commands under way matters. A command that is sent later
 * and falls due earlier covers those in front of it: their replies come before
 * its own. So `due` is the list of commands whose deadline is before those of
 * all later ones; it rises, its head is the earliest, and adding takes constant
 * time on the average. One timer per connection waits for the head as it was
 * when the timer was started; when it fires early for today's head it is
 * started again, which costs one timer per deadline's length and not one per
 * command.
 *
 * The clock is read for each command: loop_now_ms() is from before the present
 * coroutine's run, which may have worked for long.
 *
 * Before a deadline counts, the socket is read once more: when this process
 * itself was stopped or busy for long, the reply may lie there. */
#include <assert.h>
#include <stdlib.h>

#include "async/redis/rds_encode.h"
#include "async/redis/rds_internal.h"
#include "async/redis/rds_reply.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    PENDING_MAX = 65536, /* commands under way */
    UNUSED_MAX = 1024,   /* records kept for reuse */
    ARGC_MAX = 1 << 20,  /* Redis' own limit of a command's words */
    NUMBER_MAX = 20,     /* digits of a size_t */
};

/* Room for the header of a command of @argc words and @size bytes of them, with
 * the header written; NULL over the limit. */
static char *
begin_command(struct rds *rds, int argc, size_t size)
{
    if (size > RDS_OUTPUT_MAX)
        return NULL;
    size += rds_encode_header_size((size_t)argc);

    char *p = rds_output_room(&rds->adapter.output, size);
    return p ? rds_encode_header(p, '*', (size_t)argc) : NULL;
}

/* Deadlines --------------------------------------------------------------- */

static void deadline_cb(struct loop_timer *timer);

static void
watch_deadline(struct rds *rds, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_mono_ms();

    rds->deadline_ms = deadline_ms;
    loop_timer_start(rds->loop, &rds->deadline_timer, left_ms > 0 ? left_ms : 0,
                     deadline_cb);
}

static struct rds_pending *
first_due(struct rds *rds)
{
    if (list_empty(&rds->due))
        return NULL;
    return LIST_ENTRY(rds->due.next, struct rds_pending, due);
}

static void
add_due(struct rds *rds, struct rds_pending *pending)
{
    while (!list_empty(&rds->due)) {
        struct rds_pending *last =
            LIST_ENTRY(rds->due.prev, struct rds_pending, due);
        if (last->deadline_ms < pending->deadline_ms)
            break;
        list_remove(&last->due);
    }
    list_append(&rds->due, &pending->due);
    if (rds->deadline_ms == 0 || pending->deadline_ms < rds->deadline_ms)
        watch_deadline(rds, pending->deadline_ms);
}

static void
deadline_cb(struct loop_timer *timer)
{
    struct rds *rds = LIST_ENTRY(timer, struct rds, deadline_timer);
    int64_t passed_ms = rds->deadline_ms;
    struct rds_pending *first = first_due(rds);
    struct error err;

    rds->deadline_ms = 0;
    if (!first)
        return;
    if (first->deadline_ms <= passed_ms) {
        rds_adapter_catch_up(&rds->adapter);
        first = first_due(rds);
        if (!first)
            return;
    }
    if (first->deadline_ms > passed_ms) {
        if (rds->deadline_ms == 0)
            watch_deadline(rds, first->deadline_ms);
        return;
    }
    (void)error_set(&err, ST_UNCLEAR,
                    "no answer within a command's deadline; connecting anew");
    rds_lose(rds, &err);
}

/* Records ----------------------------------------------------------------- */

static struct rds_pending *
pending_new(struct rds *rds, enum rds_pending_kind kind, struct rds_call *call)
{
    struct list *link = list_shift(&rds->unused);
    struct rds_pending *pending;

    if (link) {
        rds->unused_n--;
        pending = LIST_ENTRY(link, struct rds_pending, link);
    } else {
        pending = xcalloc(1, sizeof *pending);
    }
    list_init(&pending->due);
    pending->kind = kind;
    pending->call = call;
    pending->script = NULL;
    pending->chunk = NULL;
    return pending;
}

/* Behind the command that was just encoded. */
static void
pending_add(struct rds *rds, struct rds_pending *pending)
{
    pending->end = rds->adapter.output.filled;
    list_append(&rds->pending, &pending->link);
    rds->pending_n++;
}

static void
pending_remove(struct rds *rds, struct rds_pending *pending)
{
    list_remove(&pending->link);
    list_remove(&pending->due);
    rds->pending_n--;
}

static void
pending_free(struct rds *rds, struct rds_pending *pending)
{
    rds_chunk_unref(pending->chunk);
    pending->chunk = NULL;
    if (rds->unused_n >= UNUSED_MAX) {
        free(pending);
        return;
    }
    rds->unused_n++;
    list_prepend(&rds->unused, &pending->link);
}

void
rds_call_free_unused(struct rds *rds)
{
    struct list *link;

    while ((link = list_shift(&rds->unused)))
        free(LIST_ENTRY(link, struct rds_pending, link));
    rds->unused_n = 0;
}

/* Operations -------------------------------------------------------------- */

static void
cancel_cb(struct op *op)
{
    struct rds_call *call = LIST_ENTRY(op, struct rds_call, op);
    struct rds_pending *pending = call->private;

    if (pending)
        pending->call = NULL;
    call->private = NULL;
    (void)error_set(&call->err, ST_CANCELLED, "the command was given up");
}

static const struct op_class call_class = {"redis", cancel_cb};

static void
begin_call(struct rds *rds, struct rds_call *call,
           void (*on_settled)(struct op *), void *arg)
{
    assert(!call->private && !call->reply);
    op_init(&call->op, rds->loop, &call_class, on_settled, arg);
    call->rds = rds;
    call->err.status = ST_OK;
    call->err.msg[0] = '\0';
}

static void
settle(struct rds_call *call, enum status status)
{
    call->private = NULL;
    op_settle(&call->op, status);
}

/* False: it was settled, since it cannot be sent. */
static bool
may_send(struct rds *rds, struct rds_call *call)
{
    if (rds->state != RDS_UP)
        settle(call, error_set(&call->err, ST_UNAVAILABLE,
                               "Redis is not connected: %s", rds->last_error));
    else if (rds->pending_n >= PENDING_MAX)
        settle(call, error_set(&call->err, ST_LIMIT,
                               "%d Redis commands are under way; try again "
                               "later",
                               PENDING_MAX));
    else
        return true;
    return false;
}

static void
refuse_size(struct rds_call *call)
{
    settle(call, error_set(&call->err, ST_LIMIT,
                           "over %d MiB are under way to Redis; try again "
                           "later",
                           RDS_OUTPUT_MAX >> 20));
}

/* The command is in the output. */
static struct rds_pending *
sent_call(struct rds *rds, struct rds_call *call)
{
    struct rds_pending *pending = pending_new(rds, RDS_PENDING_CALL, call);
    int64_t timeout_ms =
        call->timeout_ms > 0 ? call->timeout_ms : rds->command_timeout_ms;

    pending->deadline_ms = clock_mono_ms() + timeout_ms;
    pending_add(rds, pending);
    add_due(rds, pending);
    call->private = pending;
    return pending;
}

void
rds_send(struct rds *rds, struct rds_call *call, int argc,
         const char *const *argv, const size_t *argv_len,
         void (*on_settled)(struct op *), void *arg)
{
    assert(argc > 0 && argc <= ARGC_MAX);
    begin_call(rds, call, on_settled, arg);
    if (!may_send(rds, call))
        return;

    char *p = begin_command(
        rds, argc, rds_encode_words_size(argc, argv, argv_len, RDS_OUTPUT_MAX));
    if (!p) {
        refuse_size(call);
        return;
    }
    rds_encode_words(p, argc, argv, argv_len);
    sent_call(rds, call);
}

void
rds_send_script(struct rds *rds, struct rds_call *call,
                const struct rds_script *script, int nkeys, int argc,
                const char *const *argv, const size_t *argv_len,
                void (*on_settled)(struct op *), void *arg)
{
    assert(nkeys >= 0 && nkeys <= argc && argc <= ARGC_MAX - 3);
    begin_call(rds, call, on_settled, arg);
    if (!may_send(rds, call))
        return;

    char number[NUMBER_MAX + 1];
    int number_len = snprintf(number, sizeof number, "%d", nkeys);
    size_t words_len =
        rds_encode_words_size(argc, argv, argv_len, RDS_OUTPUT_MAX);
    if (words_len > RDS_OUTPUT_MAX) {
        refuse_size(call);
        return;
    }
    words_len += rds_encode_word_size((size_t)number_len);
    char *p = begin_command(rds, argc + 3,
                            rds_encode_word_size(7) + rds_encode_word_size(40) +
                                words_len);
    if (!p) {
        refuse_size(call);
        return;
    }
    p = rds_encode_word(p, "EVALSHA", 7);
    p = rds_encode_word(p, script->sha1, 40);
    p = rds_encode_word(p, number, (size_t)number_len);
    rds_encode_words(p, argc, argv, argv_len);

    struct rds_pending *pending = sent_call(rds, call);
    pending->script = script;
    pending->chunk = rds->adapter.output.tail;
    pending->words_len = words_len;
    pending->words_at = pending->chunk->len - words_len;
    pending->words = argc + 1;
    rds_chunk_ref(pending->chunk);
}

/* The server does not know the script: the same words behind its text. It
 * goes to the end of the line and keeps its deadline. */
static void
send_text(struct rds *rds, struct rds_pending *pending)
{
    const struct rds_script *script = pending->script;
    size_t text_len = strlen(script->text);
    char *p =
        begin_command(rds, pending->words + 2,
                      rds_encode_word_size(4) + rds_encode_word_size(text_len) +
                          pending->words_len);

    if (!p) {
        refuse_size(pending->call);
        pending_free(rds, pending);
        return;
    }
    p = rds_encode_word(p, "EVAL", 4);
    p = rds_encode_word(p, script->text, text_len);
    rds_encode_bytes(p, pending->chunk->bytes + pending->words_at,
                     pending->words_len);
    rds_chunk_unref(pending->chunk);
    pending->chunk = NULL;
    pending->script = NULL;
    pending_add(rds, pending);
    add_due(rds, pending);
}

bool
rds_call_own(struct rds *rds, enum rds_pending_kind kind, int argc,
             const char *const *argv, bool deadline)
{
    char *p = begin_command(
        rds, argc, rds_encode_words_size(argc, argv, NULL, RDS_OUTPUT_MAX));

    if (!p)
        return false;
    rds_encode_words(p, argc, argv, NULL);

    struct rds_pending *pending = pending_new(rds, kind, NULL);
    pending_add(rds, pending);
    if (deadline) {
        pending->deadline_ms = clock_mono_ms() + rds->command_timeout_ms;
        add_due(rds, pending);
    }
    return true;
}

void
rds_call_clear(struct rds_call *call)
{
    if (call->op.class) /* it was sent once */
        op_cancel(&call->op);
    rds_reply_free(call->reply);
    call->reply = NULL;
}

enum status
rds_await(struct co *co, struct rds *rds, struct rds_call *call,
          const char *format, ...)
{
    char *command;
    va_list ap;

    va_start(ap, format);
    int len = redisvFormatCommand(&command, format, ap);
    va_end(ap);
    if (len < 0)
        log_fatal("not a Redis command, or no memory: \"%s\"", format);

    begin_call(rds, call, NULL, NULL);
    if (may_send(rds, call)) {
        char *p = rds_output_room(&rds->adapter.output, (size_t)len);
        if (p) {
            rds_encode_bytes(p, command, (size_t)len);
            sent_call(rds, call);
        } else {
            refuse_size(call);
        }
    }
    redisFreeCommand(command);
    return co_await(co, &call->op);
}

/* Replies ----------------------------------------------------------------- */

/* Redis before 7 wraps the error of a command inside a script:
 * "ERR Error running script (call to f_<sha>): @user_script:7: -OOM command
 * not allowed ..."; what counts is behind the last ": -". */
static struct str
unwrap(struct str text)
{
    if (!str_starts(text, STR("ERR Error running script")))
        return text;
    for (size_t i = text.n; i-- > 3;)
        if (text.p[i - 1] == '-' && text.p[i - 2] == ' ' &&
            text.p[i - 3] == ':')
            return str_skip(text, i);
    return text;
}

enum status
rds_call_classify(struct str text)
{
    static const struct {
        const char *code;
        enum status status;
    } rows[] = {
        {"OOM", ST_READ_ONLY},          {"MISCONF", ST_READ_ONLY},
        {"READONLY", ST_READ_ONLY},     {"NOREPLICAS", ST_READ_ONLY},
        {"LOADING", ST_UNAVAILABLE},    {"BUSY", ST_UNAVAILABLE},
        {"MASTERDOWN", ST_UNAVAILABLE}, {"CLUSTERDOWN", ST_UNAVAILABLE},
        {"TRYAGAIN", ST_UNAVAILABLE},   {"WRONGTYPE", ST_INVALID},
        {"FULL", ST_QUEUE_FULL},        {"CLOSED", ST_QUEUE_FULL},
    };
    struct str rest;
    struct str code = str_cut(unwrap(text), ' ', &rest);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq_c(code, rows[i].code))
            return rows[i].status;
    return ST_BUG;
}

static void
settle_error(struct rds_call *call, const struct rds_script *script,
             struct str text)
{
    enum status st = rds_call_classify(text);

    settle(call,
           error_set(&call->err, st, "Redis%s%s: %.*s",
                     script ? ", script " : "", script ? script->name : "",
                     (int)(text.n < ERROR_MSG_SIZE ? text.n : ERROR_MSG_SIZE),
                     text.p));
}

static void
call_replied(struct rds *rds, struct rds_pending *pending, redisReply *reply)
{
    struct rds_call *call = pending->call;
    struct str text;

    if (call && reply->type == REDIS_REPLY_ERROR) {
        text = str_from(reply->str, reply->len);
        if (pending->script && str_starts(text, STR("NOSCRIPT"))) {
            rds_reply_free(reply);
            send_text(rds, pending);
            return;
        }
        settle_error(call, pending->script, text);
    } else if (call) {
        call->reply = reply;
        reply = NULL;
        settle(call, ST_OK);
    }
    rds_reply_free(reply);
    pending_free(rds, pending);
}

void
rds_call_replied(struct rds *rds, redisReply *reply)
{
    assert(!list_empty(&rds->pending));

    struct rds_pending *pending =
        LIST_ENTRY(rds->pending.next, struct rds_pending, link);
    pending_remove(rds, pending);
    if (pending->kind == RDS_PENDING_CALL) {
        call_replied(rds, pending, reply);
        return;
    }
    enum rds_pending_kind kind = pending->kind;
    pending_free(rds, pending);
    rds_greeted(rds, kind, reply);
    rds_reply_free(reply);
}

void
rds_call_fail_all(struct rds *rds, enum status unsent, enum status sent,
                  const char *why)
{
    uint64_t left = rds->adapter.output.sent;
    struct list *link;

    while ((link = list_shift(&rds->pending))) {
        struct rds_pending *pending =
            LIST_ENTRY(link, struct rds_pending, link);
        struct rds_call *call = pending->call;

        pending_remove(rds, pending);
        if (call) {
            bool whole = pending->end <= left;
            settle(call, error_set(&call->err, whole ? sent : unsent,
                                   whole ? "Redis did not answer: %s"
                                         : "not sent to Redis: %s",
                                   why));
        }
        pending_free(rds, pending);
    }
    rds->deadline_ms = 0;
    loop_timer_stop(&rds->deadline_timer);
}
