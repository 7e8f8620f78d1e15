/* Queue document: names of queues, states and rates need no escaping (their
 * characters are checked on the way in), a note does. */
#include "app/document/queue_json.h"

#include <inttypes.h>

#include "app/document/schedule_json.h"

static void
add_counts(struct buf *dst, const struct queue_counts *counts)
{
    static const enum job_state shown[] = {
        JOB_READY,   JOB_SCHEDULED, JOB_RUNNING,   JOB_RETRYING,
        JOB_BLOCKED, JOB_DEAD,      JOB_SUCCEEDED, JOB_QUARANTINED};

    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        buf_addf(dst, "%s\"%s\":%" PRId64, i == 0 ? "" : ",",
                 job_state_name(shown[i]), counts->count[shown[i]]);
}

static void
add_totals(struct buf *dst, const struct queue_counts *counts)
{
    const struct {
        const char *name;
        int64_t total;
    } totals[] = {
        {"enqueued", counts->enqueued},
        {"succeeded", counts->succeeded},
        {"failed", counts->failed},
        {"retried", counts->retried},
        {"dead", counts->dead},
        {"crashed", counts->crashed},
        {"lost", counts->lost},
        {"timeout", counts->timeout},
        {"released", counts->released},
        {"expired", counts->expired},
        {"quarantined", counts->quarantined},
    };

    for (size_t i = 0; i < ARRAY_LEN(totals); i++)
        buf_addf(dst, "%s\"%s\":%" PRId64, i == 0 ? "" : ",", totals[i].name,
                 totals[i].total);
}

static void
add_limit(struct buf *dst, const char *name, int64_t n)
{
    buf_addf(dst, "\"%s\":", name);
    if (n < 0)
        buf_add_c(dst, "null,");
    else
        buf_addf(dst, "%" PRId64 ",", n);
}

static void
add_settings(struct buf *dst, const struct queue_settings *settings)
{
    char rate[QUEUE_RATE_SIZE];

    buf_add_c(dst, ",\"note\":");
    buf_add_json_string(dst, str_c(settings->note));
    buf_add_c(dst, ",\"limits\":{");
    add_limit(dst, "length", settings->len_max);
    add_limit(dst, "bytes", settings->bytes_max);
    add_limit(dst, "concurrency", settings->concurrency);
    if (settings->rate < 0)
        buf_add_c(dst, "\"rate\":null");
    else
        buf_addf(dst, "\"rate\":\"%s\"", queue_settings_rate(settings, rate));
    buf_addf(dst,
             "},\"retention\":{\"ended\":%" PRId64 ",\"dead\":%" PRId64
             ",\"dead_for_s\":%" PRId64 ",\"quarantined\":%" PRId64
             ",\"quarantined_for_s\":%" PRId64 "}",
             settings->done_max, settings->dead_max, settings->dead_ms / 1000,
             settings->quarantined_max, settings->quarantined_ms / 1000);
}

static void
add_duration(struct buf *dst, const char *name, bool given, int64_t ms)
{
    buf_addf(dst, "\"%s\":", name);
    if (given) {
        buf_add_char(dst, '"');
        schedule_json_duration(ms, dst);
        buf_add_c(dst, "\",");
    } else {
        buf_add_c(dst, "null,");
    }
}

/* As PATCH takes it; null: not set, so the standard. */
static void
add_retry(struct buf *dst, const struct queue_retry *retry)
{
    const struct backoff *backoff = &retry->backoff;

    buf_add_c(dst, ",\"retry\":{");
    add_limit(dst, "max", retry->set & JOB_RETRY_MAX ? retry->retries : -1);
    if (retry->set & JOB_RETRY_BACKOFF)
        buf_addf(dst, "\"backoff\":\"%s\",", backoff_name(backoff->kind));
    else
        buf_add_c(dst, "\"backoff\":null,");
    add_duration(dst, "base", retry->set & JOB_RETRY_BASE, backoff->base_ms);
    add_duration(dst, "cap", retry->set & JOB_RETRY_CAP, backoff->cap_ms);
    if (retry->set & JOB_RETRY_JITTER)
        buf_addf(dst, "\"jitter\":%g}", backoff->jitter);
    else
        buf_add_c(dst, "\"jitter\":null}");
}

/* A queue's name needs no escaping: its characters were checked. */
void
queue_json_write(const struct queue_overview *overview, struct buf *dst)
{
    const struct queue_counts *counts = &overview->counts;
    const struct queue_settings *settings = &overview->settings;
    const struct queue_rates *rates = &overview->rates;

    buf_addf(dst, "{\"name\":\"%s\",\"paused\":%s,\"closed\":%s,\"counts\":{",
             counts->name, settings->paused ? "true" : "false",
             settings->closed ? "true" : "false");
    add_counts(dst, counts);
    buf_add_c(dst, "},\"oldest_ready_s\":");
    if (counts->oldest_ready_ms < 0)
        buf_add_c(dst, "null");
    else
        buf_addf(dst, "%" PRId64 ".%03d", counts->oldest_ready_ms / 1000,
                 (int)(counts->oldest_ready_ms % 1000));
    buf_add_c(dst, ",\"totals\":{");
    add_totals(dst, counts);
    buf_add_char(dst, '}');
    add_settings(dst, settings);
    add_retry(dst, &settings->retry);
    buf_addf(dst,
             ",\"rates\":{\"enqueued_per_s\":%.3f,\"succeeded_per_s\":%.3f,"
             "\"failed_per_s\":%.3f,\"window_s\":%.3f}}",
             rates->enqueued_per_s, rates->succeeded_per_s, rates->failed_per_s,
             rates->window_s);
}
