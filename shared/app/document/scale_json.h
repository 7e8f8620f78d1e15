/* scale_json.h - what a queue asks for as a JSON document, for the API and the
 * command line alike. Pure functions; nothing suspends. */
#ifndef APP_SCALE_JSON_H
#define APP_SCALE_JSON_H

#include <jansson.h>

#include "queue/queue_scale.h"

/* @slots_each: as queue_scale_wanted_workers(). The caller owns what it gets.
 */
json_t *scale_json(const char *queue, const struct queue_scale *scale,
                   int64_t slots_each);

#endif
