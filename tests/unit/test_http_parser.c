/* What docs/http.md says is refused is this table; and whatever the message,
 * the way its bytes arrive changes nothing. */
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"

static const struct parser_limits usual = {
    .line_max = 8192, .head_max = 16384, .fields_max = 64};

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"

struct outcome {
    enum parser_result result;
    int http;
    const char *reason;
    size_t used;
    struct parser_head head;
    struct request_field fields[PARSER_FIELDS_MAX]; /* of the head */
    char *data; /* what the head points into */
};

/* The sizes of the pieces that the message is fed in. */
typedef size_t next_piece(void *arg);

static size_t
at_once(void *arg)
{
    (void)arg;
    return SIZE_MAX;
}

static size_t
byte_by_byte(void *arg)
{
    (void)arg;
    return 1;
}

static size_t
at_random(void *arg)
{
    unsigned *seed = arg;

    return 1 + (size_t)rand_r(seed) % 40;
}

/* The @n bytes are somewhere else before each feed, as when a connection's
 * block grows; what still points to the old ones, or goes beyond them, ASan
 * finds. */
static void
add_bytes(struct parser *parser, struct outcome *ret, size_t n, struct str more)
{
    char *moved = calloc(1, n + more.n + PARSER_SLACK);

    assert_non_null(moved);
    memcpy(moved, ret->data, n);
    memcpy(moved + n, more.p, more.n);
    parser_move(parser, &ret->head, moved - ret->data);
    free(ret->data);
    ret->data = moved;
}

static void
parse(struct str message, const struct parser_limits *limits, next_piece *piece,
      void *arg, struct outcome *ret)
{
    struct parser parser;
    size_t fed = 0;

    memset(ret, 0, sizeof *ret);
    ret->head.fields = ret->fields;
    ret->head.fields_room = 2; /* so that there is too little at times */
    ret->data = calloc(1, PARSER_SLACK);
    assert_non_null(ret->data);
    parser_init(&parser, limits);
    ret->result = PARSER_MORE;
    while (ret->result == PARSER_MORE && fed < message.n) {
        size_t n = piece(arg);
        n = n < message.n - fed ? n : message.n - fed;
        add_bytes(&parser, ret, fed, str_from(message.p + fed, n));
        fed += n;
        ret->result = parser_feed(&parser, ret->data, fed, &ret->head);
        if (ret->result != PARSER_FULL)
            continue;
        assert_int_equal(ret->head.fields_len, 2);
        ret->head.fields_room = PARSER_FIELDS_MAX;
        ret->result = parser_feed(&parser, ret->data, fed, &ret->head);
    }
    ret->http = parser.http;
    ret->reason = parser.reason;
    ret->used = ret->result == PARSER_DONE ? parser.pos : 0;
}

static void
assert_same_slice(const struct outcome *a, struct str x,
                  const struct outcome *b, struct str y)
{
    assert_int_equal(x.n, y.n);
    assert_int_equal(x.p == NULL, y.p == NULL);
    if (x.n > 0)
        assert_memory_equal(x.p, y.p, x.n);
    if (x.p >= a->data && x.p < a->data + 16384 && x.n > 0 && y.p >= b->data &&
        y.p < b->data + 16384)
        assert_int_equal(x.p - a->data, y.p - b->data);
}

static void
assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->http, b->http);
    assert_ptr_equal(a->reason, b->reason);
    assert_int_equal(a->used, b->used);
    if (a->result != PARSER_DONE)
        return;
    assert_int_equal(a->head.method, b->head.method);
    assert_int_equal(a->head.version_minor, b->head.version_minor);
    assert_int_equal(a->head.content_length, b->head.content_length);
    assert_int_equal(a->head.chunked, b->head.chunked);
    assert_int_equal(a->head.keep_alive, b->head.keep_alive);
    assert_int_equal(a->head.expect_continue, b->head.expect_continue);
    assert_int_equal(a->head.fields_len, b->head.fields_len);
    assert_same_slice(a, a->head.path, b, b->head.path);
    assert_same_slice(a, a->head.query, b, b->head.query);
    for (size_t i = 0; i < a->head.fields_len; i++) {
        assert_same_slice(a, a->head.fields[i].name, b, b->head.fields[i].name);
        assert_same_slice(a, a->head.fields[i].value, b,
                          b->head.fields[i].value);
    }
}

