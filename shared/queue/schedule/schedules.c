/* Schedules: two places, one truth. The entry in `<prefix>:schedules` is
 * written before the schedule itself and removed behind it, so that at no time
 * one fires that nobody could find; one that moves to another queue is there
 * once the entry says so, and what is left in the old one is dropped when it
 * falls due. */
#include "queue/schedule/schedules.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/flow/outbox.h"
#include "queue/queue_private.h"
#include "queue/registry.h"
#include "queue/schedule/schedules_private.h"

/* ---- words ---- */

void
schedules_add(struct schedules_words *words, struct str word)
{
    assert(words->n < SCHEDULES_WORDS_MAX);
    words->p[words->n] = word.n ? word.p : "";
    words->len[words->n++] = word.n;
}

void
schedules_add_keys(struct schedules_words *words, const struct keys *keys,
                   const enum key *which, size_t n)
{
    for (size_t i = 0; i < n; i++)
        schedules_add(words, str_from(keys->p[which[i]], keys->n[which[i]]));
    words->nkeys = words->n;
}

enum status
schedules_call(struct co *co, struct queues *queues, struct rds_call *call,
               const struct rds_script *script,
               const struct schedules_words *words, struct error *err)
{
    rds_send_script(queues->rds, call, script, words->nkeys, words->n, words->p,
                    words->len, NULL, NULL);
    enum status st = co_await(co, &call->op);
    if (st != ST_OK) {
        if (err)
            *err = call->err;
        return st;
    }
    if (call->reply->type != REDIS_REPLY_ARRAY || call->reply->elements < 2)
        return error_set(err, ST_BUG, "%s: a reply of another shape",
                         script->name);
    return ST_OK;
}

struct str
schedules_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? str_from(reply->str, reply->len)
                                             : STR_NULL;
}

static const enum key plain_keys[] = {KEY_SCHEDULES, KEY_FIRES, KEY_FIRED};
static const enum key get_keys[] = {KEY_SCHEDULES, KEY_FIRED};
const enum key schedules_fire_keys[SCHEDULES_FIRE_KEYS] = {
    KEY_SCHEDULES, KEY_FIRES,     KEY_FIRED,     KEY_JOBS,      KEY_STATE,
    KEY_GONE,      KEY_STATS,     KEY_WAKE,      KEY_META,      KEY_READY,
    KEY_READY + 1, KEY_READY + 2, KEY_READY + 3, KEY_READY + 4, KEY_READY + 5,
    KEY_READY + 6, KEY_READY + 7, KEY_READY + 8, KEY_READY + 9,
};

void
schedules_channel(const struct queues *queues, char dst[KEYS_MAX_LEN])
{
    keys_global(queues->prefix, "scheduled", dst);
}

/* ---- looking ---- */

const char *
schedules_fire_name(int what)
{
    switch (what) {
    case 'e':
        return "enqueued";
    case 't':
        return "triggered";
    case 's':
        return "skipped";
    case 'm':
        return "missed";
    case 'c':
        return "refused";
    default:
        return "unknown";
    }
}

/* Newest first; a line that is none is passed over. */
static void
read_fires(struct schedule_view *view, struct str lines)
{
    struct schedule_fire fires[SCHEDULES_FIRES_KEPT];
    size_t n = 0;

    while (lines.n > 0 && n < SCHEDULES_FIRES_KEPT) {
        struct schedule_fire fire = {0};
        struct str rest;
        struct str line = str_cut(lines, '\n', &lines);
        struct str nominal = str_cut(line, ' ', &rest);
        struct str at = str_cut(rest, ' ', &rest);
        struct str what = str_cut(rest, ' ', &rest);
        if (!str_to_i64(nominal, &fire.nominal_ms) ||
            !str_to_i64(at, &fire.at_ms) || what.n != 1)
            continue;
        fire.what = (unsigned char)what.p[0];
        if (fire.what == 'e' || fire.what == 't')
            fire.local = rest;
        else if (fire.what == 'm' && !str_to_i64(rest, &fire.missed))
            continue;
        fires[n++] = fire;
    }
    view->fires_len = n;
    for (size_t i = 0; i < n; i++)
        view->fires[i] = fires[n - 1 - i];
}

static void
read_fired(struct schedule_view *view, struct str text)
{
    struct str lines, rest;
    struct str head = str_cut(text, '\n', &lines);

    view->nominal_ms = SCHEDULE_NEVER;
    view->buffered_ms = 0;
    (void)str_to_i64(str_cut(head, ' ', &rest), &view->nominal_ms);
    (void)str_to_i64(str_cut(rest, ' ', &rest), &view->buffered_ms);
    read_fires(view, lines);
}

