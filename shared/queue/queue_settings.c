/* Settings: scripts/settings.lua writes and answers; a table reads. */
#include "queue/queue_settings.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "queue/registry.h"
#include "queue/script_call.h"

static const struct {
    const char *name;
    size_t offset;
    int64_t standard; /* where it is not set */
} numbers[] = {
    {"len_max", offsetof(struct queue_settings, len_max), -1},
    {"bytes_max", offsetof(struct queue_settings, bytes_max), -1},
    {"concurrency", offsetof(struct queue_settings, concurrency), -1},
    {"done_max", offsetof(struct queue_settings, done_max),
     QUEUE_DONE_STANDARD},
    {"dead_max", offsetof(struct queue_settings, dead_max),
     QUEUE_DEAD_STANDARD},
    {"dead_ms", offsetof(struct queue_settings, dead_ms),
     QUEUE_DEAD_STANDARD_MS},
    {"quarantined_max", offsetof(struct queue_settings, quarantined_max),
     QUEUE_QUARANTINED_STANDARD},
    {"quarantined_ms", offsetof(struct queue_settings, quarantined_ms),
     QUEUE_QUARANTINED_STANDARD_MS},
};

static int64_t *
number_of(struct queue_settings *settings, size_t i)
{
    return (int64_t *)(void *)((char *)settings + numbers[i].offset);
}

/* What the scripts keep in `meta` for themselves. */
static bool
is_own(struct str name)
{
    return str_eq_c(name, "seen") || str_eq_c(name, "step") ||
           str_eq_c(name, "watched");
}

static void
read_setting(struct queue_settings *settings, struct str name, struct str value)
{
    struct str period;

    if (str_eq_c(name, "paused")) {
        settings->paused = str_eq_c(value, "1");
    } else if (str_eq_c(name, "closed")) {
        settings->closed = str_eq_c(value, "1");
    } else if (str_eq_c(name, "note")) {
        str_copy_to(value, settings->note, sizeof settings->note);
    } else if (str_eq_c(name, "rate")) {
        struct str count = str_cut(value, '/', &period);
        if (!str_to_i64(period, &settings->rate_period_ms) ||
            !str_to_i64(count, &settings->rate))
            settings->rate = settings->rate_period_ms = -1;
    } else if (!queue_retry_read(&settings->retry, name, value)) {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            if (str_eq_c(name, numbers[i].name))
                (void)str_to_i64(value, number_of(settings, i));
    }
}

static enum status
read_all(struct co *co, struct queues *queues, const struct keys *keys,
         struct rds_call *call, struct error *err)
{
    enum status st = rds_await(co, queues->rds, call, "HGETALL %b",
                               keys->p[KEY_META], keys->n[KEY_META]);

    if (st != ST_OK && err)
        *err = call->err;
    return st;
}

enum status
queue_settings_apply(struct co *co, struct queues *queues, struct str queue,
                     const struct queue_setting *changes, size_t n,
                     struct queue_settings *ret, struct error *err)
{
    static const enum key which[] = {KEY_META, KEY_WAKE};
    struct queue_settings found = {.rate = -1, .rate_period_ms = -1};
    struct rds_call call = {0};
    struct script_call words;

    assert(n <= QUEUE_SETTINGS_MAX);
    script_call_init(&words, queues, queue, which, ARRAY_LEN(which));
    for (size_t i = 0; i < n; i++) {
        script_call_add(&words, str_c(changes[i].name));
        script_call_add(&words, str_c(changes[i].value));
    }
    enum status st = ST_OK;
    bool known = false;
    if (n > 0)
        st = registry_put_queue(co, queues, queue, &known, err);
    if (st != ST_OK)
        return st;
    /* What is only read is read when nothing can be written, too. */
    if (n > 0)
        st =
            script_call_await(co, &words, queues, &script_settings, &call, err);
    else
        st = read_all(co, queues, &words.keys, &call, err);
    if (n > 0)
        queue_retry_forget(queues, queue);
    if (st == ST_OK && call.reply->type != REDIS_REPLY_ARRAY)
        st = error_set(err, ST_BUG, "settings: a reply of another shape");
    if (st == ST_OK) {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            *number_of(&found, i) = numbers[i].standard;
        found.any = known;
        for (size_t i = 0; i + 1 < call.reply->elements; i += 2) {
            struct str name = script_call_text(call.reply->element[i]);
            found.any = found.any || !is_own(name);
            read_setting(&found, name,
                         script_call_text(call.reply->element[i + 1]));
        }
        *ret = found;
    }
    rds_call_clear(&call);
    return st;
}

size_t
queue_settings_switch(bool pause, bool dispatch, bool intake, struct str note,
                      struct queue_setting *dst)
{
    bool either = dispatch || intake;
    size_t n = 0;

    if (dispatch || !either)
        dst[n++] = (struct queue_setting){.name = "paused"};
    if (intake || (!either && !pause))
        dst[n++] = (struct queue_setting){.name = "closed"};
    for (size_t i = 0; i < n && pause; i++)
        dst[i].value[0] = '1';
    /* A note goes with the pause that it was made for. */
    if (note.p || !pause) {
        dst[n] = (struct queue_setting){.name = "note"};
        str_copy_to(note, dst[n].value, sizeof dst[n].value);
        n++;
    }
    return n;
}

const char *
queue_settings_rate(const struct queue_settings *settings,
                    char dst[QUEUE_RATE_SIZE])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{1000, "s"}, {60000, "m"}, {3600000, "h"}, {86400000, "d"}};

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (settings->rate_period_ms == units[i].ms) {
            snprintf(dst, QUEUE_RATE_SIZE, "%lld/%s", (long long)settings->rate,
                     units[i].unit);
            return dst;
        }
    snprintf(dst, QUEUE_RATE_SIZE, "%lld/%lldms", (long long)settings->rate,
             (long long)settings->rate_period_ms);
    return dst;
}
