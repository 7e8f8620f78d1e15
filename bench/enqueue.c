/* bench-enqueue: a backlog, through the queue's own verbs.
 *
 * Keeps --window enqueues under way: each that settles is started again at
 * once, and those of one loop turn leave in one script call, as in a web
 * process under load. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tool.h"

enum { WINDOW_MAX = 4096, PAD_MAX = 65536 };

struct options {
    const char *redis;
    const char *queue;
    const char *task;
    int64_t jobs;
    int64_t window;
    int64_t pad;
};

#define FIELD(name) offsetof(struct options, name)
static const struct config_option table[] = {
    {"redis", "URL", CONFIG_STRING, FIELD(redis), "redis://127.0.0.1:6379", 0,
     0, true, "where the queue lives"},
    {"queue", "NAME", CONFIG_STRING, FIELD(queue), "bench", 0, 0, false,
     "the queue to fill"},
    {"task", "NAME", CONFIG_STRING, FIELD(task), "bench.noop", 0, 0, false,
     "the task of every job"},
    {"jobs", "N", CONFIG_INT, FIELD(jobs), "100000", 1, 100000000, false,
     "how many jobs"},
    {"window", "N", CONFIG_INT, FIELD(window), "256", 1, WINDOW_MAX, false,
     "how many are under way at once"},
    {"pad", "BYTES", CONFIG_INT, FIELD(pad), "100", 0, PAD_MAX, false,
     "of padding in each job's args"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-enqueue",
    .synopsis = "bench-enqueue [OPTION...]",
    .about = "Fills a queue through the library and prints how long it took.",
    .options = table,
};

struct fill {
    struct options options;
    struct tool tool;
    struct loop_task begin;
    struct enqueue *jobs; /* --window of them */
    struct buf args;
    int64_t started;
    int64_t stored;
};

static void
settled_cb(struct op *op)
{
    struct fill *fill = op->arg;
    struct enqueue *e = LIST_ENTRY(op, struct enqueue, op);

    if (op->status != ST_OK)
        tool_fail("enqueue: %s", e->err.msg);
    if (++fill->stored == fill->options.jobs)
        loop_stop(fill->tool.loop);
    if (fill->started == fill->options.jobs)
        return;
    fill->started++;
    queue_enqueue(fill->tool.queues, e, settled_cb, fill);
}

/* From inside a turn: what is enqueued outside of one waits for the next. */
static void
begin_cb(struct loop_task *task)
{
    struct fill *fill = LIST_ENTRY(task, struct fill, begin);

    for (int64_t i = 0; i < fill->options.window; i++) {
        struct enqueue *e = &fill->jobs[i];
        struct error err = {.msg = ""};

        if (fill->started == fill->options.jobs)
            break;
        job_spec_init(&e->spec);
        e->spec.queue = str_c(fill->options.queue);
        e->spec.task = str_c(fill->options.task);
        e->spec.args = buf_str(&fill->args);
        if (i == 0 && job_spec_check(&e->spec, &err) != ST_OK)
            tool_fail("%s %s", err.pointer, err.msg);
        fill->started++;
        queue_enqueue(fill->tool.queues, e, settled_cb, fill);
    }
}

int
main(int argc, char **argv)
{
    struct fill fill = {0};

    tool_options(&program, argc, argv, &fill.options);
    fill.jobs = calloc((size_t)fill.options.window, sizeof *fill.jobs);
    if (!fill.jobs)
        tool_fail("out of memory");
    buf_init(&fill.args, PAD_MAX + 64);
    tool_args(&fill.args, 1, fill.options.pad);
    tool_connect(&fill.tool, fill.options.redis);

    int64_t start_us = clock_mono_us();
    fill.begin.fn = begin_cb;
    loop_ready(fill.tool.loop, &fill.begin);
    loop_run(fill.tool.loop);
    double seconds = (double)(clock_mono_us() - start_us) / 1e6;
    printf("{\"jobs\":%lld,\"args_bytes\":%zu,\"seconds\":%.6f}\n",
           (long long)fill.stored, fill.args.len, seconds);

    tool_clear(&fill.tool);
    buf_clear(&fill.args);
    free(fill.jobs);
    config_clear(&program, &fill.options);
    return 0;
}
