/* state.h - the dispatcher from inside, shared by the files that it is made of.
 *
 *   dispatcher.c  life: connections, the pass that runs once a turn, the end
 *   lane.c        one slot child: its ring, its time, its death
 *   async_lane.c  the async child: its board, its time, its death
 *   progress.c    what tasks say about their progress
 *   claim.c       which queue is asked, for how much; what comes back
 *   finish.c      how an attempt ended, and telling Redis
 *   renew.c       leases
 *   wake.c        sleeping in Redis while there is nothing to do
 *   courier.c     carries messages to jobs of other queues
 *   orders.c      what it is told while it runs
 *   joblog.c      what tasks log with pit_job_log()
 *   beat.c        the heartbeat, and what is said at start and end
 *   scheduler.c   fires what is due
 *
 * All of it belongs to the dispatcher's loop. Times are monotonic ms. */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include "async/loop.h"
#include "async/redis/rds.h"
#include "base/list.h"
#include "board.h"
#include "courier.h"
#include "dispatcher.h"
#include "held.h"
#include "lines.h"
#include "queue/queue.h"
#include "queue/registry.h"
#include "scheduler.h"
#include "weights.h"

enum {
    /* Work that a lane may hold, by what its jobs are expected to take: a child
     * never waits for the dispatcher, and no job waits long behind another. */
    LANE_BUDGET_US = 4000,
    LANE_COST_MIN_US = LANE_BUDGET_US / RING_JOBS,
    LANE_STUCK_MS = 10, /* then the jobs behind go elsewhere */
    WATCH_BUSY_MS = 2,  /* how often rings are looked at that hold several */
    WATCH_LONG_MS = 200,
    ASYNC_WAITING_MAX = 1000, /* async jobs in hand beyond their places */
    EXCHANGES = 4,            /* work calls under way at once */
    PAUSE_MS =
        1000, /* before a queue that answered with an error is asked again */
    RENEWALS = 8, /* renew calls under way at once */
};

struct dispatcher;

/* --- a queue that this worker serves ------------------------------------- */

struct source {
    struct dispatcher *d;
    struct str name; /* of name_bytes */
    char name_bytes[ID_QUEUE_MAX + 1];
    char wake_key[160];
    bool has_slot_tasks;  /* as far as is known */
    bool has_async_tasks; /* the same */
    bool unheard;         /* asleep, but not on this queue's wake list */
    bool maybe_ready;     /* not known to be empty */
    bool more;            /* the last answer said so */
    bool due;             /* something fell due: ask even without room */
    bool measured;        /* mean_us is one */
    int32_t mean_us;      /* how long its jobs ran, smoothed */
    unsigned exchanges;   /* calls under way */
    int64_t asked_ms;     /* when it last answered */
    struct list finishes;
    size_t finishes_len;
    struct loop_timer timer; /* until next_ms of the last answer */
    struct loop_timer pause; /* active: an error was answered */
    bool has_mail;           /* for the courier */
    struct loop_timer courier_timer;
};

/* --- a work call ---------------------------------------------------------- */

struct exchange {
    struct work work;
    struct dispatcher *d;
    struct source *source; /* NULL: free */
    struct list finishes;
    int64_t sent_ms;
    int32_t committed_us;
    int32_t committed_places;
};

struct renewal {
    struct rds_call call;
    struct dispatcher *d;
    struct source *source; /* NULL: free */
};

/* --- progress --------------------------------------------------------------
 */

struct progress {
    struct rds_call call;
    bool busy;
    uint32_t version; /* of the last report that was sent */
};

/* --- a slot child ----------------------------------------------------------
 */

enum lane_state {
    LANE_DOWN,     /* not to be started */
    LANE_STARTING, /* LINK_START was sent */
    LANE_UP,
};

struct lane {
    struct dispatcher *d;
    uint32_t index;
    enum lane_state state;
    struct ring_sender sender;
    struct held *jobs[RING_JOBS]; /* by position */
    int32_t load_us;              /* cost of the jobs in the ring */
    bool changed;                 /* the child may have to be woken */
    bool stuck;                   /* its job runs longer than LANE_STUCK_MS */
    bool corrupt;                 /* it wrote rubbish */
    bool killed;                  /* LINK_KILL was sent */
    int64_t started_ms;           /* LINK_START was sent */
    enum ring_cancel cancel;      /* of the job that runs */
    int64_t kill_at_ms;           /* while cancel is set */
    struct progress progress;
    struct lines_reader lines;
};

/* --- the async child -------------------------------------------------------
 */

struct async_place {
    struct held *held;       /* NULL: free */
    enum ring_cancel cancel; /* as in a lane */
    bool told;               /* the child */
    int64_t kill_at_ms;
    struct progress progress;
};

struct async_lane {
    struct dispatcher *d;
    struct board *board; /* NULL: none, with --async 0 */
    enum lane_state state;
    struct board_sender sender;
    struct lines_reader lines;
    struct async_place *places;
    struct list waiting; /* held jobs without a place */
    uint32_t waiting_len;
    struct held *on_trial; /* the suspect that has a place, or NULL */
    int32_t committed;     /* places, by claims under way */
    bool changed;          /* the child may have to be woken */
    bool corrupt;
    bool killed;
    int64_t started_ms;
};

