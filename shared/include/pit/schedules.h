/* pit/schedules.h - schedules: jobs that are enqueued again and again, made and
 * changed while the application runs. For views and async tasks; those that
 * never change stand in the application's table (pit/app.h).
 *
 *     st = pit_schedules_put(co, "nightly", "orders.purge", NULL,
 *                            &(struct pit_plan){.cron = "0 3 * * *",
 *                                               .timezone = "Europe/Berlin"},
 *                            NULL);
 *
 * A schedule is in Redis; any number of workers fire each time once.
 * docs/schedules.md says when, and what happens to times that are missed.
 *
 * Whatever is said to suspend does so for Redis. Each has, beside its own, the
 * errors PIT_INVALID for what is no name ([A-Za-z0-9_.:-]{1,64}),
 * PIT_UNAVAILABLE (Redis is away, or the process has no queues), PIT_CANCELLED
 * and PIT_TIMEOUT of the coroutine; a change also PIT_READ_ONLY, PIT_LIMIT
 * (nothing was changed) and PIT_UNCLEAR: it may have happened. */
#ifndef PIT_SCHEDULES_H
#define PIT_SCHEDULES_H

#include "pit/queue.h"

struct pit_schedule_info;

/* When a schedule fires and how. Exactly one of cron, every_ms and at_ms; all
 * else may be zero. Borrowed for the call. */
struct pit_plan {
    const char *cron;     /* "0 3 * * *", "@daily" */
    const char *timezone; /* IANA name, for cron; NULL: UTC */
    int64_t every_ms;     /* 1 s to 366 days, from now on */
    int64_t at_ms;        /* once, since the epoch; must be to come */
    enum pit_misfire misfire;
    enum pit_overlap overlap;
    int64_t jitter_ms; /* each time is late by 0 to that; at most a day */
    bool paused;
    const char *note; /* one line for people, at most 500 bytes; NULL: none */
    /* What its jobs are to have beside the task's policy; NULL: nothing. Not
     * id, ticket, after, delay_ms, run_at_ms, expires_at_ms, durability, and
     * of unique.on_conflict PIT_UNIQUE_REJECT alone. */
    const struct pit_enqueue *job;
    /* pit_schedules_put() alone: only if nobody has changed it since it was
     * seen, only if there is none yet; else PIT_CONFLICT. */
    const struct pit_schedule_info *seen;
    bool only_new;
};

/* One fire. */
struct pit_fire {
    int64_t
        nominal_ms;   /* the time that it was for; missed: the first of them */
    int64_t fired_ms; /* when it was done */
    const char *outcome; /* "enqueued", "triggered", "skipped", "missed",
                            "refused" */
    const char *job;     /* its id, or "" */
    int64_t missed;      /* how many */
};

/* A schedule as it was at one moment; lent by the struct pit_schedules that it
 * is in. Times are milliseconds since the epoch, 0: none. */
struct pit_schedule_info {
    const char *name;
    const char *task;
    const char *queue;
    json_t *args;         /* borrowed; NULL: none */
    struct pit_plan plan; /* can be changed in a copy, and put again */
    const char *app;      /* the application whose table it stands in; "" */
    bool modified;        /* by hand: it differs from that table */
    int64_t created_ms;
    int64_t updated_ms;
    int64_t version;     /* another one with each change */
    int64_t next_ms[5];  /* when it fires next */
    size_t next_len;     /* 0: paused, or over */
    int64_t buffered_ms; /* a time that waits for the job of the one before */
    const struct pit_fire *fires; /* the last 20, newest first */
    size_t fires_len;
};

/* Some schedules. Zero it, or use PIT_SCHEDULES; everything lent lives until
 * pit_schedules_clear(), or the next call with the same struct. */
struct pit_schedules {
    size_t len;
    const struct pit_schedule_info *schedules;
    const char *next; /* what gets the page after this one; NULL: there is none
                       */
    char error[PIT_WORDS_SIZE]; /* for people; "" when all is well */
    void *private_;
};
void pit_schedules_clear(struct pit_schedules *schedules);
#define PIT_SCHEDULES __attribute__((cleanup(pit_schedules_clear)))

/* One: ret->schedules[0], with its fires. Suspends. Errors: PIT_NOT_FOUND. */
enum pit_status pit_schedules_get(struct pit_co *co, const char *name,
                                  struct pit_schedules *ret);
/* All of them by name, behind the one called @after (pit_schedules.next of the
 * page before; NULL: from the first on), at most @limit (1 to 1,000; 0: 50).
 * Suspends, some commands a schedule. */
enum pit_status pit_schedules_list(struct pit_co *co, const char *after,
                                   int limit, struct pit_schedules *ret);

/* In what changes one, *ret is how it is then, as pit_schedules_get() has it;
 * or NULL. */

/* Makes a schedule, or makes it wholly anew: what @plan leaves zero is as by
 * default. Times that do not change go on where they were. Suspends. Takes the
 * reference to @args (NULL: none; at most 64 KiB). To change one thing, put
 * what was seen:
 *
 *     struct pit_plan plan = old->plan;
 *     plan.cron = "0 4 * * *";
 *     plan.seen = old;
 *     st = pit_schedules_put(co, old->name, old->task, json_incref(old->args),
 *                            &plan, NULL);
 *
 * Errors: PIT_INVALID a cron line, a zone or a value that is none, and
 * ret->error says which; PIT_UNKNOWN_TASK; PIT_TOO_LARGE; PIT_CONFLICT. */
enum pit_status pit_schedules_put(struct pit_co *co, const char *name,
                                  const char *task, json_t *args,
                                  const struct pit_plan *plan,
                                  struct pit_schedules *ret);
/* Its jobs stay. Suspends. ret->len is 0 afterwards. Errors: PIT_NOT_FOUND;
 * PIT_FORBIDDEN it stands in an application's table, and would come back. */
enum pit_status pit_schedules_delete(struct pit_co *co, const char *name,
                                     struct pit_schedules *ret);
/* Nothing is fired, until it is resumed; @note (NULL: as it is) says why. Times
 * that pass meanwhile are not missed: they were not to be. Suspends. Errors:
 * PIT_NOT_FOUND; PIT_CONFLICT others change it all the time. */
enum pit_status pit_schedules_pause(struct pit_co *co, const char *name,
                                    const char *note,
                                    struct pit_schedules *ret);
enum pit_status pit_schedules_resume(struct pit_co *co, const char *name,
                                     struct pit_schedules *ret);
/* Enqueues its job now, beside its times; @ticket (may be NULL) has the id.
 * Suspends. Errors: PIT_NOT_FOUND; PIT_QUEUE_FULL; PIT_CONFLICT another job
 * holds the unique key, nothing was stored, and the ticket's id is that one's.
 */
enum pit_status pit_schedules_trigger(struct pit_co *co, const char *name,
                                      struct pit_ticket *ticket);

#endif
