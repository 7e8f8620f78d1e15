/* Queue feed: lines that were heard, or were missed and are read back, are
 * turned into events one by one; in between come the counters that are due. */
#include "app/document/queue_feed.h"

#include <stdlib.h>

#include "app/outside.h"
#include "base/log.h"

enum {
    COUNTERS_MS = 1000, /* between two of one queue at the least */
    QUEUES_MAX = 1000,
    MISSED_MAX = 16 * CHANGES_PENDING_MAX,
    DATA_MAX = 4096,
};

/* Queues whose counters are to be said. */
struct changed {
    char names[QUEUES_MAX][ID_QUEUE_MAX + 1];
    size_t len;
    size_t told;
};

struct queue_feed {
    struct queues *queues;
    struct changes_listener listener;
    char queue[ID_QUEUE_MAX + 1]; /* "": all */
    struct buf lines;             /* changes, and */
    struct str rest;              /* what was not said of them yet */
    struct state_change change;   /* the last one that was said */
    enum queue_feed_lost lost;
    bool to_say_lost;
    struct changed *changed; /* NULL: no counters are wanted */
    bool to_count_all;       /* so that who listens knows where it stands */
    bool counting;           /* those in changed are being said */
    int64_t counted_ms;
    struct queue_counts counts;
    struct buf data;
};

/* A code of a change in the words of the API; NULL for one that is no state. */
static const char *
state_of(struct str code)
{
    static const struct {
        const char *code;
        const char *name;
    } states[] = {
        {"N", "ready"},     {"N+", "scheduled"},  {"B", "blocked"},
        {"R", "running"},   {"W", "ready"},       {"W+", "retrying"},
        {"S", "succeeded"}, {"C", "cancelled"},   {"X", "expired"},
        {"D", "dead"},      {"Q", "quarantined"}, {"-", "deleted"},
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_eq_c(code, states[i].code))
            return states[i].name;
    return NULL;
}

/* ---- what is asked ---- */

static enum status
read_names(struct co *co, struct queue_feed *feed,
           char (**ret)[ID_QUEUE_MAX + 1], size_t *ret_n, struct error *err)
{
    const struct outside_script *script = outside_script(co);

    return script ? script->names(co, ret, ret_n, err)
                  : queue_names(co, feed->queues, ret, ret_n, err);
}

static enum status
read_counts(struct co *co, struct queue_feed *feed, struct str queue,
            struct error *err)
{
    const struct outside_script *script = outside_script(co);

    return script ? script->counts(co, queue, &feed->counts, err)
                  : queue_counts(co, feed->queues, queue, &feed->counts, err);
}

static enum status
read_history(struct co *co, struct queue_feed *feed, struct str queue,
             struct str id, bool *ret_gap, struct error *err)
{
    const struct outside_script *script = outside_script(co);
    struct str to = str_c(feed->listener.from);

    return script ? script->history(co, queue, id, &feed->lines, err)
                  : changes_history(co, feed->queues, queue, id, to,
                                    &feed->lines, ret_gap, err);
}

/* ---- counters ---- */

static void
note_changed(struct queue_feed *feed, struct str queue)
{
    struct changed *changed = feed->changed;

    if (!changed)
        return;
    for (size_t i = changed->told; i < changed->len; i++)
        if (str_eq_c(queue, changed->names[i]))
            return;
    if (changed->len < QUEUES_MAX)
        str_copy_to(queue, changed->names[changed->len++],
                    sizeof changed->names[0]);
}

static enum status
count_all(struct co *co, struct queue_feed *feed, struct error *err)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;
    enum status st = ST_OK;

    if (!feed->queue[0])
        st = read_names(co, feed, &names, &n, err);
    if (st != ST_OK)
        return st;
    feed->changed->len = feed->changed->told = 0;
    if (feed->queue[0])
        note_changed(feed, str_c(feed->queue));
    for (size_t i = 0; i < n; i++)
        note_changed(feed, str_c(names[i]));
    free(names);
    feed->counting = true;
    feed->to_count_all = false;
    return ST_OK;
}

