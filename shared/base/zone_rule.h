/* zone_rule.h - a zone's future: the POSIX TZ string that ends a TZif file.
 *
 *   "CET-1CEST,M3.5.0,M10.5.0/3"
 *
 * POSIX.1-2017 section 8.3, with RFC 8536 section 3.3.1's wider range of times
 * (-167..167 hours) and permanent daylight saving time. Pure functions. */
#ifndef BASE_ZONE_RULE_H
#define BASE_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* When one half of the year begins, on the clock that ends then. */
struct zone_edge {
    enum { ZONE_EDGE_JULIAN, ZONE_EDGE_DAY, ZONE_EDGE_WEEKDAY } kind;
    int month;    /* WEEKDAY: 1..12 */
    int week;     /* WEEKDAY: 1..5, 5 is the last */
    int day;      /* JULIAN 1..365, DAY 0..365, WEEKDAY 0..6 from Sunday */
    int32_t at_s; /* after midnight; may lie in another day */
};

struct zone_rule {
    int32_t standard_s; /* east of UTC */
    int32_t daylight_s; /* the same, while daylight saving time holds */
    bool daylight;      /* is there any? */
    struct zone_edge start, end;
};

/* False for what is no such string; *ret is untouched then. */
bool zone_rule_parse(struct str text, struct zone_rule *ret);
/* Seconds east of UTC at @at_s. Years 0 to 9999. */
int32_t zone_rule_offset(const struct zone_rule *rule, int64_t at_s);
/* The first change after @at_s; INT64_MAX: never. */
int64_t zone_rule_next(const struct zone_rule *rule, int64_t at_s);

#endif
