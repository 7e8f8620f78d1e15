/* Schedule body: one walk that reads what is ours and hands on what is not. */
#include "api/schedules/schedule_body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { TEXT_MAX = SCHEDULE_NOTE_MAX * 6 + 2, SHOWN_MAX = 40 };

/* ---- values ---- */

static enum status
read_text(struct jsontext value, struct arena *arena, const char *pointer,
          struct str *ret, struct error *err)
{
    struct buf text;

    if (value.type != JSONTEXT_STRING || value.raw.n > TEXT_MAX)
        return error_set_at(err, pointer, "must be a text of at most %d bytes",
                            SCHEDULE_NOTE_MAX);
    buf_init(&text, TEXT_MAX);
    struct str decoded = jsontext_string(value, &text);
    char *copy = text.failed ? NULL : arena_copy(arena, decoded);
    *ret = str_from(copy, decoded.n);
    buf_clear(&text);
    return copy ? ST_OK
                : error_set(err, ST_TOO_LARGE, "the request is too large");
}

static enum status
read_duration(struct jsontext value, struct arena *arena, const char *pointer,
              int64_t *ret_ms, struct error *err)
{
    struct str text = STR_NULL;
    double seconds = -1;

    if (value.type == JSONTEXT_STRING) {
        enum status st = read_text(value, arena, pointer, &text, err);
        if (st != ST_OK)
            return st;
        if (str_to_duration_ms(text, ret_ms))
            return ST_OK;
    } else if (value.type == JSONTEXT_NUMBER &&
               jsontext_double(value, &seconds) && seconds >= 0 &&
               seconds * 1000 <= (double)SCHEDULE_EVERY_MAX_MS) {
        *ret_ms = (int64_t)round(seconds * 1000);
        return ST_OK;
    }
    return error_set_at(err, pointer,
                        "not a duration: give a text such as \"30s\", \"5m\", "
                        "\"2h\", or seconds as a number");
}

/* ---- fields ---- */

static enum status
read_cron(struct jsontext value, struct arena *arena, struct schedule *s,
          struct error *err)
{
    struct str text;
    enum status st = read_text(value, arena, "/cron", &text, err);

    return st == ST_OK ? schedule_set_cron(s, text, err) : st;
}

static enum status
read_every(struct jsontext value, struct arena *arena, struct schedule *s,
           struct error *err)
{
    s->when = SCHEDULE_EVERY;
    return read_duration(value, arena, "/every", &s->every_ms, err);
}

static enum status
read_at(struct jsontext value, struct arena *arena, struct schedule *s,
        struct error *err)
{
    struct str text;
    enum status st = read_text(value, arena, "/at", &text, err);

    s->when = SCHEDULE_AT;
    if (st == ST_OK && !clock_parse(text, &s->at_ms))
        return error_set_at(err, "/at",
                            "not a time: give RFC 3339, such as "
                            "\"2027-01-01T08:00:00Z\"");
    return st;
}

static enum status
read_timezone(struct jsontext value, struct arena *arena, struct schedule *s,
              struct error *err)
{
    struct str text;
    enum status st = read_text(value, arena, "/timezone", &text, err);

    return st == ST_OK ? schedule_set_timezone(s, text, err) : st;
}

static enum status
read_misfire(struct jsontext value, struct arena *arena, struct schedule *s,
             struct error *err)
{
    struct str text;
    enum status st = read_text(value, arena, "/misfire", &text, err);

    if (st == ST_OK && !schedule_misfire_parse(text, &s->misfire))
        return error_set_at(err, "/misfire",
                            "must be \"skip\", \"once\" or \"all\"");
    return st;
}

static enum status
read_overlap(struct jsontext value, struct arena *arena, struct schedule *s,
             struct error *err)
{
    struct str text;
    enum status st = read_text(value, arena, "/overlap", &text, err);

    if (st == ST_OK && !schedule_overlap_parse(text, &s->overlap))
        return error_set_at(err, "/overlap",
                            "must be \"allow\", \"skip\" or \"buffer\"");
    return st;
}

static enum status
read_jitter(struct jsontext value, struct arena *arena, struct schedule *s,
            struct error *err)
{
    return read_duration(value, arena, "/jitter", &s->jitter_ms, err);
}

