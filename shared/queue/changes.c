/* Changes: one XREAD BLOCK over the streams of all queues that are listened to.
 *
 * A stream is read from where its watch script said that it ends, so nothing
 * that happens after changes_join() is missed. Each stream's watch is renewed
 * every RENEW_MS, and with it the list of queues when somebody listens to all.
 * A queue that joins while the connection blocks ends the command early. */
#include "queue/changes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "async/redis/rds_blocker.h"
#include "base/log.h"
#include "queue/keys.h"
#include "queue/script.h"

enum {
    RENEW_MS = 10000,
    WATCHED_MS = 30000,
    BLOCK_MS = 10000,
    PAUSE_MS = 500,     /* after a failure */
    READ_MAX = 500,     /* entries of a stream in one read */
    HISTORY_MAX = 2000, /* more than are kept, about 1,000 */
};

/* One queue's events. */
struct changes_stream {
    struct list link;
    char queue[ID_QUEUE_MAX + 1];
    char key[KEYS_MAX_LEN];
    char last[CHANGES_ID_MAX]; /* read up to here; "": not watched yet */
    int64_t watched_ms;        /* monotonic: when that was asked for last */
    size_t listeners;          /* that name it */
};

struct changes {
    struct loop *loop;
    struct queues *queues;
    char *redis_url;
    struct rds_blocker reader; /* zero until somebody listens */
    struct list streams;
    size_t streams_len;
    struct list listeners;
    size_t listeners_len;
    size_t listeners_to_all;
    struct loop_timer renew;
    struct loop_timer pause;
    bool asking; /* for the oldest entry of a queue, and what was read first */
    char asked_queue[ID_QUEUE_MAX + 1];
    char asked_first[CHANGES_ID_MAX];
    struct rds_call oldest;
    bool renewing;
    bool connected; /* once, at least */
    bool changed;   /* a stream is not among those that are read */
};

static void read_on(struct changes *changes);

/* ---- listeners ---- */

static void
wake(struct changes_listener *listener)
{
    struct op *op = listener->waiting;

    listener->waiting = NULL;
    if (op)
        op_settle(op, ST_OK);
}

static void
deafen(struct changes_listener *listener)
{
    listener->deaf = true;
    wake(listener);
}

/* Those who listened to the stream already, or to all. */
static void
deafen_all(struct changes *changes, const struct changes_stream *stream)
{
    LIST_FOREACH (link, &changes->listeners) {
        struct changes_listener *listener =
            LIST_ENTRY(link, struct changes_listener, link);
        if (listener->joined &&
            (!listener->stream || listener->stream == stream))
            deafen(listener);
    }
}

/* ---- streams ---- */

static struct changes_stream *
stream_find(struct changes *changes, struct str queue)
{
    LIST_FOREACH (link, &changes->streams) {
        struct changes_stream *stream =
            LIST_ENTRY(link, struct changes_stream, link);
        if (str_eq_c(queue, stream->queue))
            return stream;
    }
    return NULL;
}

static struct changes_stream *
stream_take(struct changes *changes, struct str queue)
{
    struct changes_stream *stream = stream_find(changes, queue);
    struct keys *keys;

    if (stream || changes->streams_len == CHANGES_STREAMS_MAX)
        return stream;
    stream = xcalloc(1, sizeof *stream);
    keys = xcalloc(1, sizeof *keys);
    keys_of_queue(queues_prefix(changes->queues), queue, keys);
    str_copy_to(queue, stream->queue, sizeof stream->queue);
    str_copy_to(str_c(keys->p[KEY_EVENTS]), stream->key, sizeof stream->key);
    free(keys);
    list_append(&changes->streams, &stream->link);
    changes->streams_len++;
    return stream;
}

/* Has it written to, and learns where it ends. What happened before is missing
 * to who thought that it was heard. */
static enum status
stream_watch(struct co *co, struct changes *changes,
             struct changes_stream *stream, struct error *err)
{
    struct rds_call call = {0};
    struct keys *keys = xcalloc(1, sizeof *keys);
    char ms[16];

