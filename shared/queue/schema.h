/* schema.h - which layout of keys and records this Redis holds.
 *
 * `<prefix>:schema` STRING, a number, written once by the first program that
 * writes. A program that knows another number must not touch what is there. */
#ifndef QUEUE_SCHEMA_H
#define QUEUE_SCHEMA_H

#include "queue/queue.h"

enum { SCHEMA_VERSION = 1 };

/* Writes our number where there is none yet. For the start of every program
 * that writes. Errors: ST_CONFLICT when another one stands there; Redis'
 * status. */
CHECK enum status schema_claim(struct co *co, struct queues *queues,
                               struct error *err);
/* *ret: the number, 0 when none was written yet, -1 for what is no number. */
CHECK enum status schema_read(struct co *co, struct queues *queues,
                              int64_t *ret, struct error *err);

#endif
