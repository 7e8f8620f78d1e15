/* Parser, the short way: a line that starts where the search stands, and is of
 * the kind that nearly all are, is found and taken apart in one pass, sixteen
 * bytes at once (scan.h).
 *
 * Whatever is unusual about a line, an error too, makes it step back without a
 * trace: the line then takes the long way. So it never refuses anything itself,
 * and a limit that is reached is not looked at here: bytes beyond it count as
 * not there. Fed byte by byte every line takes the long way, so the property
 * test compares the two. */
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

    if (end - line < 2 * SCAN_WIDTH)
        return NULL;
    bool post = memcmp(line, "GET ", 4) != 0;
    if (post && memcmp(line, "POST ", 5) != 0)
        return NULL;
    target += post;
    char *p = target;
    if (*p != '/')
        return NULL;
    for (;;) {
        if (end - p < SCAN_WIDTH)
            return NULL;
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
    char *after = p + sizeof version - 1;
    if (after > end || after - line > (ptrdiff_t)parser->limits->line_max ||
        memcmp(p, version, 8) != 0 || (p[8] & ~1) != '0' ||
        !is_end_of_line(p + 9))
        return NULL;
    head->method = post ? PIT_POST : PIT_GET;
    head->version_minor = p[8] - '0';
    *p = '\0';
    head->path = str_from(target, (size_t)((question ? question : p) - target));
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

    while ((bits = parser_bits(scan_plain, p, end)) == SCAN_ALL)
        p += SCAN_WIDTH;
    p += __builtin_ctz(~bits);
    size_t name_len = (size_t)(p - line);
    if (name_len == 0 || end - p < 4 || *p != ':')
        return NULL;
    char *value = p + 1 + (p[1] == ' ');
    if (*value == ' ')
        return NULL;
    p = value;
    while ((bits = parser_bits(scan_controls, p, end)) == 0) {
        if (end - p <= SCAN_WIDTH)
            return NULL;
        p += SCAN_WIDTH;
    }
    p += __builtin_ctz(bits);
    if (end - p < 2 || !is_end_of_line(p))
        return NULL;
    char *value_end = p;
    while (value_end > value && value_end[-1] == ' ')
        value_end--;
    *value_end = '\0';
    ret->name = str_from(line, name_len);
    ret->value = str_from(value, (size_t)(value_end - value));
    return p + 2;
}

/* Lines up to one that is not for here; its start. */
static char *
take_fields(struct parser *parser, char *line, const char *end,
            struct parser_head *head, enum parser_result *ret)
{
    struct request_field *field = &head->fields[head->fields_len];
    size_t room = head->fields_room < parser->limits->fields_max
                      ? head->fields_room
                      : parser->limits->fields_max;

    for (; end - line >= 2; field++) {
        if (is_end_of_line(line)) {
            line += 2;
            *ret = parser_take_end(parser, head);
            break;
        }
        char *next =
            head->fields_len < room ? take_field(line, end, field) : NULL;
        if (!next)
            break;
        line = next;
        head->fields_len++;
        if (!parser_may_know(field->name))
            continue;
        *ret = parser_take_known(parser, field->name, field->value, head);
        if (*ret != PARSER_MORE)
            break;
    }
    return line;
}

bool
parser_take_short(struct parser *parser, char *data, size_t len,
                  struct parser_head *head, enum parser_result *ret)
{
    size_t most = parser->start + parser->limits->head_max;
    char *end = data + (len < most ? len : most), *line = data + parser->pos;

    if (SCAN_WIDTH == 0 || parser->scanned != parser->pos)
        return false;
    if (!parser->in_fields) {
        line = take_request_line(parser, line, end, head);
        if (!line)
            return false;
    }
    line = take_fields(parser, line, end, head, ret);
    size_t taken = (size_t)(line - data);
    bool some = taken > parser->pos;
    parser->pos = parser->scanned = taken;
    return some;
}
