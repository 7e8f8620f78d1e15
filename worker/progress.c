/* Progress: what a task last said about it, on its way to Redis; one command at
 * a time for each job, so a slow Redis gets fewer reports and no queue. */
#include "base/clock.h"
#include "state.h"

static void
settled_cb(struct op *op)
{
    struct progress *progress = op->arg;

    progress->busy = false;
    rds_call_clear(&progress->call);
}

/* {"done":1,"total":2,"message":"...","at":"2026-..."} */
void
progress_send(struct dispatcher *d, struct progress *progress,
              const struct held *held, const struct ring_progress *report)
{
    struct buf json;

    if (progress->busy || held->lost || !rds_up(d->rds) ||
        report->version == progress->version)
        return;
    progress->version = report->version;
    buf_init(&json, 8 * RING_PROGRESS_TEXT + 200);
    buf_addf(&json, "{\"done\":%lld,\"total\":%lld", (long long)report->done,
             (long long)report->total);
    if (report->text_len > 0) {
        buf_add_c(&json, ",\"message\":");
        buf_add_json_string(&json, str_from(report->text, report->text_len));
    }
    buf_add_c(&json, ",\"at\":\"");
    buf_add_time(&json, clock_wall_ms());
    buf_add_c(&json, "\"}");
    const struct lease lease = {.local = held->local,
                                .token = str_c(held->token),
                                .priority = held->priority};
    progress->busy = true;
    queue_progress(d->queues, &progress->call, held->source->name, &lease,
                   buf_str(&json), settled_cb, progress);
    buf_clear(&json);
}

void
progress_clear(struct progress *progress)
{
    rds_call_clear(&progress->call);
    *progress = (struct progress){0};
}
