/* Parser, the fields that the front itself acts on.
 *
 * They are told apart by length first, which rules out most, and compared eight
 * bytes at once. Names and values that come here lie in a line of the head,
 * behind a request line: so there are bytes before them that can be read. */
#include "http/parser_private.h"

/* True when @name is @lower, a field's name in lower case, of the same length
 * of 4 to 17: four or eight bytes at once, then as many up to the end. @name is
 * a token or a checked value: among those only letters become letters, and a
 * dash remains one, by the bit of lower case. */
static inline bool
is_named(struct str name, const char *lower)
{
    static const uint64_t bit = UINT64_C(0x2020202020202020);

    if (name.n < 8)
        return (parser_load4(name.p) | (uint32_t)bit) == parser_load4(lower) &&
               (parser_load4(name.p + name.n - 4) | (uint32_t)bit) ==
                   parser_load4(lower + name.n - 4);
    return (parser_load8(name.p) | bit) == parser_load8(lower) &&
           (parser_load8(name.p + name.n - 8) | bit) ==
               parser_load8(lower + name.n - 8) &&
           (name.n < 17 || name.p[8] == lower[8]);
}

static bool
is_port(struct str s)
{
    if (s.n < 2 || s.n > 6 || s.p[0] != ':')
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

/* How many bytes from the start of @s are of a registered name, without escapes
 * and sub-delims. */
static size_t
span_host(struct str s)
{
    size_t n = 0;

    while (n < s.n && (((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'z') ||
                       (s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '-' ||
                       s.p[n] == '.' || s.p[n] == '_' || s.p[n] == '~'))
        n++;
    return n;
}

/* A port within a field line, which has eight bytes before a port's end: up
 * to four digits at once. */
static bool
is_port_in_line(struct str s)
{
    static const uint64_t zeros = UINT64_C(0x3030303030303030),
                          sixes = UINT64_C(0x0606060606060606),
                          high = UINT64_C(0xf0f0f0f0f0f0f0f0);

    if (s.n < 2 || s.n > 5 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return is_port(s);
    unsigned digits = (unsigned)(s.n - 1) * 8;
    uint64_t word =
        parser_load8(s.p + s.n - 8) >> (64 - digits) | zeros << digits;
    return s.p[0] == ':' && (word & high) == zeros &&
           ((word + sixes) & high) == zeros;
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
        n = span_host(host);
        if (n == 0)
            return false;
    }
    return n == host.n || is_port(str_from(host.p + n, host.n - n));
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

/* True for a plain name or address, with a port or without. False says nothing:
 * parser_host_valid() decides. */
static bool
is_short_host(struct str value)
{
    size_t n = 0;
    unsigned bits;

    /* A value ends in NUL, which is not plain. */
    while ((bits = scan_plain(value.p + n)) == SCAN_ALL && SCAN_WIDTH > 0)
        n += SCAN_WIDTH;
    n += (size_t)__builtin_ctz(~bits);
    return n > 0 && (n == value.n || is_port_in_line(str_skip(value, n)));
}

enum parser_result
parser_take_host(struct parser *parser, struct str value,
                 struct parser_head *head)
{
    if (!first_time(parser, SEEN_HOST))
        return parser_refuse(parser, 400, "Host stands twice");
    if (!is_short_host(value) && !parser_host_valid(value))
        return parser_refuse(parser, 400, "Host is not a valid host");
    head->host = value;
    return PARSER_MORE;
}

static enum parser_result
take_length(struct parser *parser, struct str value, struct parser_head *head)
{
    if (!first_time(parser, SEEN_LENGTH))
        return parser_refuse(parser, 400, "Content-Length stands twice");
    if (!str_to_i64(value, &head->content_length))
        return parser_refuse(
            parser, 400, "Content-Length must be 1 to 19 digits, below 2^63");
    return PARSER_MORE;
}

static enum parser_result
take_transfer(struct parser *parser, struct str value, struct parser_head *head)
{
    if (!first_time(parser, SEEN_TRANSFER))
        return parser_refuse(parser, 400, "Transfer-Encoding stands twice");
    if (head->version_minor == 0)
        return parser_refuse(parser, 400,
                             "Transfer-Encoding is not of HTTP/1.0");
    if (!str_eq_nocase(value, STR("chunked")))
        return parser_refuse(
            parser, 501, "the only Transfer-Encoding known here is chunked");
    head->chunked = true;
    return PARSER_MORE;
}

/* The fields that the front itself acts on; the length rules out most. */
enum parser_result
parser_take_known(struct parser *parser, struct str name, struct str value,
                  struct parser_head *head)
{
    switch (name.n) {
    case 4:
        if (parser_is_host(name))
            return parser_take_host(parser, value, head);
        break;
    case 6:
        if (!is_named(name, "expect"))
            break;
        if (!str_eq_nocase(value, STR("100-continue")))
            return parser_refuse(parser, 417,
                                 "the only Expect known is 100-continue");
        head->expect_continue = head->version_minor > 0;
        break;
    case 10:
        if (is_named(name, "connection"))
            take_connection(parser, value);
        break;
    case 12:
        if (is_named(name, "x-request-id") && !head->request_id.p)
            head->request_id = value;
        else if (is_named(name, "content-type") &&
                 !first_time(parser, SEEN_TYPE))
            return parser_refuse(parser, 400, "Content-Type stands twice");
        break;
    case 11:
        if (is_named(name, "traceparent") && !head->traceparent.p)
            head->traceparent = value;
        break;
    case 13:
        if (is_named(name, "authorization") &&
            !first_time(parser, SEEN_AUTHORIZATION))
            return parser_refuse(parser, 400, "Authorization stands twice");
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