    keys_of_queue(queues_prefix(changes->queues), str_c(stream->queue), keys);
    int n = snprintf(ms, sizeof ms, "%d", WATCHED_MS);
    const char *argv[] = {keys->p[KEY_META], keys->p[KEY_EVENTS], ms};
    const size_t len[] = {keys->n[KEY_META], keys->n[KEY_EVENTS], (size_t)n};
    rds_send_script(queues_rds(changes->queues), &call, &script_watch, 2, 3,
                    argv, len, NULL, NULL);
    free(keys);
    stream->watched_ms = loop_now_ms(changes->loop);
    enum status st = co_await(co, &call.op);
    if (st == ST_OK && !stream->last[0]) {
        str_copy_to(str_from(call.reply->str, call.reply->len), stream->last,
                    sizeof stream->last);
        changes->changed = true;
        deafen_all(changes, stream);
    }
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    return st;
}

static void
drop_unused(struct changes *changes)
{
    LIST_FOREACH_SAFE (link, following, &changes->streams) {
        struct changes_stream *stream =
            LIST_ENTRY(link, struct changes_stream, link);
        if (stream->listeners > 0 || changes->listeners_to_all > 0)
            continue;
        list_remove(&stream->link);
        changes->streams_len--;
        free(stream);
    }
}

/* ---- handing out ---- */

static void
hand_over(struct changes_listener *listener, struct str queue, struct str id,
          struct str line)
{
    struct str rest;
    struct str local = str_cut(line, ' ', &rest);

    if ((listener->queue[0] && !str_eq_c(queue, listener->queue)) ||
        (listener->local[0] && !str_eq_c(local, listener->local)) ||
        listener->overflowed)
        return;
    buf_addf(&listener->pending, "%.*s %.*s %.*s\n", STR_ARG(queue),
             STR_ARG(id), STR_ARG(line));
    if (listener->pending.failed) {
        listener->overflowed = true;
        buf_clear(&listener->pending);
    }
    wake(listener);
}

/* The value of the field e: a change a line. */
static struct str
text_of(const redisReply *fields)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (fields->element[i]->type == REDIS_REPLY_STRING &&
            fields->element[i + 1]->type == REDIS_REPLY_STRING &&
            strcmp(fields->element[i]->str, "e") == 0)
            return str_from(fields->element[i + 1]->str,
                            fields->element[i + 1]->len);
    return STR_NULL;
}

static bool
is_entry(const redisReply *entry)
{
    return entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
           entry->element[0]->type == REDIS_REPLY_STRING &&
           entry->element[1]->type == REDIS_REPLY_ARRAY;
}

void
changes_tell(struct changes *changes, struct str queue, struct str id,
             struct str lines)
{
    while (lines.n > 0) {
        struct str line = str_cut(lines, '\n', &lines);
        LIST_FOREACH (link, &changes->listeners)
            if (line.n > 0)
                hand_over(LIST_ENTRY(link, struct changes_listener, link),
                          queue, id, line);
    }
}

static void
hand_out(struct changes *changes, struct changes_stream *stream,
         const redisReply *entries)
{
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *entry = entries->element[i];
        if (!is_entry(entry))
            continue;
        struct str id =
            str_from(entry->element[0]->str, entry->element[0]->len);
        struct str lines = text_of(entry->element[1]);
        if (lines.n > 0)
            changes_tell(changes, str_c(stream->queue), id, lines);
        else /* where it begins anew */
            deafen_all(changes, stream);
        str_copy_to(id, stream->last, sizeof stream->last);
    }
}

/* ---- read too late? ---- */

static bool
is_below(struct str a, struct str b)
{
    struct str a_rest, b_rest;
    int64_t a_ms = 0, b_ms = 0, a_n = 0, b_n = 0;

    (void)str_to_i64(str_cut(a, '-', &a_rest), &a_ms);
    (void)str_to_i64(str_cut(b, '-', &b_rest), &b_ms);
    (void)str_to_i64(a_rest, &a_n);
    (void)str_to_i64(b_rest, &b_n);
    return a_ms < b_ms || (a_ms == b_ms && a_n < b_n);
}

