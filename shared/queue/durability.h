/* durability.h - a job that must be on disk, or at replicas, before its answer.
 *
 * WAIT and WAITAOF speak of what their own connection wrote, and keep it busy.
 * So a process has a connection of its own for such jobs; those that are
 * written in the meantime share the next wait. What a server cannot do is
 * refused before anything is stored; what was stored but not reached in time is
 * said to be so. Loop thread only. */
#ifndef QUEUE_DURABILITY_H
#define QUEUE_DURABILITY_H

#include "base/str.h"
#include "queue/queue.h"

struct durability;

enum { DURABILITY_REPLICAS_MAX = 16 };
#define DURABILITY_WAIT_MS INT64_C(1500)

enum durability_kind {
    DURABILITY_UNSAID,  /* as the server is configured */
    DURABILITY_MEMORY,  /* in the server's memory */
    DURABILITY_FSYNC,   /* in its append-only file, synced */
    DURABILITY_REPLICA, /* in the memory of so many replicas */
};

struct durability_wish {
    enum durability_kind kind;
    int replicas; /* > 0 for DURABILITY_REPLICA */
    bool always;  /* out: the server syncs before it answers */
};

/* "memory", "fsync", "replica:2". False for another word. */
CHECK bool durability_parse(struct str word, struct durability_wish *ret);
/* The word for it; "memory" when unsaid. */
void durability_name(const struct durability_wish *wish, char dst[16]);

/* @redis_url is copied; nothing connects before somebody asks. */
struct durability *durability_new(struct loop *loop, struct queues *queues,
                                  const char *redis_url);
/* NULL is fine. */
void durability_free(struct durability *durability);

/* Which queues to enqueue with: @own unless something must be waited for. May
 * suspend. Errors: ST_INVALID with the pointer /durability, the server cannot
 * do that at all; ST_UNAVAILABLE it cannot at the moment. */
CHECK enum status durability_begin(struct co *co, struct durability *durability,
                                   struct durability_wish *wish,
                                   struct queues *own, struct queues **ret,
                                   struct error *err);
/* Suspends until what was written so far is as durable as wished, also what was
 * there before (a repeated enqueue): behind a small write of its own, and what
 * a server writes is in one order. Errors: ST_TIMEOUT, with words: it is not,
 * or nobody can say; ST_CANCELLED. */
CHECK enum status durability_reach(struct co *co, struct durability *durability,
                                   const struct durability_wish *wish,
                                   struct error *err);

#endif
