/* parser.h - the head of an HTTP/1.x request, read strictly and in one pass.
 *
 * Pure: no I/O, no allocation, no clock. It is fed the bytes that have come so
 * far, as often as one likes; fed byte by byte or at once it says the same.
 * What two parsers could understand differently is refused (RFC 9112 section
 * 11.2): the list is in docs/http.md and in test_http_parser.c.
 *
 * The head that it fills consists of slices into the caller's bytes, which
 * must therefore stay where they are from the first feed on, or be moved with
 * parser_move(). The parser writes into them: a NUL behind every value and
 * behind path and query. */
#ifndef WEB_HTTP_PARSER_H
#define WEB_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/http/request.h"
#include "base/str.h"

enum {
    PARSER_FIELDS_MAX = 64,
    PARSER_SLACK = 16, /* bytes behind the last one that are read too */
};

struct parser_limits {
    size_t line_max;     /* bytes of the request line with CRLF; over it 414 */
    size_t head_max;     /* bytes of the whole head; over it 431 */
    uint32_t fields_max; /* <= PARSER_FIELDS_MAX; over it 431 */
};

/* A complete head. The strings live as long as the bytes. */
struct parser_head {
    enum pit_method method;
    int version_minor;
    struct str path;  /* percent-encoded, starts with '/'; "*" for OPTIONS * */
    struct str query; /* p is NULL without a '?' */
    struct str host;
    struct str request_id;  /* X-Request-Id, the first; p is NULL without one */
    struct str traceparent; /* the same */
    int64_t content_length; /* -1: none given */
    bool path_plain;        /* nothing is escaped in it; false: perhaps it is */
    bool chunked;
    bool keep_alive;      /* RFC 9112 section 9.3 */
    bool expect_continue; /* RFC 9110 section 10.1.1; never for HTTP/1.0 */
    struct request_field *fields; /* the caller's, set before the first feed */
    size_t fields_room;           /* of that; may grow after PARSER_FULL */
    size_t fields_len;
};

enum parser_result {
    PARSER_MORE, /* the head is not complete */
    PARSER_DONE, /* it is; parser->pos bytes belong to it */
    PARSER_FULL, /* as MORE, but only with more room for fields: feed again */
    PARSER_REFUSED, /* parser->http and ->reason say why; it stays so */
};

struct parser {
    const struct parser_limits *limits; /* borrowed */
    size_t pos;                         /* bytes of complete lines */
    size_t scanned;       /* bytes searched for the end of the present line */
    size_t start;         /* where the request line starts: after empty lines */
    uint32_t seen;        /* fields that may stand once only */
    struct str authority; /* of an absolute-form target */
    bool path_implied;    /* "/" that does not stand in the target */
    bool in_fields;       /* the request line is behind us */
    int http;             /* the code of a refusal */
    const char *reason;   /* a literal, for people */
};

void parser_init(struct parser *parser, const struct parser_limits *limits);
/* @data: every byte since parser_init(), @len >= the last call's, and behind
 * them PARSER_SLACK bytes that are zero. @head is complete only after
 * PARSER_DONE, but must be the same each time. */
enum parser_result parser_feed(struct parser *parser, char *data, size_t len,
                               struct parser_head *head);
/* The bytes lie @by further on than before: the head's slices follow. Before
 * the head is complete. */
void parser_move(struct parser *parser, struct parser_head *head, ptrdiff_t by);
/* uri-host [":" port] of RFC 9110 section 7.2, without userinfo, escapes, an
 * empty name or an empty port. */
bool parser_host_valid(struct str host);
/* True when a byte other than an empty line has come. */
bool parser_begun(const struct parser *parser, const char *data, size_t len);

#endif