static void
write_counters(const struct queue_counts *counts, struct buf *dst)
{
    buf_addf(dst, "{\"queue\":\"%s\",\"paused\":%s,\"counts\":{", counts->name,
             counts->paused ? "true" : "false");
    bool first = true;
    for (int i = 0; i < JOB_STATES; i++) {
        if (i == JOB_CANCELLED || i == JOB_EXPIRED) /* kept with succeeded */
            continue;
        buf_addf(dst, "%s\"%s\":%lld", first ? "" : ",",
                 job_state_name((enum job_state)i),
                 (long long)counts->count[i]);
        first = false;
    }
    buf_addf(dst, "},\"enqueued\":%lld,\"succeeded\":%lld,\"failed\":%lld}",
             (long long)counts->enqueued, (long long)counts->succeeded,
             (long long)counts->failed);
}

/* One of those that are due. */
static enum status
say_counters(struct co *co, struct queue_feed *feed, struct feed_event *ret,
             bool *ret_said, struct error *err)
{
    struct changed *changed = feed->changed;

    if (changed->told == changed->len) {
        changed->told = changed->len = 0;
        feed->counting = false;
        feed->counted_ms = loop_now_ms(co_loop(co));
        return ST_OK;
    }
    enum status st =
        read_counts(co, feed, str_c(changed->names[changed->told]), err);
    if (st != ST_OK)
        return st;
    changed->told++;
    write_counters(&feed->counts, &feed->data);
    *ret = (struct feed_event){
        .kind = FEED_COUNTERS, .name = "counters", .counts = &feed->counts};
    *ret_said = true;
    return ST_OK;
}

/* ---- states ---- */

/* Only the last change of an entry has its id: who begins behind it has had all
 * of them. */
static bool
say_change(struct queue_feed *feed, struct feed_event *ret)
{
    struct state_change *change = &feed->change, following;

    if (!changes_read(&feed->rest, change))
        return false;
    struct str peek = feed->rest;
    bool last = !changes_read(&peek, &following) ||
                !str_eq(following.id, change->id) ||
                !str_eq(following.queue, change->queue);
    const char *state = state_of(change->code);
    if (!state)
        return false;
    note_changed(feed, change->queue);
    buf_addf(&feed->data,
             "{\"queue\":\"%.*s\",\"id\":\"%.*s.%.*s\",\"state\":\"%s\","
             "\"attempt\":%d}",
             STR_ARG(change->queue), STR_ARG(change->queue),
             STR_ARG(change->local), state, change->attempt);
    *ret = (struct feed_event){.kind = FEED_STATE,
                               .name = "state",
                               .id = last ? change->id : STR_NULL,
                               .change = change,
                               .state_name = state};
    return true;
}

static void
note_lost(struct queue_feed *feed, enum queue_feed_lost why)
{
    feed->lost = why;
    feed->to_say_lost = true;
    feed->to_count_all = feed->changed != NULL;
}

static void
say_lost(struct queue_feed *feed, struct feed_event *ret)
{
    static const char *const reasons[] = {
        [QUEUE_FEED_SLOW] = "slow",
        [QUEUE_FEED_AWAY] = "away",
        [QUEUE_FEED_OLD] = "old",
    };

    feed->to_say_lost = false;
    buf_addf(&feed->data, "{\"reason\":\"%s\"}", reasons[feed->lost]);
    *ret = (struct feed_event){.kind = FEED_LOST, .name = "lost"};
}

enum queue_feed_lost
queue_feed_lost(const struct queue_feed *feed)
{
    return feed->lost;
}

/* ---- life ---- */

/* What was missed: of one queue exactly, of all from that millisecond on. */
static enum status
read_missed(struct co *co, struct queue_feed *feed, struct str after,
            struct error *err)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    struct str ms = str_cut(after, '-', &(struct str){0});
    bool gap = false, any = false;
    size_t n = 0;

    if (!changes_id_valid(after))
        return ST_OK;
    feed->lines.max = MISSED_MAX;
    enum status st = feed->queue[0] ? read_history(co, feed, str_c(feed->queue),
                                                   after, &gap, err)
                                    : read_names(co, feed, &names, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = read_history(co, feed, str_c(names[i]), ms, &gap, err);
        any |= gap;
    }
    free(names);
    if (st != ST_OK)
        return st;
    if (gap || any || feed->lines.failed)
        note_lost(feed, QUEUE_FEED_OLD);
    feed->rest = buf_str(&feed->lines);
    return ST_OK;
}

