/* A process' access to its queues: the table of queues that it enqueues into.
 *
 * Only enqueueing makes an entry (its keys are rendered once and its jobs are
 * gathered there); looking at a queue does not, so that no stream of made-up
 * names can fill the table. */
#include "queue/queue_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

struct queues *
queues_new(struct rds *rds, struct loop *loop, const char *prefix)
{
    struct queues *queues = xcalloc(1, sizeof *queues);
    const char *chosen = prefix ? prefix : "pit";

    assert(strlen(chosen) <= KEYS_PREFIX_MAX);
    queues->rds = rds;
    queues->loop = loop;
    str_copy_to(str_c(chosen), queues->prefix, sizeof queues->prefix);
    for (int i = 0; i < QUEUE_BUCKETS; i++)
        list_init(&queues->buckets[i]);
    list_init(&queues->dirty);
    queue_wait_init(queues);
    queues->flush.fn = queue_enqueue_flush;
    /* Before the connection's own, which writes what the flush sends. */
    loop_hook_add_first(loop, &queues->flush);
    return queues;
}

void
queues_free(struct queues *queues)
{
    if (!queues)
        return;
    loop_hook_remove(&queues->flush);
    queue_wait_clear(queues);
    for (int i = 0; i < QUEUE_BUCKETS; i++) {
        LIST_FOREACH_SAFE (link, following, &queues->buckets[i]) {
            struct queue *queue = LIST_ENTRY(link, struct queue, link);
            if (queue->registering)
                rds_call_clear(&queue->registration);
            free(queue);
        }
    }
    free(queues);
}

struct rds *
queues_rds(struct queues *queues)
{
    return queues->rds;
}

const char *
queues_prefix(const struct queues *queues)
{
    return queues->prefix;
}

struct queue *
queue_known(struct queues *queues, struct str name)
{
    struct list *bucket = &queues->buckets[str_hash(name) % QUEUE_BUCKETS];

    LIST_FOREACH (link, bucket) {
        struct queue *queue = LIST_ENTRY(link, struct queue, link);
        if (str_eq_c(name, queue->name))
            return queue;
    }
    if (queues->known == QUEUE_KNOWN_MAX)
        return NULL;

    struct queue *queue = xcalloc(1, sizeof *queue);
    queue->queues = queues;
    str_copy_to(name, queue->name, sizeof queue->name);
    keys_of_queue(queues->prefix, name, &queue->keys);
    list_init(&queue->fresh);
    list_init(&queue->named);
    list_init(&queue->dirty);
    list_append(bucket, &queue->link);
    queues->known++;
    return queue;
}

void
queue_keys(const struct queues *queues, struct str name, struct keys *ret)
{
    keys_of_queue(queues->prefix, name, ret);
}

void
queue_wake_key(const struct queues *queues, struct str queue,
               char dst[KEYS_MAX_LEN])
{
    int n = snprintf(dst, KEYS_MAX_LEN, "%s:{%.*s}:wake", queues->prefix,
                     STR_ARG(queue));

    assert(n > 0 && n < KEYS_MAX_LEN);
}
