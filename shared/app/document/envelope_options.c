/* Options of an envelope that are objects or lists of their own. */
#include "app/document/envelope_options.h"

#include <stdio.h>

#include "app/document/envelope_value.h"

/* Bits of the fields within one object: they never reach envelope->given, which
 * says of the object as a whole that it was there. */
enum { FIRST = 1 << 0, SECOND = 1 << 1, THIRD = 1 << 2, FOURTH = 1 << 3 };

static enum status
walk(struct jsontext value, const char *parent,
     const struct envelope_field_reader *table, size_t n, struct arena *arena,
     struct envelope *envelope, const char *example, uint32_t *ret_given,
     struct error *err)
{
    uint32_t outer = envelope->given;

    if (value.type != JSONTEXT_OBJECT)
        return error_set_at(err, parent, "must be an object such as %s",
                            example);
    envelope->given = 0;
    enum status st =
        envelope_value_walk(value, parent, table, n, arena, envelope, err);
    *ret_given = envelope->given;
    envelope->given = outer;
    return st;
}

static enum status
read_key(struct jsontext value, struct arena *arena, const char *pointer,
         struct str *ret, struct error *err)
{
    if (!envelope_value_text(value, arena, ret) || !job_key_valid(*ret))
        return error_set_at(err, pointer,
                            "must be a text of 1 to %d visible ASCII "
                            "characters, such as \"customer:42\"",
                            JOB_KEY_MAX);
    return ST_OK;
}

/* ---- unique ---- */

static enum status
read_unique_key(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    return read_key(value, arena, "/unique/key", &envelope->spec.unique.key,
                    err);
}

static enum status
read_unique_while(struct jsontext value, struct arena *arena,
                  struct envelope *envelope, struct error *err)
{
    struct str word = STR_NULL;

    if (!envelope_value_text(value, arena, &word) ||
        !job_unique_while(word, &envelope->spec.unique.hold))
        return error_set_at(err, "/unique/while",
                            "must be \"waiting\", \"running\" or \"ended\"");
    return ST_OK;
}

static enum status
read_unique_ttl(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    return envelope_value_duration(value, arena, "/unique/ttl",
                                   &envelope->spec.unique.ttl_ms, err);
}

static enum status
read_unique_conflict(struct jsontext value, struct arena *arena,
                     struct envelope *envelope, struct error *err)
{
    struct str word = STR_NULL;

    if (!envelope_value_text(value, arena, &word) ||
        !job_unique_conflict(word, &envelope->spec.unique.on_conflict))
        return error_set_at(err, "/unique/on_conflict",
                            "must be \"reject\", \"return\" or \"replace\"");
    return ST_OK;
}

enum status
envelope_options_unique(struct jsontext value, struct arena *arena,
                        struct envelope *envelope, struct error *err)
{
    static const struct envelope_field_reader table[] = {
        {STR("key"), FIRST, read_unique_key},
        {STR("while"), SECOND, read_unique_while},
        {STR("ttl"), THIRD, read_unique_ttl},
        {STR("on_conflict"), FOURTH, read_unique_conflict},
    };
    uint32_t given = 0;

    envelope->spec.unique.hold = UNIQUE_RUNNING;
    enum status st = walk(value, "/unique", table, ARRAY_LEN(table), arena,
                          envelope, "{\"key\": \"customer:42\"}", &given, err);
    if (st == ST_OK && !(given & FIRST))
        return error_set_at(err, "/unique/key", "unique needs a key");
    return st;
}

/* ---- limit ---- */

static enum status
read_limit_key(struct jsontext value, struct arena *arena,
               struct envelope *envelope, struct error *err)
{
    return read_key(value, arena, "/limit/key", &envelope->spec.limit.key, err);
}

static enum status
read_limit_concurrency(struct jsontext value, struct arena *arena,
                       struct envelope *envelope, struct error *err)
{
    (void)arena;
    return envelope_value_integer(value, "/limit/concurrency",
                                  JOB_CONCURRENCY_MAX,
                                  &envelope->spec.limit.concurrency, err);
}

static enum status
read_limit_rate(struct jsontext value, struct arena *arena,
                struct envelope *envelope, struct error *err)
{
    struct job_limit *limit = &envelope->spec.limit;
    struct str text = STR_NULL;

    if (!envelope_value_text(value, arena, &text) ||
        !job_rate_parse(text, &limit->rate, &limit->rate_period_ms))
        return error_set_at(err, "/limit/rate",
                            "must be a text such as \"100/s\", \"5/m\" or "
                            "\"10/30s\", up to %d in at most a day",
                            JOB_RATE_MAX);
    return ST_OK;
}

