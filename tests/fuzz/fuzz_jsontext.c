/* What jsontext takes, jansson takes too, and both see the same value. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/jsontext.h"
#include "fuzz.h"

enum { STRING_MAX = 4 * 1024 * 1024 };

static void
compare_string(struct jsontext value, const json_t *expected)
{
    struct buf decoded;
    buf_init(&decoded, STRING_MAX);
    struct str s = jsontext_string(value, &decoded);
    assert(json_is_string(expected));
    assert(s.n == json_string_length(expected));
    assert(s.n == 0 || memcmp(s.p, json_string_value(expected), s.n) == 0);
    buf_clear(&decoded);
}

/* One level: the members, in the order in which they stand. */
static void
compare_members(struct jsontext value, const json_t *expected)
{
    struct jsontext_walk walk = jsontext_walk(value);
    struct str key;
    struct jsontext member;
    size_t n = 0;
    while (jsontext_next(&walk, &key, &member)) {
        n++;
        assert(member.raw.p >= value.raw.p);
        assert(member.raw.p + member.raw.n <= value.raw.p + value.raw.n);
        if (value.type == JSONTEXT_ARRAY && member.type == JSONTEXT_STRING)
            compare_string(member, json_array_get(expected, n - 1));
    }
    if (value.type == JSONTEXT_ARRAY)
        assert(n == json_array_size(expected));
    else
        assert(n == json_object_size(expected));
}

static void
compare(struct jsontext value, const json_t *expected)
{
    int64_t integer = 0;
    double real = 0;
    switch (value.type) {
    case JSONTEXT_NUMBER:
        assert(json_is_number(expected));
        if (json_is_integer(expected) && jsontext_i64(value, &integer))
            assert(integer == json_integer_value(expected));
        assert(jsontext_double(value, &real));
        assert(real == json_number_value(expected));
        break;
    case JSONTEXT_STRING:
        compare_string(value, expected);
        break;
    case JSONTEXT_ARRAY:
    case JSONTEXT_OBJECT:
        compare_members(value, expected);
        break;
    case JSONTEXT_TRUE:
        assert(json_is_true(expected));
        break;
    case JSONTEXT_FALSE:
        assert(json_is_false(expected));
        break;
    case JSONTEXT_NULL:
        assert(json_is_null(expected));
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from((const char *)data, size);
    struct jsontext value;
    struct error err;
    if (jsontext_check(text, &value, &err) != ST_OK)
        return 0;
    bool unique = value.type != JSONTEXT_OBJECT ||
                  jsontext_unique_keys(value, &err) == ST_OK;
    json_error_t problem;
    json_t *tree = json_loadb(text.p, text.n, JSON_DECODE_ANY, &problem);
    /* Integers beyond int64 are numbers to us, errors to jansson. */
    if (!tree) {
        assert(json_error_code(&problem) == json_error_numeric_overflow);
        return 0;
    }
    if (unique)
        compare(value, tree);
    json_decref(tree);
    return 0;
}
