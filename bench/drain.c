/* bench-drain: claim and finish, through the queue's own verbs, with nothing
 * run in between.
 *
 * What a worker cannot be cheaper than. Each of --lanes has one call under way,
 * which finishes the jobs of the call before and claims the next; two struct
 * work take turns, since a claim's slices lend from its reply. */
#include <stdio.h>

#include "base/clock.h"
#include "tool.h"

enum { LANES_MAX = 16, LEASE_MS = 15000 };

struct options {
    const char *redis;
    const char *queue;
    int64_t jobs;
    int64_t lanes;
    int64_t batch;
};

#define FIELD(name) offsetof(struct options, name)
static const struct config_option table[] = {
    {"redis", "URL", CONFIG_STRING, FIELD(redis), "redis://127.0.0.1:6379", 0,
     0, true, "where the queue lives"},
    {"queue", "NAME", CONFIG_STRING, FIELD(queue), "bench", 0, 0, false,
     "the queue to empty"},
    {"jobs", "N", CONFIG_INT, FIELD(jobs), "100000", 1, 100000000, false,
     "end after that many, or when the queue is empty"},
    {"lanes", "N", CONFIG_INT, FIELD(lanes), "2", 1, LANES_MAX, false,
     "calls under way at once"},
    {"batch", "N", CONFIG_INT, FIELD(batch), "64", 1, QUEUE_CLAIM_MAX, false,
     "jobs of one call"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-drain",
    .synopsis = "bench-drain [OPTION...]",
    .about = "Empties a queue through the library and prints how long it took.",
    .options = table,
};

struct lane {
    struct drain *drain;
    struct work works[2];
    int turn; /* which of the works is under way */
};

struct drain {
    struct options options;
    struct tool tool;
    struct loop_task begin;
    struct lane lanes[LANES_MAX];
    uint64_t tokens;
    int64_t claimed;
    int64_t finished;
    int64_t calls;
    int busy; /* lanes with a call under way */
};

static void worked_cb(struct op *op);

/* The next call of a lane; it ends when there is nothing to finish or claim. */
static void
work(struct lane *lane)
{
    struct drain *drain = lane->drain;
    struct work *last = &lane->works[lane->turn];
    struct work *next = &lane->works[!lane->turn];
    struct finish finishes[QUEUE_CLAIM_MAX];
    int64_t left = drain->options.jobs - drain->claimed;
    int want = (int)(left < drain->options.batch ? left : drain->options.batch);

    for (size_t i = 0; i < last->claimed_len; i++)
        finishes[i] = (struct finish){
            .local = last->claimed[i].local,
            .token = str_c(last->claimed[i].token),
            .priority = last->claimed[i].priority,
            .outcome = OUTCOME_SUCCEEDED,
            .keep_ms = JOB_KEEP_STANDARD_MS,
        };
    if (last->claimed_len == 0 && (want == 0 || drain->calls > LANES_MAX)) {
        if (--drain->busy == 0)
            loop_stop(drain->tool.loop);
        return;
    }
    next->call = (struct rds_call){0};
    next->queue = str_c(drain->options.queue);
    next->claim = want;
    next->lease_ms = LEASE_MS;
    next->worker = "bench";
    next->token_first = drain->tokens;
    drain->tokens += (uint64_t)want;
    drain->claimed += want;
    drain->calls++;
    queue_work(drain->tool.queues, next, finishes, last->claimed_len, worked_cb,
               lane);
    drain->finished += (int64_t)last->claimed_len;
}

static void
worked_cb(struct op *op)
{
    struct lane *lane = op->arg;
    struct drain *drain = lane->drain;
    struct work *last = &lane->works[lane->turn];
    struct work *done = &lane->works[!lane->turn];
    struct error err = done->call.err;

    if (op->status != ST_OK || queue_work_result(done, &err) != ST_OK)
        tool_fail("work: %s", err.msg);
    if (done->stale_len > 0)
        tool_fail("work: a lease was lost: was a worker running?");
    /* What was asked for and not there may still be claimed by another call. */
    drain->claimed -= done->claim - (int64_t)done->claimed_len;
    rds_call_clear(&last->call);
    last->claimed_len = 0;
    lane->turn = !lane->turn;
    work(lane);
}

/* From inside a turn: what is sent outside of one waits for the next. */
static void
begin_cb(struct loop_task *task)
{
    struct drain *drain = LIST_ENTRY(task, struct drain, begin);

    for (int64_t i = 0; i < drain->options.lanes; i++) {
        drain->lanes[i].drain = drain;
        drain->busy++;
        work(&drain->lanes[i]);
    }
}

int
main(int argc, char **argv)
{
    static struct drain drain;

    tool_options(&program, argc, argv, &drain.options);
    tool_connect(&drain.tool, drain.options.redis);
    int64_t start_us = clock_mono_us();
    drain.begin.fn = begin_cb;
    loop_ready(drain.tool.loop, &drain.begin);
    loop_run(drain.tool.loop);
    double seconds = (double)(clock_mono_us() - start_us) / 1e6;
    printf("{\"jobs\":%lld,\"calls\":%lld,\"seconds\":%.6f}\n",
           (long long)drain.finished, (long long)drain.calls, seconds);
    for (int64_t i = 0; i < drain.options.lanes; i++)
        for (int k = 0; k < 2; k++)
            rds_call_clear(&drain.lanes[i].works[k].call);
    tool_clear(&drain.tool);
    config_clear(&program, &drain.options);
    return 0;
}
