/* JSON as text: a table of tricky documents with the verdict of RFC 8259, and
 * the same judged by jansson, a parser that others have tested; then mutations
 * of all of them, where the two must agree on every verdict and value.
 *
 * PIT_TEST_SEED=n repeats or varies the mutations. Each text is checked in a
 * block of its own exact size, so that the address sanitizer sees a byte read
 * too much. */
#include "base/jsontext.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#define DOC(literal) STR(literal)
#define TIMES_8(x) x x x x x x x x
#define TIMES_64(x) TIMES_8(TIMES_8(x))

enum { ROUNDS = 60000, TEXT_MAX = 4096 };

static const struct str good[] = {
    DOC("null"),
    DOC(" \t\r\n true \t\r\n "),
    DOC("false"),
    DOC("0"),
    DOC("-0"),
    DOC("-0.0e-0"),
    DOC("10"),
    DOC("1.5E+3"),
    DOC("1e308"),
    DOC("1e-999"),
    DOC("0e999"),
    DOC("-0.000e99999999999999999999"),
    DOC("1.7976931348623157e308"),
    DOC("17976931348623157e292"),
    /* The last number that rounds to DBL_MAX: 2^1024 - 2^970 - 1 ulp/2. */
    DOC("1.797693134862315807e308"),
    DOC("123456789012345678901234567890"),
    DOC("0." TIMES_64("00000000") "1e500"),
    DOC(TIMES_64("99999999") "e-300"),
    DOC("\"\""),
    DOC("\"a\""),
    DOC("\"\x7f\""),
    DOC("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    DOC("\"\\u0001\\u00e9\\u20AC\\uFfFf\""),
    DOC("\"\\ud83d\\ude00\""),
    DOC("\"\\uDBFF\\uDFFF\""),
    DOC("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
    DOC("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    DOC("[]"),
    DOC("[ ]"),
    DOC("{}"),
    DOC("{ }"),
    DOC("[[],{},[[]]]"),
    DOC("[1,2 , 3]"),
    DOC("[\"]\",\"\\\"]\",\"\\\\\"]"),
    DOC("{\"a\":{\"b\":[{\"c\":null}]},\"\":0}"),
    DOC("{\"a\\\"b\" : \"}\" , \"k\\u0041\":-1.25e2}"),
    DOC("{\"\\ud83d\\ude00\":[true,false,null]}"),
    DOC(TIMES_64("[") TIMES_64("]")),
    DOC(TIMES_64("{\"a\":") "1" TIMES_64("}")),
    DOC("{\"task\": \"reports.packages\", \"args\": {\"top\": 20}, \"queue\": "
        "\"reports\", \"priority\": 5, \"delay\": \"30s\", \"tags\": "
        "[\"nightly\", \"a b\"], \"retry\": {\"max\": 8, \"jitter\": 0.2}}"),
};

static const struct {
    struct str text;
    size_t offset;
} bad[] = {
    {DOC(" "), 1},
    {DOC("nul"), 0},
    {DOC("nulll"), 4},
    {DOC("True"), 0},
    {DOC("NaN"), 0},
    {DOC("Infinity"), 0},
    {DOC("-Infinity"), 1},
    {DOC("01"), 0},
    {DOC("-01"), 1},
    {DOC("00"), 0},
    {DOC("+1"), 0},
    {DOC("-"), 1},
    {DOC("1."), 2},
    {DOC(".5"), 0},
    {DOC("1.e5"), 2},
    {DOC("1e"), 2},
    {DOC("1e+"), 3},
    {DOC("0x10"), 1},
    {DOC("1_000"), 1},
    {DOC("1 2"), 2},
    {DOC("1e999"), 0},
    {DOC("-1e999"), 0},
    {DOC("1e99999999999999999999"), 0},
    {DOC("1.7976931348623159e308"), 0},
    {DOC("1.79769313486231580794e308"), 0},
    {DOC(TIMES_64("99999999")), 0},
    {DOC("\""), 1},
    {DOC("\"a"), 2},
    {DOC("'a'"), 0},
    {DOC("\"a\nb\""), 2},
    {DOC("\"a\0b\""), 2},
    {DOC("\"\x1f\""), 1},
    {DOC("\"\\\""), 3},
    {DOC("\"\\"), 1},
    {DOC("\"\\x41\""), 1},
    {DOC("\"\\U0041\""), 1},
    {DOC("\"\\\0\""), 1},
    {DOC("\"\\u\""), 1},
    {DOC("\"\\u004\""), 1},
    {DOC("\"\\u004g\""), 1},
    {DOC("\"\\u 041\""), 1},
    {DOC("\"\\u00"), 1},
    {DOC("\"\\u0000\""), 1},
    {DOC("\"ab\\u0000\""), 3},
    {DOC("\"\\ud800\""), 1},
    {DOC("\"\\ud83d\\u0041\""), 1},
    {DOC("\"\\ud83d\\ud83d\""), 1},
    {DOC("\"\\ud83d\\n\""), 1},
    {DOC("\"\\ud83dxude00\""), 1},
    {DOC("\"\\ud83d\\ude0\""), 1},
    {DOC("\"\\ud83d\\ude0"), 1},
    {DOC("\"\\ude00\""), 1},
    {DOC("\"\\ude00\\ud83d\""), 1},
    {DOC("\"\x80\""), 1},
    {DOC("\"\xff\""), 1},
    {DOC("\"\xc3\""), 1},
    {DOC("\"\xc3"), 1},
    {DOC("\"\xc0\x80\""), 1},
    {DOC("\"\xc1\xbf\""), 1},
    {DOC("\"\xe0\x9f\xbf\""), 1},
    {DOC("\"\xe2\x82\""), 1},
    {DOC("\"\xed\xa0\x80\""), 1},
    {DOC("\"\xed\xbf\xbf\""), 1},
    {DOC("\"\xf0\x8f\xbf\xbf\""), 1},
    {DOC("\"\xf0\x9f\x94\""), 1},
    {DOC("\"\xf4\x90\x80\x80\""), 1},
    {DOC("\"\xf5\x80\x80\x80\""), 1},
    {DOC("\"\xf8\x88\x80\x80\x80\""), 1},
    {DOC("\xef\xbb\xbf{}"), 0},
    {DOC("\xc3\xa9"), 0},
    {DOC("["), 1},
    {DOC("[1"), 2},
    {DOC("[1,"), 3},
    {DOC("[1,]"), 3},
    {DOC("[,1]"), 1},
    {DOC("[,]"), 1},
    {DOC("[1 2]"), 3},
    {DOC("[1,,2]"), 3},
    {DOC("[1}"), 2},
    {DOC("]"), 0},
    {DOC("[]]"), 2},
    {DOC("{"), 1},
    {DOC("{\"a\""), 4},
    {DOC("{\"a\":"), 5},
    {DOC("{\"a\":1"), 6},
    {DOC("{\"a\":1,"), 7},
    {DOC("{\"a\":1,}"), 7},
    {DOC("{,}"), 1},
    {DOC("{\"a\" 1}"), 5},
    {DOC("{\"a\",1}"), 4},
    {DOC("{\"a\"}"), 4},
    {DOC("{a:1}"), 1},
    {DOC("{1:1}"), 1},
    {DOC("{\"a\":1 \"b\":2}"), 7},
    {DOC("{\"a\":1]"), 6},
    {DOC("{\"a\":}"), 5},
    {DOC("{\"a\":1}}"), 7},
    {DOC("}"), 0},
    {DOC("[1]\0"), 3},
    {DOC("\0"), 0},
    {DOC("[\0]"), 1},
    {DOC("{} x"), 3},
    {DOC("[] // no"), 3},
    {DOC("/**/[]"), 0},
    {DOC("\v[]"), 0},
    {DOC("\xc2\xa0[]"), 0},
    {DOC(TIMES_64("[") "[]" TIMES_64("]")), 64},
    {DOC(TIMES_64("{\"a\":") "{}" TIMES_64("}")), 320},
};

/* @text in a block that ends where it ends. */
static char *
exact_copy(struct str text)
{
    char *copy = malloc(text.n ? text.n : 1);

    assert_non_null(copy);
    memcpy(copy, text.p, text.n);
    return copy;
}

static json_t *
peer_parse(const char *p, size_t n)
{
    return json_loadb(p, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

static void assert_same(struct jsontext ours, json_t *theirs);

static void
assert_same_object(struct jsontext ours, json_t *theirs)
{
    CLEANUP(buf_clear) struct buf decoded;
    struct jsontext_walk walk = jsontext_walk(ours);
    struct jsontext member;
    struct str key;
    size_t members = 0;

    /* A peer keeps the last of two members of one name. */
    bool unique = jsontext_unique_keys(ours, NULL) == ST_OK;
    buf_init(&decoded, TEXT_MAX);
    while (jsontext_next(&walk, &key, &member)) {
        struct jsontext string = {JSONTEXT_STRING,
                                  str_from(key.p - 1, key.n + 2)};
        struct str name = jsontext_string(string, &decoded);
        json_t *peer = json_object_getn(theirs, name.p, name.n);
        assert_non_null(peer);
        if (unique)
            assert_same(member, peer);
        members++;
    }
    if (unique)
        assert_int_equal(members, json_object_size(theirs));
    else
        assert_true(members > json_object_size(theirs));
}

static void
assert_same_array(struct jsontext ours, json_t *theirs)
{
    struct jsontext_walk walk = jsontext_walk(ours);
    struct jsontext element;
    struct str key;
    size_t n = 0;

    while (jsontext_next(&walk, &key, &element)) {
        assert_int_equal(key.n, 0);
        assert_same(element, json_array_get(theirs, n++));
    }
    assert_int_equal(n, json_array_size(theirs));
}

static void
assert_same(struct jsontext ours, json_t *theirs)
{
    CLEANUP(buf_clear) struct buf decoded;
    double number = NAN;

    assert_non_null(theirs);
    buf_init(&decoded, TEXT_MAX);
    switch (ours.type) {
    case JSONTEXT_NULL:
        assert_true(json_is_null(theirs));
        break;
    case JSONTEXT_FALSE:
        assert_true(json_is_false(theirs));
        break;
    case JSONTEXT_TRUE:
        assert_true(json_is_true(theirs));
        break;
    case JSONTEXT_NUMBER:
        assert_true(jsontext_double(ours, &number));
        assert_true(json_is_real(theirs));
        assert_true(number == json_real_value(theirs));
        break;
    case JSONTEXT_STRING:
        assert_true(json_is_string(theirs));
        assert_true(str_eq(
            jsontext_string(ours, &decoded),
            str_from(json_string_value(theirs), json_string_length(theirs))));
        break;
    case JSONTEXT_ARRAY:
        assert_true(json_is_array(theirs));
        assert_same_array(ours, theirs);
        break;
    case JSONTEXT_OBJECT:
        assert_true(json_is_object(theirs));
        assert_same_object(ours, theirs);
        break;
    }
}

static void
show(struct str text)
{
    CLEANUP(buf_clear) struct buf b;

    buf_init(&b, 6 * TEXT_MAX);
    for (size_t i = 0; i < text.n; i++)
        buf_addf(&b, text.p[i] >= ' ' && text.p[i] < 0x7f ? "%c" : "\\x%02x",
                 (unsigned char)text.p[i]);
    print_error("text of %zu bytes: %.*s\n", text.n, STR_ARG(buf_str(&b)));
}

/* Both parsers must say the same. Returns whether they took it. */
static bool
agree(struct str text)
{
    char *copy = exact_copy(text);
    struct jsontext value;
    struct error err;

    enum status status = jsontext_check(str_from(copy, text.n), &value, &err);
    json_t *peer = peer_parse(copy, text.n);
    /* jansson takes a NUL behind a number for the end of the text; no JSON
     * holds one. Our depth is less than its. */
    bool ours = memchr(copy, '\0', text.n) != NULL ||
                (status != ST_OK && strstr(err.msg, "nested deeper"));
    if (ours)
        assert_int_equal(status, ST_INVALID);
    if (!ours && (status == ST_OK) != (peer != NULL)) {
        show(text);
        fail_msg("we: %s; they: %s", status ? err.msg : "fine",
                 peer ? "fine" : "bad");
    }
    if (status == ST_OK)
        assert_same(value, peer);
    json_decref(peer);
    free(copy);
    return status == ST_OK;
}

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct jsontext value;
        struct error err;
        if (jsontext_check(good[i], &value, &err) != ST_OK) {
            show(good[i]);
            fail_msg("%s", err.msg);
        }
        assert_true(str_eq(value.raw, str_trim(good[i])));
        assert_true(agree(good[i]));
    }
}

static void
test_bad_says_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct jsontext value = {JSONTEXT_TRUE, STR_NULL};
        struct error err;
        char want[64];
        char *copy = exact_copy(bad[i].text);
        enum status status =
            jsontext_check(str_from(copy, bad[i].text.n), &value, &err);
        snprintf(want, sizeof want,
                 "not JSON at byte offset %zu: ", bad[i].offset);
        if (status != ST_INVALID || strncmp(err.msg, want, strlen(want)) != 0) {
            show(bad[i].text);
            fail_msg("%s", status ? err.msg : "was taken");
        }
        /* Outputs are untouched on failure. */
        assert_int_equal(value.type, JSONTEXT_TRUE);
        assert_null(value.raw.p);
        free(copy);
        agree(bad[i].text);
    }
    assert_int_equal(jsontext_check(STR_NULL, &(struct jsontext){0}, NULL),
                     ST_INVALID);
}

