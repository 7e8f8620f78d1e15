/* Jsontext: a scanner with a bit for each open container instead of a stack.
 *
 * Two kinds of code read here, and they must not be mixed:
 *   - jsontext_check() and what it calls (*_end()) trust nothing: every byte is
 *     compared with `end` before it is read. An *_end() gets the first byte of
 *     a thing and returns the first one behind it, or NULL after fail().
 *   - the walk (skip_*()) runs over text that passed the check, and leans on
 *     its grammar.
 * Invariant while checking: bit 0 of `kinds` is 1 inside an object, 0 inside an
 * array, and `depth` of its bits are in use. */
#include "base/jsontext.h"

#include <assert.h>

#include "base/utf8.h"

enum {
    SPACE = 1, /* RFC 8259 section 2: ws */
    STOP = 2,  /* not a plain byte of a string */
    DIGIT = 4,
    NEST = 8,  /* what a walk over a container must look at */
    WORD = 16, /* may stand in a number or a literal */
};

static const unsigned char classes[256] = {
    ['\0' ... '\b'] = STOP, ['\t' ... '\n'] = SPACE | STOP,
    ['\v' ... '\f'] = STOP, ['\r'] = SPACE | STOP,
    [0x0e ... 0x1f] = STOP, [' '] = SPACE,
    ['"'] = STOP | NEST,    ['\\'] = STOP,
    ['['] = NEST,           [']'] = NEST,
    ['{'] = NEST,           ['}'] = NEST,
    [0x80 ... 0xff] = STOP, ['0' ... '9'] = DIGIT | WORD,
    ['a' ... 'z'] = WORD,   ['E'] = WORD,
    ['+'] = WORD,           ['-'] = WORD,
    ['.'] = WORD,
};

/* A number with more characters than this, or with an exponent, may be too
 * large for a double; DBL_MAX has 309 digits. */
enum { SURELY_FINITE = 300 };

struct scan {
    const char *end;
    uint64_t kinds;
    unsigned depth;
    const char *why;   /* what is wrong, ... */
    const char *where; /* ... and where, once an *_end() returned NULL */
};

_Static_assert(JSONTEXT_DEPTH_MAX <= 64, "kinds has a bit for each level");

static const char *
fail(struct scan *s, const char *where, const char *why)
{
    s->where = where;
    s->why = why;
    return NULL;
}

static inline bool
is(const char *p, const char *end, int class)
{
    return p < end && (classes[(unsigned char)*p] & class);
}

static inline const char *
pass(const char *p, const char *end, int class)
{
    while (is(p, end, class))
        p++;
    return p;
}

