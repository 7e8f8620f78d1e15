/* ring.h - shared memory between the dispatcher and one slot child.
 *
 *   dispatcher                       mapping                        slot child
 *   ring_push ------> entries: FREE -> QUEUED -> RUNNING -> DONE <-- ring_next
 *   ring_take_back <------ (newest first) -'                     <-- ring_done
 *   ring_collect <------------------------------------ '
 *                     job area      : ids, task names, args
 *                     result area   : results, messages
 *                     words         : start, cancel, progress
 *                     lines         : what pit_job_log() said (lines.h)
 *
 * The supervisor makes the mapping before it forks, so that it outlives either
 * side: what a dead child had finished is still there, and which job it was
 * running. A job passes both ways without a system call as long as neither side
 * sleeps; the child sleeps on a futex, the dispatcher on an eventfd (struct
 * ring_bell, one for all rings).
 *
 * Each side keeps its own positions in a struct of its own (ring_sender,
 * ring_runner), out of reach of the other: a handler that writes astray can
 * spoil its own jobs, but nothing that the dispatcher reads from the mapping is
 * taken without a check. One process and thread a side. */
#ifndef WORKER_RING_H
#define WORKER_RING_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "queue/job/job.h"

enum {
    RING_JOBS = 128,             /* handed to a child at once; a power of two */
    RING_TEXT_MAX = 240,         /* bytes of an attempt's message */
    RING_PROGRESS_TEXT = 200,    /* bytes of a progress text */
    RING_AREA = 5 * 1024 * 1024, /* bytes each way: two of the largest jobs */
    RING_KEPT = 64 * 1024,       /* bytes of an area that an idle ring keeps */
    RING_NOTICE = 32, /* results after which a busy child rings the bell */
};

struct ring;

/* What wakes the dispatcher: an eventfd, written only when it says it sleeps.
 */
struct ring_bell {
    struct ring_bell_word *word; /* shared */
    int fd;
};
CHECK enum status ring_bell_init(struct ring_bell *bell, struct error *err);
void ring_bell_clear(struct ring_bell *bell);
/* The dispatcher is about to sleep: look at every ring once more after this. */
void ring_bell_arm(const struct ring_bell *bell);
/* It is awake. */
void ring_bell_disarm(const struct ring_bell *bell);
/* Empties the eventfd. */
void ring_bell_drain(const struct ring_bell *bell);
void ring_bell_ring(const struct ring_bell *bell);

/* The mapping, with all entries free. Errors: ST_LIMIT. */
CHECK enum status ring_new(struct ring **ret, struct error *err);
/* Unmaps it from this process. NULL is fine. */
void ring_free(struct ring *ring);

/* Where a piece of an area lies. */
struct ring_span {
    uint32_t begin;
    uint32_t end;
};

/* --- the dispatcher's side ------------------------------------------------ */

struct ring_sender {
    struct ring *ring;
    uint32_t collected; /* jobs before this position are settled */
    uint32_t pushed;    /* positions from here on are free */
    uint32_t touched;   /* bytes of an area in use since the last trim */
    struct ring_span spans[RING_JOBS];
};

struct ring_job {
    struct str id; /* "<queue>.<local id>" */
    struct str task;
    struct str args;        /* JSON or empty */
    struct str inputs;      /* parents' results, a JSON object, or empty */
    struct str traceparent; /* of its origin, or empty */
    struct str request_id;
    int attempt;
    int crashes;
};

/* How a job ended; the slices lend from the mapping until ring_release(). */
struct ring_result {
    uint32_t position;
    enum status status;
    int64_t run_us;
    int64_t retry_ms;  /* the least delay of a retry; 0: none was named */
    struct str result; /* JSON or empty */
    struct str message;
};

struct ring_progress {
    uint32_t position;
    uint32_t version; /* changes with every report */
    int64_t done;
    int64_t total;
    size_t text_len;
    char text[RING_PROGRESS_TEXT];
};

/* The reasons of a cancellation, as ring_cancelled() gives them. */
enum ring_cancel {
    RING_RUN_ON = 0,
    RING_CANCEL_TIMEOUT,
    RING_CANCEL_LEASE,
    RING_CANCEL_STOP,
    RING_CANCEL_ASKED, /* somebody wants the job to end */
};