static enum status
read_paused(struct jsontext value, struct arena *arena, struct schedule *s,
            struct error *err)
{
    (void)arena;
    if (value.type != JSONTEXT_TRUE && value.type != JSONTEXT_FALSE)
        return error_set_at(err, "/paused", "must be true or false");
    s->paused = value.type == JSONTEXT_TRUE;
    return ST_OK;
}

static enum status
read_note(struct jsontext value, struct arena *arena, struct schedule *s,
          struct error *err)
{
    return read_text(value, arena, "/note", &s->note, err);
}

static const struct field {
    struct str name;
    uint32_t bit;
    enum status (*read)(struct jsontext value, struct arena *arena,
                        struct schedule *s, struct error *err);
} fields[] = {
    {STR("cron"), SCHEDULE_FIELD_CRON, read_cron},
    {STR("every"), SCHEDULE_FIELD_EVERY, read_every},
    {STR("at"), SCHEDULE_FIELD_AT, read_at},
    {STR("timezone"), SCHEDULE_FIELD_TIMEZONE, read_timezone},
    {STR("misfire"), SCHEDULE_FIELD_MISFIRE, read_misfire},
    {STR("overlap"), SCHEDULE_FIELD_OVERLAP, read_overlap},
    {STR("jitter"), SCHEDULE_FIELD_JITTER, read_jitter},
    {STR("paused"), SCHEDULE_FIELD_PAUSED, read_paused},
    {STR("note"), SCHEDULE_FIELD_NOTE, read_note},
};

enum {
    TIMES = SCHEDULE_FIELD_CRON | SCHEDULE_FIELD_EVERY | SCHEDULE_FIELD_AT,
};

static const struct field *
find_field(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq(fields[i].name, name))
            return &fields[i];
    return NULL;
}

bool
schedule_body_owns(const char *pointer)
{
    return pointer[0] == '/' && find_field(str_c(pointer + 1)) != NULL;
}

/* ---- the walk ---- */

/* Ours into *ret; the others, as they stand, behind each other into @rest. */
static enum status
split(struct jsontext object, struct arena *arena, struct schedule_body *ret,
      struct buf *rest, bool *ret_task, struct error *err)
{
    struct jsontext_walk walk = jsontext_walk(object);
    struct jsontext value;
    struct str key;

    while (jsontext_next(&walk, &key, &value)) {
        const struct field *field = find_field(key);
        if (!field) {
            *ret_task |= str_eq(key, STR("task"));
            buf_addf(rest, "%s\"%.*s\":", rest->len > 1 ? "," : "",
                     STR_ARG(key));
            buf_add_str(rest, value.raw);
        } else if (value.type != JSONTEXT_NULL) {
            enum status st = field->read(value, arena, &ret->schedule, err);
            if (st != ST_OK)
                return st;
            ret->given |= field->bit;
        }
    }
    uint32_t times = ret->given & TIMES;
    if (times & (times - 1))
        return error_set_at(err,
                            ret->given & SCHEDULE_FIELD_AT ? "/at" : "/every",
                            "give one of cron, every and at");
    return ST_OK;
}

enum status
schedule_body_parse(struct str text, struct str task, struct arena *arena,
                    struct schedule_body *ret, struct error *err)
{
    struct jsontext value;
    struct buf rest;
    bool has_task = false;

    *ret = (struct schedule_body){0};
    schedule_init(&ret->schedule);
    enum status st = jsontext_check(text, &value, err);
    if (st == ST_OK && value.type != JSONTEXT_OBJECT)
        st = error_set(err, ST_INVALID,
                       "a schedule is a JSON object such as {\"cron\": \"0 3 * "
                       "* *\", \"task\": \"noop\"}");
    if (st == ST_OK)
        st = jsontext_unique_keys(value, err);
    if (st != ST_OK)
        return st;
    buf_init(&rest, text.n + ID_TASK_MAX + 64);
    buf_add_char(&rest, '{');
    st = split(value, arena, ret, &rest, &has_task, err);
    if (st == ST_OK && !has_task && task.n > 0)
        buf_addf(&rest, "%s\"task\":\"%.*s\"", rest.len > 1 ? "," : "",
                 STR_ARG(task));
    buf_add_char(&rest, '}');
    /* The envelope lends from its text. */
    char *copy = rest.failed ? NULL : arena_copy(arena, buf_str(&rest));
    struct str others = str_from(copy, rest.len);
    buf_clear(&rest);
    if (st != ST_OK)
        return st;
    if (!copy)
        return error_set(err, ST_TOO_LARGE, "the request is too large");
    return envelope_parse(others, arena, &ret->envelope, err);
}