static void
oldest_cb(struct op *op)
{
    struct changes *changes = op->arg;
    const redisReply *reply = changes->oldest.reply;
    struct changes_stream *stream =
        stream_find(changes, str_c(changes->asked_queue));

    if (op->status == ST_OK && stream && reply->elements == 1 &&
        is_entry(reply->element[0]) &&
        !is_below(str_c(reply->element[0]->element[0]->str),
                  str_c(changes->asked_first)))
        deafen_all(changes, stream);
    rds_call_clear(&changes->oldest);
    changes->asking = false;
}

/* As many entries came as one read takes. When nothing older than the first of
 * them is there any more, some may have gone before they were read. */
static void
ask_for_oldest(struct changes *changes, const struct changes_stream *stream,
               const redisReply *entries)
{
    if (!is_entry(entries->element[0]))
        return;
    if (changes->asking) { /* of another: nobody knows */
        deafen_all(changes, stream);
        return;
    }
    const char *const argv[] = {"XRANGE", stream->key, "-", "+", "COUNT", "1"};
    const size_t len[] = {6, strlen(stream->key), 1, 1, 5, 1};
    changes->asking = true;
    str_copy_to(str_c(stream->queue), changes->asked_queue,
                sizeof changes->asked_queue);
    str_copy_to(str_c(entries->element[0]->element[0]->str),
                changes->asked_first, sizeof changes->asked_first);
    rds_send(queues_rds(changes->queues), &changes->oldest, ARRAY_LEN(argv),
             argv, len, oldest_cb, changes);
}

/* ---- reading ---- */

static struct changes_stream *
stream_of_key(struct changes *changes, const redisReply *key)
{
    LIST_FOREACH (link, &changes->streams) {
        struct changes_stream *stream =
            LIST_ENTRY(link, struct changes_stream, link);
        if (key->type == REDIS_REPLY_STRING &&
            strcmp(key->str, stream->key) == 0)
            return stream;
    }
    return NULL;
}

static void
pause_cb(struct loop_timer *timer)
{
    read_on(LIST_ENTRY(timer, struct changes, pause));
}

static void
read_cb(struct op *op)
{
    struct rds_blocker *reader = op->arg;
    struct changes *changes = reader->arg;
    const redisReply *reply = reader->call.reply;

    if (op->status != ST_OK) {
        loop_timer_start(changes->loop, &changes->pause, PAUSE_MS, pause_cb);
        return;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++) {
        const redisReply *one = reply->element[i];
        struct changes_stream *stream =
            one->elements == 2 ? stream_of_key(changes, one->element[0]) : NULL;
        if (!stream)
            continue;
        hand_out(changes, stream, one->element[1]);
        if (one->element[1]->elements == READ_MAX)
            ask_for_oldest(changes, stream, one->element[1]);
    }
    read_on(changes);
}

static void
read_on(struct changes *changes)
{
    enum { WORDS_BEFORE = 6 };
    size_t words = WORDS_BEFORE + 2 * changes->streams_len, n = 0, keys = 0;
    char block[16], count[16];

    changes->changed = false;
    if (!rds_blocker_ready(&changes->reader) ||
        loop_timer_active(&changes->pause) || list_empty(&changes->listeners))
        return;
    const char **argv = xcalloc(words, sizeof *argv);
    size_t *len = xcalloc(words, sizeof *len);
    snprintf(block, sizeof block, "%d", BLOCK_MS);
    snprintf(count, sizeof count, "%d", READ_MAX);
    const char *const before[WORDS_BEFORE] = {"XREAD", "COUNT", count,
                                              "BLOCK", block,   "STREAMS"};
    for (; n < WORDS_BEFORE; n++)
        argv[n] = before[n];
    LIST_FOREACH (link, &changes->streams)
        keys += LIST_ENTRY(link, struct changes_stream, link)->last[0] != '\0';
    LIST_FOREACH (link, &changes->streams) {
        struct changes_stream *stream =
            LIST_ENTRY(link, struct changes_stream, link);
        if (!stream->last[0])
            continue;
        argv[n + keys] = stream->last;
        argv[n++] = stream->key;
    }
    for (size_t i = 0; i < n + keys; i++)
        len[i] = strlen(argv[i]);
    if (keys > 0)
        rds_blocker_send(&changes->reader, (int)(n + keys), argv, len, BLOCK_MS,
                         read_cb);
    free((void *)argv);
    free(len);
}

