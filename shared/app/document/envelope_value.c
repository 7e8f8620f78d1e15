/* Values: what is wrong with one, in words, with the pointer that it was given;
 * and the walk over an object's fields by a table. */
#include "app/document/envelope_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Longer than any text that a field can hold, so that a longer one need not be
 * decoded to be refused. */
enum { TEXT_MAX = 1536, SHOWN_MAX = 40 };

/* ---- values ---- */

bool
envelope_value_text(struct jsontext value, struct arena *arena, struct str *ret)
{
    if (value.type != JSONTEXT_STRING || value.raw.n > TEXT_MAX)
        return false;
    if (!memchr(value.raw.p, '\\', value.raw.n)) {
        *ret = str_from(value.raw.p + 1, value.raw.n - 2);
        return true;
    }
    struct buf text;
    buf_init(&text, TEXT_MAX);
    struct str decoded = jsontext_string(value, &text);
    char *copy = text.failed ? NULL : arena_copy(arena, decoded);
    buf_clear(&text);
    if (!copy)
        return false;
    *ret = str_from(copy, decoded.n);
    return true;
}

static bool
duration_of(struct jsontext value, struct str text, int64_t *ret_ms)
{
    double seconds = 0;

    if (value.type == JSONTEXT_STRING)
        return str_to_duration_ms(text, ret_ms);
    if (value.type != JSONTEXT_NUMBER || !jsontext_double(value, &seconds))
        return false;
    double ms = round(seconds * 1000);
    if (!(ms >= 0 && ms <= (double)JOB_DELAY_MAX_MS))
        return false;
    *ret_ms = (int64_t)ms;
    return true;
}

enum status
envelope_value_duration(struct jsontext value, struct arena *arena,
                        const char *pointer, int64_t *ret_ms, struct error *err)
{
    struct str text = STR_NULL;

    if ((value.type == JSONTEXT_STRING &&
         !envelope_value_text(value, arena, &text)) ||
        !duration_of(value, text, ret_ms))
        return error_set_at(err, pointer,
                            "not a duration: give a text such as \"500ms\", "
                            "\"30s\", \"5m\", \"2h\", or seconds as a number");
    return ST_OK;
}

enum status
envelope_value_time(struct jsontext value, struct arena *arena,
                    const char *pointer, int64_t *ret_ms, struct error *err)
{
    struct str text = STR_NULL;

    if (!envelope_value_text(value, arena, &text) || !clock_parse(text, ret_ms))
        return error_set_at(err, pointer,
                            "not a time: give RFC 3339, such as "
                            "\"2027-01-01T08:00:00Z\"");
    return ST_OK;
}

enum status
envelope_value_name(struct jsontext value, struct arena *arena,
                    const char *pointer, struct str *ret, struct error *err)
{
    if (!envelope_value_text(value, arena, ret) || !id_task_valid(*ret))
        return error_set_at(err, pointer,
                            "must be a text of 1 to %d characters "
                            "A-Z a-z 0-9 _ . : -",
                            ID_TASK_MAX);
    return ST_OK;
}

enum status
envelope_value_integer(struct jsontext value, const char *pointer, int64_t max,
                       int32_t *ret, struct error *err)
{
    int64_t n = 0;

    if (value.type != JSONTEXT_NUMBER || !jsontext_i64(value, &n) || n < 0 ||
        n > max)
        return error_set_at(err, pointer, "must be an integer from 0 to %lld",
                            (long long)max);
    *ret = (int32_t)n;
    return ST_OK;
}

/* ---- the walk ---- */

static const struct envelope_field_reader *
find_field(const struct envelope_field_reader *table, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(table[i].name, key))
            return &table[i];
    return NULL;
}

/* RFC 6901 section 3: "~" and "/" within a name are written "~0" and "~1". */
static void
make_pointer(const char *parent, struct str key, char *dst, size_t size)
{
    size_t len = (size_t)snprintf(dst, size, "%s/", parent);

    for (size_t i = 0; i < key.n && len + 3 < size; i++) {
        char c = key.p[i];
        if (c == '~' || c == '/') {
            dst[len++] = '~';
            c = c == '~' ? '0' : '1';
        }
        dst[len++] = c;
    }
    dst[len] = '\0';
}

static enum status
refuse_key(const char *parent, struct str key, bool twice, struct error *err)
{
    char pointer[sizeof err->pointer];
    int shown = key.n < SHOWN_MAX ? (int)key.n : SHOWN_MAX;

    make_pointer(parent, key, pointer, sizeof pointer);
    if (twice)
        return error_set_at(err, pointer, "the field stands twice");
    return error_set_at(err, pointer,
                        "there is no field \"%.*s\" here: mind the spelling, "
                        "docs/http-api.md lists them",
                        shown, key.p);
}

enum status
envelope_value_walk(struct jsontext object, const char *parent,
                    const struct envelope_field_reader *table, size_t n,
                    struct arena *arena, struct envelope *envelope,
                    struct error *err)
{
    struct str key;
    struct jsontext value;
    struct jsontext_walk walk = jsontext_walk(object);
    uint32_t seen = 0;

    while (jsontext_next(&walk, &key, &value)) {
        const struct envelope_field_reader *field = find_field(table, n, key);
        if (!field || (seen & field->bit))
            return refuse_key(parent, key, field != NULL, err);
        seen |= field->bit;
        if (value.type == JSONTEXT_NULL)
            continue;
        enum status st = field->read(value, arena, envelope, err);
        if (st != ST_OK)
            return st;
        envelope->given |= field->bit;
    }
    return ST_OK;
}
