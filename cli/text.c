/* Text: what the library can say already, cut to a terminal. */
#include "text.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

const char *
text_time(int64_t ms, char dst[TEXT_SIZE])
{
    dst[0] = '\0';
    if (ms > 0 && ms <= CLOCK_LAST_MS)
        clock_format(ms, dst);
    return dst;
}

const char *
text_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "-";
}

int64_t
text_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

const char *
text_age(const json_t *object, const char *name, char dst[TEXT_SIZE])
{
    int64_t at_ms, age_ms = -1;

    if (clock_parse(str_c(text_member(object, name)), &at_ms))
        age_ms = clock_wall_ms() - at_ms;
    return clock_words(age_ms, dst);
}

enum status
text_read_time(const char *option, const char *text, int64_t *ret_ms,
               struct error *err)
{
    if (text && !clock_parse(str_c(text), ret_ms))
        return error_set(err, ST_INVALID,
                         "--%s: \"%.60s\" is no time: give RFC 3339, such as "
                         "2027-01-01T08:00:00Z",
                         option, text);
    return ST_OK;
}

void
text_make_printable(char *text, size_t len)
{
    const char *end = text + len;

    for (char *c = text; c < end;) {
        size_t n = utf8_length(c, end);
        unsigned char first = (unsigned char)*c;
        /* U+0080..U+009F are control characters too. */
        bool control = first < 0x20 || first == 0x7f ||
                       (n == 2 && first == 0xc2 && (unsigned char)c[1] < 0xa0);
        if (n == 0 || control)
            memset(c, '?', n ? n : 1);
        c += n ? n : 1;
    }
}

void
text_print_line(const char *name, struct str value)
{
    struct buf line;

    if (value.n == 0)
        return;
    buf_init(&line, value.n);
    buf_add_str(&line, value);
    if (!line.failed) {
        text_make_printable(line.p, line.len);
        printf("%-9s %.*s\n", name, (int)line.len, line.p);
    }
    buf_clear(&line);
}

void
text_print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(json);
}
