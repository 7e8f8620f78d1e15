/* schedule_body.h - the body of a PUT or PATCH of a schedule.
 *
 * Its own fields are read here, all others are those of an enqueue
 * (app/document/envelope.h). As strict as that one; a null stands for a field
 * that is absent. Nothing suspends. */
#ifndef WEB_API_SCHEDULE_BODY_H
#define WEB_API_SCHEDULE_BODY_H

#include "app/document/envelope.h"
#include "queue/schedule/schedule.h"

enum schedule_field {
    SCHEDULE_FIELD_CRON = 1 << 0,
    SCHEDULE_FIELD_EVERY = 1 << 1,
    SCHEDULE_FIELD_AT = 1 << 2,
    SCHEDULE_FIELD_TIMEZONE = 1 << 3,
    SCHEDULE_FIELD_MISFIRE = 1 << 4,
    SCHEDULE_FIELD_OVERLAP = 1 << 5,
    SCHEDULE_FIELD_JITTER = 1 << 6,
    SCHEDULE_FIELD_PAUSED = 1 << 7,
    SCHEDULE_FIELD_NOTE = 1 << 8,
};

struct schedule_body {
    struct schedule schedule; /* what was given, the rest as schedule_init() */
    uint32_t given;           /* enum schedule_field */
    struct envelope envelope; /* the job's fields */
};

/* @task stands for the body's where it has none (a PATCH); empty: it must.
 * Errors: ST_INVALID with the pointer, schedule_body_owns() says whether it is
 * one of the schedule's own; else as envelope_parse(). */
CHECK enum status schedule_body_parse(struct str text, struct str task,
                                      struct arena *arena,
                                      struct schedule_body *ret,
                                      struct error *err);
/* Changes @s where the body says something. */
void schedule_body_apply(const struct schedule_body *body, struct schedule *s);
/* Is it the pointer of a field of ours (422 bad-schedule), or of the job's? */
bool schedule_body_owns(const char *pointer);

#endif
