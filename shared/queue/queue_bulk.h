/* queue_bulk.h - one step for many jobs: retry, cancel, delete or purge by a
 * filter.
 *
 * A bulk is plain data that knows where it stands, so it can be run a page at a
 * time, shown, stored and taken up again. Doing a page twice does no harm: what
 * was done already is not in the state that is walked any more. Jobs that
 * arrive while it runs may or may not be met. */
#ifndef QUEUE_QUEUE_BULK_H
#define QUEUE_QUEUE_BULK_H

#include "queue/queue_control.h"
#include "queue/queue_list.h"

enum {
    BULK_PAGE = 64, /* jobs of a step, and the rest of a group of ended ones */
    BULK_IDS_MAX = 1000,  /* of a list of ids */
    BULK_STATES_MAX = 11, /* of a filter */
};

/* What purge walks is removed, whatever it is; all others go job by job. */
enum bulk_kind { BULK_RETRY, BULK_CANCEL, BULK_DELETE, BULK_PURGE };
enum { BULK_KINDS = BULK_PURGE + 1 };
/* "retry", ... */
const char *queue_bulk_kind_name(enum bulk_kind kind);
bool queue_bulk_kind_parse(struct str name, enum bulk_kind *ret);

struct bulk {
    /* in */
    enum bulk_kind kind;
    struct str queue;
    int states[BULK_STATES_MAX]; /* as queue_list() takes them, in turn */
    size_t states_len;
    const struct job_id *ids; /* instead of queue and states; borrowed */
    size_t ids_len;
    struct str task;   /* empty: any */
    struct str tag;    /* empty: any */
    int64_t older_ms;  /* created that long ago at least; 0: any age */
    int64_t limit;     /* steps that are taken at most; 0: no limit */
    int64_t grace_ms;  /* CANCEL, as struct control */
    struct str reason; /* CANCEL, as struct control */
    bool dry_run;      /* counts what matches, changes nothing */
    /* where it stands */
    size_t at; /* index of the state, or of the id */
    char cursor[QUEUE_CURSOR_SIZE];
    int64_t seen;    /* jobs that were looked at */
    int64_t matched; /* of those, by the filter */
    int64_t done;    /* of those, changed now */
    int64_t refused; /* of those, in a state that does not allow it, or gone */
    bool ended;
};

/* Can a bulk of that kind walk @state at all? (Running jobs can be cancelled,
 * not deleted, and so on.) */
bool queue_bulk_allows(enum bulk_kind kind, int state);
/* How long to wait before the next page, so that all that was done in the
 * @elapsed_ms since the first stays within @rate steps (0: any number) in
 * @rate_period_ms. */
int64_t queue_bulk_wait_ms(const struct bulk *bulk, int64_t rate,
                           int64_t rate_period_ms, int64_t elapsed_ms);
/* One page; bulk->ended says that it was the last. Errors: Redis' status: the
 * same page can be tried again. */
CHECK enum status queue_bulk_step(struct co *co, struct queues *queues,
                                  struct bulk *bulk, struct error *err);

#endif
