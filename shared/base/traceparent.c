/* Traceparent: four fields in lower-case hex with dashes between them. */
#include "base/traceparent.h"

static bool
is_hex(struct str s, bool zero_allowed)
{
    bool zero = true;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero &= c == '0';
    }
    return zero_allowed || !zero;
}

struct str
traceparent_parse(struct str text)
{
    if (text.n < TRACEPARENT_LEN || text.p[2] != '-' || text.p[35] != '-' ||
        text.p[52] != '-')
        return STR_NULL;
    struct str version = str_from(text.p, 2);
    if (!is_hex(version, true) || str_eq_c(version, "ff") ||
        !is_hex(str_from(text.p + 3, 32), false) ||
        !is_hex(str_from(text.p + 36, 16), false) ||
        !is_hex(str_from(text.p + 53, 2), true))
        return STR_NULL;
    /* A later version may go on behind a dash; version 00 may not. */
    if (text.n > TRACEPARENT_LEN &&
        (str_eq_c(version, "00") || text.p[TRACEPARENT_LEN] != '-'))
        return STR_NULL;
    return str_from(text.p, TRACEPARENT_LEN);
}