static void
read_anew(struct changes *changes)
{
    if (rds_blocker_ready(&changes->reader))
        read_on(changes);
    else if (changes->changed)
        rds_blocker_interrupt(&changes->reader);
}

/* The streams are still there; what was read up to is known. But while Redis
 * was away their watch may have ended, or Redis have lost them. */
static void
ready_cb(struct rds_blocker *reader)
{
    struct changes *changes = reader->arg;

    LIST_FOREACH (link, &changes->listeners) {
        struct changes_listener *listener =
            LIST_ENTRY(link, struct changes_listener, link);
        if (changes->connected)
            deafen(listener);
    }
    changes->connected = true;
    read_on(changes);
}

/* ---- renewing ---- */

static enum status
take_all(struct co *co, struct changes *changes, struct error *err)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;

    enum status st = queue_names(co, changes->queues, &names, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        (void)stream_take(changes, str_c(names[i]));
    free(names);
    return st;
}

static enum status
renew(struct co *co, void *arg)
{
    struct changes *changes = arg;
    enum status st = ST_OK;
    struct error err;

    if (changes->listeners_to_all > 0)
        st = take_all(co, changes, &err);
    drop_unused(changes);
    /* Others may come and go meanwhile, but nobody else drops one. */
    LIST_FOREACH (link, &changes->streams) {
        if (st == ST_OK)
            st = stream_watch(co, changes,
                              LIST_ENTRY(link, struct changes_stream, link),
                              &err);
    }
    if (st != ST_OK && st != ST_CANCELLED)
        log_debug("watch: %s", err.msg);
    read_anew(changes);
    return ST_OK;
}

static void renew_cb(struct loop_timer *timer);

static void
renewed(void *arg)
{
    struct changes *changes = arg;

    changes->renewing = false;
    if (!list_empty(&changes->listeners))
        loop_timer_start(changes->loop, &changes->renew, RENEW_MS, renew_cb);
}

static void
renew_cb(struct loop_timer *timer)
{
    struct changes *changes = LIST_ENTRY(timer, struct changes, renew);

    if (list_empty(&changes->listeners) || changes->renewing)
        return;
    changes->renewing = true;
    if (co_detach(changes->loop, "watch", renew, changes, renewed) != ST_OK)
        log_debug("watch: no coroutine to renew with");
}

/* ---- life ---- */

struct changes *
changes_new(struct loop *loop, struct queues *queues, const char *redis_url)
{
    struct changes *changes = xcalloc(1, sizeof *changes);

    changes->loop = loop;
    changes->queues = queues;
    changes->redis_url = redis_url ? xstrdup(redis_url) : NULL;
    list_init(&changes->streams);
    list_init(&changes->listeners);
    return changes;
}

void
changes_free(struct changes *changes)
{
    if (!changes)
        return;
    assert(!changes->renewing);
    LIST_FOREACH_SAFE (link, following, &changes->listeners) {
        struct changes_listener *listener =
            LIST_ENTRY(link, struct changes_listener, link);
        assert(!listener->waiting);
        list_remove(&listener->link);
        listener->changes = NULL;
    }
    LIST_FOREACH (link, &changes->streams)
        LIST_ENTRY(link, struct changes_stream, link)->listeners = 0;
    loop_timer_stop(&changes->renew);
    loop_timer_stop(&changes->pause);
    rds_call_clear(&changes->oldest);
    rds_blocker_clear(&changes->reader);
    changes->listeners_to_all = 0;
    drop_unused(changes);
    free(changes->redis_url);
    free(changes);
}

static enum status
connect_reader(struct changes *changes, struct error *err)
{
    if (changes->reader.rds)
        return ST_OK;
    return rds_blocker_init(&changes->reader, changes->loop, changes->redis_url,
                            "pit-events", queues_rds(changes->queues), ready_cb,
                            changes, err);
}