/* Parses it whole and split in all ways that are tried; all must agree. */
static void
parse_every_way(struct str message, const struct parser_limits *limits,
                struct outcome *ret)
{
    struct outcome other;
    unsigned seed = 20261123;

    parse(message, limits, at_once, NULL, ret);
    parse(message, limits, byte_by_byte, NULL, &other);
    assert_same(ret, &other);
    free(other.data);
    for (int i = 0; i < 10; i++) {
        parse(message, limits, at_random, &seed, &other);
        assert_same(ret, &other);
        free(other.data);
    }
}

static void
test_refused(void **state)
{
    static const struct {
        int http;
        struct str message;
    } rows[] = {
    /* clang-format off */
#define ROW(http, text) {http, STR(text)}
        /* the request line */
        ROW(400, "GET /\r\n\r\n"),
        ROW(400, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
        ROW(400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET / HTTP/11\r\n" HOST "\r\n"),
        ROW(400, "GET / http/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET / HTTP/1.1x\r\n" HOST "\r\n"),
        ROW(400, "GET / HTTP/1.\r\n" HOST "\r\n"),
        ROW(400, "GET HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "\x16\x03\x01\x02\r\n\r\n"),
        ROW(505, "GET / HTTP/2.0\r\n" HOST "\r\n"),
        ROW(505, "GET / HTTP/1.2\r\n" HOST "\r\n"),
        ROW(505, "GET / HTTP/0.9\r\n" HOST "\r\n"),
        ROW(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ROW(501, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"),
        ROW(405, "TRACE / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(501, "BREW / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(501, "get / HTTP/1.1\r\n" HOST "\r\n"),
        /* the target */
        ROW(400, "GET a HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET ?a HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /#a HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /aaaaaaaaaaa#aaaa HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /aaaaaaaaaaa\x80" "aaaa HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /aaaaaaaaaaa\x7f" "aaaa HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET /aaaaaaaaaaa\x1f" "aaaa HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET http://b/ HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, "GET http://a:80/ HTTP/1.1\r\n" HOST "\r\n"),
        /* line ends */
        ROW(400, "GET / HTTP/1.1\n" HOST "\r\n"),
        ROW(400, "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
        ROW(400, GET "Host: a\n\r\n"),
        ROW(400, GET HOST "\n"),
        ROW(400, "GET / HTTP/1.1 \n" HOST "\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: ab\n\r\n"),
        ROW(400, GET HOST "A: b\nC: d\r\n\r\n"),
        ROW(400, GET "Host: a\rX: b\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\r\n" HOST "\r\n"),
        ROW(400, "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET HOST "\r\n"),
        /* fields */
        ROW(400, GET HOST "A : b\r\n\r\n"),
        ROW(400, GET HOST ": b\r\n\r\n"),
        ROW(400, GET HOST "A\r\n\r\n"),
        ROW(400, GET HOST "A b: c\r\n\r\n"),
        ROW(400, GET HOST "A(: c\r\n\r\n"),
        ROW(400, GET HOST "\xc3\xa9: c\r\n\r\n"),
        ROW(400, GET HOST "A: b\r\n c\r\n\r\n"),
        ROW(400, GET HOST "A: b\r\n\tc\r\n\r\n"),
        ROW(400, GET " Host: a\r\n\r\n"),
        ROW(400, GET HOST "A: b\0c\r\n\r\n"),
        ROW(400, GET HOST "A: b\x7f\r\n\r\n"),
        ROW(400, GET HOST "A: b\x0b\r\n\r\n"),
        ROW(400, GET HOST "A: bbb\x7f" "bbbbbbbb\r\n\r\n"),
        ROW(400, GET HOST "A: bbbbbbbbbb\x1f" "bbbb\r\n\r\n"),
        ROW(400, GET HOST "A: bbbb\tbbbbbb\x1f" "bbbb\r\n\r\n"),
        ROW(400, GET HOST "A: b\rc\r\n\r\n"),
        /* Host */
        ROW(400, GET "\r\n"),
        ROW(400, GET HOST HOST "\r\n"),
        ROW(400, "GET / HTTP/1.0\r\n" HOST "host: b\r\n\r\n"),
        ROW(400, GET "Host:\r\n\r\n"),
        ROW(400, GET "Host: a b\r\n\r\n"),
        ROW(400, GET "Host: a/b\r\n\r\n"),
        ROW(400, GET "Host: u@a\r\n\r\n"),
        ROW(400, GET "Host: a,b\r\n\r\n"),
        ROW(400, GET "Host: a:\r\n\r\n"),
        ROW(400, GET "Host: a:x\r\n\r\n"),
        ROW(400, GET "Host: a:65536\r\n\r\n"),
        ROW(400, GET "Host: a:1:2\r\n\r\n"),
        ROW(400, GET "Host: [::1\r\n\r\n"),
        ROW(400, GET "Host: []\r\n\r\n"),
        ROW(400, GET "Host: [::g]\r\n\r\n"),
        ROW(400, GET "Host: [::1]x\r\n\r\n"),
        ROW(400, GET "Host: \xc3\xa9\r\n\r\n"),
        /* the framing of the body */
        ROW(400, GET HOST "Content-Length: \r\n\r\n"),
        ROW(400, GET HOST "Content-Length: +1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: -1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 0x1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1 \t1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1,1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1.0\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 12345678901234567890\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 9999999999999999999\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1\r\ncontent-length: 2\r\n\r\n"),
        ROW(400, GET HOST "Content-Length: 1\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"),
        ROW(400, GET HOST "Transfer-Encoding: chunked\r\n"
                 "Content-Length: 0\r\n\r\n"),
        ROW(400, GET HOST "Transfer-Encoding: chunked\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"),
        ROW(400, "POST / HTTP/1.0\r\n" HOST
                 "Transfer-Encoding: chunked\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: gzip\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: identity\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: xchunked\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding: chunked;a=b\r\n\r\n"),
        ROW(501, GET HOST "Transfer-Encoding:\r\n\r\n"),
        /* fields that may stand once */
        ROW(400, GET HOST "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n"),
        ROW(400, GET HOST "Authorization: a\r\nauthorization: a\r\n\r\n"),
        /* the rest */
        ROW(417, GET HOST "Expect: something\r\n\r\n"),
        ROW(415, "POST / HTTP/1.1\r\n" HOST
                 "Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\n"),
        ROW(415, "POST / HTTP/1.1\r\n" HOST "Content-Encoding: br\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"),
#undef ROW
        /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome;
        parse_every_way(rows[i].message, &usual, &outcome);
        if (outcome.result != PARSER_REFUSED || outcome.http != rows[i].http)
            fail_msg("row %zu: got %d, want %d:\n%.*s", i, outcome.http,
                     rows[i].http, STR_ARG(rows[i].message));
        assert_non_null(outcome.reason);
        free(outcome.data);
    }
}

static void
test_accepted(void **state)
{
    static const struct {
        struct str message;
        enum pit_method method;
        const char *path;
        const char *query;
        int64_t content_length;
        bool chunked, keep_alive, expect;
    } rows[] = {
        {STR(GET HOST "\r\n"), PIT_GET, "/", NULL, -1, false, true, false},
        {STR("\r\n\r\nGET /a/b?c=d&e HTTP/1.1\r\nhOsT: a:80\r\n\r\n"), PIT_GET,
         "/a/b", "c=d&e", -1, false, true, false},
        {STR("GET /? HTTP/1.1\r\n" HOST "\r\n"), PIT_GET, "/", "", -1, false,
         true, false},
        {STR("GET /a??b=/ HTTP/1.1\r\n" HOST "\r\n"), PIT_GET, "/a", "?b=/", -1,
         false, true, false},
        {STR("HEAD / HTTP/1.0\r\n\r\n"), PIT_HEAD, "/", NULL, -1, false, false,
         false},
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), PIT_GET, "/",
         NULL, -1, false, true, false},
        {STR("PUT / HTTP/1.1\r\n" HOST "Content-Length:\t 12 \t\r\n\r\n"),
         PIT_PUT, "/", NULL, 12, false, true, false},
        {STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"),
         PIT_POST, "/", NULL, -1, true, true, false},
        {STR("POST / HTTP/1.1\r\n" HOST
             "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"),
         PIT_POST, "/", NULL, 3, false, true, true},
        {STR("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: "
             "100-continue\r\n\r\n"),
         PIT_POST, "/", NULL, 3, false, false, false},
        {STR("DELETE / HTTP/1.1\r\n" HOST
             "Connection: foo , CLOSE,keep-alive\r\n\r\n"),
         PIT_DELETE, "/", NULL, -1, false, false, false},
        {STR("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), PIT_OPTIONS, "*", NULL, -1,
         false, true, false},
        {STR("GET HTTP://A/x?y HTTP/1.1\r\n" HOST "\r\n"), PIT_GET, "/x", "y",
         -1, false, true, false},
        {STR("GET http://a HTTP/1.1\r\n" HOST "\r\n"), PIT_GET, "/", NULL, -1,
         false, true, false},
        {STR("GET http://a?q HTTP/1.1\r\n" HOST "\r\n"), PIT_GET, "/", "q", -1,
         false, true, false},
        {STR(GET "Host: [::1]:8000\r\n\r\n"), PIT_GET, "/", NULL, -1, false,
         true, false},
        {STR(GET "Host:a\r\nA: \xc3\xa9\xc3\xa9\xc3\xa9\xff\x80~~\ta "
                 "b\r\nB: x\xc3\xa9\ty\r\n\r\n"),
         PIT_GET, "/", NULL, -1, false, true, false},
        {STR("GET /%00%zz\\'\" HTTP/1.1\r\n" HOST "\r\n"), PIT_GET,
         "/%00%zz\\'\"", NULL, -1, false, true, false},
        {STR("PATCH / HTTP/1.1\r\n" HOST
             "Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n"),
         PIT_PATCH, "/", NULL, 2, false, true, false},
        {STR(GET HOST "Content-Encoding: gzip\r\n\r\n"), PIT_GET, "/", NULL, -1,
         false, true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome o;
        parse_every_way(rows[i].message, &usual, &o);
        if (o.result != PARSER_DONE)
            fail_msg("row %zu: %d %s", i, o.http, o.reason ? o.reason : "");
        assert_int_equal(o.used, rows[i].message.n);
        assert_int_equal(o.head.method, rows[i].method);
        assert_string_equal(o.head.path.p, rows[i].path);
        assert_int_equal(o.head.path.n, strlen(rows[i].path));
        if (rows[i].query)
            assert_string_equal(o.head.query.p, rows[i].query);
        else
            assert_null(o.head.query.p);
        assert_int_equal(o.head.content_length, rows[i].content_length);
        assert_int_equal(o.head.chunked, rows[i].chunked);
        assert_int_equal(o.head.keep_alive, rows[i].keep_alive);
        assert_int_equal(o.head.expect_continue, rows[i].expect);
        free(o.data);
    }
}

static void
test_values_end_in_nul_and_have_no_space_around(void **state)
{
    struct outcome o;

    (void)state;
    parse_every_way(STR(GET "Host:  \t a\t \r\nX-Y:\r\nZ: 1 2\r\n\r\nrest"),
                    &usual, &o);
    assert_int_equal(o.result, PARSER_DONE);
    assert_memory_equal(o.data + o.used, "rest", 4);
    assert_int_equal(o.head.fields_len, 3);
    assert_string_equal(o.head.host.p, "a");
    assert_string_equal(o.head.fields[0].value.p, "a");
    assert_int_equal(o.head.fields[1].value.n, 0);
    assert_string_equal(o.head.fields[1].value.p, "");
    assert_string_equal(o.head.fields[2].value.p, "1 2");
    free(o.data);
}

/* A message whose request line, and whose head, has just so many bytes. */
static struct str
message_of(char *dst, size_t line, size_t head)
{
    size_t n = 0;

    memcpy(dst, "GET /", 5);
    memset(dst + 5, 'a', line - 16);
    n = line - 11;
    memcpy(dst + n, " HTTP/1.1\r\nHost: a\r\nX: ", 23);
    n += 23;
    memset(dst + n, 'b', head - n - 4);
    memcpy(dst + head - 4, "\r\n\r\n", 4);
    return str_from(dst, head);
}

static void
test_limits_are_exact(void **state)
{
    static const struct parser_limits small = {
        .line_max = 64, .head_max = 128, .fields_max = 3};
    static const struct {
        size_t line, head;
        int http;
    } rows[] = {
        {63, 127, 0},   {64, 128, 0},   {65, 128, 414},
        {64, 129, 431}, {65, 129, 414}, {100, 500, 414},
    };
    char message[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome o;
        parse_every_way(message_of(message, rows[i].line, rows[i].head), &small,
                        &o);
        assert_int_equal(o.http, rows[i].http);
        free(o.data);
        /* Neither waits for the end of what is too long already. */
        parse_every_way(
            str_from(message, rows[i].line > 64 ? 64 : rows[i].head - 1),
            &small, &o);
        assert_int_equal(o.http, rows[i].http);
        free(o.data);
    }
}

static void
test_number_of_fields_is_limited(void **state)
{
    static const struct parser_limits small = {
        .line_max = 64, .head_max = 128, .fields_max = 3};
    struct outcome o;

    (void)state;
    parse_every_way(STR(GET HOST "B: 1\r\nC: 1\r\n\r\n"), &small, &o);
    assert_int_equal(o.result, PARSER_DONE);
    free(o.data);
    parse_every_way(STR(GET HOST "B: 1\r\nC: 1\r\nD: 1\r\n\r\n"), &small, &o);
    assert_int_equal(o.http, 431);
    free(o.data);
}

static void
test_knows_whether_a_request_has_begun(void **state)
{
    char data[sizeof "\r\nG" + PARSER_SLACK] = {0};
    struct parser parser;
    struct request_field fields[PARSER_FIELDS_MAX];
    struct parser_head head = {.fields = fields,
                               .fields_room = PARSER_FIELDS_MAX};

    (void)state;
    parser_init(&parser, &usual);
    assert_false(parser_begun(&parser, data, 0));
    for (size_t n = 1; n <= 3; n++) {
        data[n - 1] = "\r\nG"[n - 1];
        assert_int_equal(parser_feed(&parser, data, n, &head), PARSER_MORE);
        assert_int_equal(parser_begun(&parser, data, n), n == 3);
    }
}

/* Messages made of the pieces that make a difference, put together at random:
 * most are bad, some are good, all are judged alike however they are split. */
static void
test_random_messages_are_judged_alike(void **state)
{
    static const char *const pieces[] = {
        "GET",
        " ",
        "/",
        "HTTP/1.1",
        "\r\n",
        "\n",
        "\r",
        "Host: a",
        "Content-Length: 3",
        "A: b",
        "\r\n\r\n",
        "?",
        "POST / HTTP/1.1\r\nHost: a\r\n",
        ":",
        "\t",
        "GET / HTTP/1.1\r\n",
        "chunked",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "%41",
        "\x80",
        "x",
    };
    static const struct parser_limits small = {
        .line_max = 60, .head_max = 120, .fields_max = 4};
    unsigned seed = 4711;
    int done = 0, refused = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char message[1024];
        size_t n = 0, count = 1 + (size_t)rand_r(&seed) % 14;
        struct outcome whole, split;
        while (count-- > 0) {
            struct str piece =
                str_c(pieces[(size_t)rand_r(&seed) % ARRAY_LEN(pieces)]);
            memcpy(message + n, piece.p, piece.n);
            n += piece.n;
        }
        parse(str_from(message, n), &small, at_once, NULL, &whole);
        parse(str_from(message, n), &small, at_random, &seed, &split);
        assert_same(&whole, &split);
        free(split.data);
        parse(str_from(message, n), &small, byte_by_byte, NULL, &split);
        assert_same(&whole, &split);
        free(split.data);
        free(whole.data);
        done += whole.result == PARSER_DONE;
        refused += whole.result == PARSER_REFUSED;
    }
    assert_true(done > 100 && refused > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_values_end_in_nul_and_have_no_space_around),
        cmocka_unit_test(test_limits_are_exact),
        cmocka_unit_test(test_number_of_fields_is_limited),
        cmocka_unit_test(test_knows_whether_a_request_has_begun),
        cmocka_unit_test(test_random_messages_are_judged_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
