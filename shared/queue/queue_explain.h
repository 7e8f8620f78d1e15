/* queue_explain.h - why is this job not running?
 *
 * One look at the queue, one at the workers and one at the registered tasks,
 * put into words: each reason has a code for machines and a sentence for
 * people that says what to do where there is something to do. */
#ifndef QUEUE_QUEUE_EXPLAIN_H
#define QUEUE_QUEUE_EXPLAIN_H

#include "queue/queue.h"

enum { EXPLAIN_REASONS_MAX = 10, EXPLAIN_TEXT_SIZE = 240 };

struct explain_reason {
    const char *code;             /* "paused": stable */
    char text[EXPLAIN_TEXT_SIZE]; /* one sentence */
    int64_t until_ms;             /* when this may be over; 0: nobody knows */
};

struct explanation {
    enum job_state state;
    int64_t position;    /* jobs before it; -1: it does not wait in a list */
    bool position_least; /* there are more than that */
    int64_t now_ms;      /* Redis' clock */
    size_t len;
    struct explain_reason reasons[EXPLAIN_REASONS_MAX]; /* the gravest first */
};

/* Errors: ST_NOT_FOUND, ST_GONE as queue_get(); Redis' status. */
CHECK enum status queue_explain(struct co *co, struct queues *queues,
                                struct job_id id, struct explanation *ret,
                                struct error *err);

/* What queue_explain() judges by; for tests. */
struct explain_facts {
    int64_t now_ms;
    struct str task;
    struct job_history history;
    int64_t due_ms;     /* 0: none */
    int64_t expires_ms; /* 0: never */
    int64_t position;
    bool far;
    bool paused;
    int64_t concurrency, running; /* -1: no limit */
    int64_t rate_wait_ms;         /* -1: no rate */
    struct str key;               /* its limit key, or empty */
    int64_t key_concurrency, key_running, key_rate_wait_ms, key_position;
    int64_t parents, arrived; /* -1: it is not blocked */
    bool cancel_asked;
    int workers;     /* alive, and serving its queue */
    bool task_known; /* by any worker or front */
};
void queue_explain_judge(const struct explain_facts *facts,
                         struct explanation *ret);

#endif