static void
test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t n = 1; n < good[i].n; n++)
            agree(str_from(good[i].p, n));
}

/* Mostly good ones: a single fault is the harder case. */
static struct str
pick(void)
{
    if (random() % 4)
        return good[(size_t)random() % ARRAY_LEN(good)];
    return bad[(size_t)random() % ARRAY_LEN(bad)].text;
}

/* Changes @text in one place; returns the new length. */
static size_t
mutate(char *text, size_t n)
{
    static const char spice[] = "\"\\{}[]:,.-+eE0129tfnu dD8cC\n\x01\x00\x7f"
                                "\x80\xbf\xc2\xe2\xed\xf0\xf4\xff";
    size_t at = n ? (size_t)random() % n : 0;
    char c = spice[(size_t)random() % (sizeof spice - 1)];
    struct str other;
    size_t from, len;

    switch (random() % 5) {
    case 0:
        if (n)
            text[at] = c;
        return n;
    case 1:
        memmove(text + at + 1, text + at, n - at);
        text[at] = c;
        return n + 1;
    case 2:
        if (n)
            memmove(text + at, text + at + 1, n - at - 1);
        return n ? n - 1 : 0;
    case 3:
        return at;
    default: /* a piece of another text in the middle of this */
        other = pick();
        from = (size_t)random() % other.n;
        len = (size_t)random() % (other.n - from) + 1;
        if (n + len > TEXT_MAX / 2)
            return n;
        memmove(text + at + len, text + at, n - at);
        memcpy(text + at, other.p + from, len);
        return n + len;
    }
}

