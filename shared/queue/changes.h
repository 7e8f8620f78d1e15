/* changes.h - changes of jobs' states, as they happen, for whoever listens
 * here.
 *
 * A loop has one struct changes. While somebody listens to a queue its scripts
 * write what changes to the queue's `events` (docs/protocol.md); one connection
 * reads them all and hands each change to those it is for. A listener that does
 * not take what it was handed misses some, and is told so, rather than taking
 * the process' memory.
 *
 * Changes carry ids, never payloads. Loop thread only. */
#ifndef QUEUE_CHANGES_H
#define QUEUE_CHANGES_H

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
    struct changes *changes;       /* NULL: they are gone */
    struct changes_stream *stream; /* NULL: all queues */
    char queue[ID_QUEUE_MAX + 1];  /* "": all queues */
    char local[ID_LOCAL_MAX + 1];  /* "": all jobs */
    char from[CHANGES_ID_MAX];     /* of one queue: it hears what lies behind */
    struct buf pending;            /* lines: queue, id, local, code, attempt */
    bool overflowed;
    bool deaf;   /* for a while nothing was heard: changes may be missing */
    bool joined; /* hears what happens */
    struct op *waiting;
};

/* @redis_url is copied; nothing connects before somebody listens. Both are NULL
 * in a test that plays the queues: what happens there is what changes_tell()
 * says. */
struct changes *changes_new(struct loop *loop, struct queues *queues,
                            const char *redis_url);
/* Nobody may be waiting; who still listens hears nothing more, and may leave
 * later. NULL is fine. */
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
 * to @dst. Errors: ST_LIMIT the listener was too slow and has missed some, what
 * had been kept for it included; ST_UNAVAILABLE the connection was away, a
 * queue is new, or more was written than could be read: it may have (@dst has
 * what was heard); the coroutine's cancellation. It goes on hearing after the
 * first two. */
CHECK enum status changes_next(struct co *co, struct changes_listener *listener,
                               int64_t timeout_ms, struct buf *dst);
/* The next change of what changes_next() gave; false at its end. */
bool changes_read(struct str *rest, struct state_change *ret);

/* True for what changes_history() can begin behind: an entry's id, or the
 * milliseconds of one. */
bool changes_id_valid(struct str id);
/* Appends the changes of @queue behind @id, up to @to (empty: all), that are
 * still kept, in the same form; from that moment on, if @id is milliseconds
 * alone. *ret_gap: some may be missing, since @id is an entry's that is no
 * longer kept, nobody listened for a while, or too many follow it. Suspends. */
CHECK enum status changes_history(struct co *co, struct queues *queues,
                                  struct str queue, struct str id,
                                  struct str to, struct buf *dst, bool *ret_gap,
                                  struct error *err);

/* Hands over lines ("local code attempt\n", each with its end) as the entry @id
 * of @queue: for tests. */
void changes_tell(struct changes *changes, struct str queue, struct str id,
                  struct str lines);

#endif
