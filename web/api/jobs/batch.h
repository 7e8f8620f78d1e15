/* batch.h - a POST /v1/jobs:batch on its way through: what its files share.
 *
 *   jobs_batch.c     the request: its shape, its key, the body's lines
 *   batch_window.c   jobs in flight, a bounded number
 *   batch_answer.c   their results, in order
 *   batch_atomic.c   all or nothing
 *
 * Belongs to the coroutine of its request. */
#ifndef WEB_API_BATCH_H
#define WEB_API_BATCH_H

#include "api/api.h"
#include "api/idempotency.h"
#include "app/http/problem.h"
#include "queue/durability.h"

enum {
    WINDOWS = 3,
    WINDOW_JOBS = 384, /* three scripts' worth */
    WINDOW_BYTES = 96 * 1024,
    WINDOW_ARENA_MAX = 4 * 1024 * 1024,
    HELD_MAX = 8 * 1024 * 1024, /* bytes of results before they are streamed */
    PIECE_MIN = 64 * 1024,      /* bytes of results to stream at once */
    ID_TEXT = ID_JOB_MAX + 1,
};

/* One line of the batch and what became of it. */
struct item {
    struct enqueue enqueue;
    bool good;        /* it is to be stored, or was at the first time */
    bool queued;      /* enqueue.op is under way or settled */
    struct error err; /* why it is not good */
    const struct job_id *after; /* enqueue.spec.kin.parents of them */
};

struct window {
    struct buf text; /* the lines */
    struct arena arena;
    size_t len;
    struct item item[WINDOW_JOBS];
};

struct batch {
    struct co *co;
    struct api *api;
    struct http_exchange *exchange;
    struct job_origin origin;
    bool ndjson_out;
    struct buf out; /* results that have not been sent */
    bool streaming;
    bool body_read;
    uint32_t total;   /* lines so far */
    uint32_t written; /* results so far */
    uint32_t accepted;
    uint32_t failed;         /* could succeed at a repeat: the key stays open */
    struct idempotency *key; /* NULL: none */
    bool replay;
    int64_t reserved;                  /* of api->bodies */
    struct durability_wish durability; /* of all its jobs */
    struct queues *queues;             /* to enqueue with */
    struct window *windows[WINDOWS];
    unsigned filling; /* which window */
};

/* ---- batch_window.c ---- */

struct window *batch_window_new(void);
/* Gives up what is under way. NULL is fine. */
void batch_window_free(struct window *window);
/* Makes the next window the one that is filled, its former content settled. */
CHECK enum status batch_next_window(struct batch *batch);
/* Waits for everything and writes every result. */
CHECK enum status batch_settle_rest(struct batch *batch);
/* Reads one job (@value, or else @line) and finds its task; what is wrong is
 * left in item->err. */
CHECK bool batch_read_item(struct batch *batch, struct window *window,
                           struct item *item, struct str line,
                           const struct jsontext *value);
/* A good job gets the id that follows from the batch's key. */
void batch_name_item(struct batch *batch, struct item *item, uint32_t index);
/* One job into the window; sends it at once if it is good. May suspend. */
CHECK enum status batch_add_item(struct batch *batch, struct str line,
                                 const struct jsontext *value);

/* ---- batch_answer.c ---- */

/* 202 for a job that was stored, 200 for one that stands for it. */
void batch_write_accepted(struct batch *batch, const struct item *item,
                          bool stands_for_it);
/* @item: whose id belongs to the problem; NULL: none. */
void batch_write_problem(struct batch *batch, const struct problem *problem,
                         const struct item *item);
/* Whatever became of it. */
void batch_write_result(struct batch *batch, const struct item *item);
/* In the entry of the batch's key: was the job at @index accepted? */
void batch_set_accepted_bit(struct batch *batch, uint32_t index);
CHECK bool batch_accepted_bit(const struct batch *batch, uint32_t index);
/* Must anything be waited for before the answer? Then no result is sent before
 * that. */
CHECK bool batch_is_durable(const struct batch *batch);
/* Sends results that need not be held any more. May suspend. */
CHECK enum status batch_stream_results(struct batch *batch);
/* The rest of the answer. May suspend. */
CHECK enum status batch_finish_answer(struct batch *batch);

/* ---- batch_atomic.c ---- */

/* @array: the body is one; else NDJSON in @body. Answers. May suspend. */
CHECK enum status batch_run_atomic(struct batch *batch, struct str body,
                                   const struct jsontext *array);

#endif
