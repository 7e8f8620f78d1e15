/* changes.h - changes of jobs' states, as they happen, for whoever listens
 * here.
 *
 * A process has one struct changes. While somebody listens to a queue its
 * scripts write what changes to the queue's `events` (docs/protocol.md); one
 * connection reads them all and hands each change to those it is for. A
 * listener that does not take what it was handed loses its place rather than
 * the process' memory.
 *
 * Changes carry ids, never payloads. Loop thread only. */
#ifndef WEB_API_CHANGES_H
#define WEB_API_CHANGES_H

#include "base/buf.h"
#include "base/list.h"
#include "queue/queue.h"

struct changes;
struct changes_stream;

enum {
    CHANGES_PENDING_MAX = 256 * 1024, /* bytes that a listener may be behind */
    CHANGES_STREAMS_MAX = 1000,       /* queues */
    CHANGES_LISTENERS_MAX = 1000,
    CHANGES_ID_MAX = 48,
};

/* One change; slices are lent by the line it was read from. */
struct state_change {
    struct str queue;
    struct str id; /* of the stream's entry, "<ms>-<n>" */
    struct str local;
    struct str code; /* N N+ B R W S C X D Q -, P progress, L log */
    int attempt;
};

struct changes_listener {
    struct list link;
    struct changes *changes;
    struct changes_stream *stream; /* NULL: all queues */
    char local[ID_LOCAL_MAX + 1];  /* "": all jobs */
    struct buf pending;            /* lines: queue, id, local, code, attempt */
    bool overflowed;
    bool restarted; /* the connection was away: changes may be missing */
    struct op *waiting;
};

/* @redis_url is copied; nothing connects before somebody listens. */
struct changes *changes_new(struct loop *loop, struct queues *queues,
                            const char *redis_url);
/* Nobody may be listening. NULL is fine. */
void changes_free(struct changes *changes);

/* Listens to @queue (empty: all) and @local (empty: all jobs). Suspends until
 * changes are being written: what happens after the return is heard. Errors:
 * ST_LIMIT; Redis' status. changes_leave() in every case but an error. */
CHECK enum status changes_join(struct co *co, struct changes *changes,
                               struct str queue, struct str local,
                               struct changes_listener *listener,
                               struct error *err);
void changes_leave(struct changes_listener *listener);
/* Suspends until there is something, at most @timeout_ms (ST_TIMEOUT). Moves it
 * to @dst. Errors: ST_LIMIT the listener was too slow and has missed some;
 * ST_UNAVAILABLE the connection was away, and it may have; the coroutine's
 * cancellation. */
CHECK enum status changes_next(struct co *co, struct changes_listener *listener,
                               int64_t timeout_ms, struct buf *dst);
/* The next change of what changes_next() gave; false at its end. */
bool changes_read(struct str *rest, struct state_change *ret);

/* Appends the changes of @queue behind @id (inclusive with @from_ms alone: an
 * id without a dash) that are still kept, in the same form. Suspends. */
CHECK enum status changes_history(struct co *co, struct changes *changes,
                                  struct str queue, struct str id,
                                  struct buf *dst, struct error *err);

#endif
