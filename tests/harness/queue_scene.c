#include "harness/queue_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "queue/changes.h"
#include "queue/durability.h"

static struct app_task tasks[] = {
    {.name = "mail.quiet",
     .queue = "mail",
     .timeout_ms = JOB_TIMEOUT_STANDARD_MS,
     .retries = JOB_RETRIES_STANDARD,
     .backoff_ms = APP_BACKOFF_MS,
     .backoff_cap_ms = APP_BACKOFF_CAP_MS,
     .keep_ms = JOB_KEEP_STANDARD_MS,
     .priority = JOB_PRIORITY_STANDARD,
     .about = ""},
    {.name = "mail.send",
     .queue = "mail",
     .timeout_ms = 5000,
     .retries = 7,
     .backoff_ms = 1000,
     .backoff_cap_ms = 60000,
     .retry_given = JOB_RETRY_MAX | JOB_RETRY_BASE | JOB_RETRY_CAP,
     .keep_ms = 1000,
     .priority = 2,
     .about = ""},
};
static const struct app app = {
    .name = "test", .tasks = tasks, .tasks_len = ARRAY_LEN(tasks)};

static void
set_up(struct scene *s)
{
    s->server = redis_server_shared();
    const char *url = redis_server_url(s->server);
    const struct rds_options options = {.url = url};
    struct error err = {.msg = ""};

    redis_server_command(s->server, "FLUSHALL", "+OK");
    s->loop = loop_new(NULL);
    if (rds_new(s->loop, &options, &s->rds, &err) != ST_OK)
        fail_msg("rds_new: %s", err.msg);
    s->queues = queues_new(s->rds, s->loop, NULL);
    if (queues_listen(s->queues, url, &err) != ST_OK)
        fail_msg("queues_listen: %s", err.msg);
    task_catalog_init(&s->catalog, s->queues, &app);
    queue_public_attach(s->loop, &s->catalog);
    s->durability = durability_new(s->loop, s->queues, url);
    queue_public_attach_durability(s->loop, s->durability);
    s->changes = changes_new(s->loop, s->queues, url);
    queue_public_attach_changes(s->loop, s->changes);
}

static void
tear_down(struct scene *s)
{
    task_catalog_clear(&s->catalog);
    changes_free(s->changes);
    durability_free(s->durability);
    queues_free(s->queues);
    rds_free(s->rds);
    loop_free(s->loop);
}

void
scene_test(void **state)
{
    co_fn *const *fn = *state;
    struct scene s = {0};

    set_up(&s);
    enum status status = co_run(s.loop, "test", *fn, &s);
    tear_down(&s);
    if (status != ST_OK)
        fail_msg("%s after line %d: %s", status_name(status), s.step,
                 s.err.msg);
}

enum status
scene_up(struct co *co, struct scene *s)
{
    return rds_wait_up(co, s->rds, 5000);
}

enum status
scene_work(struct co *co, struct scene *s, const char *queue,
           struct finish *finish)
{
    struct work work = {.queue = str_c(queue),
                        .claim = 1,
                        .lease_ms = 15000,
                        .worker = "w1",
                        .token_first = s->tokens++};

    queue_work(s->queues, &work, NULL, 0, NULL, NULL);
    enum status st = co_await(co, &work.call.op);
    if (st == ST_OK)
        st = queue_work_result(&work, &s->err);
    if (st == ST_OK && work.claimed_len != 1)
        st = error_set(&s->err, ST_BUG, "nothing to claim in %s", queue);
    if (st == ST_OK && finish) {
        struct work end = {.queue = str_c(queue),
                           .lease_ms = 15000,
                           .worker = "w1",
                           .token_first = s->tokens};
        finish->local = work.claimed[0].local;
        finish->token = str_c(work.claimed[0].token);
        finish->priority = work.claimed[0].priority;
        finish->keep_ms = 60000;
        queue_work(s->queues, &end, finish, 1, NULL, NULL);
        st = co_await(co, &end.call.op);
        rds_call_clear(&end.call);
    }
    rds_call_clear(&work.call);
    return st;
}
