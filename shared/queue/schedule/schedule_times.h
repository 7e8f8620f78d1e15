/* schedule_times.h - when a schedule fires, and what a late look at it means.
 *
 * A schedule's nominal times are what its line says: "3 o'clock in Berlin". The
 * jitter, which follows from name and time, is added to get when it fires.
 * Milliseconds since 1970; "now" is always Redis'. Pure functions. */
#ifndef QUEUE_SCHEDULE_TIMES_H
#define QUEUE_SCHEDULE_TIMES_H

#include "queue/schedule/schedule.h"

#define SCHEDULE_NEVER INT64_MAX
/* Missed times are counted up to that. */
enum { SCHEDULE_COUNT_MAX = 10000 };

/* The first nominal time after @after_ms; SCHEDULE_NEVER: none, or the zone is
 * not known here. Local times that are skipped fire at the first instant behind
 * the gap, those that come twice only the first time (base/zone.h). */
int64_t schedule_times_next(const struct schedule *s, int64_t after_ms);
/* When the nominal time is fired: up to jitter_ms later. */
int64_t schedule_times_fire(const struct schedule *s, int64_t nominal_ms);

/* One line of a plan. */
struct schedule_step {
    int64_t nominal_ms;
    int64_t at_ms;
    int missed; /* 0: to be fired; else so many from nominal_ms on were missed,
                   SCHEDULE_COUNT_MAX or more when it is that */
};

struct schedule_plan {
    size_t n;
    struct schedule_step steps[SCHEDULE_MISSED_MAX + 1];
    int64_t next_ms; /* nominal, after the last step; SCHEDULE_NEVER: none */
    int64_t next_at_ms;
};

/* What is to be done at @now_ms when @nominal_ms is the next time that nobody
 * has dealt with: what has come is fired or given up, as misfire says. */
void schedule_times_plan(const struct schedule *s, int64_t nominal_ms,
                         int64_t now_ms, struct schedule_plan *ret);

#endif
