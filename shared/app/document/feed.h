/* feed.h - one thing that has happened, as the streams of /v1 and pit/follow.h
 * say it.
 *
 * job_feed.h makes those of one job, queue_feed.h those of queues. Everything
 * is lent by the feed until it is asked for the next one. */
#ifndef APP_FEED_H
#define APP_FEED_H

#include "queue/changes.h"
#include "queue/queue_log.h"

enum feed_kind {
    FEED_STATE,
    FEED_PROGRESS,
    FEED_LOG,
    FEED_END, /* and nothing follows */
    FEED_COUNTERS,
    FEED_LOST, /* some may be missing: look again */
};

struct feed_event {
    enum feed_kind kind;
    const char *name; /* "state" */
    struct str id;    /* a feed that begins behind it has the rest; or empty */
    struct str data;  /* JSON; a NUL follows */
    /* What the data says, by the kind; else NULL. */
    const struct job_view *view;       /* STATE of one job, PROGRESS, END */
    const struct queue_log_line *line; /* LOG */
    const struct state_change *change; /* STATE in a queue */
    const char *state_name;            /* STATE: also "deleted" */
    const struct queue_counts *counts; /* COUNTERS */
};

#endif
