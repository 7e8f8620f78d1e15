/* Civil: the calendar is counted in years that begin on 1 March, so that the
 * leap day is a year's last and every month's offset is a linear formula. A
 * cycle of the Gregorian calendar is 400 years or 146,097 days. */
#include "base/civil.h"

enum { CYCLE_DAYS = 146097, EPOCH_DAYS = 719468 };

int64_t
civil_days(struct civil c)
{
    int64_t year = c.month <= 2 ? c.year - 1 : c.year;
    int64_t cycle = civil_floor(year, 400), of_cycle = civil_rest(year, 400);
    int64_t month = (c.month + 9) % 12; /* March is 0 */
    int64_t of_year = (153 * month + 2) / 5 + c.day - 1;

    return cycle * CYCLE_DAYS + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 +
           of_year - EPOCH_DAYS;
}

struct civil
civil_date(int64_t days)
{
    days += EPOCH_DAYS;
    int64_t cycle = civil_floor(days, CYCLE_DAYS);
    int64_t d = civil_rest(days, CYCLE_DAYS);
    int64_t of_cycle = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t of_year = d - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
    int64_t month = (5 * of_year + 2) / 153;

    return (struct civil){
        .year = cycle * 400 + of_cycle + (month >= 10),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
    };
}

int
civil_weekday(int64_t days)
{
    return (int)civil_rest(days + 4, 7); /* 1970-01-01 was a Thursday */
}

int
civil_month_days(int64_t year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return lengths[month - 1] + (month == 2 && leap);
}