static void
test_agrees_with_a_peer_on_mutations(void **state)
{
    const char *given = getenv("PIT_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261123;
    int taken = 0;

    (void)state;
    print_message("PIT_TEST_SEED=%u, %d rounds\n", seed, ROUNDS);
    srandom(seed);
    for (int round = 0; round < ROUNDS; round++) {
        char text[TEXT_MAX];
        struct str base = pick();
        size_t n = base.n;
        memcpy(text, base.p, n);
        for (long i = random() % 4; i >= 0; i--)
            n = mutate(text, n);
        if (n > 0)
            taken += agree(str_from(text, n));
    }
    print_message("%d of them were JSON\n", taken);
    /* A mutator that only makes rubbish tests nothing. */
    assert_in_range(taken, ROUNDS / 20, ROUNDS - ROUNDS / 20);
}

static struct jsontext
checked(const char *text)
{
    struct jsontext value;
    struct error err;

    if (jsontext_check(str_c(text), &value, &err) != ST_OK)
        fail_msg("%s: %s", text, err.msg);
    return value;
}

static void
test_walks_an_object(void **state)
{
    static const struct {
        const char *key, *raw;
        enum jsontext_type type;
    } want[] = {
        {"a", "\"x,}\"", JSONTEXT_STRING},
        {"b", "{\"c\":[\"]\", {}]}", JSONTEXT_OBJECT},
        {"d", "[ {\"}\":1} ]", JSONTEXT_ARRAY},
        {"e\\\"", "-1.5E+3", JSONTEXT_NUMBER},
        {"f", "true", JSONTEXT_TRUE},
        {"g", "false", JSONTEXT_FALSE},
        {"", "null", JSONTEXT_NULL},
    };
    struct jsontext object = checked(
        " { \"a\" : \"x,}\" ,\"b\":{\"c\":[\"]\", {}]},\"d\":[ {\"}\":1} ] ,"
        "\n\"e\\\"\": -1.5E+3,\"f\":true,\"g\":false , \"\" : null } ");
    struct jsontext_walk walk = jsontext_walk(object);
    struct jsontext member;
    struct str key;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(jsontext_next(&walk, &key, &member));
        assert_true(str_eq_c(key, want[i].key));
        assert_true(str_eq_c(member.raw, want[i].raw));
        assert_int_equal(member.type, want[i].type);
    }
    assert_false(jsontext_next(&walk, &key, &member));
    assert_false(jsontext_next(&walk, &key, &member));

    walk = jsontext_walk(checked("{ }"));
    assert_false(jsontext_next(&walk, &key, &member));
    walk = jsontext_walk(checked("[]"));
    assert_false(jsontext_next(&walk, &key, &member));
}

