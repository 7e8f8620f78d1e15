/* schedules_change.h - what people do to a schedule by its name, over HTTP,
 * with pit or from C: the same rules for all. Every verb may suspend. */
#ifndef QUEUE_SCHEDULES_CHANGE_H
#define QUEUE_SCHEDULES_CHANGE_H

#include "queue/schedule/schedules.h"

/* How often a change is tried anew when somebody else was faster. */
enum { SCHEDULES_TRIES = 5 };

/* An empty schedule that takes the place of @old, which may be what
 * schedules_get() left behind when there was none: where it comes from, and
 * since when it is there, stays. Lends from @old. */
void schedules_change_begin(const struct schedule_view *old,
                            struct schedule *ret);

/* Pauses it, or ends that; @note: p NULL leaves it. What is so already is not
 * written. Errors: ST_NOT_FOUND; ST_INVALID a note that is none; ST_CONFLICT
 * others change it all the time. */
CHECK enum status schedules_change_paused(struct co *co, struct queues *queues,
                                          struct str name, bool paused,
                                          struct str note, struct error *err);
/* schedules_delete(), but for one that stands in an application's table:
 * ST_FORBIDDEN, with words that say what to do. */
CHECK enum status schedules_change_delete(struct co *co, struct queues *queues,
                                          const struct schedule_view *view,
                                          struct error *err);

#endif
