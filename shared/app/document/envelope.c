/* Envelope: one walk over a checked text, one function for each field.
 *
 * The tables say a field's name, its bit and its reader. What reads single
 * values is in envelope_value.c, what reads the objects of limits and others in
 * envelope_options.c. */
#include "app/document/envelope.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "app/document/envelope_options.h"
#include "app/document/envelope_value.h"

/* ---- fields ---- */

static enum status
read_task(struct jsontext value, struct arena *arena, struct envelope *envelope,
          struct error *err)
{
    return envelope_value_name(value, arena, "/task", &envelope->spec.task,
                               err);
}

static enum status
read_args(struct jsontext value, struct arena *arena, struct envelope *envelope,
          struct error *err)
{
    (void)arena;
    if (value.raw.n > JOB_ARGS_MAX) {
        (void)error_set_at(err, "/args",
                           "args hold %zu bytes, at most %d are taken: store "
                           "the data elsewhere and send a reference",
                           value.raw.n, JOB_ARGS_MAX);
        if (err)
            err->status = ST_TOO_LARGE;
        return ST_TOO_LARGE;
    }
    envelope->spec.args = value.raw;
    return ST_OK;
}

static enum status
read_queue(struct jsontext value, struct arena *arena,
           struct envelope *envelope, struct error *err)
{
    return envelope_value_name(value, arena, "/queue", &envelope->spec.queue,
                               err);
}

static enum status
read_priority(struct jsontext value, struct arena *arena,
              struct envelope *envelope, struct error *err)
{
    int32_t priority = 0;

    (void)arena;
    enum status st = envelope_value_integer(value, "/priority",
                                            JOB_PRIORITY_MAX, &priority, err);
    if (st == ST_OK)
        envelope->spec.priority = priority;
    return st;
}

static enum status
read_run_at(struct jsontext value, struct arena *arena,
            struct envelope *envelope, struct error *err)
{
    return envelope_value_time(value, arena, "/run_at",
                               &envelope->spec.run_at_ms, err);
}

static enum status
read_delay(struct jsontext value, struct arena *arena,
           struct envelope *envelope, struct error *err)
{
    return envelope_value_duration(value, arena, "/delay",
                                   &envelope->spec.delay_ms, err);
}

static enum status
read_expires_at(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    return envelope_value_time(value, arena, "/expires_at",
                               &envelope->spec.expires_at_ms, err);
}

static enum status
read_timeout(struct jsontext value, struct arena *arena,
             struct envelope *envelope, struct error *err)
{
    return envelope_value_duration(value, arena, "/timeout",
                                   &envelope->spec.timeout_ms, err);
}

static enum status
read_keep(struct jsontext value, struct arena *arena, struct envelope *envelope,
          struct error *err)
{
    return envelope_value_duration(value, arena, "/keep",
                                   &envelope->spec.keep_ms, err);
}

/* The spec holds them as one text, comma-separated. */
static enum status
read_tags(struct jsontext value, struct arena *arena, struct envelope *envelope,
          struct error *err)
{
    char joined[JOB_TAGS_MAX * (JOB_TAG_LEN_MAX + 1)];
    size_t len = 0;
    int n = 0;
    struct str key, tag = STR_NULL;
    struct jsontext element;

    if (value.type != JSONTEXT_ARRAY)
        return error_set_at(err, "/tags", "must be an array of texts");
    struct jsontext_walk walk = jsontext_walk(value);
    for (; jsontext_next(&walk, &key, &element); n++) {
        char pointer[24];
        snprintf(pointer, sizeof pointer, "/tags/%d", n);
        if (n == JOB_TAGS_MAX)
            return error_set_at(err, pointer, "a job has at most %d tags",
                                JOB_TAGS_MAX);
        enum status st =
            envelope_value_name(element, arena, pointer, &tag, err);
        if (st != ST_OK)
            return st;
        assert(tag.p && len + 1 + tag.n <= sizeof joined);
        if (len > 0)
            joined[len++] = ',';
        if (tag.n > 0)
            memcpy(joined + len, tag.p, tag.n);
        len += tag.n;
    }
    char *copy = arena_copy(arena, str_from(joined, len));
    if (!copy)
        return error_set(err, ST_TOO_LARGE, "the request holds too much text");
    envelope->spec.tags = str_from(copy, len);
    return ST_OK;
}

