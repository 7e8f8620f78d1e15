/* Public queues: pit/queues.h on top of queue/queue_overview.h. What a struct
 * had before is dropped last: an argument may be lent by it. */
#include "pit/queues.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"
#include "queue/queue_overview.h"

/* ---- what is shown ---- */

/* Of 1,000 queues, each with its name and note. */
enum { ARENA_MAX = 4 * 1024 * 1024 };

void
pit_queues_clear(struct pit_queues *queues)
{
    shown_free(queues->private_);
    *queues = (struct pit_queues){.len = 0};
}

static void
fill_retry(const struct queue_retry *from, struct pit_queue_settings *ret)
{
    const struct backoff *backoff = &from->backoff;

    if (from->set & JOB_RETRY_MAX)
        ret->retries = from->retries ? from->retries : PIT_NO_RETRY;
    if (from->set & JOB_RETRY_BACKOFF)
        ret->backoff = backoff->kind == BACKOFF_FIXED ? PIT_BACKOFF_FIXED
                                                      : PIT_BACKOFF_EXPONENTIAL;
    if (from->set & JOB_RETRY_BASE)
        ret->backoff_ms = backoff->base_ms;
    if (from->set & JOB_RETRY_CAP)
        ret->backoff_cap_ms = backoff->cap_ms;
    if (from->set & JOB_RETRY_JITTER)
        ret->backoff_jitter =
            backoff->jitter > 0 ? backoff->jitter : PIT_NO_JITTER;
}

static void
add(struct shown *shown, const struct queue_overview *from)
{
    const struct queue_settings *settings = &from->settings;
    const struct queue_counts *counts = &from->counts;
    struct pit_queue_info *info =
        (struct pit_queue_info *)shown->items + shown->len++;

    *info = (struct pit_queue_info){
        .name = shown_text(shown, str_c(counts->name)),
        .paused = settings->paused,
        .closed = settings->closed,
        .oldest_ready_ms = counts->oldest_ready_ms,
        .total = {.enqueued = counts->enqueued,
                  .succeeded = counts->succeeded,
                  .failed = counts->failed,
                  .retried = counts->retried,
                  .dead = counts->dead,
                  .crashed = counts->crashed,
                  .lost = counts->lost,
                  .timeout = counts->timeout,
                  .released = counts->released,
                  .expired = counts->expired,
                  .quarantined = counts->quarantined},
        .rate = {.enqueued_per_s = from->rates.enqueued_per_s,
                 .succeeded_per_s = from->rates.succeeded_per_s,
                 .failed_per_s = from->rates.failed_per_s,
                 .window_s = from->rates.window_s},
        .settings = {.len_max = settings->len_max,
                     .bytes_max = settings->bytes_max,
                     .concurrency = settings->concurrency,
                     .rate = settings->rate,
                     .rate_period_ms = settings->rate_period_ms,
                     .ended_max = settings->done_max,
                     .dead_max = settings->dead_max,
                     .dead_ms = settings->dead_ms,
                     .quarantined_max = settings->quarantined_max,
                     .quarantined_ms = settings->quarantined_ms,
                     .note = shown_text(shown, str_c(settings->note))},
    };
    fill_retry(&settings->retry, &info->settings);
    queue_public_counts(counts, info->count);
}

/* Takes over @shown, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct shown *shown, struct pit_queues *ret)
{
    shown = shown_settle(shown, ret, &st, "out of memory", err);
    if (!ret)
        return queue_public_end(co, st, wrote, err, NULL);
    pit_queues_clear(ret);
    if (shown)
        *ret = (struct pit_queues){
            .len = shown->len,
            .queues = shown->items,
            .private_ = shown,
        };
    return queue_public_end(co, st, wrote, err, ret->error);
}

/* Makes @changes, and shows the queue if @ret wants it. */
static enum pit_status
apply(struct co *co, const char *name, const struct queue_setting *changes,
      size_t n, enum status st, struct error *err, struct pit_queues *ret)
{
    struct queue_overview overview;
    struct shown *shown = NULL;
    struct queues *queues;
    bool sent = false;

    if (st == ST_OK)
        st = queue_public_begin(co, &queues, err);
    if (st == ST_OK)
        st = queue_public_name(name, "/name", err);
    if (st == ST_OK) {
        sent = n > 0;
        st = queue_overview_get(co, queues, str_c(name), changes, n, &overview,
                                err);
        /* The last setting of a queue without jobs was taken back. */
        if (st == ST_NOT_FOUND && n > 0)
            st = ST_OK;
    }
    if (ret && st == ST_OK) {
        shown = shown_new(1, sizeof(struct pit_queue_info), ARENA_MAX);
        add(shown, &overview);
    }
    return end(co, st, sent, err, shown, ret);
}

enum pit_status
pit_queues_get(struct pit_co *co, const char *name, struct pit_queues *ret)
{
    struct error err = {.msg = ""};

    return apply(co_public_core(co), name, NULL, 0, ST_OK, &err, ret);
}

