/* queue_log.h - the lines that a job's attempts say, kept beside it.
 *
 * The newest 1,000 lines of a job; they go with the job. Writing is fenced by
 * the attempt's token, like progress. */
#ifndef QUEUE_QUEUE_LOG_H
#define QUEUE_QUEUE_LOG_H

#include "queue/queue.h"

enum {
    QUEUE_LOG_LINES_MAX = 64,  /* of one queue_log() call */
    QUEUE_LOG_LINE_MAX = 4096, /* bytes of one line; longer ones are cut */
    QUEUE_LOG_KEPT = 1000,     /* lines of a job, the newest */
    QUEUE_LOG_CURSOR_MAX = 48,
};

/* Appends @n lines (1..QUEUE_LOG_LINES_MAX). The reply is 1, or 0 when the
 * lease is lost (nothing was kept). Text as it came: what is no UTF-8 is
 * replaced when it is shown. The bytes are copied before the return. */
void queue_log(struct queues *queues, struct rds_call *call, struct str queue,
               const struct lease *lease, const struct str *lines, size_t n,
               void (*on_settled)(struct op *), void *arg);

/* Loads the script of queue_log(). Without it the first call of all would be
 * repeated behind what was sent meanwhile, the end of its attempt for one, and
 * refused. May suspend. */
CHECK enum status queue_log_prepare(struct co *co, struct queues *queues,
                                    struct error *err);

struct queue_log_line {
    char cursor[QUEUE_LOG_CURSOR_MAX]; /* "<ms>-<n>", its place */
    int64_t at_ms;                     /* Redis' clock */
    int attempt;
    struct str text; /* lent by the call */
};

struct queue_log_page {
    struct rds_call call;
    int64_t total; /* lines that there ever were */
    bool more;     /* others follow behind the last one */
    size_t len;
    struct queue_log_line *lines; /* owned */
};

/* True for the cursor of a line. */
bool queue_log_cursor_valid(struct str cursor);
/* Lines behind @after (the cursor of one, or empty: from the oldest kept),
 * oldest first, at most @limit (1..1,000). Clear in every case.
 * Errors: ST_NOT_FOUND, ST_GONE as queue_get(); Redis' status. */
CHECK enum status queue_log_read(struct co *co, struct queues *queues,
                                 struct job_id id, struct str after,
                                 size_t limit, struct queue_log_page *ret,
                                 struct error *err);
void queue_log_page_clear(struct queue_log_page *page);

#endif