/* ---- fields of retry ---- */

static enum status
read_retry_max(struct jsontext value, struct arena *arena,
               struct envelope *envelope, struct error *err)
{
    (void)arena;
    return envelope_value_integer(value, "/retry/max", JOB_RETRIES_MAX,
                                  &envelope->spec.retries, err);
}

static enum status
read_retry_backoff(struct jsontext value, struct arena *arena,
                   struct envelope *envelope, struct error *err)
{
    struct str text = STR_NULL;

    if (envelope_value_text(value, arena, &text) &&
        backoff_parse(text, &envelope->spec.backoff.kind))
        return ST_OK;
    return error_set_at(err, "/retry/backoff",
                        "must be \"fixed\" or \"exponential\"");
}

static enum status
read_retry_base(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    return envelope_value_duration(value, arena, "/retry/base",
                                   &envelope->spec.backoff.base_ms, err);
}

static enum status
read_retry_cap(struct jsontext value, struct arena *arena,
               struct envelope *envelope, struct error *err)
{
    return envelope_value_duration(value, arena, "/retry/cap",
                                   &envelope->spec.backoff.cap_ms, err);
}

static enum status
read_retry_jitter(struct jsontext value, struct arena *arena,
                  struct envelope *envelope, struct error *err)
{
    double jitter = 0;

    (void)arena;
    if (value.type != JSONTEXT_NUMBER || !jsontext_double(value, &jitter) ||
        !(jitter >= 0 && jitter <= 1))
        return error_set_at(err, "/retry/jitter",
                            "must be a number from 0 to 1");
    envelope->spec.backoff.jitter = jitter;
    return ST_OK;
}

static enum status
read_durability(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    struct str word = STR_NULL;

    if (!envelope_value_text(value, arena, &word) ||
        !durability_parse(word, &envelope->durability))
        return error_set_at(err, "/durability",
                            "must be \"memory\", \"fsync\" or \"replica:1\" to "
                            "\"replica:%d\"",
                            DURABILITY_REPLICAS_MAX);
    return ST_OK;
}

static enum status read_retry(struct jsontext value, struct arena *arena,
                              struct envelope *envelope, struct error *err);

static const struct envelope_field_reader fields[] = {
    {STR("task"), ENVELOPE_TASK, read_task},
    {STR("args"), ENVELOPE_ARGS, read_args},
    {STR("queue"), ENVELOPE_QUEUE, read_queue},
    {STR("priority"), ENVELOPE_PRIORITY, read_priority},
    {STR("run_at"), ENVELOPE_RUN_AT, read_run_at},
    {STR("delay"), ENVELOPE_DELAY, read_delay},
    {STR("expires_at"), ENVELOPE_EXPIRES_AT, read_expires_at},
    {STR("timeout"), ENVELOPE_TIMEOUT, read_timeout},
    {STR("retry"), ENVELOPE_RETRY, read_retry},
    {STR("keep"), ENVELOPE_KEEP, read_keep},
    {STR("tags"), ENVELOPE_TAGS, read_tags},
    {STR("unique"), ENVELOPE_UNIQUE, envelope_options_unique},
    {STR("limit"), ENVELOPE_LIMIT, envelope_options_limit},
    {STR("callback"), ENVELOPE_CALLBACK, envelope_options_callback},
    {STR("after"), ENVELOPE_AFTER, envelope_options_after},
    {STR("durability"), ENVELOPE_DURABILITY, read_durability},
};

static const struct envelope_field_reader retry_fields[] = {
    {STR("max"), ENVELOPE_RETRY_MAX, read_retry_max},
    {STR("backoff"), ENVELOPE_RETRY_BACKOFF, read_retry_backoff},
    {STR("base"), ENVELOPE_RETRY_BASE, read_retry_base},
    {STR("cap"), ENVELOPE_RETRY_CAP, read_retry_cap},
    {STR("jitter"), ENVELOPE_RETRY_JITTER, read_retry_jitter},
};