static enum status
look(struct co *co, struct queues *queues, struct schedule_view *view,
     struct error *err)
{
    struct schedules_words words = {0};
    struct str name = str_c(view->name), queue = str_c(view->queue);
    struct keys keys;

    queue_keys(queues, queue, &keys);
    schedules_add_keys(&words, &keys, get_keys, ARRAY_LEN(get_keys));
    schedules_add(&words, name);
    rds_call_clear(&view->call);
    enum status st = schedules_call(co, queues, &view->call,
                                    &script_schedule_get, &words, err);
    if (st != ST_OK)
        return st;
    const redisReply *reply = view->call.reply;
    view->now_ms = reply->element[0]->integer;
    struct str json = schedules_text(reply->element[1]);
    if (json.n == 0)
        return error_set(err, ST_NOT_FOUND, "there is no schedule %s",
                         view->name);
    if (reply->elements > 2)
        read_fired(view, schedules_text(reply->element[2]));
    return schedule_decode(queue, name, json, &view->schedule, err);
}

/* Redis' clock alone, where there is no schedule to ask for. */
static enum status
read_clock(struct co *co, struct queues *queues, struct schedule_view *view,
           struct error *err)
{
    enum status st = rds_await(co, queues->rds, &view->call, "TIME");

    if (st != ST_OK) {
        if (err)
            *err = view->call.err;
        return st;
    }
    const redisReply *reply = view->call.reply;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
        view->now_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                       strtoll(reply->element[1]->str, NULL, 10) / 1000;
    return error_set(err, ST_NOT_FOUND, "there is no schedule %s", view->name);
}

enum status
schedules_get(struct co *co, struct queues *queues, struct str name,
              struct schedule_view *ret, struct error *err)
{
    char key[KEYS_MAX_LEN];

    *ret = (struct schedule_view){.nominal_ms = SCHEDULE_NEVER};
    schedule_init(&ret->schedule);
    if (!schedule_name_valid(name))
        return error_set(err, ST_INVALID,
                         "a schedule's name is 1 to %d characters A-Z a-z 0-9 "
                         "_ . : -",
                         SCHEDULE_NAME_MAX);
    str_copy_to(name, ret->name, sizeof ret->name);
    keys_global(queues->prefix, "schedules", key);
    enum status st =
        rds_await(co, queues->rds, &ret->call, "HGET %s %s", key, ret->name);
    if (st != ST_OK) {
        if (err)
            *err = ret->call.err;
        return st;
    }
    struct str queue = schedules_text(ret->call.reply);
    bool there = id_queue_valid(queue);
    if (there)
        str_copy_to(queue, ret->queue, sizeof ret->queue);
    rds_call_clear(&ret->call);
    return there ? look(co, queues, ret, err)
                 : read_clock(co, queues, ret, err);
}

void
schedules_view_clear(struct schedule_view *view)
{
    schedule_clear(&view->schedule);
    rds_call_clear(&view->call);
}

static int
compare_places(const void *a, const void *b)
{
    return strcmp(((const struct schedule_place *)a)->name,
                  ((const struct schedule_place *)b)->name);
}

enum status
schedules_list(struct co *co, struct queues *queues,
               struct schedule_place **ret, size_t *ret_n, struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];
    size_t n = 0;

    keys_global(queues->prefix, "schedules", key);
    enum status st = rds_await(co, queues->rds, &call, "HGETALL %s", key);
    if (st != ST_OK) {
        if (err)
            *err = call.err;
        rds_call_clear(&call);
        return st;
    }
    struct schedule_place *places =
        calloc(call.reply->elements / 2 + 1, sizeof *places);
    for (size_t i = 0; places && i + 1 < call.reply->elements; i += 2) {
        struct str name = schedules_text(call.reply->element[i]);
        struct str queue = schedules_text(call.reply->element[i + 1]);
        if (n == SCHEDULES_MAX || !schedule_name_valid(name) ||
            !id_queue_valid(queue))
            continue;
        str_copy_to(name, places[n].name, sizeof places[n].name);
        str_copy_to(queue, places[n++].queue, sizeof places[n].queue);
    }
    rds_call_clear(&call);
    if (!places)
        return error_set(err, ST_LIMIT, "out of memory");
    qsort(places, n, sizeof *places, compare_places);
    *ret = places;
    *ret_n = n;
    return ST_OK;
}

/* ---- changing ---- */

static bool
same_times(const struct schedule *a, const struct schedule *b)
{
    return a->when == b->when && str_eq(a->cron_text, b->cron_text) &&
           str_eq(a->timezone, b->timezone) && a->every_ms == b->every_ms &&
           a->at_ms == b->at_ms && a->jitter_ms == b->jitter_ms;
}