static void
test_decodes_strings(void **state)
{
    CLEANUP(buf_clear) struct buf dst;
    struct jsontext plain = checked("\"a/\xc3\xa9\"");

    (void)state;
    buf_init(&dst, 100);
    assert_ptr_equal(jsontext_string(plain, &dst).p, plain.raw.p + 1);
    assert_int_equal(dst.len, 0);
    buf_add_c(&dst, ">");
    struct str got = jsontext_string(
        checked("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac"
                "\\ud83d\\ude00z\""),
        &dst);
    assert_true(
        str_eq_c(got, "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"));
    assert_ptr_equal(got.p, dst.p + 1);
    assert_int_equal(dst.len, got.n + 1);
    assert_int_equal(jsontext_string(checked("\"\""), &dst).n, 0);
    assert_false(dst.failed);

    buf_clear(&dst);
    buf_init(&dst, 3);
    assert_int_equal(jsontext_string(checked("\"\\nabc\""), &dst).n, 0);
    assert_true(dst.failed);
}

static void
test_integers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"0.000e5", true, 0},
        {"0e99999999999999999999", true, 0},
        {"42", true, 42},
        {"-42", true, -42},
        {"1.0", true, 1},
        {"1e2", true, 100},
        {"1.50e1", true, 15},
        {"1200e-2", true, 12},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775807.000", true, INT64_MAX},
        {"92233720368547758070e-1", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"9999999999999999999", false, 0},
        {"10000000000000000000", false, 0},
        {"1e18", true, INT64_C(1000000000000000000)},
        {"1e19", false, 0},
        {"1e300", false, 0},
        {"1.5", false, 0},
        {"1e-1", false, 0},
        {"1e-99999999999999999999", false, 0},
        {"1" TIMES_64("0000000000000000") "e-1024", true, 1},
        {"0." TIMES_64("0000000000000000") "7e1025", true, 7},
        {"1" TIMES_64("0000000000000000") "1e-1025", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 77;
        bool ok = jsontext_i64(checked(rows[i].text), &got);
        if (ok != rows[i].ok || got != (ok ? rows[i].want : 77))
            fail_msg("%s: %d, %lld", rows[i].text, ok, (long long)got);
    }
}

