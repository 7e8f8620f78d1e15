/* Body: checked as text first (depth, keys that stand twice), then a tree. */
#include "api/body.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "queue/job/job.h"

enum { POINTER_SIZE = 96, SHOWN_MAX = 40 };

static enum status
wrong(const char *pointer, const char *what, struct error *err)
{
    return error_set_at(err, pointer, "%s", what);
}

static bool
in_range(const struct body_field *field, int64_t n)
{
    return (field->min == 0 && field->max == 0) ||
           (n >= field->min && n <= field->max);
}

static enum status
read_integer(const struct body_field *field, const json_t *json,
             const char *pointer, struct body_value *value, struct error *err)
{
    value->number = json_integer_value(json);
    if (!json_is_integer(json) || !in_range(field, value->number))
        return error_set_at(err, pointer,
                            "must be an integer from %lld to %lld",
                            (long long)field->min, (long long)field->max);
    return ST_OK;
}

static enum status
read_duration(const struct body_field *field, const json_t *json,
              const char *pointer, struct body_value *value, struct error *err)
{
    bool good = false;

    if (json_is_string(json)) {
        good =
            str_to_duration_ms(str_c(json_string_value(json)), &value->number);
    } else if (json_is_number(json)) {
        double ms = round(json_number_value(json) * 1000);
        good = ms >= 0 && ms <= (double)JOB_DELAY_MAX_MS;
        value->number = good ? (int64_t)ms : 0;
    }
    if (!good)
        return wrong(pointer,
                     "not a duration: give a text such as \"500ms\", \"30s\", "
                     "\"5m\", \"2h\", \"7d\", or seconds as a number",
                     err);
    if (!in_range(field, value->number))
        return error_set_at(err, pointer, "must be from %lld ms to %lld ms",
                            (long long)field->min, (long long)field->max);
    return ST_OK;
}

static enum status
read_text(const struct body_field *field, const json_t *json,
          const char *pointer, struct body_value *value, struct error *err)
{
    value->text = str_from(json_string_value(json), json_string_length(json));
    bool good = json_is_string(json) && in_range(field, (int64_t)value->text.n);
    for (size_t i = 0; good && i < value->text.n; i++)
        good =
            (unsigned char)value->text.p[i] >= 0x20 && value->text.p[i] != 0x7f;
    if (!good)
        return error_set_at(err, pointer,
                            "must be a text of %lld to %lld bytes without "
                            "control characters",
                            (long long)field->min, (long long)field->max);
    return ST_OK;
}

static enum status
read_value(const struct body_field *field, json_t *json, const char *pointer,
           struct body_value *value, struct error *err)
{
    int32_t rate = 0;
    struct str text = str_c(json_string_value(json));

    switch (field->kind) {
    case BODY_BOOL:
        value->number = json_is_true(json);
        return json_is_boolean(json)
                   ? ST_OK
                   : wrong(pointer, "must be true or false", err);
    case BODY_INTEGER:
        return read_integer(field, json, pointer, value, err);
    case BODY_DURATION:
        return read_duration(field, json, pointer, value, err);
    case BODY_TIME:
        return clock_parse(text, &value->number)
                   ? ST_OK
                   : wrong(pointer,
                           "not a time: give RFC 3339, such as "
                           "\"2027-01-01T08:00:00Z\"",
                           err);
    case BODY_TEXT:
        return read_text(field, json, pointer, value, err);
    case BODY_PERCENT:
        if (!json_is_number(json) || json_number_value(json) < 0 ||
            json_number_value(json) > 1)
            return wrong(pointer, "must be a number from 0 to 1", err);
        value->number = (int64_t)round(json_number_value(json) * 100);
        return ST_OK;
    case BODY_RATE:
        if (!job_rate_parse(text, &rate, &value->period_ms))
            return wrong(pointer,
                         "not a rate: give so many in a time, such as "
                         "\"100/m\", \"5/s\" or \"20/10s\"",
                         err);
        value->number = rate;
        return ST_OK;
    case BODY_JSON:
        break;
    }
    return ST_OK;
}

static enum status
refuse_unknown(const char *pointer, const struct body_field *fields, size_t n,
               struct error *err)
{
    char known[160] = "";

    if (n == 0)
        return error_set_at(err, pointer,
                            "there is nothing to say here: leave the body out");
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                 fields[i].name);
    }
    return error_set_at(err, pointer,
                        "there is no such field here: mind the spelling, there "
                        "are %s",
                        known);
}

enum status
body_fields(json_t *object, const char *at, const struct body_field *fields,
            size_t n, struct body_value *ret, struct error *err)
{
    const char *name;
    json_t *json;
    char pointer[POINTER_SIZE];

    assert(n <= BODY_FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct body_value){0};
    if (!json_is_object(object))
        return error_set_at(err, at, "must be an object");
    json_object_foreach(object, name, json)
    {
        size_t i = 0;
        snprintf(pointer, sizeof pointer, "%s/%.*s", at, SHOWN_MAX, name);
        while (i < n && strcmp(fields[i].name, name) != 0)
            i++;
        if (i == n)
            return refuse_unknown(pointer, fields, n, err);
        ret[i].given = true;
        ret[i].null = json_is_null(json);
        ret[i].json = json;
        enum status st =
            ret[i].null ? ST_OK
                        : read_value(&fields[i], json, pointer, &ret[i], err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* Which member holds the number that is too large for jansson, whose integers
 * have 64 bits. */
static enum status
refuse_number(struct jsontext object, const json_error_t *where,
              struct error *err)
{
    struct jsontext_walk walk = jsontext_walk(object);
    struct jsontext member;
    struct str key;

    while (jsontext_next(&walk, &key, &member)) {
        size_t end = (size_t)(member.raw.p - object.raw.p) + member.raw.n;
        char pointer[POINTER_SIZE];
        if (end < (size_t)where->position)
            continue;
        snprintf(pointer, sizeof pointer, "/%.*s",
                 key.n < SHOWN_MAX ? (int)key.n : SHOWN_MAX, key.p);
        return error_set_at(err, pointer,
                            "holds an integer that does not fit into 64 bits");
    }
    return error_set(err, ST_INVALID, "the body cannot be read: %s",
                     where->text);
}

enum status
body_read(struct co *co, struct http_exchange *exchange,
          const struct body_field *fields, size_t n, struct body *ret,
          struct error *err)
{
    return body_read_max(co, exchange, BODY_BYTES_MAX, fields, n, ret, err);
}

enum status
body_read_max(struct co *co, struct http_exchange *exchange, int64_t max,
              const struct body_field *fields, size_t n, struct body *ret,
              struct error *err)
{
    struct jsontext value;
    json_error_t where;

    *ret = (struct body){0};
    exchange_body_max(exchange, max);
    enum status st = exchange_read_all(co, exchange);
    if (st != ST_OK) {
        *err = exchange->err;
        return st;
    }
    struct str text =
        str_trim(str_from(exchange->req.body, exchange->req.body_len));
    if (text.n == 0)
        return ST_OK;
    st = jsontext_check(text, &value, err);
    if (st == ST_OK && value.type != JSONTEXT_OBJECT)
        return error_set(err, ST_INVALID, "the body must be a JSON object");
    if (st == ST_OK)
        st = jsontext_unique_keys(value, err);
    if (st != ST_OK)
        return st;
    ret->root = json_loadb(text.p, text.n, 0, &where);
    if (!ret->root)
        return refuse_number(value, &where, err);
    return body_fields(ret->root, "", fields, n, ret->values, err);
}

void
body_clear(struct body *body)
{
    json_decref(body->root);
    body->root = NULL;
}
