/* keys.h - the one place where Redis keys get their names.
 *
 * Keys of a queue are "<prefix>:{<queue>}:<what>": the braces are Redis
 * Cluster's hash tag, so that one script finds all of a queue in one slot. Keys
 * outside of queues are "<prefix>:<what>". Keys whose name ends in an id or a
 * limit key (`in:`, `stop:`, `flow:`, `log:`, `key:`) are made by the scripts,
 * from the base that the others of their queue have; docs/protocol.md lists
 * all. Pure functions. */
#ifndef QUEUE_KEYS_H
#define QUEUE_KEYS_H

#include <stddef.h>

#include "base/str.h"

enum { KEYS_MAX_LEN = 160, KEYS_PREFIX_MAX = 32 };

enum key {
    KEY_JOBS,
    KEY_STATE,
    KEY_RESULTS,
    KEY_PROGRESS,
    KEY_DUE,
    KEY_LEASED,
    KEY_DEAD,
    KEY_DONE,
    KEY_GONE,
    KEY_QUARANTINED,
    KEY_STATS,
    KEY_WAKE,
    KEY_WAITS,
    KEY_META,
    KEY_READY, /* + 9 - priority: ready:9 comes first */
    KEY_RETRYING = KEY_READY + 10,
    KEY_UNIQUE,
    KEY_UNLOCKS,
    KEY_RUNNING,
    KEY_RATES,
    KEY_TURNS,
    KEY_BLOCKED,
    KEY_CHILDREN,
    KEY_OUTBOX,
    KEY_CANCELS,
    KEY_EVENTS,
    KEY_STALE,
    KEY_SAMPLES,
    KEY_LOGGED,
    KEY_FLOWS, /* from here on none that work takes */
    KEY_SCHEDULES,
    KEY_FIRES,
    KEY_FIRED,
};
enum { KEYS_OF_WORK = KEY_FLOWS, KEYS_OF_QUEUE = KEY_FIRED + 1 };

/* All keys of one queue, rendered once; argv-ready. */
struct keys {
    const char *p[KEYS_OF_QUEUE];
    size_t n[KEYS_OF_QUEUE];
    char bytes[KEYS_OF_QUEUE * 116];
};
/* @prefix at most KEYS_PREFIX_MAX, @queue at most ID_QUEUE_MAX bytes. */
void keys_of_queue(const char *prefix, struct str queue, struct keys *ret);

/* "<prefix>:<what>" */
void keys_global(const char *prefix, const char *what, char dst[KEYS_MAX_LEN]);

static inline enum key
keys_ready(int priority)
{
    return (enum key)(KEY_READY + 9 - priority);
}

#endif
