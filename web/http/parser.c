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
 * THE SHORT WAY. A line that starts where the search stands, and is of the kind
 * that nearly all are, is found and taken apart in one pass, sixteen bytes at
 * once (scan.h). Whatever is unusual about it, an error too, makes the short
 * way step back without a trace, and the line takes the long way. Fed byte by
 * byte every line does, so the property test compares the two.
 *
 * NULs are only written into complete lines, at bytes that are not looked at
 * again. */
#include "http/parser.h"

#include <assert.h>

#include "base/error.h"
#include "http/scan.h"

/* Older clients send an empty line after a body (RFC 9112 section 2.2). */
enum { EMPTY_LINES_MAX = 8 };

enum {
    TOKEN = 1,  /* tchar, RFC 9110 section 5.6.2 */
    TARGET = 2, /* visible ASCII but '#': a fragment is never sent */
    VALUE = 4,  /* field-vchar, SP and HTAB, RFC 9110 section 5.5 */
    HOST = 8,   /* of a registered name, without escapes and sub-delims */
};

static const unsigned char classes[256] = {
    /* clang-format off */
    /* 00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
    /* 10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 20 */ 4, 7, 6, 5, 7, 7, 7, 7, 6, 6, 7, 7, 6, 15, 15, 6,
    /* 30 */ 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 6, 6, 6,
    /* 40 */ 6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    /* 50 */ 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15,
    /* 60 */ 7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    /* 70 */ 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0,
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

enum {
    SEEN_HOST = 1,
    SEEN_LENGTH = 2,
    SEEN_TRANSFER = 4,
    SEEN_TYPE = 8,
    SEEN_AUTHORIZATION = 16,
    SEEN_CODING = 32, /* a content coding other than identity */
    SEEN_CLOSE = 64,
    SEEN_KEEP_ALIVE = 128,
};

void
parser_init(struct parser *parser, const struct parser_limits *limits)
{
    assert(limits->fields_max <= PARSER_FIELDS_MAX);
    assert(limits->line_max <= limits->head_max);
    *parser = (struct parser){.limits = limits};
}

static enum parser_result
refuse(struct parser *parser, int http, const char *reason)
{
    parser->http = http;
    parser->reason = reason;
    return PARSER_REFUSED;
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
load8(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

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
        uint64_t word = load8(s.p + n);
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
    uint64_t word = load8(s.p + s.n - 8) >> (64 - tail) |
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
        uint64_t word = load8(s.p + n);
        if ((has_below(word, 0x21) | has_byte(word, 0x7f) |
             has_byte(word, '#') | word) &
            UINT64_C(0x0101010101010101) * TOP_BIT)
            break;
    }
    return n + span(str_from(s.p + n, s.n - n), TARGET);
}

/* @lower is a field's name in lower case, as long as @name, which is a token or
 * a checked value: among those only letters become letters, and a dash remains
 * one, by the bit of lower case. */
static bool
is_named(struct str name, const char *lower)
{
    size_t i = 0;

    while (i < name.n && (name.p[i] | 0x20) == lower[i])
        i++;
    return i == name.n;
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

/* @s is not empty. */
static bool
is_port(struct str s)
{
    if (s.p[0] != ':' || s.n < 2 || s.n > 6)
        return false;
    uint32_t port = 0;
    for (const char *p = s.p + 1; p < s.p + s.n; p++) {
        uint32_t digit = (uint32_t)(unsigned char)*p - '0';
        if (digit > 9)
            return false;
        port = port * 10 + digit;
    }
    return port <= 65535;
}

bool
parser_host_valid(struct str host)
{
    size_t n;

    if (host.n > 0 && host.p[0] == '[') {
        n = 1;
        while (n < host.n && host.p[n] != ']') {
            if (!strchr("0123456789abcdefABCDEF:.", host.p[n]))
                return false;
            n++;
        }
        if (n < 3 || n == host.n)
            return false;
        n++;
    } else {
        /* What follows a host is of no class either: a delimiter, or NUL. */
        n = host.n > 0 ? span_in_line(host.p, HOST) : 0;
        if (n == 0)
            return false;
        if (n > host.n)
            n = host.n;
    }
    return n == host.n || is_port(str_from(host.p + n, host.n - n));
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
        return refuse(parser, 400,
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
        return refuse(parser, 400, "the request line starts with no method");
    struct str rest = str_from(line + method.n + 1, len - method.n - 1);
    struct str target = str_from(rest.p, span_target(rest));
    if (target.n == 0 || target.n == rest.n || rest.p[target.n] != ' ')
        return refuse(parser, 400,
                      "the request line must be: method, target, version, with "
                      "single spaces and visible ASCII");
    char *end = line + method.n + 1 + target.n;
    struct str version = str_skip(rest, target.n + 1);
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 ||
        version.p[5] < '0' || version.p[5] > '9' || version.p[6] != '.' ||
        version.p[7] < '0' || version.p[7] > '9')
        return refuse(parser, 400, "the request line ends with no version");
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(parser, 505,
                      "only HTTP/1.0 and HTTP/1.1 are spoken here");
    head->version_minor = version.p[7] - '0';

    head->method = method_of(method);
    if (!head->method && str_eq(method, STR("TRACE")))
        return refuse(parser, 405, "TRACE is not served");
    if (!head->method)
        return refuse(parser, 501, "the method is not known");
    return take_target(parser, target, end, head);
}

/* Marks a field that may stand once; false the second time. */
static bool
first_time(struct parser *parser, uint32_t bit)
{
    bool first = !(parser->seen & bit);

    parser->seen |= bit;
    return first;
}

static void
take_connection(struct parser *parser, struct str value)
{
    if (value.n == 10 && is_named(value, "keep-alive")) {
        parser->seen |= SEEN_KEEP_ALIVE;
        return;
    }
    while (value.n > 0) {
        struct str option = str_trim(str_cut(value, ',', &value));
        if (str_eq_nocase(option, STR("close")))
            parser->seen |= SEEN_CLOSE;
        else if (str_eq_nocase(option, STR("keep-alive")))
            parser->seen |= SEEN_KEEP_ALIVE;
    }
}

/* The bits of the sixteen bytes from @p on, or of as many as there are before
 * @end: they are read with what lies before them, a request line at least. */
static inline unsigned
bits_to(unsigned (*scan)(const char *p), const char *p, const char *end)
{
    size_t left = (size_t)(end - p);

    if (left >= SCAN_WIDTH)
        return scan(p);
    return left == 0 ? 0 : scan(end - SCAN_WIDTH) >> (SCAN_WIDTH - left);
}

/* True for a plain name or address, with a port or without. False says nothing:
 * parser_host_valid() decides. */
static bool
is_short_host(struct str value)
{
    if (value.n == 0 || value.n > SCAN_WIDTH)
        return false;
    unsigned bits = bits_to(scan_plain, value.p, value.p + value.n);
    size_t n = (size_t)__builtin_ctz(~bits);
    return n > 0 &&
           (n == value.n || is_port(str_from(value.p + n, value.n - n)));
}

static enum parser_result
take_host(struct parser *parser, struct str value, struct parser_head *head)
{
    if (!first_time(parser, SEEN_HOST))
        return refuse(parser, 400, "Host stands twice");
    if (!is_short_host(value) && !parser_host_valid(value))
        return refuse(parser, 400, "Host is not a valid host");
    head->host = value;
    return PARSER_MORE;
}

static enum parser_result
take_length(struct parser *parser, struct str value, struct parser_head *head)
{
    if (!first_time(parser, SEEN_LENGTH))
        return refuse(parser, 400, "Content-Length stands twice");
    if (!str_to_i64(value, &head->content_length))
        return refuse(parser, 400,
                      "Content-Length must be 1 to 19 digits, below 2^63");
    return PARSER_MORE;
}

static enum parser_result
take_transfer(struct parser *parser, struct str value, struct parser_head *head)
{
    if (!first_time(parser, SEEN_TRANSFER))
        return refuse(parser, 400, "Transfer-Encoding stands twice");
    if (head->version_minor == 0)
        return refuse(parser, 400, "Transfer-Encoding is not of HTTP/1.0");
    if (!str_eq_nocase(value, STR("chunked")))
        return refuse(parser, 501,
                      "the only Transfer-Encoding known here is chunked");
    head->chunked = true;
    return PARSER_MORE;
}

/* The fields that the front itself acts on; the length rules out most. */
static enum parser_result
take_known(struct parser *parser, struct str name, struct str value,
           struct parser_head *head)
{
    switch (name.n) {
    case 4:
        if (is_named(name, "host"))
            return take_host(parser, value, head);
        break;
    case 6:
        if (!is_named(name, "expect"))
            break;
        if (!str_eq_nocase(value, STR("100-continue")))
            return refuse(parser, 417, "the only Expect known is 100-continue");
        head->expect_continue = head->version_minor > 0;
        break;
    case 10:
        if (is_named(name, "connection"))
            take_connection(parser, value);
        break;
    case 12:
        if (is_named(name, "content-type") && !first_time(parser, SEEN_TYPE))
            return refuse(parser, 400, "Content-Type stands twice");
        break;
    case 13:
        if (is_named(name, "authorization") &&
            !first_time(parser, SEEN_AUTHORIZATION))
            return refuse(parser, 400, "Authorization stands twice");
        break;
    case 14:
        if (is_named(name, "content-length"))
            return take_length(parser, value, head);
        break;
    case 16:
        if (is_named(name, "content-encoding") &&
            !str_eq_nocase(value, STR("identity")))
            parser->seen |= SEEN_CODING;
        break;
    case 17:
        if (is_named(name, "transfer-encoding"))
            return take_transfer(parser, value, head);
        break;
    default:
        break;
    }
    return PARSER_MORE;
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
        return refuse(parser, 431, "too many header fields");
    if (name.n == 0 || name.n == len || line[name.n] != ':')
        return refuse(parser, 400,
                      "a header field must be a name, a colon at once, and a "
                      "value on the same line");

    char *value = line + name.n + 1, *end = line + len;
    while (value < end && is_space(*value))
        value++;
    while (end > value && is_space(end[-1]))
        end--;
    struct str slice = str_from(value, (size_t)(end - value));
    if (!is_value(slice))
        return refuse(parser, 400,
                      "a header field's value holds a control character");
    *end = '\0';
    head->fields[head->fields_len++] = (struct request_field){name, slice};
    return take_known(parser, name, slice, head);
}

/* What only the whole head can show. */
static enum parser_result
end_of_head(struct parser *parser, struct parser_head *head)
{
    uint32_t seen = parser->seen;

    if (head->version_minor > 0 && !(seen & SEEN_HOST))
        return refuse(parser, 400, "HTTP/1.1 needs a Host");
    if (parser->authority.n > 0 && seen & SEEN_HOST &&
        !str_eq_nocase(parser->authority, head->host))
        return refuse(parser, 400, "the target's authority is not the Host");
    if (seen & SEEN_LENGTH && seen & SEEN_TRANSFER)
        return refuse(
            parser, 400,
            "Content-Length and Transfer-Encoding exclude each other");
    if (seen & SEEN_CODING && (head->chunked || head->content_length > 0))
        return refuse(parser, 415, "encoded bodies are not accepted");
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
            return refuse(parser, 400, "too many empty lines");
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
        return refuse(parser, 414, "the request line is too long");
    if (parser->pos - parser->start + least > parser->limits->head_max)
        return refuse(parser, 431, "the header is too large");
    return PARSER_MORE;
}

/* ---- the short way: 0 bytes were taken when the long one is to be gone ----
 */

static void
took(struct parser *parser, size_t n)
{
    parser->pos += n;
    parser->scanned = parser->pos;
}

/* GET or POST of a path, with a query or without. */
static size_t
short_request_line(struct parser *parser, char *line, const char *end,
                   struct parser_head *head)
{
    char *target = line + 4, *question = NULL;

    if (end - line < 2 * SCAN_WIDTH)
        return 0;
    bool post = memcmp(line, "POST ", 5) == 0;
    if (!post && memcmp(line, "GET ", 4) != 0)
        return 0;
    target += post;
    char *p = target;
    if (*p != '/')
        return 0;
    for (;;) {
        if (end - p < SCAN_WIDTH)
            return 0;
        unsigned ends = scan_path_ends(p);
        if (ends == 0) {
            p += SCAN_WIDTH;
            continue;
        }
        p += __builtin_ctz(ends);
        if (*p != '?')
            break;
        if (!question)
            question = p;
        p++;
    }
    const char *version = p + 1;
    size_t n = (size_t)(p - line) + sizeof " HTTP/1.1\r\n" - 1;
    if (*p != ' ' || end - line < (ptrdiff_t)n ||
        check_length(parser, n, true) != PARSER_MORE ||
        memcmp(version, "HTTP/1.", 7) != 0 || (version[7] & ~1) != '0' ||
        memcmp(version + 8, "\r\n", 2) != 0)
        return 0;
    head->method = post ? PIT_POST : PIT_GET;
    head->version_minor = version[7] - '0';
    *p = '\0';
    if (question) {
        *question = '\0';
        head->query = str_from(question + 1, (size_t)(p - question) - 1);
    }
    head->path = str_from(target, (size_t)((question ? question : p) - target));
    parser->in_fields = true;
    took(parser, n);
    return n;
}

/* A field whose name is plain and whose value holds no tab. */
static size_t
short_field_line(struct parser *parser, char *line, const char *end,
                 struct parser_head *head, enum parser_result *ret)
{
    char *p = line;
    unsigned bits;

    if (head->fields_len == parser->limits->fields_max)
        return 0;
    while ((bits = bits_to(scan_plain, p, end)) == SCAN_ALL)
        p += SCAN_WIDTH;
    p += __builtin_ctz(~bits);
    struct str name = str_from(line, (size_t)(p - line));
    if (name.n == 0 || end - p < 3 || *p != ':')
        return 0;
    p += 1 + (p[1] == ' ');
    char *value = p;
    if (is_space(*value))
        return 0;
    while ((bits = bits_to(scan_controls, p, end)) == 0 && end - p > SCAN_WIDTH)
        p += SCAN_WIDTH;
    if (bits == 0)
        return 0;
    p += __builtin_ctz(bits);
    size_t n = (size_t)(p - line) + 2;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n' ||
        check_length(parser, n, true) != PARSER_MORE)
        return 0;
    while (p > value && p[-1] == ' ')
        p--;
    *p = '\0';
    struct str slice = str_from(value, (size_t)(p - value));
    head->fields[head->fields_len++] = (struct request_field){name, slice};
    took(parser, n);
    *ret = take_known(parser, name, slice, head);
    return n;
}

static size_t
short_way(struct parser *parser, char *line, const char *end,
          struct parser_head *head, enum parser_result *ret)
{
    if (SCAN_WIDTH == 0 || parser->scanned != parser->pos)
        return 0;
    if (!parser->in_fields)
        return short_request_line(parser, line, end, head);
    if (end - line < 2 || line[0] != '\r')
        return short_field_line(parser, line, end, head, ret);
    if (line[1] != '\n' || check_length(parser, 2, true) != PARSER_MORE)
        return 0;
    took(parser, 2);
    *ret = end_of_head(parser, head);
    return 2;
}

static void
clear_head(struct parser_head *head)
{
    head->method = 0;
    head->path = head->query = head->host = STR_NULL;
    head->content_length = -1;
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
        if (short_way(parser, line, data + len, head, &result) > 0)
            continue;
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
            return refuse(parser, 400, "a line must end with CR LF");
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
