/* Public flows: pit/flow.h on top of queue/flow/flow.h. */
#include "pit/flow.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "queue/flow/flow.h"
#include "queue/flow/outbox.h"

/* What the flow's specs lend from, a job each. */
struct member {
    struct task_entry room;
    struct buf args;
};

enum shape { CHAIN, GROUP, GRAPH };

struct build {
    struct co *co;
    struct task_catalog *catalog;
    struct flow flow;
    struct member *members;
    size_t len;
    struct error err;
};

static enum status
add_job(struct build *build, const struct pit_flow_job *job)
{
    struct member *member = &build->members[build->len++];
    struct job_spec spec;
    uint32_t index = 0;

    buf_init(&member->args, JOB_ARGS_MAX);
    enum status st =
        queue_public_args(json_incref(job->args), &member->args, &build->err);
    if (st == ST_OK && job->options &&
        (job->options->id || job->options->after || job->options->durability))
        st = error_set(&build->err, ST_INVALID,
                       "a job of a flow gets its id and what it follows from "
                       "the flow, and has no durability of its own");
    if (st == ST_OK)
        st = queue_public_spec(build->co, build->catalog, job->task,
                               job->options, &member->room, &spec, &build->err);
    if (st != ST_OK)
        return st;
    spec.args = buf_str(&member->args);
    spec.origin = queue_public_origin(build->co);
    return flow_add(&build->flow, str_c(job->name), &spec, job->go_on, &index,
                    &build->err);
}

static enum status
link_after(struct build *build, const struct pit_flow_job *jobs, size_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (const char *const *name = jobs[i].after; name && *name; name++) {
            uint32_t other = 0;
            if (!flow_find(&build->flow, str_c(*name), &other))
                return error_set(&build->err, ST_INVALID,
                                 "no job of this flow is called \"%s\"", *name);
            enum status st = flow_link(&build->flow, other, i, &build->err);
            if (st != ST_OK)
                return st;
        }
    return ST_OK;
}

static enum status
link_all(struct build *build, const struct pit_flow_job *jobs, size_t n,
         enum shape shape, bool then)
{
    enum status st = ST_OK;

    if (shape == GRAPH)
        return link_after(build, jobs, n);
    for (uint32_t i = 0; shape == CHAIN && i + 1 < n && st == ST_OK; i++)
        st = flow_link(&build->flow, i, i + 1, &build->err);
    for (uint32_t i = 0; then && i < n && st == ST_OK; i++)
        st = flow_link(&build->flow, i, (uint32_t)n, &build->err);
    return st;
}

static enum status
build_flow(struct build *build, const struct pit_flow_job *jobs, size_t n,
           const struct pit_flow_job *then, enum shape shape)
{
    enum status st = ST_OK;

    if (n > FLOW_JOBS_MAX)
        return error_set(&build->err, ST_TOO_LARGE,
                         "a flow has at most %d jobs", FLOW_JOBS_MAX);
    build->members = calloc(n + 1, sizeof *build->members);
    if (!build->members)
        return error_set(&build->err, ST_LIMIT, "out of memory");
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = add_job(build, &jobs[i]);
    if (st == ST_OK && then)
        st = add_job(build, then);
    if (st == ST_OK)
        st = link_all(build, jobs, n, shape, then != NULL);
    return st == ST_OK ? flow_close(&build->flow, NULL, &build->err) : st;
}

static enum status
take_options(struct build *build, const struct pit_flow_options *options)
{
    struct flow *flow = &build->flow;

    if (!options)
        return ST_OK;
    flow->title = str_c(options->name);
    flow->queue = str_c(options->queue);
    if (options->keep_ms)
        flow->keep_ms = options->keep_ms;
    if (flow->title.n > FLOW_TITLE_MAX || flow->keep_ms < 1 ||
        flow->keep_ms > JOB_KEEP_MAX_MS ||
        (options->queue && !id_queue_valid(flow->queue)))
        return error_set(&build->err, ST_INVALID,
                         "the flow's name, queue or keep_ms is out of range");
    return ST_OK;
}

static enum status
hand_over(struct build *build)
{
    bool existed = false;
    char id[ID_JOB_MAX + 1];
    struct job_id parts;

    if (outside_script(build->co))
        return outside_script(build->co)->accept(build->co, &build->flow,
                                                 &build->err);
    enum status st = flow_accept(build->co, build->catalog->queues,
                                 &build->flow, &existed, &build->err);
    if (st == ST_TIMEOUT && co_cancelled(build->co) == ST_TIMEOUT)
        st = error_set(&build->err, ST_UNCLEAR,
                       "the deadline passed before Redis answered: the flow "
                       "may have been accepted");
    if (st != ST_OK)
        return st;
    /* Accepted: whether it can be delivered at once is not the caller's care.
     */
    flow_id(&build->flow, id);
    if (id_split(str_c(id), &parts, NULL) == ST_OK)
        (void)!outbox_deliver(build->co, build->catalog->queues, parts.queue,
                              NULL, NULL);
    return ST_OK;
}

static void
fill_ticket(const struct build *build, enum status st,
            struct pit_ticket *ticket)
{
    char id[ID_JOB_MAX + 1] = "";

    if (build->flow.len > 0)
        flow_id(&build->flow, id);
    ticket->existed = false;
    str_copy_to(str_c(id), ticket->id, sizeof ticket->id);
    queue_public_words(st, &build->err, ticket->error);
}

static enum pit_status
start(struct pit_co *public, const struct pit_flow_job *jobs, size_t n,
      const struct pit_flow_job *then, enum shape shape,
      const struct pit_flow_options *options, struct pit_ticket *ticket)
{
    static const char *const calls[] = {[CHAIN] = "pit_chain()",
                                        [GROUP] = "pit_group()",
                                        [GRAPH] = "pit_flow()"};
    struct co *co = co_public_core(public);
    struct build build = {.co = co,
                          .catalog = queue_public_catalog(co_loop(co)),
                          .err = {.msg = ""}};
    enum status st;

    flow_init(&build.flow, NULL);
    if (!queue_public_possible(co))
        st = error_set(&build.err, ST_UNAVAILABLE,
                       "this process has no queues to enqueue into");
    else
        st = take_options(&build, options);
    if (st == ST_OK)
        st = build_flow(&build, jobs, n, then, shape);
    if (st == ST_OK)
        st = hand_over(&build);
    if (ticket)
        fill_ticket(&build, st, ticket);
    else
        queue_public_log(calls[shape], st, &build.err);
    for (size_t i = 0; i < n; i++)
        json_decref(jobs[i].args);
    if (then)
        json_decref(then->args);
    for (size_t i = 0; i < build.len; i++)
        buf_clear(&build.members[i].args);
    free(build.members);
    flow_clear(&build.flow);
    return (enum pit_status)st;
}

enum pit_status
pit_chain(struct pit_co *co, const struct pit_flow_job *jobs, size_t n,
          const struct pit_flow_options *options, struct pit_ticket *ticket)
{
    return start(co, jobs, n, NULL, CHAIN, options, ticket);
}

enum pit_status
pit_group(struct pit_co *co, const struct pit_flow_job *jobs, size_t n,
          const struct pit_flow_job *then,
          const struct pit_flow_options *options, struct pit_ticket *ticket)
{
    return start(co, jobs, n, then, GROUP, options, ticket);
}

enum pit_status
pit_flow(struct pit_co *co, const struct pit_flow_job *jobs, size_t n,
         const struct pit_flow_options *options, struct pit_ticket *ticket)
{
    return start(co, jobs, n, NULL, GRAPH, options, ticket);
}