static void
test_doubles(void **state)
{
    double got = 5;

    (void)state;
    assert_true(jsontext_double(checked("-0.2"), &got));
    assert_true(got == -0.2);
    assert_true(jsontext_double(checked("-0"), &got));
    assert_true(got == 0 && signbit(got));
    assert_true(jsontext_double(checked("4.9e-324"), &got));
    assert_true(got == DBL_TRUE_MIN);
    assert_true(jsontext_double(checked("1.7976931348623157e308"), &got));
    assert_true(got == DBL_MAX);
    /* 1 + 2^-53 is half way between two doubles and rounds down to even; the
     * least more rounds up, however far behind it comes. */
    const char half[] =
        "1.00000000000000011102230246251565404236316680908203125";
    char more[2000];
    assert_true(jsontext_double(checked(half), &got));
    assert_true(got == 1);
    snprintf(more, sizeof more, "%s%01500d1", half, 0);
    assert_true(jsontext_double(checked(more), &got));
    assert_true(got == 1 + DBL_EPSILON);
    got = 5;
    assert_false(jsontext_double(checked("\"1\""), &got));
    assert_true(got == 5);
}

static void
test_unique_keys(void **state)
{
    static const struct {
        const char *text;
        const char *pointer; /* NULL: unique */
    } rows[] = {
        {"{}", NULL},
        {"{\"a\":1,\"b\":1,\"A\":1,\"\":1,\"ab\":1}", NULL},
        {"{\"a\":1,\"b\":1,\"a\":2}", "/a"},
        {"{\"\":1,\"\":2}", "/"},
        {"{\"a\":1,\"\\u0061\":2}", "/a"},
        {"{\"\\u0061\":1,\"b\":2,\"a\":3}", "/a"},
        {"{\"\\u0061\\n\":1,\"\\u0062\\n\":2,\"b\\n\":3}", "/b\n"},
        {"{\"a/b~\":1,\"a/b~\":2}", "/a~1b~0"},
        {"{\"a\":{\"a\":1},\"b\":[{\"a\":1}]}", NULL},
        /* Only the object itself is looked at. */
        {"{\"a\":{\"b\":1,\"b\":2}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err = {.status = ST_OK};
        enum status status = jsontext_unique_keys(checked(rows[i].text), &err);
        assert_int_equal(status, rows[i].pointer ? ST_INVALID : ST_OK);
        assert_string_equal(err.pointer,
                            rows[i].pointer ? rows[i].pointer : "");
    }
}

/* An object of @n keys; key @twin is called like key 0. */
static enum status
many_keys(int n, int twin, struct error *err)
{
    CLEANUP(buf_clear) struct buf b;

    buf_init(&b, 100000);
    buf_add_char(&b, '{');
    for (int i = 0; i < n; i++)
        buf_addf(&b, "%s\"%s%d\":%d", i ? "," : "", i % 3 ? "k" : "\\u006b",
                 i == twin ? 0 : i, i);
    buf_addf(&b, "}%c", '\0');
    return jsontext_unique_keys(checked(b.p), err);
}

static void
test_many_keys(void **state)
{
    static const int counts[] = {2, 31, 32, 33, 34, 500, 1023, 1024};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_int_equal(many_keys(counts[i], -1, &err), ST_OK);
        assert_int_equal(many_keys(counts[i], counts[i] - 1, &err), ST_INVALID);
        assert_string_equal(err.pointer, "/k0");
        assert_int_equal(many_keys(counts[i], counts[i] / 2, &err), ST_INVALID);
    }
    assert_int_equal(many_keys(1025, -1, &err), ST_INVALID);
    assert_non_null(strstr(err.msg, "more than 1024 members"));
}

static void
test_a_long_duplicate_fits_its_error(void **state)
{
    char text[1000];
    struct error err;

    (void)state;
    snprintf(text, sizeof text, "{\"%0200d~~~\":1,\"%0200d~~~\":2}", 7, 7);
    assert_int_equal(jsontext_unique_keys(checked(text), &err), ST_INVALID);
    assert_true(strlen(err.pointer) < sizeof err.pointer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad_says_where),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_agrees_with_a_peer_on_mutations),
        cmocka_unit_test(test_walks_an_object),
        cmocka_unit_test(test_decodes_strings),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_unique_keys),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_a_long_duplicate_fits_its_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