struct dispatcher {
    const struct dispatcher_context *context;
    const struct options *options;
    struct loop *loop;
    struct loop_hook hook;
    struct rds *rds;
    struct queues *queues;
    struct event *link_event;
    struct event *bell_event;
    char name[QUEUE_WORKER_MAX + 1];
    int64_t started_wall_ms;
    bool link_lost;

    struct lane *lanes;
    size_t lanes_len;
    struct async_lane async;
    struct source sources[OPTIONS_QUEUES_MAX];
    struct weight weights[OPTIONS_QUEUES_MAX];
    size_t sources_len;

    struct list waiting; /* held jobs without a lane */
    int32_t waiting_us;  /* their cost */
    struct list leases;
    size_t held_len;
    uint64_t token_next;
    struct exchange exchanges[EXCHANGES];
    int32_t committed_us; /* by claims under way */

    struct loop_timer watch;
    int64_t watch_at_ms; /* 0: not started */

    struct renewal renewals[RENEWALS];
    struct loop_timer renew_timer;
    bool renew_all; /* at the next tick, whatever the time */

    struct rds *orders; /* the connection that hears orders */
    bool courier_busy;  /* its coroutine is at it */
    bool courier_stopped;
    struct list joblog; /* calls under way */
    size_t joblog_len;
    struct rds *sleeper; /* the blocking connection */
    int64_t sleeper_id;  /* what Redis calls it; 0: not known yet */
    struct rds_call sleeper_call;
    struct rds_call sleep_call;
    bool sleeping;
    bool sleep_interrupted; /* its end says nothing */
    struct rds_call interrupt_call;
    bool interrupting;
    int64_t slept_ms;              /* when it fell asleep */
    bool was_busy;                 /* since it slept last */
    struct loop_timer sleep_pause; /* active: an error was answered */

    struct rds_call beat_call;
    bool beat_busy;
    int64_t clock_off_ms; /* when that was found out last */
    struct loop_timer beat_timer;
    struct scheduler *scheduler;
    struct rds_call leave_call;

    bool announced; /* "ready" was logged */
    bool greeting;  /* a coroutine is at it */
    bool admitted;  /* the keys in Redis are of our schema */
    bool known;     /* its heartbeat was stored once */
    int exit_status;
    bool quiet; /* claims nothing, until told otherwise */
    bool stopping;
    bool hurry;   /* stopping without a grace time */
    bool leaving; /* all is handed back, the farewell is under way */
    struct loop_timer stop_timer;
};

/* --- dispatcher.c ----------------------------------------------------------
 */
/* A new job in hand, without a lane. */
void dispatcher_wait(struct dispatcher *d, struct held *held, bool front);
/* Frees it, wherever it is but in a lane or a call. */
void dispatcher_drop(struct dispatcher *d, struct held *held);
/* The lease of @token is another's: its handler is stopped, its end dropped. */
void dispatcher_lost(struct dispatcher *d, struct str token);
/* Redis' clock was set, or Redis was away: every queue is worked, schedules are
 * looked at and leases renewed, whatever was said of when. */
void dispatcher_clock_off(struct dispatcher *d);
/* Somebody wants the attempt of @token to end: its handler is told, and killed
 * after @grace_ms. Harmless when it is not held, or was told before. */
void dispatcher_cancel(struct dispatcher *d, struct str token,
                       int64_t grace_ms);
/* Claims nothing until it is called with false. */
void dispatcher_quiet(struct dispatcher *d, bool quiet);
/* Drains and ends, the whole worker. */
void dispatcher_stop(struct dispatcher *d);

/* --- lane.c ----------------------------------------------------------------
 */
void lane_init(struct lane *lane, struct dispatcher *d, uint32_t index);
/* Drops what it holds. */
void lane_clear(struct lane *lane);
/* Prepares the ring and asks for a child. */
void lane_start(struct lane *lane);
/* Settles what the child has finished. */
void lane_collect(struct lane *lane);
/* What it may still be given, of LANE_BUDGET_US. */
int32_t lane_room_us(const struct lane *lane);
/* A job that may have killed a child, or written over its ring: with others in
 * the ring nobody could tell whose doing the next death is. It takes a lane's
 * whole budget. Before it waits. */
void lane_isolate(struct held *held);
/* False when the ring is full, or not empty and the job is to be alone. */
CHECK bool lane_push(struct lane *lane, struct held *held);
/* Puts every job that it has not begun back among the waiting. */
void lane_take_back(struct lane *lane);
/* Stops the running job, which is the one at sender.collected, with @reason;
 * SIGKILL after @grace_ms. A job that is being stopped keeps its first reason;
 * its time can only get shorter. */