/* Before anything is awaited, so that no renewal drops the streams. */
static enum status
enter(struct changes *changes, struct str queue,
      struct changes_listener *listener, struct error *err)
{
    if (changes->listeners_len == CHANGES_LISTENERS_MAX)
        return error_set(err, ST_LIMIT, "%d clients listen here already",
                         CHANGES_LISTENERS_MAX);
    if (!changes->queues) {
        listener->stream = NULL; /* played */
    } else if (queue.n > 0) {
        listener->stream = stream_take(changes, queue);
        if (!listener->stream)
            return error_set(err, ST_LIMIT,
                             "%d queues are listened to here already",
                             CHANGES_STREAMS_MAX);
        listener->stream->listeners++;
    } else {
        changes->listeners_to_all++;
    }
    list_append(&changes->listeners, &listener->link);
    changes->listeners_len++;
    return ST_OK;
}

/* What nobody renewed may have been silent for a while. */
static enum status
stream_ensure(struct co *co, struct changes *changes,
              struct changes_stream *stream, struct error *err)
{
    bool fresh = loop_now_ms(changes->loop) - stream->watched_ms < 2 * RENEW_MS;

    if (stream->last[0] && fresh)
        return ST_OK;
    stream->last[0] = '\0';
    return stream_watch(co, changes, stream, err);
}

/* With a listener to all of them none is dropped meanwhile. */
static enum status
ensure_all(struct co *co, struct changes *changes, struct error *err)
{
    enum status st = take_all(co, changes, err);

    LIST_FOREACH (link, &changes->streams) {
        if (st == ST_OK)
            st = stream_ensure(co, changes,
                               LIST_ENTRY(link, struct changes_stream, link),
                               err);
    }
    return st;
}

enum status
changes_join(struct co *co, struct changes *changes, struct str queue,
             struct str local, struct changes_listener *listener,
             struct error *err)
{
    *listener = (struct changes_listener){.changes = changes};
    list_init(&listener->link);
    buf_init(&listener->pending, CHANGES_PENDING_MAX);
    str_copy_to(queue, listener->queue, sizeof listener->queue);
    str_copy_to(local, listener->local, sizeof listener->local);
    enum status st = changes->queues ? connect_reader(changes, err) : ST_OK;
    if (st == ST_OK)
        st = enter(changes, queue, listener, err);
    if (st != ST_OK || !changes->queues)
        return st;
    st = listener->stream ? stream_ensure(co, changes, listener->stream, err)
                          : ensure_all(co, changes, err);
    if (st != ST_OK) {
        changes_leave(listener);
        return st;
    }
    if (listener->stream && listener->pending.len == 0)
        str_copy_to(str_c(listener->stream->last), listener->from,
                    sizeof listener->from);
    listener->joined = true;
    read_anew(changes);
    if (!changes->renewing && !loop_timer_active(&changes->renew))
        loop_timer_start(changes->loop, &changes->renew, RENEW_MS, renew_cb);
    return ST_OK;
}

void
changes_leave(struct changes_listener *listener)
{
    struct changes *changes = listener->changes;

    buf_clear(&listener->pending);
    if (!changes)
        return;
    list_remove(&listener->link);
    changes->listeners_len--;
    if (listener->stream)
        listener->stream->listeners--;
    else if (changes->queues)
        changes->listeners_to_all--;
    if (list_empty(&changes->listeners) && changes->reader.rds)
        rds_blocker_interrupt(&changes->reader);
}

/* ---- listening ---- */

struct wait {
    struct op op;
    struct loop_timer timer;
    struct changes_listener *listener;
};

static void
wait_cancel(struct op *op)
{
    struct wait *wait = LIST_ENTRY(op, struct wait, op);

    wait->listener->waiting = NULL;
}

static const struct op_class wait_class = {"events", wait_cancel};

static void
time_up(struct loop_timer *timer)
{
    struct wait *wait = LIST_ENTRY(timer, struct wait, timer);

    if (wait->listener->waiting) {
        wait->listener->waiting = NULL;
        op_settle(&wait->op, ST_TIMEOUT);
    }
}