enum status
queue_feed_open(struct co *co, struct queues *queues, struct changes *changes,
                const struct queue_feed_wish *wish, struct queue_feed **ret,
                struct error *err)
{
    struct queue_feed *feed = xcalloc(1, sizeof *feed);

    feed->queues = queues;
    str_copy_to(wish->queue, feed->queue, sizeof feed->queue);
    buf_init(&feed->lines, CHANGES_PENDING_MAX);
    buf_init(&feed->data, DATA_MAX);
    if (wish->counters) {
        feed->changed = xcalloc(1, sizeof *feed->changed);
        feed->to_count_all = true;
    }
    enum status st = changes_join(co, changes, str_c(feed->queue), STR_NULL,
                                  &feed->listener, err);
    if (st == ST_OK)
        st = read_missed(co, feed, wish->after, err);
    else
        feed->listener.changes = NULL;
    if (st != ST_OK) {
        queue_feed_free(feed);
        return st;
    }
    *ret = feed;
    return ST_OK;
}

void
queue_feed_free(struct queue_feed *feed)
{
    if (!feed)
        return;
    changes_leave(&feed->listener);
    buf_clear(&feed->lines);
    buf_clear(&feed->data);
    free(feed->changed);
    free(feed);
}

/* ---- one after the other ---- */

/* Room for what was missed is needed once only. */
static void
forget_lines(struct queue_feed *feed)
{
    if (feed->lines.max == MISSED_MAX) {
        buf_clear(&feed->lines);
        buf_init(&feed->lines, CHANGES_PENDING_MAX);
    }
    buf_reset(&feed->lines);
    feed->rest = STR_NULL;
}

/* Until a change, @until_ms, or counters that are due. */
static enum status
wait_for_change(struct co *co, struct queue_feed *feed, int64_t until_ms)
{
    int64_t now_ms = loop_now_ms(co_loop(co)), end_ms = until_ms;
    bool due = false;

    if (feed->changed && feed->changed->len > 0 &&
        feed->counted_ms + COUNTERS_MS < end_ms) {
        end_ms = feed->counted_ms + COUNTERS_MS;
        due = true;
    }
    forget_lines(feed);
    enum status st =
        changes_next(co, &feed->listener, end_ms > now_ms ? end_ms - now_ms : 0,
                     &feed->lines);
    feed->rest = buf_str(&feed->lines);
    if (co_cancelled(co) != ST_OK)
        return co_cancelled(co);
    if (st == ST_LIMIT || st == ST_UNAVAILABLE)
        note_lost(feed, st == ST_LIMIT ? QUEUE_FEED_SLOW : QUEUE_FEED_AWAY);
    else if (st != ST_TIMEOUT || !due)
        return st;
    feed->counting |= st == ST_TIMEOUT;
    return ST_OK;
}

/* *ret_said: *ret is to be handed out. */
static enum status
take_step(struct co *co, struct queue_feed *feed, int64_t until_ms,
          struct feed_event *ret, bool *ret_said, struct error *err)
{
    const struct changed *changed = feed->changed;
    bool due = changed && changed->len > 0 &&
               feed->counted_ms + COUNTERS_MS <= loop_now_ms(co_loop(co));

    if (feed->to_say_lost) {
        say_lost(feed, ret);
        *ret_said = true;
    } else if (changed && feed->to_count_all) {
        return count_all(co, feed, err);
    } else if (changed && (feed->counting || due)) {
        feed->counting = true;
        return say_counters(co, feed, ret, ret_said, err);
    } else if (feed->rest.n > 0) {
        *ret_said = say_change(feed, ret);
    } else {
        return wait_for_change(co, feed, until_ms);
    }
    return ST_OK;
}

enum status
queue_feed_next(struct co *co, struct queue_feed *feed, int64_t timeout_ms,
                struct feed_event *ret, struct error *err)
{
    int64_t now_ms = loop_now_ms(co_loop(co));
    int64_t until_ms =
        timeout_ms < INT64_MAX - now_ms ? now_ms + timeout_ms : INT64_MAX;
    bool said = false;
    enum status st = co_cancelled(co);

    while (st == ST_OK && !said) {
        buf_reset(&feed->data);
        st = take_step(co, feed, until_ms, ret, &said, err);
    }
    if (st != ST_OK)
        return st;
    buf_add_char(&feed->data, '\0');
    ret->data = str_from(feed->data.p, feed->data.len - 1);
    return ST_OK;
}
