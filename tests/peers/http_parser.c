/* peer-http-parser: how http-parser understands a stream of requests.
 *
 * Reads messages from standard input, each preceded by its length in decimal
 * and a newline; writes a line for each: "METHOD TARGET BODY-LENGTH" for each
 * request that is complete, with tabs between them, and "!" where it gives up.
 */
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    char target[65536];
    size_t target_len;
    size_t body;
};

static int
on_begin(http_parser *parser)
{
    struct seen *seen = parser->data;

    seen->target_len = seen->body = 0;
    return 0;
}

static int
on_url(http_parser *parser, const char *at, size_t n)
{
    struct seen *seen = parser->data;

    if (seen->target_len + n > sizeof seen->target)
        return 1;
    memcpy(seen->target + seen->target_len, at, n);
    seen->target_len += n;
    return 0;
}

static int
on_body(http_parser *parser, const char *at, size_t n)
{
    (void)at;
    ((struct seen *)parser->data)->body += n;
    return 0;
}

static int
on_complete(http_parser *parser)
{
    struct seen *seen = parser->data;

    printf("%s ", http_method_str(parser->method));
    for (size_t i = 0; i < seen->target_len; i++) {
        unsigned char c = (unsigned char)seen->target[i];
        if (c > 0x20 && c < 0x7f)
            putchar(c);
        else
            printf("\\x%02x", c);
    }
    printf(" %zu\t", seen->body);
    return 0;
}

static void
parse(const char *bytes, size_t n)
{
    static const http_parser_settings settings = {
        .on_message_begin = on_begin,
        .on_url = on_url,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    static struct seen seen;
    http_parser parser;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &seen;
    size_t used = http_parser_execute(&parser, &settings, bytes, n);
    if (used == n && HTTP_PARSER_ERRNO(&parser) == HPE_OK)
        http_parser_execute(&parser, &settings, NULL, 0); /* the end */
    if (used != n || HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        printf("!");
    printf("\n");
}

int
main(void)
{
    char line[32];

    while (fgets(line, sizeof line, stdin)) {
        size_t n = strtoul(line, NULL, 10);
        char *bytes = malloc(n + 1);
        if (!bytes || fread(bytes, 1, n, stdin) != n)
            return 1;
        parse(bytes, n);
        free(bytes);
    }
    return 0;
}
