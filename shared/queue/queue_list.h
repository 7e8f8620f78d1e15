/* queue_list.h - the jobs of a queue in one state, page by page.
 *
 * Walks the indexes that the queue keeps anyway, so a page costs the same
 * whether there are ten jobs or ten million. docs/control.md says in which
 * order. A job that moves while pages are read may be seen twice, or not at
 * all; one that stays where it is is seen. */
#ifndef QUEUE_QUEUE_LIST_H
#define QUEUE_QUEUE_LIST_H

#include "queue/queue.h"

/* Room for a cursor as text, with its NUL. */
enum { QUEUE_CURSOR_SIZE = 1024 };

/* The states that a list can be asked for: those of jobs, and "ended". */
enum { LIST_ENDED = JOB_STATES, LIST_STATES };
/* "ready", ..., "ended". NULL for a number out of range. */
const char *queue_list_state_name(int state);
/* For whoever named another. */
#define QUEUE_LIST_STATE_NAMES                                                 \
    "ready, scheduled, retrying, blocked, running, dead, quarantined, ended, " \
    "succeeded, cancelled or expired"
/* False leaves *ret untouched. */
bool queue_list_state_parse(struct str name, int *ret);

struct list_item {
    struct str local; /* lent by the call */
    struct str place; /* to go on behind it: queue_list_cursor() */
    struct str head;  /* the record's first line, if asked for */
};

struct list_page {
    struct rds_call call;
    size_t len;
    struct list_item *items; /* owned */
    struct str next;         /* place of the page after; empty: the end */
};

/* @cursor: empty, or as queue_list_cursor() made it. @limit 1..QUEUE_LIST_MAX.
 * A page may be shorter than that, even empty, while `next` says that there is
 * more. Clear in every case. Errors: ST_INVALID for a cursor that is none;
 * Redis' status. */
CHECK enum status queue_list(struct co *co, struct queues *queues,
                             struct str queue, int state, struct str cursor,
                             size_t limit, bool heads, struct list_page *ret,
                             struct error *err);
void queue_list_clear(struct list_page *page);
/* A place as text for a client: letters and digits only. */
void queue_list_cursor(struct str place, char dst[QUEUE_CURSOR_SIZE]);

/* The same jobs as queue_get() would show them, asked for in one go. Jobs that
 * are not there any more are left out: their view's spec has no task.
 * @n 1..QUEUE_VIEWS_MAX. Clear each view in every case. */
enum { QUEUE_VIEWS_MAX = 16 }; /* 2 KiB each: they may lie on a stack */
CHECK enum status queue_list_views(struct co *co, struct queues *queues,
                                   struct str queue,
                                   const struct list_item *items, size_t n,
                                   struct job_view *ret, struct error *err);

/* Hands every job of a page to @take, which says how many bytes it has made of
 * all so far; ends once these are @budget or more. *ret_next is where to go on,
 * empty at the end: the page's own `next`, or the place of the last job that
 * was taken. Few are under way at once while nobody knows how large they are.
 * Errors: Redis' status. */
typedef size_t queue_list_take(const struct job_view *view, void *arg);
CHECK enum status queue_list_each(struct co *co, struct queues *queues,
                                  struct str queue,
                                  const struct list_page *page, size_t budget,
                                  queue_list_take *take, void *arg,
                                  struct str *ret_next, struct error *err);

#endif