static enum status
read_retry(struct jsontext value, struct arena *arena,
           struct envelope *envelope, struct error *err)
{
    if (value.type != JSONTEXT_OBJECT)
        return error_set_at(err, "/retry",
                            "must be an object such as {\"max\": 8}");
    return envelope_value_walk(value, "/retry", retry_fields,
                               ARRAY_LEN(retry_fields), arena, envelope, err);
}

enum status
envelope_read(struct jsontext value, struct arena *arena, struct envelope *ret,
              struct error *err)
{
    job_spec_init(&ret->spec);
    ret->given = 0;
    ret->after = NULL;
    ret->durability = (struct durability_wish){0};
    if (value.type != JSONTEXT_OBJECT)
        return error_set(err, ST_INVALID,
                         "a job is a JSON object such as {\"task\": \"noop\"}");
    enum status st = envelope_value_walk(value, "", fields, ARRAY_LEN(fields),
                                         arena, ret, err);
    if (st != ST_OK)
        return st;
    if (!(ret->given & ENVELOPE_TASK))
        return error_set_at(err, "/task", "a job needs a task");
    if ((ret->given & ENVELOPE_DELAY) && (ret->given & ENVELOPE_RUN_AT))
        return error_set_at(err, "/delay",
                            "give either delay or run_at, not both");
    return ST_OK;
}

enum status
envelope_parse(struct str body, struct arena *arena, struct envelope *ret,
               struct error *err)
{
    struct jsontext value;

    enum status st = jsontext_check(body, &value, err);
    if (st != ST_OK)
        return st;
    return envelope_read(value, arena, ret, err);
}

/* ---- what the body was silent about ---- */

_Static_assert(ENVELOPE_RETRY_BACKOFF ==
                       ENVELOPE_RETRY_MAX * JOB_RETRY_BACKOFF &&
                   ENVELOPE_RETRY_BASE == ENVELOPE_RETRY_MAX * JOB_RETRY_BASE &&
                   ENVELOPE_RETRY_CAP == ENVELOPE_RETRY_MAX * JOB_RETRY_CAP &&
                   ENVELOPE_RETRY_JITTER ==
                       ENVELOPE_RETRY_MAX * JOB_RETRY_JITTER,
               "the fields of retry stand as enum job_retry has them");

static void
complete_retry(struct envelope *envelope, const struct app_task *task)
{
    struct job_spec *spec = &envelope->spec;
    struct backoff *backoff = &spec->backoff;
    uint32_t given = envelope->given;

    /* The bits of both stand in the same order. */
    spec->retry_open =
        JOB_RETRY_ALL & ~task->retry_given & ~(given / ENVELOPE_RETRY_MAX);
    if (!(given & ENVELOPE_RETRY_MAX))
        spec->retries = task->retries;
    if (!(given & ENVELOPE_RETRY_BASE))
        backoff->base_ms = task->backoff_ms;
    if (!(given & ENVELOPE_RETRY_CAP))
        backoff->cap_ms = task->backoff_cap_ms;
    /* One that was given must not contradict one that was not. */
    if (backoff->cap_ms < backoff->base_ms) {
        if (!(given & ENVELOPE_RETRY_CAP))
            backoff->cap_ms = backoff->base_ms;
        else if (!(given & ENVELOPE_RETRY_BASE))
            backoff->base_ms = backoff->cap_ms;
    }
}

enum status
envelope_complete(struct envelope *envelope, const struct app_task *task,
                  struct error *err)
{
    struct job_spec *spec = &envelope->spec;

    if (!(envelope->given & ENVELOPE_QUEUE))
        spec->queue = str_c(task->queue);
    if (!(envelope->given & ENVELOPE_PRIORITY))
        spec->priority = task->priority;
    if (!(envelope->given & ENVELOPE_TIMEOUT))
        spec->timeout_ms = task->timeout_ms;
    if (!(envelope->given & ENVELOPE_KEEP))
        spec->keep_ms = task->keep_ms;
    if (spec->unique.hold == UNIQUE_ENDED && spec->unique.ttl_ms == 0)
        spec->unique.ttl_ms = spec->keep_ms;
    complete_retry(envelope, task);
    return job_spec_check(spec, err);
}