enum status
envelope_options_limit(struct jsontext value, struct arena *arena,
                       struct envelope *envelope, struct error *err)
{
    static const struct envelope_field_reader table[] = {
        {STR("key"), FIRST, read_limit_key},
        {STR("concurrency"), SECOND, read_limit_concurrency},
        {STR("rate"), THIRD, read_limit_rate},
    };
    uint32_t given = 0;

    enum status st =
        walk(value, "/limit", table, ARRAY_LEN(table), arena, envelope,
             "{\"key\": \"tenant:7\", \"concurrency\": 5}", &given, err);
    if (st == ST_OK && !(given & FIRST))
        return error_set_at(err, "/limit/key", "a limit needs a key");
    return st;
}

/* ---- callback ---- */

static enum status
read_callback_url(struct jsontext value, struct arena *arena,
                  struct envelope *envelope, struct error *err)
{
    if (!envelope_value_text(value, arena, &envelope->spec.callback.url))
        return error_set_at(err, "/callback/url",
                            "must be an http or https URL of at most %d "
                            "characters",
                            JOB_URL_MAX);
    return ST_OK; /* the spec's own check says the rest */
}

static enum status
read_callback_on(struct jsontext value, struct arena *arena,
                 struct envelope *envelope, struct error *err)
{
    struct job_callback *callback = &envelope->spec.callback;
    struct str key, word = STR_NULL;
    struct jsontext element;
    int n = 0;

    callback->on_succeeded = callback->on_dead = false;
    if (value.type != JSONTEXT_ARRAY)
        return error_set_at(err, "/callback/on",
                            "must be an array such as [\"succeeded\"]");
    struct jsontext_walk walk = jsontext_walk(value);
    for (; jsontext_next(&walk, &key, &element); n++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/callback/on/%d", n);
        bool text = envelope_value_text(element, arena, &word);
        bool *on = text && str_eq_c(word, "succeeded") ? &callback->on_succeeded
                   : text && str_eq_c(word, "dead")    ? &callback->on_dead
                                                       : NULL;
        if (!on || *on)
            return error_set_at(err, pointer,
                                "must be \"succeeded\" or \"dead\", each once");
        *on = true;
    }
    return ST_OK;
}

enum status
envelope_options_callback(struct jsontext value, struct arena *arena,
                          struct envelope *envelope, struct error *err)
{
    static const struct envelope_field_reader table[] = {
        {STR("url"), FIRST, read_callback_url},
        {STR("on"), SECOND, read_callback_on},
    };
    uint32_t given = 0;

    envelope->spec.callback.on_succeeded = true;
    envelope->spec.callback.on_dead = true;
    enum status st =
        walk(value, "/callback", table, ARRAY_LEN(table), arena, envelope,
             "{\"url\": \"https://example.org/hook\"}", &given, err);
    if (st == ST_OK && !(given & FIRST))
        return error_set_at(err, "/callback/url", "a callback needs a url");
    return st;
}

/* ---- after ---- */

/* Id number @n of @ids; each is compared with those before it. */
static enum status
read_parent(struct jsontext element, struct arena *arena, struct job_id *ids,
            int n, struct error *err)
{
    struct str text = STR_NULL;
    char pointer[32];

    snprintf(pointer, sizeof pointer, "/after/%d", n);
    if (!envelope_value_text(element, arena, &text) ||
        id_split(text, &ids[n], NULL) != ST_OK)
        return error_set_at(err, pointer, "must be the id of a job");
    for (int i = 0; i < n; i++)
        if (str_eq(ids[i].queue, ids[n].queue) &&
            str_eq(ids[i].local, ids[n].local))
            return error_set_at(err, pointer, "the id stands twice");
    return ST_OK;
}

enum status
envelope_options_after(struct jsontext value, struct arena *arena,
                       struct envelope *envelope, struct error *err)
{
    enum { AFTER_MAX = 64 }; /* more belong to a flow: POST /v1/flows */
    struct job_id ids[AFTER_MAX];
    struct str key;
    struct jsontext element;
    int n = 0;

    if (value.type != JSONTEXT_ARRAY)
        return error_set_at(err, "/after", "must be an array of job ids");
    struct jsontext_walk walk = jsontext_walk(value);
    for (; jsontext_next(&walk, &key, &element); n++) {
        if (n == AFTER_MAX)
            return error_set_at(err, "/after",
                                "names more than %d jobs: make a flow of them",
                                AFTER_MAX);
        enum status st = read_parent(element, arena, ids, n, err);
        if (st != ST_OK)
            return st;
    }
    size_t size = (size_t)n * sizeof *ids;
    struct job_id *copy = arena_alloc(arena, size ? size : 1);
    if (!copy)
        return error_set(err, ST_TOO_LARGE, "the request holds too much text");
    for (int i = 0; i < n; i++)
        copy[i] = ids[i];
    envelope->after = copy;
    envelope->spec.kin.parents = n;
    return ST_OK;
}
