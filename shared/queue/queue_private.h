/* queue_private.h - what the files of the queue's verbs share. Nobody else
 * includes this. */
#ifndef QUEUE_QUEUE_PRIVATE_H
#define QUEUE_QUEUE_PRIVATE_H

#include "base/list.h"
#include "queue/keys.h"
#include "queue/queue.h"
#include "queue/queue_retry.h"

enum { QUEUE_BUCKETS = 256, QUEUE_KNOWN_MAX = 1000 };

/* One queue that this process enqueues into. */
struct queue {
    struct list link;  /* in a bucket of struct queues */
    struct list dirty; /* in struct queues' dirty list while it has pending */
    struct queues *queues;
    char name[ID_QUEUE_MAX + 1];
    struct keys keys;
    struct list fresh; /* struct enqueue, waiting for the flush */
    struct list named;
    bool registered; /* its name was put into <prefix>:queues */
    struct rds_call registration;
    bool registering;
    struct queue_retry retry; /* queue_retry.c's, as what follows */
    int64_t retry_until_ms;   /* loop_now_ms(): so long it holds; 0: unknown */
    unsigned retry_changes;   /* made by this process */
};

struct queues {
    struct rds *rds;
    char prefix[KEYS_PREFIX_MAX + 1];
    struct loop *loop;
    struct loop_hook flush;
    struct list buckets[QUEUE_BUCKETS];
    size_t known;
    struct list dirty;
    /* queue_clock.c: what Redis' clock said, and by clock_mono_ms() when it was
     * asked, 0 and 0 before; how far it was off last, and until when that is to
     * be said. */
    int64_t heard_ms;
    int64_t heard_at_ms;
    int64_t off_ms;
    int64_t off_until_ms;
    bool noted_off;
    /* queue_wait.c */
    struct rds *listener;
    char *listener_url; /* to connect to when somebody waits; NULL: nowhere */
    char channel[80];
    struct list waiters[QUEUE_BUCKETS];
};

/* The loop's before-sleep hook: sends what the turn gathered. */
void queue_enqueue_flush(struct loop_hook *hook);
/* NULL when the process knows QUEUE_KNOWN_MAX queues already. */
struct queue *queue_known(struct queues *queues, struct str name);
/* The keys of a queue that need not be known. */
void queue_keys(const struct queues *queues, struct str name, struct keys *ret);
/* queue_get() in two steps, so that many can be under way at once. */
void queue_get_send(struct queues *queues, struct job_id id,
                    struct job_view *ret);
CHECK enum status queue_get_result(struct job_view *view, struct job_id id,
                                   struct error *err);
/* After queue_get_result(): looks again, having ended it, when it should have
 * expired. */
CHECK enum status queue_get_settled(struct co *co, struct queues *queues,
                                    struct job_id id, struct job_view *view,
                                    struct error *err);
void queue_wait_init(struct queues *queues);
void queue_wait_clear(struct queues *queues);

#endif
