/* queue_overview.h - all that is shown of one queue: how deep it is, how it
 * does, what it was told. */
#ifndef QUEUE_QUEUE_OVERVIEW_H
#define QUEUE_QUEUE_OVERVIEW_H

#include "queue/queue_scale.h"
#include "queue/queue_settings.h"

struct queue_overview {
    struct queue_counts counts;
    struct queue_settings settings;
    struct queue_rates rates;
};

/* Makes @n changes first (0: none), in one step with reading what holds.
 * Suspends. Errors: ST_NOT_FOUND no job was ever put into it, and nothing is
 * set (*ret is filled all the same); Redis' status: with changes they may be
 * made. */
CHECK enum status queue_overview_get(struct co *co, struct queues *queues,
                                     struct str queue,
                                     const struct queue_setting *changes,
                                     size_t n, struct queue_overview *ret,
                                     struct error *err);

#endif