enum pit_status
pit_queues_list(struct pit_co *public, struct pit_queues *ret)
{
    struct co *co = co_public_core(public);
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    struct shown *shown = NULL;
    struct error err = {.msg = ""};
    struct queue_overview overview;
    struct queues *queues;
    size_t n = 0;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = queue_names(co, queues, &names, &n, &err);
    if (st == ST_OK)
        shown = shown_new(n, sizeof(struct pit_queue_info), ARENA_MAX);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = queue_overview_get(co, queues, str_c(names[i]), NULL, 0, &overview,
                                &err);
        if (st == ST_OK)
            add(shown, &overview);
        else if (st == ST_NOT_FOUND) /* its name alone is left */
            st = ST_OK;
    }
    free(names);
    return end(co, st, false, &err, shown, ret);
}

/* ---- what is told ---- */

struct telling {
    struct queue_setting list[QUEUE_SETTINGS_MAX];
    size_t n;
    enum status st;
    struct error *err;
};

static struct queue_setting *
add_setting(struct telling *t, const char *name)
{
    t->list[t->n] = (struct queue_setting){.name = name};
    return &t->list[t->n++];
}

static void
tell_number(struct telling *t, const char *name, const char *field,
            int64_t value, int64_t min, int64_t max)
{
    if (value == 0 || t->st != ST_OK)
        return;
    bool back = value == PIT_NO_LIMIT || value == PIT_STANDARD;
    if (!back && (value < min || value > max)) {
        t->st = error_set_at(
            t->err, field,
            "must be %" PRId64 " to %" PRId64 ", or PIT_STANDARD", min, max);
        return;
    }
    struct queue_setting *setting = add_setting(t, name);
    if (!back)
        snprintf(setting->value, sizeof setting->value, "%" PRId64, value);
}

static void
tell_rate(struct telling *t, int64_t rate, int64_t period_ms)
{
    if (rate == 0 || t->st != ST_OK)
        return;
    bool back = rate == PIT_NO_LIMIT || rate == PIT_STANDARD;
    if (!back && (rate < 1 || rate > JOB_RATE_MAX || period_ms < 1 ||
                  period_ms > JOB_RATE_PERIOD_MAX_MS)) {
        t->st = error_set_at(t->err, "/rate",
                             "must be 1 to %d in a rate_period_ms of 1 ms to a "
                             "day, or PIT_NO_LIMIT",
                             JOB_RATE_MAX);
        return;
    }
    struct queue_setting *setting = add_setting(t, "rate");
    if (!back)
        snprintf(setting->value, sizeof setting->value, "%" PRId64 "/%" PRId64,
                 rate, period_ms);
}

/* Its own -1 says that there is to be none: a zero of the store. */
static void
tell_or_none(struct telling *t, enum job_retry which, const char *field,
             int64_t value, int64_t max)
{
    const char *name = queue_retry_name(which);

    if (value == -1 && t->st == ST_OK)
        str_copy_to(STR("0"), add_setting(t, name)->value, 2);
    else
        tell_number(t, name, field, value, 1, max);
}

static void
tell_backoff(struct telling *t, int backoff)
{
    if (backoff == 0 || t->st != ST_OK)
        return;
    if (backoff != PIT_STANDARD && backoff != PIT_BACKOFF_FIXED &&
        backoff != PIT_BACKOFF_EXPONENTIAL) {
        t->st = error_set_at(t->err, "/backoff",
                             "not one of enum pit_backoff, or PIT_STANDARD");
        return;
    }
    struct queue_setting *setting =
        add_setting(t, queue_retry_name(JOB_RETRY_BACKOFF));
    if (backoff != PIT_STANDARD)
        setting->value[0] = backoff == PIT_BACKOFF_FIXED ? 'f' : 'e';
}

static void
tell_retry(struct telling *t, const struct pit_queue_settings *s)
{
    double jitter = s->backoff_jitter;

    tell_or_none(t, JOB_RETRY_MAX, "/retries", s->retries, JOB_RETRIES_MAX);
    tell_backoff(t, (int)s->backoff);
    tell_number(t, queue_retry_name(JOB_RETRY_BASE), "/backoff_ms",
                s->backoff_ms, 1, JOB_DELAY_MAX_MS);
    tell_number(t, queue_retry_name(JOB_RETRY_CAP), "/backoff_cap_ms",
                s->backoff_cap_ms, 1, JOB_DELAY_MAX_MS);
    if (t->st == ST_OK && s->backoff_cap_ms > 0 &&
        s->backoff_cap_ms < s->backoff_ms)
        t->st = error_set_at(t->err, "/backoff_cap_ms",
                             "must not be below backoff_ms");
    if (t->st == ST_OK && jitter > 0 && !(jitter >= 0.01 && jitter <= 1))
        t->st = error_set_at(t->err, "/backoff_jitter",
                             "must be 0.01 to 1, or PIT_NO_JITTER");
    else
        tell_or_none(
            t, JOB_RETRY_JITTER, "/backoff_jitter",
            jitter > 0 ? (int64_t)(jitter * 100 + 0.5) : (int64_t)jitter, 100);
}

