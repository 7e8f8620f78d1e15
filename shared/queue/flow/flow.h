/* flow.h - many jobs that wait for each other, accepted as one.
 *
 *      flow_init, flow_add ..., flow_link ..., flow_close, flow_accept
 *
 * A flow is a directed graph without a cycle; a job starts once all that it
 * follows have ended well (or have ended, when it is to go on), and finds their
 * results. It lives in the slot of its home queue, its jobs in theirs; its id
 * is
 * "<home queue>.<ULID>", that of a job "<its queue>.<ULID>:<its name>". So an
 * id says where it belongs, and a repeated request names the same jobs.
 *
 * Accepting is one script call: from then on the jobs are messages of the home
 * queue's outbox (outbox.h), and nothing is lost or doubled whoever dies.
 * Owner: the caller. Loop thread only. */
#ifndef QUEUE_FLOW_H
#define QUEUE_FLOW_H

#include "queue/queue.h"

enum {
    FLOW_JOBS_MAX = 2000,
    FLOW_LINKS_MAX = 20000,
    FLOW_NAME_MAX = 32,        /* bytes of a job's name in its flow */
    FLOW_TITLE_MAX = 128,      /* bytes of a flow's own name, UTF-8 */
    FLOW_BYTES_MAX = 16 << 20, /* of all records */
    FLOW_LIST_MAX = 1000,      /* flows of one page */
};
#define FLOW_KEEP_STANDARD_MS INT64_C(86400000) /* a day */

struct flow_job {
    struct job_spec spec; /* slices are borrowed until flow_accept() returns */
    char name[FLOW_NAME_MAX + 1];
    bool go_on;       /* also when one that it follows did not succeed */
    uint32_t parents; /* by flow_close() */
    uint32_t children;
    char local[ID_LOCAL_MAX + 1];
};

struct flow_link {
    uint32_t from, to;
};

struct flow {
    struct str title;            /* or empty; borrowed */
    struct str queue;            /* home; empty: the first job's */
    int64_t keep_ms;             /* after the last job's end */
    char local[ID_ULID_LEN + 1]; /* chosen by flow_init() */
    struct flow_job *jobs;
    size_t len;
    size_t cap;
    struct flow_link *links; /* sorted by where they lead to once closed */
    size_t links_len;
    size_t links_cap;
    uint32_t *names; /* by hash: index + 1 */
};

/* @seed (16 bytes) makes the id, so that a repetition has the same; NULL: a new
 * one. Never fails. */
void flow_init(struct flow *flow, const unsigned char *seed);
/* Frees what it owns. Harmless on a zeroed one. */
void flow_clear(struct flow *flow);

/* Adds a job; @name empty: its number, from 1. *ret is what flow_link() takes.
 * Errors: ST_INVALID a name that is not 1 to FLOW_NAME_MAX of A-Z a-z 0-9 _ -,
 * or an option that a job of a flow cannot have; ST_CONFLICT the name is there
 * already; ST_TOO_LARGE above FLOW_JOBS_MAX. */
CHECK enum status flow_add(struct flow *flow, struct str name,
                           const struct job_spec *spec, bool go_on,
                           uint32_t *ret, struct error *err);
/* The job of that name; false when there is none. */
CHECK bool flow_find(const struct flow *flow, struct str name, uint32_t *ret);
/* @to starts after @from. The same link twice is one. Errors: ST_TOO_LARGE
 * above FLOW_LINKS_MAX. */
CHECK enum status flow_link(struct flow *flow, uint32_t from, uint32_t to,
                            struct error *err);
/* Checks the whole. Nothing can be added any more. Errors: ST_INVALID: no job
 * at all, or a cycle; *ret_job (may be NULL) is a job on it. */
CHECK enum status flow_close(struct flow *flow, uint32_t *ret_job,
                             struct error *err);

/* Hands a closed flow over. Suspends. *ret_existed: one of this id was accepted
 * before, and nothing was changed. Errors: ST_INVALID or ST_TOO_LARGE for a job
 * whose record cannot be (in words); Redis' status: with ST_UNCLEAR it may be
 * accepted. Its jobs are on their way then: outbox_deliver() of the home queue
 * takes them where they belong. */
CHECK enum status flow_accept(struct co *co, struct queues *queues,
                              struct flow *flow, bool *ret_existed,
                              struct error *err);
/* The full id. Never fails once a job was added. */
void flow_id(const struct flow *flow, char dst[ID_JOB_MAX + 1]);

/* ---- looking ---- */

/* How a flow is; lends from `call`. */
struct flow_view {
    struct rds_call call;
    struct job_id id;
    struct str title;    /* or empty */
    struct str document; /* JSON: {"name": text or null, "jobs": [{"name", "id",
                            "task", "go_on", "after": [names]}, ...]} in the
                            order of adding */
    int64_t created_ms;
    int64_t ended_ms; /* 0: not yet */
    int64_t keep_ms;
    int64_t jobs;
    int64_t left;   /* how many have not ended */
    bool failed;    /* one of those that ended did not succeed */
    bool cancelled; /* somebody asked to cancel it */
};
/* Errors: ST_NOT_FOUND never was, or is past its retention. Clear in every
 * case. */
CHECK enum status flow_get(struct co *co, struct queues *queues,
                           struct job_id id, struct flow_view *ret,
                           struct error *err);
void flow_view_clear(struct flow_view *view);

/* The states of @n jobs of one queue (1..256), as scripts/look.lua has its
 * letters, into @ret. Suspends. */
enum { FLOW_LOOK_MAX = 256 };
CHECK enum status flow_look(struct co *co, struct queues *queues,
                            struct str queue, const struct str *locals,
                            size_t n, char *ret, struct error *err);

/* One line of a list. */
struct flow_listed {
    char local[ID_LOCAL_MAX + 1];
    int64_t created_ms;
};
/* The flows of @queue, newest first, at most @n (1..FLOW_LIST_MAX), behind
 * @after (NULL: from the newest on). Some may be past their retention.
 * Suspends.
 */
CHECK enum status flow_list(struct co *co, struct queues *queues,
                            struct str queue, const struct flow_listed *after,
                            size_t n, struct flow_listed *ret, size_t *ret_n,
                            struct error *err);

/* Marks it as cancelled, so that it says so. Suspends. The jobs are the
 * caller's to cancel. */
CHECK enum status flow_mark_cancelled(struct co *co, struct queues *queues,
                                      struct job_id id, struct error *err);

#endif
