/* A request head and a chunked body say the same whole, byte by byte, and split
 * in two wherever; and what the parser lends lies within the bytes it was
 * given. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "http/chunked.h"
#include "http/parser.h"

enum { SIZE_LIMIT = 4096 };

/* Small enough for a fuzzer to reach. */
static const struct parser_limits limits = {
    .line_max = 256, .head_max = 1024, .fields_max = 12};

struct outcome {
    enum parser_result result;
    struct parser parser;
    struct parser_head head;
    struct request_field fields[PARSER_FIELDS_MAX];
    char *data;
    size_t size;
};

static void
parse(const uint8_t *data, size_t size, size_t cut, size_t step,
      struct outcome *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->head.fields = ret->fields;
    ret->head.fields_room = PARSER_FIELDS_MAX;
    ret->data = calloc(1, size + PARSER_SLACK);
    ret->size = size;
    assert(ret->data);
    parser_init(&ret->parser, &limits);
    size_t had = 0;
    for (size_t fed = cut; ret->result == PARSER_MORE && had < size;
         fed += step) {
        if (fed > size)
            fed = size;
        memcpy(ret->data + had, data + had, fed - had);
        had = fed;
        ret->result = parser_feed(&ret->parser, ret->data, had, &ret->head);
    }
    if (had < size) /* what follows the head */
        memcpy(ret->data + had, data + had, size - had);
}

static bool
lies_within(const struct outcome *o, struct str s)
{
    return s.p >= o->data && s.p + s.n <= o->data + o->size;
}

static void
check_head(const struct outcome *o)
{
    const struct parser_head *head = &o->head;

    if (o->result == PARSER_REFUSED)
        assert(o->parser.http >= 400 && o->parser.reason);
    if (o->result != PARSER_DONE)
        return;
    assert(o->parser.pos <= o->size);
    assert(head->path.n > 0 && head->path.p[head->path.n] == '\0');
    assert(head->path.p[0] == '/' || head->path.p[0] == '*');
    assert(!head->query.p || head->query.p[head->query.n] == '\0');
    assert(head->version_minor == 0 || head->host.n > 0);
    assert(!head->chunked || head->content_length < 0);
    assert(head->fields_len <= limits.fields_max);
    for (size_t i = 0; i < head->fields_len; i++) {
        assert(head->fields[i].name.n > 0);
        assert(lies_within(o, head->fields[i].name));
        assert(lies_within(o, head->fields[i].value));
        assert(head->fields[i].value.p[head->fields[i].value.n] == '\0');
        assert(strlen(head->fields[i].value.p) == head->fields[i].value.n);
    }
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
    assert(a->result == b->result);
    assert(a->parser.http == b->parser.http);
    assert(a->parser.reason == b->parser.reason);
    if (a->result != PARSER_DONE)
        return;
    assert(a->parser.pos == b->parser.pos);
    assert(a->head.method == b->head.method);
    assert(a->head.content_length == b->head.content_length);
    assert(a->head.chunked == b->head.chunked);
    assert(a->head.keep_alive == b->head.keep_alive);
    assert(a->head.expect_continue == b->head.expect_continue);
    assert(a->head.fields_len == b->head.fields_len);
    assert(str_eq(a->head.path, b->head.path));
    assert(str_eq(a->head.query, b->head.query));
    assert(memcmp(a->data, b->data, a->size) == 0);
}

struct body {
    enum chunked_result result;
    char bytes[SIZE_LIMIT];
    size_t len;
    size_t used;
};

static void
decode(const char *data, size_t size, size_t step, struct body *ret)
{
    struct chunked chunked;

    memset(ret, 0, sizeof *ret);
    chunked_init(&chunked);
    while (ret->result == CHUNKED_MORE && ret->used < size) {
        struct str piece = STR_NULL;
        size_t used = 0;
        size_t n = size - ret->used < step ? size - ret->used : step;
        ret->result =
            chunked_next(&chunked, data + ret->used, n, &used, &piece);
        assert(used <= n);
        ret->used += used;
        if (ret->result != CHUNKED_DATA)
            continue;
        assert(piece.n > 0 && piece.n <= used);
        memcpy(ret->bytes + ret->len, piece.p, piece.n);
        ret->len += piece.n;
        ret->result = CHUNKED_MORE;
    }
}

static void
check_body(const char *data, size_t size)
{
    static struct body whole, split;

    decode(data, size, SIZE_MAX, &whole);
    decode(data, size, 1, &split);
    assert(whole.result == split.result && whole.used == split.used);
    assert(whole.len == split.len);
    assert(memcmp(whole.bytes, split.bytes, whole.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, split;

    if (size > SIZE_LIMIT)
        size = SIZE_LIMIT;
    parse(data, size, size, 1, &whole);
    check_head(&whole);
    parse(data, size, 1, 1, &split);
    check_same(&whole, &split);
    free(split.data);
    parse(data, size, size / 2, SIZE_MAX / 2, &split);
    check_same(&whole, &split);
    free(split.data);
    if (whole.result == PARSER_DONE)
        check_body(whole.data + whole.parser.pos, size - whole.parser.pos);
    check_body((const char *)data, size);
    free(whole.data);
    return 0;
}
