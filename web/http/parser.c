/* Parser: line by line, each byte looked at twice.
 *
 * DESIGN. memchr() finds the end of a line; only a complete line is taken
 * apart. `scanned` remembers how far the search went, so that bytes which drip
 * in are not searched again: the work is linear in the bytes whatever the
 * splits are.
 *
 *     data  | empty lines | request line | field | field | half a fie
 *                         ^ start                        ^ pos      ^ len
 *
 * INVARIANTS. Every decision depends on complete lines and on offsets from
 * `start`, never on where a feed ended: fed byte by byte or at once, the result
 * is the same. A line that is still incomplete at a limit is refused with the
 * code that it would get when complete, since length is judged before content.
 *
 * Lines of the kind that nearly all are take a short way (parser_short.c). What
 * is here is the long one, which alone decides about all others.
 *
 * NULs are only written into complete lines, at bytes that are not looked at
 * again. */
#include "http/parser.h"

#include <assert.h>

#include "http/parser_private.h"

/* Older clients send an empty line after a body (RFC 9112 section 2.2). */
enum { EMPTY_LINES_MAX = 8 };

enum {
    TOKEN = 1,  /* tchar, RFC 9110 section 5.6.2 */
    TARGET = 2, /* visible ASCII but '#': a fragment is never sent */
    VALUE = 4,  /* field-vchar, SP and HTAB, RFC 9110 section 5.5 */
};

static const unsigned char classes[256] = {
    /* clang-format off */
    /* 00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
    /* 10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 20 */ 4, 7, 6, 5, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 6,
    /* 30 */ 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6,
    /* 40 */ 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    /* 50 */ 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 7, 7,
    /* 60 */ 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    /* 70 */ 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 7, 6, 7, 0,
    /* 80 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* 90 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* a0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* b0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* c0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* d0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* e0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* f0 */ 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    /* clang-format on */
};

void
parser_init(struct parser *parser, const struct parser_limits *limits)
{
    assert(limits->fields_max <= PARSER_FIELDS_MAX);
    *parser = (struct parser){.limits = limits};
}

/* How many bytes from the start of @s are of @class. */
static size_t
span(struct str s, unsigned class)
{
    size_t n = 0;

    while (n < s.n && classes[(unsigned char)s.p[n]] & class)
        n++;
    return n;
}

/* The same within a line: its CR, which is of no class, ends every span, so no
 * length is looked at. */
static size_t
span_in_line(const char *p, unsigned class)
{
    const char *start = p;

    while (classes[(unsigned char)*p] & class)
        p++;
    return (size_t)(p - start);
}

/* Eight bytes at once. Each test sets the top bit of a byte that fails it, or
 * that follows one that does: exact as to whether any byte fails. */
static uint64_t
has_below(uint64_t word, unsigned char limit)
{
    return (word - UINT64_C(0x0101010101010101) * limit) & ~word;
}

static uint64_t
has_byte(uint64_t word, unsigned char byte)
{
    return has_below(word ^ UINT64_C(0x0101010101010101) * byte, 1);
}

enum { TOP_BIT = 0x80 };

/* True when all of @s, a value of a field line, is of VALUE. Tabs are rare:
 * they take the slow way. */
static bool
is_value(struct str s)
{
    size_t n = 0;

    for (; s.n - n >= 8; n += 8) {
        uint64_t word = parser_load8(s.p + n);
        if ((has_below(word, 0x20) | has_byte(word, 0x7f)) &
            UINT64_C(0x0101010101010101) * TOP_BIT)
            return span(s, VALUE) == s.n;
    }
    if (n == s.n)
        return true;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return span(s, VALUE) == s.n;
    /* The last few, read with what lies before them: a request line does at
     * least. That is shifted out, and spaces come in its place. */
    unsigned tail = (unsigned)(s.n - n) * 8;
    uint64_t word = parser_load8(s.p + s.n - 8) >> (64 - tail) |
                    UINT64_C(0x2020202020202020) << tail;
    if ((has_below(word, 0x20) | has_byte(word, 0x7f)) &
        UINT64_C(0x0101010101010101) * TOP_BIT)
        return span(s, VALUE) == s.n;
    return true;
}

/* How many bytes from the start of @s are of TARGET. */
static size_t
span_target(struct str s)
{
    size_t n = 0;

    for (; s.n - n >= 8; n += 8) {
        uint64_t word = parser_load8(s.p + n);
        if ((has_below(word, 0x21) | has_byte(word, 0x7f) |
             has_byte(word, '#') | word) &
            UINT64_C(0x0101010101010101) * TOP_BIT)
            break;
    }
    return n + span(str_from(s.p + n, s.n - n), TARGET);
}

