/* pit/workers.h - who runs jobs here: look at them, quiet them, stop them. For
 * views, async tasks and programs (pit/run.h).
 *
 *     struct pit_workers workers PIT_WORKERS = {0};
 *     st = pit_workers_list(co, &workers);
 *     for (size_t i = 0; st == PIT_OK && i < workers.len; i++)
 *         if (strcmp(workers.workers[i].host, "old") == 0)
 *             st = pit_workers_quiet(co, workers.workers[i].id, NULL);
 *
 * What is shown is what each said of itself last, which it does every 20 s and
 * when its state changes. Whatever is said to suspend does so for Redis. Each
 * has, beside its own, the errors PIT_UNAVAILABLE (Redis is away, or the
 * process has no queues), PIT_CANCELLED and PIT_TIMEOUT of the coroutine; an
 * order also PIT_UNCLEAR: it may have been heard. Giving it again does no
 * harm. */
#ifndef PIT_WORKERS_H
#define PIT_WORKERS_H

#include "pit/queue.h"

enum pit_worker_state {
    PIT_WORKER_RUNNING = 1,
    PIT_WORKER_QUIET,    /* it claims no more, until it is told to resume */
    PIT_WORKER_DRAINING, /* it ends what runs, and then itself */
    PIT_WORKER_LOST,     /* not heard of for a minute; left out after an hour */
};

/* A queue that a worker serves. */
struct pit_worker_queue {
    const char *name;
    int64_t weight; /* among those that it serves */
};

/* A job that it runs. */
struct pit_worker_job {
    const char *id; /* "<queue>.<local id>" */
    const char *task;
    int attempt;
    int slot; /* 0 is the first; -1: it is an async task */
    int64_t started_ms;
};

/* A worker as it was at one moment; lent by the struct pit_workers that it is
 * in. Times are milliseconds since the epoch, 0: not known. */
struct pit_worker_info {
    const char *id;
    const char *host;
    int64_t pid; /* there */
    const char *version;
    enum pit_worker_state state;
    const char *state_name; /* "running" */
    int64_t slots;          /* C tasks at once */
    int64_t async;          /* async tasks at once */
    int64_t held;           /* jobs that it has claimed */
    int64_t rss_bytes;      /* of all its processes */
    int64_t started_ms;
    int64_t seen_ms;
    const struct pit_worker_queue *queues;
    size_t queues_len;
    const struct pit_worker_job *running;
    size_t running_len;
};

/* Some workers. Zero it, or use PIT_WORKERS; everything lent lives until
 * pit_workers_clear(), or the next call with the same struct. */
struct pit_workers {
    size_t len;
    const struct pit_worker_info *workers;
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_workers_clear(struct pit_workers *workers);
#define PIT_WORKERS __attribute__((cleanup(pit_workers_clear)))

/* All of them, by id. Suspends. */
enum pit_status pit_workers_list(struct pit_co *co, struct pit_workers *ret);
/* One: ret->workers[0]. Suspends. Errors: PIT_NOT_FOUND. */
enum pit_status pit_workers_get(struct pit_co *co, const char *id,
                                struct pit_workers *ret);

/* Orders, which a worker hears at once; what they lead to is seen in its state
 * a moment later. *ret (may be NULL) is as it said of itself before. Suspends.
 * Errors: PIT_NOT_FOUND no such worker listens. */

/* It claims no more jobs; those that run go on. */
enum pit_status pit_workers_quiet(struct pit_co *co, const char *id,
                                  struct pit_workers *ret);
/* It claims again. */
enum pit_status pit_workers_resume(struct pit_co *co, const char *id,
                                   struct pit_workers *ret);
/* It drains and ends, as on SIGTERM (docs/operations.md). */
enum pit_status pit_workers_stop(struct pit_co *co, const char *id,
                                 struct pit_workers *ret);

#endif
