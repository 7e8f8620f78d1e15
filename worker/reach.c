/* Reach: made in one go when the child starts. */
#include "reach.h"

#include "app/public/queue_public.h"
#include "base/log.h"
#include "queue/changes.h"
#include "queue/durability.h"

static enum status
wait_up(struct co *co, void *arg)
{
    return rds_wait_up(co, arg, REACH_WAIT_MS);
}

enum status
reach_init(struct reach *reach, struct loop *loop,
           const struct options *options, const struct app *app,
           struct error *err)
{
    const struct rds_options how = {
        .url = options->redis,
        .client_name = "pit-async",
    };

    *reach = (struct reach){
        .mail = {.url = options->smtp, .from = options->mail_from},
    };
    enum status st = rds_new(loop, &how, &reach->rds, err);
    if (st != ST_OK)
        return st;
    reach->queues = queues_new(reach->rds, loop, NULL);
    queues_listen_later(reach->queues, options->redis);
    task_catalog_init(&reach->catalog, reach->queues, app);
    queue_public_attach(loop, &reach->catalog);
    reach->durability = durability_new(loop, reach->queues, options->redis);
    queue_public_attach_durability(loop, reach->durability);
    reach->changes = changes_new(loop, reach->queues, options->redis);
    queue_public_attach_changes(loop, reach->changes);
    reach->outside = (struct outside){
        .rds = reach->rds,
        .mail = reach->mail.url ? &reach->mail : NULL,
    };
    outside_attach(loop, &reach->outside);
    /* The first task is not to fail only because it was so quick. */
    if (co_run(loop, "connect", wait_up, reach->rds) != ST_OK)
        log_warn("Redis does not answer yet: %s", rds_last_error(reach->rds));
    return ST_OK;
}

void
reach_clear(struct reach *reach)
{
    task_catalog_clear(&reach->catalog);
    changes_free(reach->changes);
    durability_free(reach->durability);
    queues_free(reach->queues);
    rds_free(reach->rds);
}