static void
tell_note(struct telling *t, const char *note)
{
    if (note && t->st == ST_OK)
        str_copy_to(str_c(note), add_setting(t, "note")->value,
                    sizeof t->list[0].value);
}

/* One line for people, as over HTTP. */
static enum status
check_note(const char *note, struct error *err)
{
    size_t n = note ? strlen(note) : 0;

    if (n > QUEUE_NOTE_MAX)
        return error_set_at(err, "/note", "must be at most %d bytes",
                            QUEUE_NOTE_MAX);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)note[i] < 0x20 || note[i] == 0x7f)
            return error_set_at(err, "/note",
                                "must not contain control characters");
    return ST_OK;
}

enum pit_status
pit_queues_set(struct pit_co *co, const char *name,
               const struct pit_queue_settings *s, struct pit_queues *ret)
{
    struct error err = {.msg = ""};
    struct telling t = {.err = &err};

    t.st = check_note(s->note, &err);
    tell_number(&t, "len_max", "/len_max", s->len_max, 1, QUEUE_LEN_LIMIT_MAX);
    tell_number(&t, "bytes_max", "/bytes_max", s->bytes_max, 1,
                QUEUE_BYTES_LIMIT_MAX);
    tell_number(&t, "concurrency", "/concurrency", s->concurrency, 1,
                JOB_CONCURRENCY_MAX);
    tell_number(&t, "done_max", "/ended_max", s->ended_max, 1,
                QUEUE_LEN_LIMIT_MAX);
    tell_number(&t, "dead_max", "/dead_max", s->dead_max, 1,
                QUEUE_LEN_LIMIT_MAX);
    tell_number(&t, "dead_ms", "/dead_ms", s->dead_ms, 1000, JOB_KEEP_MAX_MS);
    tell_number(&t, "quarantined_max", "/quarantined_max", s->quarantined_max,
                1, QUEUE_LEN_LIMIT_MAX);
    tell_number(&t, "quarantined_ms", "/quarantined_ms", s->quarantined_ms,
                1000, JOB_KEEP_MAX_MS);
    tell_rate(&t, s->rate, s->rate_period_ms);
    tell_retry(&t, s);
    tell_note(&t, s->note);
    if (t.st == ST_OK && t.n == 0)
        t.st = error_set(&err, ST_INVALID,
                         "nothing to change: set a limit, retention, retries "
                         "or note");
    return apply(co_public_core(co), name, t.list, t.n, t.st, &err, ret);
}

static enum pit_status
pause_or_resume(struct pit_co *co, const char *name,
                const struct pit_pause *pause, bool stop,
                struct pit_queues *ret)
{
    static const struct pit_pause usual;
    struct queue_setting changes[QUEUE_SWITCH_MAX];
    struct error err = {.msg = ""};

    if (!pause)
        pause = &usual;
    enum status st = check_note(pause->note, &err);
    size_t n = 0;
    if (st == ST_OK)
        n = queue_settings_switch(stop, pause->dispatch, pause->intake,
                                  str_c(pause->note), changes);
    return apply(co_public_core(co), name, changes, n, st, &err, ret);
}

enum pit_status
pit_queues_pause(struct pit_co *co, const char *name,
                 const struct pit_pause *pause, struct pit_queues *ret)
{
    return pause_or_resume(co, name, pause, true, ret);
}

enum pit_status
pit_queues_resume(struct pit_co *co, const char *name,
                  const struct pit_pause *pause, struct pit_queues *ret)
{
    return pause_or_resume(co, name, pause, false, ret);
}

/* ---- for autoscalers ---- */

enum pit_status
pit_queues_scale(struct pit_co *public, const char *name, int64_t target_ms,
                 struct pit_scale *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queue_counts counts;
    struct queue_scale scale;
    struct queues *queues;

    if (target_ms == 0)
        target_ms = QUEUE_SCALE_TARGET_STANDARD_MS;
    *ret = (struct pit_scale){.drain_s = -1, .attempt_s = -1};
    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = queue_public_name(name, "/name", &err);
    if (st == ST_OK && (target_ms < QUEUE_SCALE_TARGET_MIN_MS ||
                        target_ms > QUEUE_SCALE_TARGET_MAX_MS))
        st = error_set_at(&err, "/target_ms", "must be a second to a day");
    if (st == ST_OK)
        st = queue_counts(co, queues, str_c(name), &counts, &err);
    if (st == ST_OK)
        st = queue_scale(co, queues, &counts, target_ms, &scale, &err);
    if (st == ST_OK)
        *ret = (struct pit_scale){
            .enqueued_per_s = scale.rates.enqueued_per_s,
            .succeeded_per_s = scale.rates.succeeded_per_s,
            .failed_per_s = scale.rates.failed_per_s,
            .window_s = scale.rates.window_s,
            .waiting = scale.waiting,
            .running = scale.running,
            .drain_s = scale.drain_s,
            .attempt_s = scale.attempt_s,
            .workers = scale.workers,
            .slots = scale.slots,
            .wanted = scale.wanted,
        };
    return queue_public_end(co, st, false, &err, ret->error);
}
