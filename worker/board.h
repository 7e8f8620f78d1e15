/* board.h - shared memory between the dispatcher and the async child.
 *
 * What a ring is to a slot, for a child that runs many jobs at once and ends
 * them in any order: a table of places, each with one job.
 *
 *   dispatcher                      mapping                      async child
 *   board_push ----> place: FREE -> QUEUED -> RUNNING -> DONE <-- board_next
 *   board_cancel --> inbox : words about places             -----'
 *   board_collect <- outbox: places that are done         <------ board_done
 *                    a job area and a result area for each place
 *
 * Everything else is as in ring.h: the supervisor makes the mapping, so that it
 * outlives either side; each side keeps its own positions out of the other's
 * reach; nothing that the dispatcher reads is taken without a check. Each side
 * sleeps on a bell of its own (struct ring_bell). The areas are address space:
 * only what was touched is memory, and what a large job touched goes back with
 * its end. */
#ifndef WORKER_BOARD_H
#define WORKER_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ring.h"

enum { BOARD_PLACES_MAX = 1024 };

struct board;

/* With 1..BOARD_PLACES_MAX places, all free. Errors: ST_LIMIT. */
CHECK enum status board_new(uint32_t places, struct board **ret,
                            struct error *err);
/* Unmaps it from this process. NULL is fine. */
void board_free(struct board *board);
/* Has a child attached itself since board_sender_init()? */
bool board_attached(const struct board *board);
/* Where the job lines of its child are (lines.h). */
struct lines *board_lines(struct board *board);

/* --- the dispatcher's side ------------------------------------------------ */

struct board_sender {
    struct board *board;
    const struct ring_bell *bell; /* the child's */
    uint32_t places;
    uint32_t used;  /* places that are not free */
    uint32_t sent;  /* words put into the inbox */
    uint32_t taken; /* words taken out of the outbox */
    uint32_t free_len;
    uint16_t free[BOARD_PLACES_MAX];
    bool busy[BOARD_PLACES_MAX];
    bool reported[BOARD_PLACES_MAX]; /* collected, not yet released */
    uint16_t generation[BOARD_PLACES_MAX];
    uint32_t touched[BOARD_PLACES_MAX]; /* bytes of the job area */
};

/* Forgets everything that is in it. No child may be attached. */
void board_sender_init(struct board_sender *sender, struct board *board,
                       const struct ring_bell *bell);
/* Is a place large enough for it? */
bool board_fits(const struct ring_job *job);
/* Copies the job in, which must fit. False while no place is free or the inbox
 * is full. board_wake() must follow. */
CHECK bool board_push(struct board_sender *sender, const struct ring_job *job,
                      uint32_t *ret_place);
/* Wakes the child if it sleeps. */
void board_wake(const struct board_sender *sender);
/* Did the child claim to have read words that were never sent? Nothing more
 * goes in then: it must be killed. */
bool board_misread(const struct board_sender *sender);
/* Is there something for board_collect()? Two loads. */
bool board_ready(const struct board_sender *sender);
/* The next result; its position is the place. False when there is none, or the
 * child wrote rubbish (*ret_bad): it must be killed then. */
CHECK bool board_collect(struct board_sender *sender, struct ring_result *ret,
                         bool *ret_bad);
/* Frees a place: after its result was collected, was taken back, or, with no
 * child attached, in any state. */
void board_release(struct board_sender *sender, uint32_t place);
/* Takes a job back, if the child has not begun it: board_release() then. */
CHECK bool board_take_back(struct board_sender *sender, uint32_t place);
/* True while the child runs the job there, or its result was not collected yet;
 * since when by the monotonic clock. *ret_bad is set for a place that is
 * neither queued, running nor done, or that waits though the child has read all
 * words: it must be killed then. */
bool board_running(const struct board_sender *sender, uint32_t place,
                   int64_t *ret_since_us, bool *ret_bad);
/* Tells the job at @place to stop. False when the inbox is full: try again. */
CHECK bool board_cancel(struct board_sender *sender, uint32_t place,
                        enum ring_cancel reason);
/* The newest progress; false when there is none, or it is being written. */
CHECK bool board_progress_read(const struct board_sender *sender,
                               uint32_t place, struct ring_progress *ret);
/* Was the job line of that owner written by the job that is there now? */
bool board_owns(const struct board_sender *sender, uint32_t owner,
                uint32_t *ret_place);

/* --- the child's side ----------------------------------------------------- */

struct board_runner {
    struct board *board;
    const struct ring_bell *bell; /* the dispatcher's */
    uint32_t taken;               /* words taken out of the inbox */
    uint32_t sent;                /* words put into the outbox */
};

enum board_word {
    BOARD_NOTHING,
    BOARD_JOB,    /* begun: it counts as running from now on */
    BOARD_CANCEL, /* of a job that runs, or has ended meanwhile */
};

/* Attaches, and rings. */
void board_runner_init(struct board_runner *runner, struct board *board,
                       const struct ring_bell *bell);
/* Is there a word? */
bool board_pending(const struct board_runner *runner);
/* The next word. The job's slices lend until board_done(), each followed by a
 * NUL; *ret_owner names the job in lines.h and in BOARD_CANCEL. */
enum board_word board_next(struct board_runner *runner, uint32_t *ret_place,
                           uint32_t *ret_owner, struct ring_job *ret_job);
/* Ends the job at @place. @result up to JOB_RESULT_MAX, @message up to
 * RING_TEXT_MAX bytes (cut above). Never waits. */
void board_done(struct board_runner *runner, uint32_t place, enum status status,
                struct str result, struct str message);
/* What pit_job_retry_after() asked for. Before board_done(). */
void board_retry_after(struct board_runner *runner, uint32_t place, int64_t ms);
/* Cheap: one load. */
enum ring_cancel board_cancelled(const struct board_runner *runner,
                                 uint32_t place);
void board_progress_write(struct board_runner *runner, uint32_t place,
                          int64_t done, int64_t total, struct str text);

#endif