static enum pit_method
method_of(struct str name)
{
    switch (name.n) {
    case 3:
        if (memcmp(name.p, "GET", 3) == 0)
            return PIT_GET;
        return memcmp(name.p, "PUT", 3) == 0 ? PIT_PUT : 0;
    case 4:
        if (memcmp(name.p, "POST", 4) == 0)
            return PIT_POST;
        return memcmp(name.p, "HEAD", 4) == 0 ? PIT_HEAD : 0;
    case 5:
        return memcmp(name.p, "PATCH", 5) == 0 ? PIT_PATCH : 0;
    case 6:
        return memcmp(name.p, "DELETE", 6) == 0 ? PIT_DELETE : 0;
    case 7:
        return memcmp(name.p, "OPTIONS", 7) == 0 ? PIT_OPTIONS : 0;
    default:
        return 0;
    }
}

/* Cuts "http://authority" off the target (RFC 9112 section 3.2.2). */
static bool
cut_authority(struct parser *parser, struct str *target)
{
    size_t scheme = 0;

    if (target->n > 7 && str_eq_nocase(str_from(target->p, 7), STR("http://")))
        scheme = 7;
    else if (target->n > 8 &&
             str_eq_nocase(str_from(target->p, 8), STR("https://")))
        scheme = 8;
    else
        return false;

    struct str rest = str_skip(*target, scheme);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    parser->authority = str_from(rest.p, n);
    *target = str_from(rest.p + n, rest.n - n);
    return parser_host_valid(parser->authority);
}

/* Splits the target; @target lies within the caller's bytes, and one byte (the
 * space) follows it. */
static enum parser_result
take_target(struct parser *parser, struct str target, char *end,
            struct parser_head *head)
{
    *end = '\0';
    if (str_eq(target, STR("*")) && head->method == PIT_OPTIONS) {
        head->path = target;
        return PARSER_MORE;
    }
    if (target.p[0] != '/' && !cut_authority(parser, &target))
        return parser_refuse(
            parser, 400,
            "the target must start with '/', or be http://host/...");

    size_t n = 0;
    while (n < target.n && target.p[n] != '?')
        n++;
    parser->path_implied = n == 0;
    head->path = n > 0 ? str_from(target.p, n) : STR("/");
    if (n < target.n) {
        head->query = str_from(target.p + n + 1, target.n - n - 1);
        end[-(ptrdiff_t)(target.n - n)] = '\0';
    }
    return PARSER_MORE;
}

/* RFC 9112 section 3: method SP request-target SP HTTP-version. */
static enum parser_result
request_line(struct parser *parser, char *line, size_t len,
             struct parser_head *head)
{
    struct str method = str_from(line, span_in_line(line, TOKEN));

    if (method.n == 0 || method.n == len || line[method.n] != ' ')
        return parser_refuse(parser, 400,
                             "the request line starts with no method");
    struct str rest = str_from(line + method.n + 1, len - method.n - 1);
    struct str target = str_from(rest.p, span_target(rest));
    if (target.n == 0 || target.n == rest.n || rest.p[target.n] != ' ')
        return parser_refuse(
            parser, 400,
            "the request line must be: method, target, version, with "
            "single spaces and visible ASCII");
    char *end = line + method.n + 1 + target.n;
    struct str version = str_skip(rest, target.n + 1);
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 ||
        version.p[5] < '0' || version.p[5] > '9' || version.p[6] != '.' ||
        version.p[7] < '0' || version.p[7] > '9')
        return parser_refuse(parser, 400,
                             "the request line ends with no version");
    if (version.p[5] != '1' || version.p[7] > '1')
        return parser_refuse(parser, 505,
                             "only HTTP/1.0 and HTTP/1.1 are spoken here");
    head->version_minor = version.p[7] - '0';

    head->method = method_of(method);
    if (!head->method && str_eq(method, STR("TRACE")))
        return parser_refuse(parser, 405, "TRACE is not served");
    if (!head->method)
        return parser_refuse(parser, 501, "the method is not known");
    return take_target(parser, target, end, head);
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9112 section 5: field-name ":" OWS field-value OWS. A folded line starts
 * with a space, which is no token character. */
static enum parser_result
field_line(struct parser *parser, char *line, size_t len,
           struct parser_head *head)
{
    struct str name = str_from(line, span_in_line(line, TOKEN));

    if (head->fields_len == parser->limits->fields_max)
        return parser_refuse(parser, 431, "too many header fields");
    if (name.n == 0 || name.n == len || line[name.n] != ':')
        return parser_refuse(
            parser, 400,
            "a header field must be a name, a colon at once, and a "
            "value on the same line");

    char *value = line + name.n + 1, *end = line + len;
    while (value < end && is_space(*value))
        value++;
    while (end > value && is_space(end[-1]))
        end--;
    struct str slice = str_from(value, (size_t)(end - value));
    if (!is_value(slice))
        return parser_refuse(
            parser, 400, "a header field's value holds a control character");
    *end = '\0';
    head->fields[head->fields_len++] = (struct request_field){name, slice};
    return parser_take_known(parser, name, slice, head);
}

