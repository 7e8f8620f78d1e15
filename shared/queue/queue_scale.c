/* Scale: the difference between the totals now and those of a while ago. */
#include "queue/queue_scale.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/registry.h"
#include "queue/script_call.h"

enum { SAMPLES_READ = 8, WINDOW_MS = 65000, NAMES = 9 };

/* In the order of a sample's numbers. */
struct totals {
    int64_t at_ms;
    int64_t enqueued, succeeded, failed, dead, cancelled, expired, timeout,
        crashed, lost;
};

static bool
read_sample(struct str text, struct totals *ret)
{
    int64_t n[1 + NAMES] = {0};
    struct str rest = text;

    for (int i = 0; i < 1 + NAMES && rest.n > 0; i++)
        if (!str_to_i64(str_cut(rest, ' ', &rest), &n[i]))
            return false;
    *ret = (struct totals){n[0], n[1], n[2], n[3], n[4],
                           n[5], n[6], n[7], n[8], n[9]};
    return n[0] > 0;
}

/* The oldest within the window, or the newest of all when none is. */
static bool
pick(const redisReply *samples, int64_t now_ms, struct totals *ret)
{
    struct totals one;
    bool found = false;

    for (size_t i = 0; i < samples->elements; i++) {
        if (!read_sample(script_call_text(samples->element[i]), &one) ||
            one.at_ms >= now_ms)
            continue;
        if (found && now_ms - one.at_ms > WINDOW_MS)
            break;
        *ret = one;
        found = true;
    }
    return found;
}

static void
compute(const struct queue_counts *now, const struct totals *then,
        int64_t now_ms, struct queue_rates *ret)
{
    double s = (double)(now_ms - then->at_ms) / 1000;
    int64_t failed = now->failed + now->timeout + now->crashed + now->lost -
                     then->failed - then->timeout - then->crashed - then->lost;
    int64_t succeeded = now->succeeded - then->succeeded;

    *ret = (struct queue_rates){
        .enqueued_per_s = (double)(now->enqueued - then->enqueued) / s,
        .succeeded_per_s = (double)succeeded / s,
        .failed_per_s = (double)failed / s,
        .ended_per_s = (double)(succeeded + failed) / s,
        .window_s = s,
    };
}

enum status
queue_rates(struct co *co, struct queues *queues,
            const struct queue_counts *counts, struct queue_rates *ret,
            struct error *err)
{
    struct rds_call call = {0};
    struct totals then;
    struct keys keys;
    int64_t now_ms = counts->now_ms;

    queue_keys(queues, str_c(counts->name), &keys);
    enum status st =
        rds_await(co, queues->rds, &call, "LRANGE %b 0 %d", keys.p[KEY_SAMPLES],
                  keys.n[KEY_SAMPLES], SAMPLES_READ - 1);
    if (st != ST_OK) {
        if (err)
            *err = call.err;
    } else {
        *ret = (struct queue_rates){0};
        if (pick(call.reply, now_ms, &then))
            compute(counts, &then, now_ms, ret);
    }
    rds_call_clear(&call);
    return st;
}

/* Little's law: what runs on average is what ends in a second times how long it
 * takes. */
void
queue_scale_judge(int64_t target_ms, struct queue_scale *ret)
{
    const struct queue_rates *rates = &ret->rates;
    double ended = rates->ended_per_s;
    double gain = ended - rates->enqueued_per_s;
    double target_s = (double)target_ms / 1000;

    ret->attempt_s =
        ended > 0 && ret->running > 0 ? (double)ret->running / ended : -1;
    ret->drain_s = -1;
    if (ret->waiting == 0)
        ret->drain_s = 0;
    else if (gain > 0)
        ret->drain_s = (double)ret->waiting / gain;
    if (ret->attempt_s > 0) {
        double wanted = ret->attempt_s * (rates->enqueued_per_s +
                                          (double)ret->waiting / target_s);
        ret->wanted = (int64_t)ceil(wanted);
    } else {
        /* Nothing is known of how long one takes: what there is goes on, and
         * one begins where there is nothing. */
        ret->wanted =
            ret->waiting > 0 && ret->slots > 0 ? ret->slots : ret->waiting > 0;
    }
    if (ret->wanted == 0 && ret->waiting + ret->running > 0)
        ret->wanted = 1;
}

int64_t
queue_scale_wanted_workers(const struct queue_scale *scale, int64_t slots_each)
{
    if (slots_each == 0)
        slots_each = scale->workers > 0 && scale->slots > scale->workers
                         ? scale->slots / scale->workers
                         : 1;
    return (scale->wanted + slots_each - 1) / slots_each;
}

static bool
serves(const json_t *worker, const char *queue)
{
    int64_t seen_ms = json_integer_value(json_object_get(worker, "seen_ms"));

    return clock_wall_ms() - seen_ms <= REGISTRY_WORKER_DEAD_MS &&
           !json_is_true(json_object_get(worker, "stopping")) &&
           !json_is_true(json_object_get(worker, "quiet")) &&
           (!queue[0] ||
            json_object_get(json_object_get(worker, "queues"), queue));
}

enum status
queue_scale_workers(struct co *co, struct queues *queues, struct str queue,
                    int64_t *ret_workers, int64_t *ret_slots, struct error *err)
{
    struct rds_call call = {0};
    int64_t workers = 0, slots = 0;
    char name[ID_QUEUE_MAX + 1];

    str_copy_to(queue, name, sizeof name);
    enum status st = registry_workers(co, queues, &call, err);
    for (size_t i = 1; st == ST_OK && i < call.reply->elements; i += 2) {
        const redisReply *entry = call.reply->element[i];
        json_t *worker = entry->type == REDIS_REPLY_STRING
                             ? json_loadb(entry->str, entry->len, 0, NULL)
                             : NULL;
        if (worker && serves(worker, name)) {
            workers++;
            slots += json_integer_value(json_object_get(worker, "slots"));
        }
        json_decref(worker);
    }
    rds_call_clear(&call);
    if (st == ST_OK) {
        *ret_workers = workers;
        *ret_slots = slots;
    }
    return st;
}

enum status
queue_scale(struct co *co, struct queues *queues,
            const struct queue_counts *counts, int64_t target_ms,
            struct queue_scale *ret, struct error *err)
{
    struct queue_scale found = {
        .waiting = counts->count[JOB_READY],
        .running = counts->count[JOB_RUNNING],
    };

    assert(target_ms > 0);
    enum status st = queue_rates(co, queues, counts, &found.rates, err);
    if (st == ST_OK)
        st = queue_scale_workers(co, queues, str_c(counts->name),
                                 &found.workers, &found.slots, err);
    if (st != ST_OK)
        return st;
    queue_scale_judge(target_ms, &found);
    *ret = found;
    return ST_OK;
}
