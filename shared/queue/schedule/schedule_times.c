/* Schedule times: a cron line is local, so it is asked in local minutes and the
 * zone says which instants they are. After an outage only the last times matter
 * and the number of the others: both without walking through years of
 * minutes. */
#include "queue/schedule/schedule_times.h"

#include "base/civil.h"

#define LOOK_BACK_MS INT64_C(172800000) /* two days; doubled */

static int64_t
next_cron(const struct schedule *s, int64_t after_ms)
{
    if (!s->zone)
        return SCHEDULE_NEVER;
    int64_t reached = zone_reached(s->zone, civil_floor(after_ms, 1000));
    int64_t minute = cron_next(&s->cron, civil_floor(reached, 60));
    return zone_instant(s->zone, minute * 60) * 1000;
}

int64_t
schedule_times_next(const struct schedule *s, int64_t after_ms)
{
    switch (s->when) {
    case SCHEDULE_CRON:
        return next_cron(s, after_ms);
    case SCHEDULE_EVERY: {
        int64_t n = civil_floor(after_ms - s->anchor_ms, s->every_ms) + 1;
        return s->anchor_ms + (n < 1 ? 1 : n) * s->every_ms;
    }
    default:
        return s->at_ms > after_ms ? s->at_ms : SCHEDULE_NEVER;
    }
}

/* FNV-1a of name and time, and then mixed: neighbouring times must not get
 * neighbouring delays. Every process must find the same, for ever. */
static uint64_t
hash(struct str name, int64_t ms)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(1099511628211);
    for (int i = 0; i < 8; i++)
        h = (h ^ ((uint64_t)ms >> 8 * i & 0xff)) * UINT64_C(1099511628211);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

int64_t
schedule_times_fire(const struct schedule *s, int64_t nominal_ms)
{
    if (s->jitter_ms <= 0)
        return nominal_ms;
    return nominal_ms +
           (int64_t)(hash(s->name, nominal_ms) % ((uint64_t)s->jitter_ms + 1));
}

/* The last times that have come, in a ring. */
struct passed {
    int64_t times[SCHEDULE_MISSED_MAX];
    size_t count;  /* all that were added */
    size_t before; /* and so many before them at least */
    int64_t next;  /* the first that has not come */
};

static bool
has_come(const struct schedule *s, int64_t nominal_ms, int64_t now_ms)
{
    return nominal_ms <= now_ms && schedule_times_fire(s, nominal_ms) <= now_ms;
}

static void
add_from(struct passed *passed, const struct schedule *s, int64_t nominal_ms,
         int64_t now_ms, size_t max)
{
    for (; passed->count < max && has_come(s, nominal_ms, now_ms);
         nominal_ms = schedule_times_next(s, nominal_ms))
        passed->times[passed->count++ % SCHEDULE_MISSED_MAX] = nominal_ms;
    passed->next = nominal_ms;
}

/* From @nominal_ms to now. Too many to be walked through: only the end of them,
 * from some time back. */
static void
look(struct passed *passed, const struct schedule *s, int64_t nominal_ms,
     int64_t now_ms)
{
    *passed = (struct passed){0};
    add_from(passed, s, nominal_ms, now_ms, SCHEDULE_COUNT_MAX);
    if (passed->count < SCHEDULE_COUNT_MAX)
        return;
    for (int64_t back_ms = LOOK_BACK_MS;; back_ms *= 2) {
        int64_t from_ms = now_ms - s->jitter_ms - back_ms;
        if (from_ms <= nominal_ms)
            from_ms = nominal_ms - 1;
        int64_t first = schedule_times_next(s, from_ms);
        *passed = (struct passed){0};
        add_from(passed, s, first, now_ms, SIZE_MAX);
        if (passed->count >= SCHEDULE_MISSED_MAX || from_ms < nominal_ms)
            break;
    }
    passed->before = SCHEDULE_COUNT_MAX;
}

/* The @n-th last; 1 is the last one. */
static int64_t
last_but(const struct passed *passed, size_t n)
{
    return passed->times[(passed->count - n) % SCHEDULE_MISSED_MAX];
}

/* How many of the last times are fired. */
static size_t
worth_firing(const struct schedule *s, const struct passed *passed,
             int64_t now_ms)
{
    switch (s->misfire) {
    case SCHEDULE_MISFIRE_ALL:
        return passed->count < SCHEDULE_MISSED_MAX ? passed->count
                                                   : SCHEDULE_MISSED_MAX;
    case SCHEDULE_MISFIRE_ONCE:
        return 1;
    default:
        return now_ms - schedule_times_fire(s, last_but(passed, 1)) <=
               SCHEDULE_GRACE_MS;
    }
}

void
schedule_times_plan(const struct schedule *s, int64_t nominal_ms,
                    int64_t now_ms, struct schedule_plan *ret)
{
    struct passed passed;

    look(&passed, s, nominal_ms, now_ms);
    ret->n = 0;
    ret->next_ms = passed.next;
    ret->next_at_ms = passed.next == SCHEDULE_NEVER
                          ? SCHEDULE_NEVER
                          : schedule_times_fire(s, passed.next);
    if (passed.count == 0)
        return;
    size_t fired = worth_firing(s, &passed, now_ms);
    size_t missed = passed.before + passed.count - fired;
    if (missed > 0)
        ret->steps[ret->n++] = (struct schedule_step){
            .nominal_ms = nominal_ms,
            .at_ms = now_ms,
            .missed =
                missed < SCHEDULE_COUNT_MAX ? (int)missed : SCHEDULE_COUNT_MAX,
        };
    for (size_t n = fired; n > 0; n--) {
        int64_t time_ms = last_but(&passed, n);
        ret->steps[ret->n++] = (struct schedule_step){
            .nominal_ms = time_ms,
            .at_ms = schedule_times_fire(s, time_ms),
        };
    }
}
