#include "queue/queue_overview.h"

/* A queue exists once a job was put into it, or something was set. */
static bool
is_there(const struct queue_overview *overview)
{
    int64_t jobs = overview->counts.enqueued;

    for (int i = 0; i < JOB_STATES; i++)
        jobs += overview->counts.count[i];
    return jobs > 0 || overview->settings.any;
}

enum status
queue_overview_get(struct co *co, struct queues *queues, struct str queue,
                   const struct queue_setting *changes, size_t n,
                   struct queue_overview *ret, struct error *err)
{
    enum status st = queue_settings_apply(co, queues, queue, changes, n,
                                          &ret->settings, err);

    if (st == ST_OK)
        st = queue_counts(co, queues, queue, &ret->counts, err);
    if (st == ST_OK)
        st = queue_rates(co, queues, &ret->counts, &ret->rates, err);
    if (st == ST_OK && !is_there(ret))
        st = error_set(err, ST_NOT_FOUND,
                       "no job was ever put into a queue \"%.*s\"",
                       STR_ARG(queue));
    return st;
}
