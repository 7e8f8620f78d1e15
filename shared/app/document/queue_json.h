/* queue_json.h - a queue as a JSON document, for the API and the command line
 * alike. Pure functions; nothing suspends. */
#ifndef APP_QUEUE_JSON_H
#define APP_QUEUE_JSON_H

#include "base/buf.h"
#include "queue/queue_overview.h"

enum { QUEUE_JSON_MAX = 16 * 1024 }; /* bytes of a document */

/* Appends what GET /v1/queues/{queue} answers. */
void queue_json_write(const struct queue_overview *overview, struct buf *dst);

#endif