/* What only the whole head can show. */
static inline enum parser_result
end_of_head(struct parser *parser, struct parser_head *head)
{
    uint32_t seen = parser->seen;

    if (head->version_minor > 0 && !(seen & SEEN_HOST))
        return parser_refuse(parser, 400, "HTTP/1.1 needs a Host");
    if (parser->authority.n > 0 && seen & SEEN_HOST &&
        !str_eq_nocase(parser->authority, head->host))
        return parser_refuse(parser, 400,
                             "the target's authority is not the Host");
    if (seen & SEEN_LENGTH && seen & SEEN_TRANSFER)
        return parser_refuse(
            parser, 400,
            "Content-Length and Transfer-Encoding exclude each other");
    if (seen & SEEN_CODING && (head->chunked || head->content_length > 0))
        return parser_refuse(parser, 415, "encoded bodies are not accepted");
    head->keep_alive = !(seen & SEEN_CLOSE) &&
                       (head->version_minor > 0 || seen & SEEN_KEEP_ALIVE);
    return PARSER_DONE;
}

static enum parser_result
take_line(struct parser *parser, char *line, size_t len,
          struct parser_head *head)
{
    if (parser->in_fields)
        return len > 0 ? field_line(parser, line, len, head)
                       : end_of_head(parser, head);
    if (len == 0) {
        /* pos is behind it already, and counts only empty lines so far. */
        if (parser->pos > 2 * EMPTY_LINES_MAX)
            return parser_refuse(parser, 400, "too many empty lines");
        parser->start = parser->pos;
        return PARSER_MORE;
    }
    parser->in_fields = true;
    return request_line(parser, line, len, head);
}

/* @len bytes of the line have come, and are all of it if @complete. */
static enum parser_result
check_length(struct parser *parser, size_t len, bool complete)
{
    size_t least = complete ? len : len + 1;

    if (!parser->in_fields && least > parser->limits->line_max)
        return parser_refuse(parser, 414, "the request line is too long");
    if (parser->pos - parser->start + least > parser->limits->head_max)
        return parser_refuse(parser, 431, "the header is too large");
    return PARSER_MORE;
}

static void
clear_head(struct parser_head *head)
{
    head->method = 0;
    head->path = head->query = head->host = STR_NULL;
    head->request_id = head->traceparent = STR_NULL;
    head->content_length = -1;
    head->path_plain = false;
    head->chunked = head->keep_alive = head->expect_continue = false;
    head->fields_len = 0;
}

enum parser_result
parser_feed(struct parser *parser, char *data, size_t len,
            struct parser_head *head)
{
    enum parser_result result = PARSER_MORE;

    if (parser->http != 0)
        return PARSER_REFUSED;
    if (parser->pos == 0 && parser->scanned == 0)
        clear_head(head);
    assert(len >= parser->scanned);
    while (result == PARSER_MORE) {
        char *line = data + parser->pos;
        if (head->fields_len == head->fields_room &&
            head->fields_room < parser->limits->fields_max)
            return PARSER_FULL;
        switch (parser_take_short(parser, data, len, head)) {
        case PARSER_SHORT_LAST:
            return end_of_head(parser, head);
        case PARSER_SHORT_REFUSED:
            return PARSER_REFUSED;
        case PARSER_SHORT_SOME:
            continue;
        case PARSER_SHORT_NONE:
            break;
        }
        const char *lf =
            memchr(data + parser->scanned, '\n', len - parser->scanned);
        if (!lf) {
            parser->scanned = len;
            return check_length(parser, len - parser->pos, false);
        }
        size_t n = (size_t)(lf - line) + 1;
        result = check_length(parser, n, true);
        if (result != PARSER_MORE)
            break;
        if (n < 2 || line[n - 2] != '\r')
            return parser_refuse(parser, 400, "a line must end with CR LF");
        parser->pos += n;
        parser->scanned = parser->pos;
        result = take_line(parser, line, n - 2, head);
    }
    return result;
}

static void
move(struct str *s, ptrdiff_t by)
{
    if (s->p)
        s->p += by;
}

void
parser_move(struct parser *parser, struct parser_head *head, ptrdiff_t by)
{
    /* Before the first feed the head was never cleared. */
    if (parser->pos == 0 && parser->scanned == 0)
        return;
    if (!parser->path_implied)
        move(&head->path, by);
    move(&head->query, by);
    move(&head->host, by);
    move(&head->request_id, by);
    move(&head->traceparent, by);
    move(&parser->authority, by);
    for (size_t i = 0; i < head->fields_len; i++) {
        move(&head->fields[i].name, by);
        move(&head->fields[i].value, by);
    }
}

bool
parser_begun(const struct parser *parser, const char *data, size_t len)
{
    return parser->in_fields ||
           (len > parser->pos && data[parser->pos] != '\r');
}
