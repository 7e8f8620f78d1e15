/* A scale as JSON: what nobody knows is null. */
#include "app/document/scale_json.h"

static json_t *
real_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

json_t *
scale_json(const char *queue, const struct queue_scale *scale,
           int64_t slots_each)
{
    return json_pack(
        "{s:s, s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I}",
        "queue", queue, "rates", "enqueued_per_s", scale->rates.enqueued_per_s,
        "succeeded_per_s", scale->rates.succeeded_per_s, "failed_per_s",
        scale->rates.failed_per_s, "window_s", scale->rates.window_s, "waiting",
        (json_int_t)scale->waiting, "running", (json_int_t)scale->running,
        "drain_s", real_or_null(scale->drain_s), "attempt_s",
        real_or_null(scale->attempt_s), "workers", (json_int_t)scale->workers,
        "slots", (json_int_t)scale->slots, "wanted_slots",
        (json_int_t)scale->wanted, "wanted_workers",
        (json_int_t)queue_scale_wanted_workers(scale, slots_each));
}