/* ---- applying ---- */

static void
apply_job(const struct envelope *envelope, struct job_spec *spec)
{
    const struct job_spec *from = &envelope->spec;
    uint32_t given = envelope->given;

    if (given & ENVELOPE_TASK)
        spec->task = from->task;
    if (given & ENVELOPE_ARGS)
        spec->args = from->args;
    if (given & ENVELOPE_QUEUE)
        spec->queue = from->queue;
    if (given & ENVELOPE_PRIORITY)
        spec->priority = from->priority;
    if (given & ENVELOPE_TIMEOUT)
        spec->timeout_ms = from->timeout_ms;
    if (given & ENVELOPE_KEEP)
        spec->keep_ms = from->keep_ms;
    if (given & ENVELOPE_TAGS)
        spec->tags = from->tags;
    spec->retry_open &= ~(given / ENVELOPE_RETRY_MAX);
    if (given & ENVELOPE_RETRY_MAX)
        spec->retries = from->retries;
    if (given & ENVELOPE_RETRY_BACKOFF)
        spec->backoff.kind = from->backoff.kind;
    if (given & ENVELOPE_RETRY_BASE)
        spec->backoff.base_ms = from->backoff.base_ms;
    if (given & ENVELOPE_RETRY_CAP)
        spec->backoff.cap_ms = from->backoff.cap_ms;
    if (given & ENVELOPE_RETRY_JITTER)
        spec->backoff.jitter = from->backoff.jitter;
    if (given & ENVELOPE_UNIQUE)
        spec->unique = from->unique;
    if (given & ENVELOPE_LIMIT)
        spec->limit = from->limit;
    if (given & ENVELOPE_CALLBACK)
        spec->callback = from->callback;
    /* Refused by schedule_check(), with their pointers. */
    spec->kin = from->kin;
    spec->delay_ms = from->delay_ms;
    spec->run_at_ms = from->run_at_ms;
    spec->expires_at_ms = from->expires_at_ms;
}

static void
apply_times(const struct schedule_body *body, struct schedule *s)
{
    const struct schedule *from = &body->schedule;

    if (body->given & TIMES) {
        s->when = from->when;
        s->cron_text = from->cron_text;
        s->cron = from->cron;
        s->every_ms = from->every_ms;
        s->at_ms = from->at_ms;
    }
    if (body->given & SCHEDULE_FIELD_TIMEZONE) {
        s->timezone = from->timezone;
        s->zone = from->zone;
    } else if ((body->given & TIMES) && s->when != SCHEDULE_CRON)
        s->timezone = STR("UTC"); /* what a cron line had is over */
    if (s->when == SCHEDULE_CRON && !s->zone && str_eq(s->timezone, STR("UTC")))
        if (schedule_set_timezone(s, STR("UTC"), NULL) != ST_OK)
            s->zone = NULL; /* cannot be: UTC needs no file */
}

void
schedule_body_apply(const struct schedule_body *body, struct schedule *s)
{
    const struct schedule *from = &body->schedule;
    uint32_t given = body->given;

    apply_times(body, s);
    if (given & SCHEDULE_FIELD_MISFIRE)
        s->misfire = from->misfire;
    if (given & SCHEDULE_FIELD_OVERLAP)
        s->overlap = from->overlap;
    if (given & SCHEDULE_FIELD_JITTER)
        s->jitter_ms = from->jitter_ms;
    if (given & SCHEDULE_FIELD_PAUSED)
        s->paused = from->paused;
    if (given & SCHEDULE_FIELD_NOTE)
        s->note = from->note;
    apply_job(&body->envelope, &s->spec);
}