void lane_cancel(struct lane *lane, enum ring_cancel reason, int64_t grace_ms);
void lane_died(struct lane *lane, int wait_status);
/* Looks at the time of what runs; returns when to look again, in ms. */
int64_t lane_watch(struct lane *lane, int64_t now_ms);
/* Is it, or will it soon be, free to take a job? */
bool lane_promising(const struct lane *lane, int64_t now_ms);
/* Is one of the lanes? */
bool lane_any_promising(const struct dispatcher *d);
/* The job that runs, or NULL. */
struct held *lane_running(const struct lane *lane, int64_t *ret_since_us);
void lane_watch_all(struct dispatcher *d);
/* Looks at the lanes within @ms. */
void lane_watch_soon(struct dispatcher *d, int64_t ms);

/* --- async_lane.c ----------------------------------------------------------
 */
void async_lane_init(struct async_lane *lane, struct dispatcher *d);
/* Drops what it holds. */
void async_lane_clear(struct async_lane *lane);
/* How many more jobs it could run; 0 while nothing may be claimed. */
int32_t async_lane_room(const struct async_lane *lane);
/* A new job in hand, without a place. */
void async_lane_wait(struct async_lane *lane, struct held *held);
void async_lane_unwait(struct async_lane *lane, struct held *held);
/* Gives places to what waits, starts the child when it is needed. */
void async_lane_hand_out(struct async_lane *lane);
/* Puts every job that it has not begun back among the waiting. */
void async_lane_take_back(struct async_lane *lane);
/* Settles what the child has finished. */
void async_lane_collect(struct async_lane *lane);
/* Is there something to collect? */
bool async_lane_ready(const struct async_lane *lane);
void async_lane_wake(struct async_lane *lane);
/* Stops the job at that place: as lane_cancel(), but the child is killed. */
void async_lane_cancel(struct async_lane *lane, uint32_t place,
                       enum ring_cancel reason, int64_t grace_ms);
void async_lane_cancel_all(struct async_lane *lane, enum ring_cancel reason,
                           int64_t grace_ms);
/* As lane_watch(); -1: nothing is there. */
int64_t async_lane_watch(struct async_lane *lane, int64_t now_ms);
void async_lane_died(struct async_lane *lane, int wait_status);

/* --- progress.c ------------------------------------------------------------
 */
/* Sends @report unless it was sent, or one is under way. */
void progress_send(struct dispatcher *d, struct progress *progress,
                   const struct held *held, const struct ring_progress *report);
void progress_clear(struct progress *progress);

/* --- claim.c ---------------------------------------------------------------
 */
/* Sends what there is to finish and claims what there is room for. */
void claim_send(struct dispatcher *d);
/* Room in all lanes that nothing is on its way for; 0 while stopping. */
int32_t claim_room_us(const struct dispatcher *d);
/* Could a job of @source be run, if there were one? @room_us of all lanes. */
bool claim_has_room(const struct source *source, int32_t room_us);
/* Is a call under way that may bring jobs? */
bool claim_expected(const struct dispatcher *d);
/* What a job of @source is expected to take. */
int32_t claim_cost_us(const struct source *source);

/* --- finish.c --------------------------------------------------------------
 */
/* The handler has returned. */
void finish_returned(struct held *held, const struct ring_result *result,
                     enum ring_cancel cancelled);
void finish_crashed(struct held *held, const char *cause);
/* Killed, for @reason. */
void finish_killed(struct held *held, enum ring_cancel reason);
void finish_released(struct held *held);
/* Was to end before it was begun. */
void finish_cancelled(struct held *held);
/* Its record cannot be run: dead. */
void finish_refused(struct held *held, const char *why);
/* Moves up to QUEUE_FINISH_MAX to @exchange and fills @ret. */
size_t finish_take(struct source *source, struct exchange *exchange,
                   struct finish *ret);
/* The call was answered; or it was not, and they go back. */
void finish_taken(struct exchange *exchange);
void finish_return(struct exchange *exchange, bool unclear);

/* --- renew.c ---------------------------------------------------------------
 */
void renew_start(struct dispatcher *d);
/* All that is held, now: after a reconnect. */
void renew_everything(struct dispatcher *d);

/* --- wake.c ----------------------------------------------------------------
 */
CHECK enum status wake_connect(struct dispatcher *d, struct error *err);
void wake_disconnect(struct dispatcher *d);
/* Blocks in Redis when there is nothing else to do. */
void wake_sleep(struct dispatcher *d);
/* Every queue may have something: each is worked. */
void wake_check_all(struct dispatcher *d);
/* Ends a sleep that leaves out a queue which should be heard again. */
void wake_interrupt(struct dispatcher *d);

/* --- orders.c --------------------------------------------------------------
 */
CHECK enum status orders_connect(struct dispatcher *d, struct error *err);

/* --- joblog.c --------------------------------------------------------------
 */
/* Sends all lines of a child; @find gives the job that an owner is, or NULL. */
void joblog_take(struct dispatcher *d, struct lines_reader *reader,
                 struct held *(*find)(void *arg, uint32_t owner), void *arg);
void joblog_clear(struct dispatcher *d);

/* --- beat.c ----------------------------------------------------------------
 */
void beat_start(struct dispatcher *d);
/* Says at once what has changed. */
void beat_now(struct dispatcher *d);
/* Redis is there (again): says what is new. */
void beat_connected(struct dispatcher *d);
/* Takes the worker out of the registry and stops the loop. */
void beat_leave(struct dispatcher *d);

#endif
