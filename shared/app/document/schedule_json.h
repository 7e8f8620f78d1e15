/* schedule_json.h - a schedule as a JSON document, for the API and the command
 * line alike. Pure functions; nothing suspends. */
#ifndef APP_SCHEDULE_JSON_H
#define APP_SCHEDULE_JSON_H

#include "base/buf.h"
#include "queue/schedule/schedules.h"

enum { SCHEDULE_JSON_NEXT = 5 /* fires to come in a document */ };

/* Appends the whole document; "next" is computed here. */
void schedule_json_write(const struct schedule_view *view, struct buf *dst);
/* Appends {"fires": [...]}, newest first. */
void schedule_json_fires(const struct schedule_view *view, struct buf *dst);
/* The nominal times to come, at most @max; returns how many. */
size_t schedule_json_next(const struct schedule_view *view, int64_t *ret,
                          size_t max);
/* "90s", "5m", "1500ms": the largest unit that holds it. */
void schedule_json_duration(int64_t ms, struct buf *dst);

#endif
