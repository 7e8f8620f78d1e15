/* envelope.h - the body of an enqueue, read into a job's spec.
 *
 *   {"task": "reports.packages", "args": {...}, "delay": "30s", ...}
 *
 * Strict: what is not a field of this version, stands twice, has another type
 * or lies outside its range is refused with a pointer to it (RFC 6901), so that
 * a typo does not vanish. A null stands for a field that is absent. `args` stay
 * the bytes that came, checked but never rebuilt.
 *
 * Pure but for the arena that decoded text goes to; nothing suspends. */
#ifndef APP_ENVELOPE_H
#define APP_ENVELOPE_H

#include <stdint.h>

#include "app/app.h"
#include "app/http/arena.h"
#include "base/error.h"
#include "base/jsontext.h"
#include "base/str.h"
#include "queue/durability.h"
#include "queue/job/job.h"

/* Which fields were given: a bit each. */
enum envelope_field {
    ENVELOPE_TASK = 1 << 0,
    ENVELOPE_ARGS = 1 << 1,
    ENVELOPE_QUEUE = 1 << 2,
    ENVELOPE_PRIORITY = 1 << 3,
    ENVELOPE_RUN_AT = 1 << 4,
    ENVELOPE_DELAY = 1 << 5,
    ENVELOPE_EXPIRES_AT = 1 << 6,
    ENVELOPE_TIMEOUT = 1 << 7,
    ENVELOPE_RETRY = 1 << 8,
    ENVELOPE_KEEP = 1 << 9,
    ENVELOPE_TAGS = 1 << 10,
    ENVELOPE_RETRY_MAX = 1 << 11,
    ENVELOPE_RETRY_BACKOFF = 1 << 12,
    ENVELOPE_RETRY_BASE = 1 << 13,
    ENVELOPE_RETRY_CAP = 1 << 14,
    ENVELOPE_RETRY_JITTER = 1 << 15,
    ENVELOPE_UNIQUE = 1 << 16,
    ENVELOPE_LIMIT = 1 << 17,
    ENVELOPE_CALLBACK = 1 << 18,
    ENVELOPE_AFTER = 1 << 19,
    ENVELOPE_DURABILITY = 1 << 20,
};

/* Slices of the spec lend from the text that was read and from the arena. */
struct envelope {
    struct job_spec spec; /* the standard values where nothing was given */
    uint32_t given;
    const struct job_id *after; /* spec.kin.parents of them; in the arena */
    struct durability_wish durability;
};

/* Reads a whole body. Errors: ST_INVALID with err->pointer set where the fault
 * lies in a field, ST_TOO_LARGE for args above JOB_ARGS_MAX or a full arena. */
CHECK enum status envelope_parse(struct str body, struct arena *arena,
                                 struct envelope *ret, struct error *err);
/* The same for a value that jsontext_check() has been over: one job of an
 * array. */
CHECK enum status envelope_read(struct jsontext value, struct arena *arena,
                                struct envelope *ret, struct error *err);

/* Fills in what was not given as @task has it, then checks the whole. What of
 * its retries neither says stays open for the queue: queue_retry_fill() is the
 * next step of whoever enqueues it. The spec borrows the task's queue. Errors:
 * ST_INVALID with the pointer, as job_spec_check(). */
CHECK enum status envelope_complete(struct envelope *envelope,
                                    const struct app_task *task,
                                    struct error *err);

#endif