/* Also after the child's death: forgets everything that is in the ring. No
 * child may be attached. */
void ring_sender_init(struct ring_sender *sender, struct ring *ring);
/* Jobs handed over and not yet collected. */
static inline uint32_t
ring_length(const struct ring_sender *sender)
{
    return sender->pushed - sender->collected;
}
/* Copies the job in. Its position is sender->pushed before the call. False when
 * there is no entry or no room left. ring_wake() must follow. */
CHECK bool ring_push(struct ring_sender *sender, const struct ring_job *job);
/* Wakes the child if it sleeps; call once after pushing and collecting. */
void ring_wake(struct ring_sender *sender);
/* The next result, in the order of pushing. False when there is none, or the
 * child wrote rubbish (*ret_bad): it must be killed then. */
CHECK bool ring_collect(struct ring_sender *sender, struct ring_result *ret,
                        bool *ret_bad);
/* Frees the entry of the result collected last. */
void ring_release(struct ring_sender *sender);
/* Has a child attached itself since ring_sender_init()? */
bool ring_attached(const struct ring *ring);
/* Is there something for ring_collect()? One load. */
bool ring_ready(const struct ring_sender *sender);
/* Takes the job pushed last back, if the child has not begun it; its position
 * is sender->pushed afterwards. */
CHECK bool ring_take_back(struct ring_sender *sender);
/* True while the child runs the job at sender->collected; since when by the
 * monotonic clock. */
bool ring_running(const struct ring_sender *sender, int64_t *ret_since_us);
/* Is that job, in collected..pushed, in a state in which no job can be? Its
 * child wrote over it. */
bool ring_spoilt(const struct ring_sender *sender, uint32_t position);
/* Has its child not begun it? */
bool ring_queued(const struct ring_sender *sender, uint32_t position);
/* Where the job lines of the child are (lines.h); its jobs are called by their
 * positions there. */
struct lines *ring_lines(struct ring *ring);
/* Tells the handler of the job at @position to stop. */
void ring_cancel(struct ring_sender *sender, uint32_t position,
                 enum ring_cancel reason);
/* The newest progress; false when there is none, or it is being written. */
CHECK bool ring_progress_read(const struct ring_sender *sender,
                              struct ring_progress *ret);
/* Gives the memory of large jobs back; does nothing unless the ring is empty.
 */
void ring_trim(struct ring_sender *sender);

/* --- the child's side ----------------------------------------------------- */

struct ring_runner {
    struct ring *ring;
    const struct ring_bell *bell;
    uint32_t next;   /* position to run */
    uint32_t unrung; /* results that nobody was told of */
    uint32_t oldest; /* position whose result may still be in use */
    struct ring_span spans[RING_JOBS];
};

/* Attaches to a ring that ring_sender_init() has prepared, and rings. */
void ring_runner_init(struct ring_runner *runner, struct ring *ring,
                      const struct ring_bell *bell);
/* Is a job waiting? */
bool ring_pending(const struct ring_runner *runner);
/* Waits for a job and begins it, so that it counts as running from then on.
 * The slices lend until ring_done(), and each is followed by a NUL. False once
 * *quit is not 0 (a signal handler's word): no job was begun. */
CHECK bool ring_next(struct ring_runner *runner,
                     const volatile sig_atomic_t *quit, struct ring_job *ret);
/* Ends it. @result up to JOB_RESULT_MAX, @message up to RING_TEXT_MAX bytes
 * (cut above). Waits when there is no room, until the dispatcher collects. */
void ring_done(struct ring_runner *runner, enum status status,
               struct str result, struct str message);
/* Cheap: one load while nothing was cancelled. */
enum ring_cancel ring_cancelled(const struct ring_runner *runner);
/* What pit_job_retry_after() asked for, of the job that runs. */
void ring_retry_after(struct ring_runner *runner, int64_t ms);
/* A line of the job that runs; false: there was no room. */
bool ring_log(struct ring_runner *runner, struct str text);
void ring_progress_write(struct ring_runner *runner, int64_t done,
                         int64_t total, struct str text);

#endif
