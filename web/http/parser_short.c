/* Parser, the short way: a line that starts where the search stands, and is of
 * the kind that nearly all are, is found and taken apart in one pass, sixteen
 * bytes at once (scan.h).
 *
 * Whatever is unusual about a line, an error too, makes it step back without a
 * trace: the line then takes the long way. So it never refuses a line itself,
 * and bytes beyond a limit count as not there. Fed byte by byte every line
 * takes the long way, so the property test compares the two.
 *
 * No scan asks where the bytes end: the zeros behind them are of no kind that
 * one goes over, and a line must end before them. */
#include "http/parser_private.h"

static bool
is_end_of_line(const char *p)
{
    return memcmp(p, "\r\n", 2) == 0;
}

/* GET or POST of a path, with a query or without; the end of the line, NULL for
 * any other. */
static char *
take_request_line(struct parser *parser, char *line, const char *end,
                  struct parser_head *head)
{
    static const char version[] = " HTTP/1.1\r\n";
    char *target = line + 4, *question = NULL;
    unsigned ends, percents = 0;

    bool post = memcmp(line, "GET ", 4) != 0;
    if (post && memcmp(line, "POST ", 5) != 0)
        return NULL;
    target += post;
    char *p = target;
    if (*p != '/')
        return NULL;
    for (;;) {
        percents |= scan_percents(p);
        while ((ends = scan_path_ends(p)) == 0) {
            p += SCAN_WIDTH;
            percents |= scan_percents(p);
        }
        p += __builtin_ctz(ends);
        if (*p != '?')
            break;
        if (!question)
            question = p;
        p++;
    }
    char *after = p + sizeof version - 1;
    if (after > end || after - line > (ptrdiff_t)parser->limits->line_max ||
        memcmp(p, version, 8) != 0 || (p[8] & ~1) != '0' ||
        !is_end_of_line(p + 9))
        return NULL;
    head->method = post ? PIT_POST : PIT_GET;
    head->version_minor = p[8] - '0';
    *p = '\0';
    head->path = str_from(target, (size_t)((question ? question : p) - target));
    head->path_plain = percents == 0;
    if (question) {
        *question = '\0';
        head->query = str_from(question + 1, (size_t)(p - question) - 1);
    }
    parser->in_fields = true;
    return after;
}

/* A field whose name is plain and whose value holds no tab; the end of the
 * line, NULL for any other. */
static inline char *
take_field(char *line, const char *end, struct request_field *ret)
{
    char *p = line;
    unsigned bits;

    while ((bits = scan_plain(p)) == SCAN_ALL)
        p += SCAN_WIDTH;
    p += __builtin_ctz(~bits);
    char *value = p + 1 + (p[1] == ' ');
    if (p == line || *p != ':' || *value == ' ')
        return NULL;
    size_t name_len = (size_t)(p - line);
    p = value;
    while ((bits = scan_controls(p)) == 0)
        p += SCAN_WIDTH;
    p += __builtin_ctz(bits);
    if (!is_end_of_line(p) || p + 2 > end)
        return NULL;
    char *value_end = p;
    while (value_end[-1] == ' ' && value_end > value)
        value_end--;
    *value_end = '\0';
    ret->name = str_from(line, name_len);
    ret->value = str_from(value, (size_t)(value_end - value));
    return p + 2;
}

enum parser_short
parser_take_short(struct parser *parser, char *data, size_t len,
                  struct parser_head *head)
{
    const struct parser_limits *limits = parser->limits;
    size_t most = parser->start + limits->head_max;
    const char *end = data + (len < most ? len : most);
    char *line = data + parser->pos, *next = NULL;
    enum parser_short how = PARSER_SHORT_SOME;

    if (SCAN_WIDTH == 0 || parser->scanned != parser->pos)
        return PARSER_SHORT_NONE;
    if (!parser->in_fields) {
        next = take_request_line(parser, line, end, head);
        if (!next)
            return PARSER_SHORT_NONE;
        line = next;
    }
    struct request_field *field = &head->fields[head->fields_len];
    struct request_field *full =
        &head->fields[head->fields_room < limits->fields_max
                          ? head->fields_room
                          : limits->fields_max];
    while (!is_end_of_line(line) && field < full && how == PARSER_SHORT_SOME &&
           (next = take_field(line, end, field))) {
        line = next;
        enum parser_result result = PARSER_MORE;
        if (parser_is_host(field->name))
            result = parser_take_host(parser, field->value, head);
        else if (parser_may_know(field->name))
            result = parser_take_known(parser, field->name, field->value, head);
        if (result != PARSER_MORE)
            how = PARSER_SHORT_REFUSED;
        field++;
    }
    head->fields_len = (size_t)(field - head->fields);
    if (how == PARSER_SHORT_SOME && is_end_of_line(line) && line + 2 <= end) {
        line += 2;
        how = PARSER_SHORT_LAST;
    } else if (line == data + parser->pos) {
        how = PARSER_SHORT_NONE;
    }
    parser->pos = parser->scanned = (size_t)(line - data);
    return how;
}
