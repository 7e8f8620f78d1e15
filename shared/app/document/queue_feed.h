/* queue_feed.h - all jobs of one queue, or of all, followed: changes of state,
 * and how the queues stand.
 *
 * States are those that queue/changes.h hears; there are ids and numbers in
 * them, never payloads. Counters are of every queue first, then of those where
 * something changed, at most once a second. What may be missing is said
 * (FEED_LOST). Never ends by itself.
 *
 * Loop thread only; one coroutine at a time. */
#ifndef APP_QUEUE_FEED_H
#define APP_QUEUE_FEED_H

#include "app/document/feed.h"

struct queue_feed;

enum queue_feed_lost {
    QUEUE_FEED_SLOW = 1, /* more than CHANGES_PENDING_MAX were not taken */
    QUEUE_FEED_AWAY,     /* nothing was heard for a while: changes_next() says
                            why that may be */
    QUEUE_FEED_OLD,      /* what follows @after is not kept any more */
};

struct queue_feed_wish {
    struct str queue; /* empty: all of them */
    struct str after; /* the id of an event: what came since is said first, as
                         far as it is kept; empty, or none of ours: nothing */
    bool counters;
};

/* @queues and @changes are borrowed; the first is NULL where a test's script
 * answers. Suspends. What happens after the return is said. *ret is freed with
 * queue_feed_free(). Errors: as changes_join(). */
CHECK enum status queue_feed_open(struct co *co, struct queues *queues,
                                  struct changes *changes,
                                  const struct queue_feed_wish *wish,
                                  struct queue_feed **ret, struct error *err);
/* NULL is fine. */
void queue_feed_free(struct queue_feed *feed);
/* Suspends until there is something to say, at most @timeout_ms >= 0
 * (ST_TIMEOUT). Errors: Redis' status: ask again, nothing is left out; the
 * coroutine's cancellation. */
CHECK enum status queue_feed_next(struct co *co, struct queue_feed *feed,
                                  int64_t timeout_ms, struct feed_event *ret,
                                  struct error *err);
/* Why it said FEED_LOST last. */
enum queue_feed_lost queue_feed_lost(const struct queue_feed *feed);

#endif
