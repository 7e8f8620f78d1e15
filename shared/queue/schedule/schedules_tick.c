/* Tick: what is due is asked for, planned here, and fired by one script call
 * for many schedules. Any number of workers do this at once: a fire is a
 * compare-and-set on the time that was asked for, so that all but the first are
 * refused, and only Redis' clock says what is due. Whoever dies in between has
 * done nothing.
 *
 * A definition that cannot be read, or whose time zone this machine's tzdata
 * does not know, is said once in the log and left to others; the rest goes on
 * behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_clock.h"
#include "queue/queue_private.h"
#include "queue/schedule/schedules_private.h"

enum {
    BATCH_MAX = 64,        /* schedules of one fire call */
    BATCH_STEPS_MAX = 256, /* steps of one, and those of one schedule more */
    WORDS_MAX = SCHEDULES_FIRE_KEYS + 6 * BATCH_MAX +
                3 * (BATCH_STEPS_MAX + SCHEDULE_MISSED_MAX + 1),
    NUMBER_LEN = 24,
    ROUNDS_MAX = 50,     /* then others have their turn */
    LEFT_MAX = 1000,     /* due, and not to be fired here */
    LEFT_MS = 15 * 1000, /* before they are looked at again */
    FIXED = 2,           /* words of an answer before the schedules */
};

/* One fire call while it is built. */
struct batch {
    struct str queue;
    const char *p[WORDS_MAX];
    size_t len[WORDS_MAX];
    int n;
    char numbers[WORDS_MAX][NUMBER_LEN];
    size_t schedules;
    size_t steps;
    struct schedule_plan plan; /* of the one that is added */
};

static void
add(struct batch *batch, struct str word)
{
    batch->p[batch->n] = word.p;
    batch->len[batch->n++] = word.n;
}

static void
add_number(struct batch *batch, int64_t n)
{
    char *text = batch->numbers[batch->n];
    int len = snprintf(text, NUMBER_LEN, "%" PRId64, n);

    add(batch, str_from(text, (size_t)len));
}

static void
add_time(struct batch *batch, int64_t ms)
{
    if (ms == SCHEDULE_NEVER)
        add(batch, STR("-"));
    else
        add_number(batch, ms);
}

static void
batch_begin(struct batch *batch, const struct keys *keys)
{
    batch->n = 0;
    batch->schedules = batch->steps = 0;
    for (size_t i = 0; i < SCHEDULES_FIRE_KEYS; i++)
        add(batch, str_from(keys->p[schedules_fire_keys[i]],
                            keys->n[schedules_fire_keys[i]]));
}

static void
batch_add(struct batch *batch, const struct schedule *s, struct str nominal,
          int64_t now_ms)
{
    struct schedule_plan *plan = &batch->plan;
    int64_t nominal_ms = SCHEDULE_NEVER;

    /* "-": only a fire that waits for the job before is left to look at. */
    (void)str_to_i64(nominal, &nominal_ms);
    schedule_times_plan(s, nominal_ms, now_ms, plan);
    add(batch, s->name);
    add_number(batch, s->version);
    add(batch, nominal);
    add_time(batch, plan->next_ms);
    add_time(batch, plan->next_at_ms);
    add_number(batch, (int64_t)plan->n);
    for (size_t i = 0; i < plan->n; i++) {
        add_number(batch, plan->steps[i].nominal_ms);
        add_number(batch, plan->steps[i].at_ms);
        add_number(batch, plan->steps[i].missed);
    }
    batch->schedules++;
    batch->steps += plan->n;
}

static bool
batch_full(const struct batch *batch)
{
    return batch->schedules == BATCH_MAX || batch->steps >= BATCH_STEPS_MAX;
}

static enum status
batch_fire(struct co *co, struct queues *queues, struct batch *batch,
           struct error *err)
{
    struct rds_call call = {0};

    if (batch->schedules == 0)
        return ST_OK;
    rds_send_script(queues->rds, &call, &script_schedule_fire,
                    SCHEDULES_FIRE_KEYS, batch->n, batch->p, batch->len, NULL,
                    NULL);
    enum status st = co_await(co, &call.op);
    if (st != ST_OK && err)
        *err = call.err;
    int64_t flags = st == ST_OK && call.reply->type == REDIS_REPLY_ARRAY &&
                            call.reply->elements > 1
                        ? call.reply->element[1]->integer
                        : 0;
    rds_call_clear(&call);
    return schedules_stored(co, queues, batch->queue, flags, st, err);
}

/* ---- what is due ---- */

static enum status
ask_due(struct co *co, struct queues *queues, const struct keys *keys,
        size_t max, struct rds_call *call, struct error *err)
{
    static const enum key which[] = {KEY_SCHEDULES, KEY_FIRES, KEY_FIRED};
    struct schedules_words words = {0};
    char number[NUMBER_LEN];

    schedules_add_keys(&words, keys, which, ARRAY_LEN(which));
    snprintf(number, sizeof number, "%zu", max);
    schedules_add(&words, str_c(number));
    return schedules_call(co, queues, call, &script_schedule_due, &words, err);
}

