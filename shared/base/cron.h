/* cron.h - the five fields of a cron line, and the local times that they name.
 *
 *   minute 0-59   hour 0-23   day of month 1-31   month 1-12   day of week 0-7
 *
 * Each field is `*`, a number, a range `a-b`, either of `*` and a range with a
 * step `/n`, or a list of these with commas. Months and weekdays may be named
 * by their first three letters in any case; Sunday is 0 and 7. In place of the
 * fields: @hourly, @daily (@midnight), @weekly, @monthly, @yearly (@annually).
 *
 * As in vixie cron (crontab(5)): when both day fields are restricted, a day
 * that fits either one counts; a field that begins with `*` is not restricted,
 * so with `*` and a step both must fit.
 *
 * Works on local times, minutes since 1970-01-01 00:00 on some clock; which
 * instants they are is base/zone.h's business. Pure functions. */
#ifndef BASE_CRON_H
#define BASE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { CRON_TEXT_MAX = 256 };

/* Bit n stands for the value n. */
struct cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;    /* of the month, from bit 1 */
    uint16_t months;  /* from bit 1 */
    uint8_t weekdays; /* bit 0 is Sunday */
    bool any_day;     /* the day of month begins with `*` */
    bool any_weekday; /* the day of week begins with `*` */
};

/* Errors: ST_INVALID, says which field is wrong, why, and what would do. A line
 * that no date ever fits (30 February) is refused too. */
CHECK enum status cron_parse(struct str text, struct cron *ret,
                             struct error *err);

/* The first minute after @minute that fits. There is one for whatever
 * cron_parse() has taken, at most forty years away. */
int64_t cron_next(const struct cron *cron, int64_t minute);

#endif
