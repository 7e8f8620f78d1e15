/* worker_list.h - the workers, as the API and `pit workers` show them.
 *
 * Made from the heartbeats in the registry (queue/registry.h), one JSON object
 * a worker:
 *
 *   id host pid version state slots async held rss_bytes started_at seen_at
 *   queues   {"name": weight, ...}
 *   running  [{"slot": 0 or null, "job", "task", "attempt", "started_at"}, ...]
 *
 * state is running, quiet, draining, or lost: not heard of for a minute. What
 * is not heard of for an hour is left out, and taken out of the registry.
 * Nothing is believed of an entry but its form: each member is there and of its
 * type. */
#ifndef APP_WORKER_LIST_H
#define APP_WORKER_LIST_H

#include <jansson.h>

#include "queue/queue.h"

/* True for what can be a worker's id. */
bool worker_list_id_valid(struct str id);
/* A new array, ordered by id; the caller decrefs it. May suspend. */
CHECK enum status worker_list_read(struct co *co, struct queues *queues,
                                   json_t **ret, struct error *err);
/* A new reference to one of it. Errors: ST_NOT_FOUND. May suspend. */
CHECK enum status worker_list_find(struct co *co, struct queues *queues,
                                   struct str id, json_t **ret,
                                   struct error *err);
/* Tells a worker "quiet", "resume" or "stop". Errors: ST_NOT_FOUND when no such
 * worker listens. May suspend. */
CHECK enum status worker_list_order(struct co *co, struct queues *queues,
                                    struct str id, const char *order,
                                    struct error *err);

#endif