/* The next nominal time. What nobody has dealt with yet stays. */
static enum status
choose_next(struct schedule *s, const struct schedule_view *old, bool is_new,
            int64_t *ret_ms, struct error *err)
{
    bool same = !is_new && same_times(s, &old->schedule);

    if (s->when == SCHEDULE_EVERY && (!same || s->anchor_ms <= 0))
        s->anchor_ms = old->now_ms;
    if (s->paused)
        *ret_ms = SCHEDULE_NEVER;
    else if (same && !old->schedule.paused)
        *ret_ms = old->nominal_ms;
    else
        *ret_ms = schedule_times_next(s, old->now_ms);
    if (s->when == SCHEDULE_AT && !same && *ret_ms == SCHEDULE_NEVER &&
        !s->paused)
        return error_set_at(err, "/at",
                            "that time has passed: give one that "
                            "is to come, or trigger the schedule");
    return ST_OK;
}

/* Where it is to be found from now on. */
static enum status
point(struct co *co, struct queues *queues, const struct schedule *s,
      struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    keys_global(queues->prefix, "schedules", key);
    enum status st =
        rds_await(co, queues->rds, &call, "HSET %s %b %b", key, s->name.p,
                  s->name.n, s->spec.queue.p, s->spec.queue.n);
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    return st;
}

/* 1: done, 0: was not there, -1: another version. */
static enum status
drop(struct co *co, struct queues *queues, struct str queue, struct str name,
     int64_t version, int *ret, struct error *err)
{
    struct schedules_words words = {0};
    struct rds_call call = {0};
    struct keys keys;
    char number[24];

    queue_keys(queues, queue, &keys);
    schedules_add_keys(&words, &keys, plain_keys, ARRAY_LEN(plain_keys));
    schedules_add(&words, name);
    snprintf(number, sizeof number, "%lld", (long long)version);
    schedules_add(&words, str_c(number));
    rds_send_script(queues->rds, &call, &script_schedule_delete, words.nkeys,
                    words.n, words.p, words.len, NULL, NULL);
    enum status st = co_await(co, &call.op);
    if (st != ST_OK && err)
        *err = call.err;
    if (st == ST_OK)
        *ret = (int)call.reply->integer;
    rds_call_clear(&call);
    return st;
}

enum status
schedules_drop(struct co *co, struct queues *queues, struct str queue,
               struct str name, struct error *err)
{
    int dropped;

    return drop(co, queues, queue, name, 0, &dropped, err);
}

static enum status
changed_meanwhile(struct error *err, struct str name)
{
    return error_set(err, ST_CONFLICT,
                     "somebody else has changed the schedule %.*s just now: "
                     "look at it and try again",
                     STR_ARG(name));
}

static enum status
store(struct co *co, struct queues *queues, struct schedule *s,
      int64_t old_version, int64_t next_ms, struct error *err)
{
    struct schedules_words words = {0};
    struct rds_call call = {0};
    struct keys keys;
    struct buf json;
    char version[24], next[24] = "-", at[24] = "-", channel[KEYS_MAX_LEN];

    buf_init(&json, SCHEDULE_JSON_MAX);
    schedule_encode(s, &json);
    if (json.failed) {
        buf_clear(&json);
        return error_set(err, ST_TOO_LARGE, "the schedule is too large");
    }
    snprintf(version, sizeof version, "%lld", (long long)old_version);
    if (next_ms != SCHEDULE_NEVER) {
        snprintf(next, sizeof next, "%lld", (long long)next_ms);
        snprintf(at, sizeof at, "%lld",
                 (long long)schedule_times_fire(s, next_ms));
    }
    schedules_channel(queues, channel);
    queue_keys(queues, s->spec.queue, &keys);
    schedules_add_keys(&words, &keys, plain_keys, ARRAY_LEN(plain_keys));
    schedules_add(&words, s->name);
    schedules_add(&words, str_c(version));
    schedules_add(&words, buf_str(&json));
    schedules_add(&words, str_c(next));
    schedules_add(&words, str_c(at));
    schedules_add(&words, str_c(channel));
    schedules_add(&words, s->spec.queue);
    enum status st =
        schedules_call(co, queues, &call, &script_schedule_put, &words, err);
    if (st == ST_OK) {
        s->version = call.reply->element[1]->integer;
        if (s->version == 0)
            st = changed_meanwhile(err, s->name);
    }
    rds_call_clear(&call);
    buf_clear(&json);
    return st;
}