/* The value of four hexadecimal digits, or -1. */
static int
hex4(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static bool
is_high_surrogate(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool
is_low_surrogate(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static const char *
escape_end(struct scan *s, const char *p)
{
    if (s->end - p < 2)
        return fail(s, p, "the string is not closed");
    if (p[1] != 'u') {
        if (p[1] && strchr("\"\\/bfnrt", p[1]))
            return p + 2;
        return fail(s, p, "there is no such escape in a string");
    }
    int unit = hex4(p + 2, s->end);
    if (unit < 0)
        return fail(s, p, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return fail(s, p, "\\u0000 is not allowed in a string");
    if (is_low_surrogate(unit))
        return fail(s, p, "a low surrogate without a high one before it");
    if (!is_high_surrogate(unit))
        return p + 6;
    if (s->end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
        !is_low_surrogate(hex4(p + 8, s->end)))
        return fail(s, p, "a high surrogate without a low one behind it");
    return p + 12;
}

/* @p: behind the opening quote. */
static const char *
string_end(struct scan *s, const char *p)
{
    for (;;) {
        while (p < s->end && !(classes[(unsigned char)*p] & STOP))
            p++;
        if (p == s->end)
            return fail(s, p, "the string is not closed");
        unsigned char c = (unsigned char)*p;
        if (c == '"')
            return p + 1;
        if (c < ' ')
            return fail(s, p,
                        "a control character in a string must be escaped");
        if (c == '\\') {
            p = escape_end(s, p);
            if (!p)
                return NULL;
            continue;
        }
        size_t n = utf8_length(p, s->end);
        if (n == 0)
            return fail(s, p, "the string is not UTF-8");
        p += n;
    }
}

static const char *
number_end(struct scan *s, const char *p)
{
    const char *start = p;
    bool has_exponent = false;

    if (*p == '-')
        p++;
    if (!is(p, s->end, DIGIT))
        return fail(s, p, "a minus sign needs a digit behind it");
    if (*p == '0' && is(p + 1, s->end, DIGIT))
        return fail(s, p, "a number must not begin with 0");
    p = pass(p, s->end, DIGIT);
    if (p < s->end && *p == '.') {
        if (!is(++p, s->end, DIGIT))
            return fail(s, p, "a decimal point needs a digit behind it");
        p = pass(p, s->end, DIGIT);
    }
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        has_exponent = true;
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        if (!is(p, s->end, DIGIT))
            return fail(s, p, "an exponent needs a digit");
        p = pass(p, s->end, DIGIT);
    }
    if (has_exponent || p - start > SURELY_FINITE) {
        struct jsontext number = {JSONTEXT_NUMBER,
                                  str_from(start, (size_t)(p - start))};
        double value;
        if (!jsontext_double(number, &value))
            return fail(s, start, "the number is too large for a double");
    }
    return p;
}

static const char *
literal_end(struct scan *s, const char *p, struct str word)
{
    if (!str_starts(str_from(p, (size_t)(s->end - p)), word))
        return fail(s, p,
                    "a value must be a string, number, object, array, "
                    "true, false or null");
    return p + word.n;
}

/* A member's key with its colon, up to the first byte of the value. */
static const char *
key_end(struct scan *s, const char *p)
{
    if (p == s->end || *p != '"')
        return fail(s, p, "an object's key must be a string in quotes");
    p = string_end(s, p + 1);
    if (!p)
        return NULL;
    p = pass(p, s->end, SPACE);
    if (p == s->end || *p != ':')
        return fail(s, p, "a key needs a colon behind it");
    return pass(p + 1, s->end, SPACE);
}

/* Enters the container at @p. Returns where its first value begins, or its
 * closing bracket with *ret_empty set. */
static const char *
enter(struct scan *s, const char *p, bool *ret_empty)
{
    bool object = *p == '{';

    if (s->depth == JSONTEXT_DEPTH_MAX)
        return fail(s, p, "nested deeper than 64 levels");
    s->depth++;
    s->kinds = s->kinds << 1 | object;
    p = pass(p + 1, s->end, SPACE);
    *ret_empty = p < s->end && *p == (object ? '}' : ']');
    return object && !*ret_empty ? key_end(s, p) : p;
}

/* Behind a value: leaves the containers that end here. Returns where the next
 * value begins, or the end of the text's value when depth is 0. */
static const char *
leave(struct scan *s, const char *p)
{
    while (s->depth > 0) {
        bool object = s->kinds & 1;
        p = pass(p, s->end, SPACE);
        if (p == s->end)
            return fail(s, p,
                        object ? "the object is not closed"
                               : "the array is not closed");
        if (*p == ',') {
            p = pass(p + 1, s->end, SPACE);
            return object ? key_end(s, p) : p;
        }
        if (*p != (object ? '}' : ']'))
            return fail(s, p,
                        object ? "a member needs , or } behind it"
                               : "an element needs , or ] behind it");
        s->kinds >>= 1;
        s->depth--;
        p++;
    }
    return p;
}

/* The whole value at @p, however deep. */
static const char *
value_end(struct scan *s, const char *p)
{
    do {
        bool empty = true;
        switch (p < s->end ? *p : '\0') {
        case '"':
            p = string_end(s, p + 1);
            break;
        case '{':
        case '[':
            p = enter(s, p, &empty);
            break;
        case 't':
            p = literal_end(s, p, STR("true"));
            break;
        case 'f':
            p = literal_end(s, p, STR("false"));
            break;
        default:
            if (is(p, s->end, DIGIT) || (p < s->end && *p == '-'))
                p = number_end(s, p);
            else
                p = literal_end(s, p, STR("null"));
        }
        if (p && empty)
            p = leave(s, p);
    } while (p && s->depth > 0);
    return p;
}

static enum jsontext_type
type_of(char first)
{
    switch (first) {
    case '"':
        return JSONTEXT_STRING;
    case '{':
        return JSONTEXT_OBJECT;
    case '[':
        return JSONTEXT_ARRAY;
    case 't':
        return JSONTEXT_TRUE;
    case 'f':
        return JSONTEXT_FALSE;
    case 'n':
        return JSONTEXT_NULL;
    default:
        return JSONTEXT_NUMBER;
    }
}

enum status
jsontext_check(struct str text, struct jsontext *ret, struct error *err)
{
    if (text.n == 0)
        return error_set(err, ST_INVALID, "not JSON: the text is empty");

    struct scan s = {.end = text.p + text.n};
    const char *start = pass(text.p, s.end, SPACE);
    const char *p = value_end(&s, start);
    if (p) {
        const char *behind = pass(p, s.end, SPACE);
        if (behind == s.end) {
            *ret = (struct jsontext){type_of(*start),
                                     str_from(start, (size_t)(p - start))};
            return ST_OK;
        }
        fail(&s, behind, "there is text behind the value");
    }
    return error_set(err, ST_INVALID, "not JSON at byte offset %zu: %s",
                     (size_t)(s.where - text.p), s.why);
}

/* Checked text: the closing quote is there. @p: behind the opening one. */
static const char *
skip_string(const char *p)
{
    while (*p != '"')
        p += *p == '\\' ? 2 : 1;
    return p + 1;
}

static const char *
skip_container(const char *p)
{
    unsigned depth = 0;

    do {
        while (!(classes[(unsigned char)*p] & NEST))
            p++;
        char c = *p++;
        if (c == '"')
            p = skip_string(p);
        else if (c == '{' || c == '[')
            depth++;
        else
            depth--;
    } while (depth > 0);
    return p;
}

struct jsontext_walk
jsontext_walk(struct jsontext value)
{
    assert(value.type == JSONTEXT_OBJECT || value.type == JSONTEXT_ARRAY);
    return (struct jsontext_walk){
        .p = value.raw.p + 1,
        .end = value.raw.p + value.raw.n - 1,
        .object = value.type == JSONTEXT_OBJECT,
    };
}

bool
jsontext_next(struct jsontext_walk *w, struct str *ret_key,
              struct jsontext *ret)
{
    const char *p = pass(w->p, w->end, SPACE);

    if (p < w->end && *p == ',')
        p = pass(p + 1, w->end, SPACE);
    if (p == w->end)
        return false;
    *ret_key = STR_NULL;
    if (w->object) {
        const char *key = p + 1;
        p = skip_string(key);
        *ret_key = str_from(key, (size_t)(p - key - 1));
        p = pass(p, w->end, SPACE);
        p = pass(p + 1, w->end, SPACE);
    }
    const char *value = p;
    ret->type = type_of(*p);
    if (ret->type == JSONTEXT_STRING)
        p = skip_string(p + 1);
    else if (ret->type == JSONTEXT_OBJECT || ret->type == JSONTEXT_ARRAY)
        p = skip_container(p);
    else
        p = pass(p, w->end, WORD);
    ret->raw = str_from(value, (size_t)(p - value));
    w->p = p;
    return true;
}

static char *
put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}

/* Decodes the checked inside of a string to @to, where raw.n bytes have room:
 * no escape is shorter than what it stands for. Returns the end. */
static char *
decode(struct str raw, char *to)
{
    static const char from_letter[] = "b\bf\fn\nr\rt\t";
    const char *p = raw.p, *end = raw.p + raw.n;

    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        if (p[1] == 'u') {
            unsigned code = (unsigned)hex4(p + 2, end);
            p += 6;
            if (is_high_surrogate((int)code)) {
                unsigned low = (unsigned)hex4(p + 2, end);
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
            to = put_utf8(to, code);
            continue;
        }
        const char *letter = strchr(from_letter, p[1]);
        *to++ = letter ? letter[1] : p[1];
        p += 2;
    }
    return to;
}

struct str
jsontext_string(struct jsontext string, struct buf *dst)
{
    assert(string.type == JSONTEXT_STRING);
    struct str raw = str_from(string.raw.p + 1, string.raw.n - 2);

    if (raw.n == 0 || !memchr(raw.p, '\\', raw.n))
        return raw;
    char *to = buf_room(dst, raw.n);
    if (!to)
        return STR_NULL;
    size_t n = (size_t)(decode(raw, to) - to);
    buf_grew(dst, n);
    return str_from(to, n);
}
