/* civil.h - the Gregorian calendar as arithmetic: days since 1970-01-01 and
 * the date that they stand for.
 *
 * No time zone, no libc: gmtime() and timegm() read the environment's TZ and
 * lock for it. Proleptic, for the years 0 to 9999 and a little around them.
 * Pure functions. */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

enum { CIVIL_DAY_S = 86400 };

struct civil {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};

/* Days since 1970-01-01 of a date that exists, from the year 0 on. */
int64_t civil_days(struct civil date);
/* The date of a day since 1970-01-01, from the year 0 on. */
struct civil civil_date(int64_t days);
/* 0 is Sunday, 6 Saturday. */
int civil_weekday(int64_t days);
/* 28..31; @month 1..12. */
int civil_month_days(int64_t year, int month);

/* @a / @b and its rest, rounded towards minus infinity; @b > 0. */
static inline int64_t
civil_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t
civil_rest(int64_t a, int64_t b)
{
    return a % b < 0 ? a % b + b : a % b;
}

#endif