/* Which queue each of the schedules belongs to, in the order of @due. */
static enum status
ask_places(struct co *co, struct queues *queues, const redisReply *due,
           struct rds_call *call, struct error *err)
{
    size_t n = (due->elements - FIXED) / 3;
    const char **argv = xcalloc(n + 2, sizeof *argv);
    size_t *len = xcalloc(n + 2, sizeof *len);
    char key[KEYS_MAX_LEN];

    keys_global(queues->prefix, "schedules", key);
    argv[0] = "HMGET", len[0] = 5;
    argv[1] = key, len[1] = strlen(key);
    for (size_t i = 0; i < n; i++) {
        struct str name = schedules_text(due->element[FIXED + 3 * i]);
        argv[2 + i] = name.p, len[2 + i] = name.n;
    }
    rds_send(queues->rds, call, (int)n + 2, argv, len, NULL, NULL);
    free(argv);
    free(len);
    enum status st = co_await(co, &call->op);
    if (st != ST_OK && err)
        *err = call->err;
    if (st == ST_OK &&
        (call->reply->type != REDIS_REPLY_ARRAY || call->reply->elements != n))
        st = error_set(err, ST_BUG, "HMGET: a reply of another shape");
    return st;
}

/* What one look at a queue found. */
struct look {
    struct co *co;
    struct queues *queues;
    struct str queue;
    struct keys keys;
    struct batch *batch;
    int64_t now_ms;
    size_t left; /* due, but not to be fired here */
};

static enum status
fire_one(struct look *look, struct str name, struct str nominal,
         struct str json, struct error *err)
{
    struct schedule s;
    struct error why;

    if (schedule_decode(look->queue, name, json, &s, &why) != ST_OK) {
        log_error("queue %.*s: %s", STR_ARG(look->queue), why.msg);
        look->left++;
        return ST_OK;
    }
    if (s.when == SCHEDULE_CRON && !s.zone) {
        log_error("schedule %.*s: this machine's tzdata has no time zone "
                  "\"%.*s\": update it",
                  STR_ARG(name), STR_ARG(s.timezone));
        look->left++;
        schedule_clear(&s);
        return ST_OK;
    }
    /* The batch lends the name from the reply, all else is copied. */
    batch_add(look->batch, &s, nominal, look->now_ms);
    schedule_clear(&s);
    if (!batch_full(look->batch))
        return ST_OK;
    enum status st = batch_fire(look->co, look->queues, look->batch, err);
    batch_begin(look->batch, &look->keys);
    return st;
}

static enum status
fire_all(struct look *look, const redisReply *due, const redisReply *places,
         struct error *err)
{
    enum status st = ST_OK;

    batch_begin(look->batch, &look->keys);
    for (size_t i = 0; i < places->elements && st == ST_OK; i++) {
        redisReply *const *words = &due->element[FIXED + 3 * i];
        struct str name = schedules_text(words[0]);
        struct str json = schedules_text(words[2]);
        if (json.n == 0 ||
            !str_eq(schedules_text(places->element[i]), look->queue))
            st = schedules_drop(look->co, look->queues, look->queue, name, err);
        else
            st = fire_one(look, name, schedules_text(words[1]), json, err);
    }
    if (st == ST_OK)
        st = batch_fire(look->co, look->queues, look->batch, err);
    return st;
}

/* One round; *ret_next_ms 0 when there may be more. */
static enum status
round_of(struct look *look, int64_t *ret_next_ms, struct error *err)
{
    struct rds_call due = {0}, places = {0};
    size_t left = look->left;
    int64_t sent_ms = clock_mono_ms();

    look->left = 0;
    enum status st = ask_due(look->co, look->queues, &look->keys,
                             BATCH_MAX + left, &due, err);
    if (st != ST_OK)
        goto out;
    look->now_ms = due.reply->element[0]->integer;
    queue_clock_note(look->queues, look->now_ms, sent_ms);
    *ret_next_ms = due.reply->element[1]->integer;
    size_t n = (due.reply->elements - FIXED) / 3;
    if (n == 0)
        goto out;
    st = ask_places(look->co, look->queues, due.reply, &places, err);
    if (st == ST_OK)
        st = fire_all(look, due.reply, places.reply, err);
    if (st == ST_OK && look->left < n)
        *ret_next_ms = 0; /* what was fired may be due again */
out:
    rds_call_clear(&due);
    rds_call_clear(&places);
    return st;
}

enum status
schedules_tick(struct co *co, struct queues *queues, struct str queue,
               int64_t *ret_next_ms, struct error *err)
{
    struct look look = {
        .co = co,
        .queues = queues,
        .queue = queue,
        .batch = xcalloc(1, sizeof *look.batch),
    };
    enum status st = ST_OK;
    int64_t next_ms = 0;

    look.batch->queue = queue;
    queue_keys(queues, queue, &look.keys);
    for (int i = 0; i < ROUNDS_MAX && next_ms == 0 && st == ST_OK; i++) {
        st = round_of(&look, &next_ms, err);
        if (look.left >= LEFT_MAX)
            break;
    }
    free(look.batch);
    if (st != ST_OK)
        return st;
    if (look.left > 0 && (next_ms < 0 || next_ms > LEFT_MS))
        next_ms = LEFT_MS;
    *ret_next_ms = next_ms;
    return ST_OK;
}
