/* schedules.h - schedules in Redis: put, look, forget, trigger.
 *
 * A schedule lies in the slot of the queue that it enqueues into, so that a
 * fire is one script; `<prefix>:schedules` HASH name -> queue says where, and a
 * schedule that is found in another queue is a remainder and is removed by
 * whoever meets it. Who changes one says which version it has read
 * (compare-and-set). docs/protocol.md has the keys and scripts; statuses are
 * those of struct rds_call unless a verb adds its own. Every verb may suspend.
 */
#ifndef QUEUE_SCHEDULES_H
#define QUEUE_SCHEDULES_H

#include "queue/keys.h"
#include "queue/queue.h"
#include "queue/schedule/schedule_times.h"

enum { SCHEDULES_FIRES_KEPT = 20, SCHEDULES_MAX = 100000 };

/* One fire of the history. Letters as in schedule_fire.lua. */
struct schedule_fire {
    int64_t
        nominal_ms;   /* the time that it was for; missed: the first of them */
    int64_t at_ms;    /* when it was done */
    int what;         /* 'e', 't', 's', 'm', 'c' */
    struct str local; /* 'e', 't': the job */
    int64_t missed;   /* 'm': how many */
};

/* A schedule with all that is kept of it; lends from `call`. */
struct schedule_view {
    struct rds_call call;
    struct schedule schedule;
    char name[SCHEDULE_NAME_MAX + 1];
    char queue[ID_QUEUE_MAX + 1];
    int64_t now_ms;      /* Redis' clock; set also when there is none */
    int64_t nominal_ms;  /* the next time; SCHEDULE_NEVER: paused, or over */
    int64_t buffered_ms; /* a fire that waits for the job before; 0: none */
    size_t fires_len;
    struct schedule_fire fires[SCHEDULES_FIRES_KEPT]; /* newest first */
};

/* ST_NOT_FOUND: there is none; now_ms is set. Clear in every case. */
CHECK enum status schedules_get(struct co *co, struct queues *queues,
                                struct str name, struct schedule_view *ret,
                                struct error *err);
void schedules_view_clear(struct schedule_view *view);

/* Stores *s, whose version, anchor and times are set. @old is the view of the
 * same name that it is based on, or what schedules_get() left behind when there
 * was none. Times that did not change go on where they were; a new interval
 * begins now. @s has passed schedule_check().
 * Errors: ST_CONFLICT when somebody else has changed it since; ST_INVALID with
 * the pointer /at for a moment that has passed. */
CHECK enum status schedules_put(struct co *co, struct queues *queues,
                                struct schedule *s,
                                const struct schedule_view *old,
                                struct error *err);
/* ST_NOT_FOUND; ST_CONFLICT as above. Its jobs stay. */
CHECK enum status schedules_delete(struct co *co, struct queues *queues,
                                   const struct schedule_view *view,
                                   struct error *err);
/* Enqueues its job now; @local gets the id. Errors: ST_NOT_FOUND; ST_QUEUE_FULL
 * the queue takes no jobs; ST_CONFLICT another job holds the unique key:
 * nothing was stored, and @local is the id of that one. */
CHECK enum status schedules_trigger(struct co *co, struct queues *queues,
                                    const struct schedule_view *view,
                                    char local[ID_LOCAL_MAX + 1],
                                    struct error *err);
/* The same under the id in @local, that the caller chose: with one that is
 * there already, or was once, nothing more is done. */
CHECK enum status schedules_trigger_as(struct co *co, struct queues *queues,
                                       const struct schedule_view *view,
                                       char local[ID_LOCAL_MAX + 1],
                                       struct error *err);

struct schedule_place {
    char name[SCHEDULE_NAME_MAX + 1];
    char queue[ID_QUEUE_MAX + 1];
};
/* All of them by name; *ret is one allocation, freed with free(). */
CHECK enum status schedules_list(struct co *co, struct queues *queues,
                                 struct schedule_place **ret, size_t *ret_n,
                                 struct error *err);

/* Fires what is due in @queue, each time once however many do this.
 * *ret_next_ms: when to call it again, -1: nothing is there. */
CHECK enum status schedules_tick(struct co *co, struct queues *queues,
                                 struct str queue, int64_t *ret_next_ms,
                                 struct error *err);
/* The channel on which a queue's name is published when its next fire comes
 * sooner than anything did: call schedules_tick() then. */
void schedules_channel(const struct queues *queues, char dst[KEYS_MAX_LEN]);

/* What an application's table says of one schedule. */
struct schedules_declared {
    const char *name;
    const char *json; /* schedule_declare() */
};
/* Makes the schedules of the application @app agree with its table: new ones
 * are made, what changed in the table is changed unless it was changed by hand,
 * what is no more in it is removed. One that was made by hand under such a
 * name, or by another application, stays, with a line in the log. */
CHECK enum status schedules_apply(struct co *co, struct queues *queues,
                                  struct str app,
                                  const struct schedules_declared *declared,
                                  size_t n, struct error *err);

/* "enqueued", "triggered", "skipped", "missed", "refused". */
const char *schedules_fire_name(int what);

#endif