enum status
schedules_put(struct co *co, struct queues *queues, struct schedule *s,
              const struct schedule_view *old, struct error *err)
{
    int64_t next_ms, version = old->schedule.version;
    bool is_new = version == 0;
    bool moves = !is_new && !str_eq_c(s->spec.queue, old->queue);

    if (is_new || s->created_ms <= 0)
        s->created_ms = old->now_ms;
    s->updated_ms = old->now_ms;
    enum status st = choose_next(s, old, is_new, &next_ms, err);
    if (st == ST_OK && (is_new || moves))
        st = point(co, queues, s, err);
    /* What a move that was cut off has left there. */
    if (st == ST_OK && moves)
        st = schedules_drop(co, queues, s->spec.queue, s->name, err);
    if (st == ST_OK)
        st = store(co, queues, s, moves ? 0 : version, next_ms, err);
    if (st == ST_OK && moves)
        st = schedules_drop(co, queues, str_c(old->queue), s->name, err);
    return st;
}

enum status
schedules_delete(struct co *co, struct queues *queues,
                 const struct schedule_view *view, struct error *err)
{
    struct rds_call call = {0};
    struct str name = str_c(view->name);
    char key[KEYS_MAX_LEN];
    int dropped = 0;

    enum status st = drop(co, queues, str_c(view->queue), name,
                          view->schedule.version, &dropped, err);
    if (st == ST_OK && dropped < 0)
        st = changed_meanwhile(err, name);
    if (st != ST_OK)
        return st;
    keys_global(queues->prefix, "schedules", key);
    st = rds_await(co, queues->rds, &call, "HDEL %s %s", key, view->name);
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    if (st == ST_OK && dropped == 0)
        st =
            error_set(err, ST_NOT_FOUND, "there is no schedule %s", view->name);
    return st;
}

/* ---- triggering ---- */

enum status
schedules_stored(struct co *co, struct queues *queues, struct str queue,
                 int64_t flags, enum status st, struct error *err)
{
    enum { FIRST = 1, OUTBOX = 2 };

    if (st == ST_OK && (flags & FIRST))
        st = registry_put_queue(co, queues, queue, NULL, err);
    /* What is left there is delivered by whoever sees it next. */
    if (st == ST_OK && (flags & OUTBOX))
        st = outbox_deliver(co, queues, queue, NULL, err);
    return st;
}

enum status
schedules_trigger(struct co *co, struct queues *queues,
                  const struct schedule_view *view,
                  char local[ID_LOCAL_MAX + 1], struct error *err)
{
    id_make(local);
    return schedules_trigger_as(co, queues, view, local, err);
}

/* What the script says became of it. @local gets the holder of the key. */
static enum status
read_stored(const redisReply *stored, const struct schedule_view *view,
            char local[ID_LOCAL_MAX + 1], struct error *err)
{
    struct str holder = schedules_text(stored);

    if (holder.n > 1) {
        str_copy_to(str_skip(holder, 1), local, ID_LOCAL_MAX + 1);
        return error_set(err, ST_CONFLICT, "%s.%s holds the unique key %.*s",
                         view->queue, local,
                         STR_ARG(view->schedule.spec.unique.key));
    }
    if (stored->integer == 0)
        return error_set(err, ST_NOT_FOUND, "there is no schedule %s",
                         view->name);
    if (stored->integer < 0)
        return error_set(err, ST_QUEUE_FULL,
                         "the queue %s takes no jobs now: it is closed, or "
                         "full",
                         view->queue);
    return ST_OK;
}

static enum status
trigger_once(struct co *co, struct queues *queues,
             const struct schedule_view *view, char local[ID_LOCAL_MAX + 1],
             int64_t *ret_flags, struct error *err)
{
    struct schedules_words words = {0};
    struct rds_call call = {0};
    struct keys keys;

    queue_keys(queues, str_c(view->queue), &keys);
    schedules_add_keys(&words, &keys, schedules_fire_keys, SCHEDULES_FIRE_KEYS);
    schedules_add(&words, str_c(view->name));
    schedules_add(&words, str_c(local));
    enum status st = schedules_call(co, queues, &call, &script_schedule_trigger,
                                    &words, err);
    if (st == ST_OK) {
        *ret_flags = call.reply->element[1]->integer;
        st = read_stored(call.reply->element[call.reply->elements - 1], view,
                         local, err);
    }
    rds_call_clear(&call);
    return st;
}

/* A job with options goes through the outbox, and on that way another one may
 * take its key: so it is asked for once more, under the same id, which says
 * that it is there, or who holds the key. */
enum status
schedules_trigger_as(struct co *co, struct queues *queues,
                     const struct schedule_view *view,
                     char local[ID_LOCAL_MAX + 1], struct error *err)
{
    bool unique = view->schedule.spec.unique.hold != UNIQUE_NEVER;
    enum status st = ST_OK;

    for (int i = 0; i < (unique ? 2 : 1) && st == ST_OK; i++) {
        int64_t flags = 0;
        st = trigger_once(co, queues, view, local, &flags, err);
        if (st == ST_OK)
            st = schedules_stored(co, queues, str_c(view->queue), flags, st,
                                  err);
    }
    return st;
}
