/* operation.h - the documents of work on many jobs that goes on behind an
 * answer (docs/control.md, "Many jobs").
 *
 * An operation is run by one process at a time, which says about once a second
 * how far it is. One that says nothing for OPERATION_LEASE_MS, or that leaves
 * it, loses it to whoever takes it over, and is told so. What is done is done
 * job by job, so a page that is gone through twice does no harm. Kept for
 * OPERATION_KEPT_MS after what was said last, the newest OPERATION_KEPT_MAX.
 *
 * Everything here suspends for one script. Errors are Redis' status. */
#ifndef QUEUE_OPERATION_H
#define QUEUE_OPERATION_H

#include <jansson.h>

#include "queue/queue.h"

#define OPERATION_LEASE_MS INT64_C(15000)
#define OPERATION_KEPT_MS INT64_C(86400000)
enum { OPERATION_KEPT_MAX = 1000, OPERATION_LIST_MAX = 100 };

enum operation_how {
    OPERATION_NEW,
    OPERATION_GOES,
    OPERATION_LEFT, /* another process may go on with it at once */
    OPERATION_ENDED,
};
enum operation_told {
    OPERATION_LOST, /* another process has it, or (OPERATION_NEW) there is one
                       of that id: nothing was said */
    OPERATION_SAID,
    OPERATION_STOP, /* said, and it is asked to stop */
};
/* @runner: the process' own ULID. @document: JSON, with what it takes to go on
 * in its member "resume". */
CHECK enum status operation_tell(struct co *co, struct queues *queues,
                                 struct str id, struct str runner,
                                 struct str document, enum operation_how how,
                                 enum operation_told *ret, struct error *err);

/* Lends from `call`. Clear in every case. */
struct operation_item {
    struct str id;
    struct str document;
    bool alive;    /* its process answers for it */
    bool stopping; /* it is asked to stop */
};
struct operation_page {
    struct rds_call call;
    bool more; /* there are older ones */
    size_t len;
    struct operation_item items[OPERATION_LIST_MAX];
};
void operation_page_clear(struct operation_page *page);

/* Those, at most @max, that nobody goes on with are @runner's now. */
CHECK enum status operation_take(struct co *co, struct queues *queues,
                                 struct str runner, size_t max,
                                 struct operation_page *ret, struct error *err);
/* The newest first, those older than the id @before (empty: all). @limit
 * 1..OPERATION_LIST_MAX. */
CHECK enum status operation_list(struct co *co, struct queues *queues,
                                 struct str before, size_t limit,
                                 struct operation_page *ret, struct error *err);
/* One: ret->items[0]. Errors: ST_NOT_FOUND. */
CHECK enum status operation_get(struct co *co, struct queues *queues,
                                struct str id, struct operation_page *ret,
                                struct error *err);
/* *ret_asked is false when it has ended. Errors: ST_NOT_FOUND. */
CHECK enum status operation_stop(struct co *co, struct queues *queues,
                                 struct str id, bool *ret_asked,
                                 struct error *err);

/* The document as it is shown, without "resume"; `interrupted` is one that
 * nobody runs at present. NULL when it cannot be read. The caller's. */
json_t *operation_shown(const struct operation_item *item);

#endif
