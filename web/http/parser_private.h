/* parser_private.h - what the parser's own files share: parser.c takes a head
 * apart line by line, parser_short.c the lines that nearly all are, and
 * parser_fields.c knows the fields that the front acts on.
 *
 * Nobody else includes this. */
#ifndef WEB_HTTP_PARSER_PRIVATE_H
#define WEB_HTTP_PARSER_PRIVATE_H

#include <string.h>

#include "http/parser.h"
#include "http/scan.h"

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

static inline enum parser_result
parser_refuse(struct parser *parser, int http, const char *reason)
{
    parser->http = http;
    parser->reason = reason;
    return PARSER_REFUSED;
}

static inline uint32_t
parser_load4(const char *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint64_t
parser_load8(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

_Static_assert((int)PARSER_SLACK >= (int)SCAN_WIDTH,
               "what a scan reads is there");

/* parser_fields.c. False: a field of that name is none of those that the front
 * acts on. Looks at the length and the first letter alone. */
static inline bool
parser_may_know(struct str name)
{
    /* By length; 12 stands for two. */
    static const char first[] = {
        [4] = 'h',  [6] = 'e',  [10] = 'c', [11] = 't', [12] = '*',
        [13] = 'a', [14] = 'c', [16] = 'c', [17] = 't',
    };

    return name.n < sizeof first &&
           (first[name.n] == (name.p[0] | 0x20) || first[name.n] == '*');
}
/* The one that every request has. */
static inline bool
parser_is_host(struct str name)
{
    return name.n == 4 &&
           (parser_load4(name.p) | 0x20202020u) == parser_load4("host");
}
enum parser_result parser_take_host(struct parser *parser, struct str value,
                                    struct parser_head *head);
/* Takes note of what such a field says. */
enum parser_result parser_take_known(struct parser *parser, struct str name,
                                     struct str value,
                                     struct parser_head *head);

/* parser_short.c. Takes as many lines as are complete and of the kind that
 * nearly all are, from the one on that the search stands before. */
enum parser_short {
    PARSER_SHORT_NONE, /* there was none: the long way is to be gone */
    PARSER_SHORT_SOME,
    PARSER_SHORT_LAST,   /* the empty line that ends the head among them */
    PARSER_SHORT_REFUSED /* what one of them says */
};
enum parser_short parser_take_short(struct parser *parser, char *data,
                                    size_t len, struct parser_head *head);

#endif