static enum status
wait_for(struct co *co, struct changes_listener *listener, int64_t timeout_ms)
{
    struct wait wait = {.listener = listener};

    op_init(&wait.op, listener->changes->loop, &wait_class, NULL, NULL);
    listener->waiting = &wait.op;
    loop_timer_start(listener->changes->loop, &wait.timer, timeout_ms, time_up);
    enum status st = co_await(co, &wait.op);
    loop_timer_stop(&wait.timer);
    return st;
}

enum status
changes_next(struct co *co, struct changes_listener *listener,
             int64_t timeout_ms, struct buf *dst)
{
    enum status st = co_cancelled(co);

    if (st == ST_OK && listener->pending.len == 0 && !listener->overflowed &&
        !listener->deaf)
        st = wait_for(co, listener, timeout_ms);
    if (st != ST_OK)
        return st;
    if (listener->overflowed) {
        listener->overflowed = false;
        buf_reset(&listener->pending);
        return ST_LIMIT;
    }
    buf_add_str(dst, buf_str(&listener->pending));
    buf_reset(&listener->pending);
    if (listener->deaf) {
        listener->deaf = false;
        return ST_UNAVAILABLE;
    }
    return ST_OK;
}

bool
changes_read(struct str *rest, struct state_change *ret)
{
    int64_t attempt = 0;

    while (rest->n > 0) {
        struct str line = str_cut(*rest, '\n', rest);
        ret->queue = str_cut(line, ' ', &line);
        ret->id = str_cut(line, ' ', &line);
        ret->local = str_cut(line, ' ', &line);
        ret->code = str_cut(line, ' ', &line);
        (void)str_to_i64(line, &attempt);
        ret->attempt = (int)attempt;
        if (ret->code.n > 0)
            return true;
    }
    return false;
}

bool
changes_id_valid(struct str id)
{
    struct str count;
    struct str ms = str_cut(id, '-', &count);
    int64_t number;
    bool dash = ms.n < id.n;

    return id.n > 0 && id.n < CHANGES_ID_MAX && str_to_i64(ms, &number) &&
           number >= 0 &&
           (!dash || (str_to_i64(count, &number) && number >= 0));
}

/* Inclusive, so that the entry @id itself says that none is missing. */
enum status
changes_history(struct co *co, struct queues *queues, struct str queue,
                struct str id, struct str to, struct buf *dst, bool *ret_gap,
                struct error *err)
{
    struct rds_call call = {0};
    struct keys *keys = xcalloc(1, sizeof *keys);
    bool exact = memchr(id.p, '-', id.n) != NULL;
    char from[CHANGES_ID_MAX], until[CHANGES_ID_MAX];

    assert(changes_id_valid(id));
    str_copy_to(id, from, sizeof from);
    str_copy_to(to.n > 0 ? to : STR("+"), until, sizeof until);
    keys_of_queue(queues_prefix(queues), queue, keys);
    enum status st =
        rds_await(co, queues_rds(queues), &call, "XRANGE %s %s %s COUNT %d",
                  keys->p[KEY_EVENTS], from, until, HISTORY_MAX);
    free(keys);
    if (st != ST_OK && err)
        *err = call.err;
    size_t n = st == ST_OK ? call.reply->elements : 0;
    bool met = false, unheard = false;
    for (size_t i = 0; i < n; i++) {
        const redisReply *entry = call.reply->element[i];
        if (!is_entry(entry))
            continue;
        struct str own =
            str_from(entry->element[0]->str, entry->element[0]->len);
        struct str rest = text_of(entry->element[1]);
        if (exact && str_eq(own, id)) {
            met = true;
            continue;
        }
        unheard |= rest.n == 0; /* where it begins anew */
        while (rest.n > 0) {
            struct str line = str_cut(rest, '\n', &rest);
            if (line.n > 0)
                buf_addf(dst, "%.*s %.*s %.*s\n", STR_ARG(queue), STR_ARG(own),
                         STR_ARG(line));
        }
    }
    if (st == ST_OK)
        *ret_gap = (exact && !met) || unheard || n == HISTORY_MAX;
    rds_call_clear(&call);
    return st;
}
