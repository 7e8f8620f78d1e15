/* Beat: what a worker says about itself.
 *
 * On each connect, one coroutine makes sure that the keys there are of our
 * schema and publishes the application's tasks; nothing is claimed before the
 * first time that this went well. Then, and every REGISTRY_HEARTBEAT_MS, one
 * HSET says that the worker lives and what it does. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "queue/queue_log.h"
#include "queue/schema.h"
#include "state.h"

enum {
    FAREWELL_MS = 500,
    RUNNING_ROOM = 1024, /* bytes at the end that no slot's entry needs */
};

/* False when there is no room for more: the first are enough for a look. */
static bool
add_running(struct buf *json, bool *first, const char *slot,
            const struct held *held, int64_t since_us)
{
    int64_t ago_ms = (clock_mono_us() - since_us) / 1000;

    if (json->max - json->len < RUNNING_ROOM)
        return false;
    buf_addf(json,
             "%s{\"slot\":%s,\"job\":\"%.*s\",\"task\":\"%.*s\","
             "\"attempt\":%d,\"started_ms\":%lld}",
             *first ? "" : ",", slot, STR_ARG(held->id), STR_ARG(held->task),
             held->attempt, (long long)(clock_wall_ms() - ago_ms));
    *first = false;
    return true;
}

static void
add_all_running(const struct dispatcher *d, struct buf *json)
{
    const struct async_lane *async = &d->async;
    bool first = true, room = true, bad;
    int64_t since_us;
    char slot[24];

    for (size_t i = 0; i < d->lanes_len && room; i++) {
        const struct held *held = lane_running(&d->lanes[i], &since_us);
        snprintf(slot, sizeof slot, "%zu", i);
        if (held)
            room = add_running(json, &first, slot, held, since_us);
    }
    for (uint32_t i = 0; async->board && i < async->sender.places && room; i++)
        if (async->places[i].held &&
            board_running(&async->sender, i, &since_us, &bad))
            room = add_running(json, &first, "null", async->places[i].held,
                               since_us);
}

static void
describe(const struct dispatcher *d, struct buf *json)
{
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    buf_addf(json, "{\"id\":\"%s\",\"host\":", d->name);
    buf_add_json_string(json, str_c(host));
    buf_addf(json,
             ",\"pid\":%ld,\"version\":\"%s\",\"slots\":%zu,\"async\":%u,"
             "\"started_ms\":%lld,\"seen_ms\":%lld,\"stopping\":%s,"
             "\"quiet\":%s,\"held\":%zu,\"rss_bytes\":%lld,\"queues\":{",
             (long)getppid(), PIT_VERSION, d->lanes_len,
             d->async.board ? d->async.sender.places : 0,
             (long long)d->started_wall_ms, (long long)clock_wall_ms(),
             d->stopping ? "true" : "false", d->quiet ? "true" : "false",
             d->held_len, (long long)process_family_rss_bytes(getppid()));
    for (size_t i = 0; i < d->sources_len; i++)
        buf_addf(json, "%s\"%.*s\":%d", i ? "," : "",
                 STR_ARG(d->sources[i].name), (int)d->weights[i].weight);
    buf_add_c(json, "},\"running\":[");
    add_all_running(d, json);
    buf_add_c(json, "]}");
}

static void
beaten_cb(struct op *op)
{
    struct dispatcher *d = op->arg;
    const redisReply *reply = d->beat_call.reply;
    /* A new field: the first beat, or somebody emptied the server. */
    bool is_new = op->status == ST_OK && reply->type == REDIS_REPLY_INTEGER &&
                  reply->integer == 1;

    d->beat_busy = false;
    rds_call_clear(&d->beat_call);
    if (is_new && d->known)
        beat_connected(d);
    d->known |= is_new;
}

static void
beat(struct dispatcher *d)
{
    struct buf json;

    if (d->beat_busy || !rds_up(d->rds) || d->leaving)
        return;
    buf_init(&json, REGISTRY_JSON_MAX);
    describe(d, &json);
    if (!json.failed) {
        d->beat_busy = true;
        registry_heartbeat(d->queues, &d->beat_call, d->name, buf_str(&json),
                           beaten_cb, d);
    }
    buf_clear(&json);
}

/* --- on connect -------------------------------------------------------------
 */

static enum status
greet(struct co *co, void *arg)
{
    struct dispatcher *d = arg;
    const struct probe *probe = d->context->probe;
    struct error err;

    enum status st = schema_claim(co, d->queues, &err);
    if (st == ST_OK)
        st = queue_log_prepare(co, d->queues, &err);
    for (size_t i = 0; st == ST_OK && i < probe->tasks_len; i++)
        st = registry_put_task(co, d->queues, str_c(probe->tasks[i].name),
                               str_c(probe->tasks[i].json), &err);
    if (st == ST_CONFLICT) {
        log_error("%s", err.msg);
        d->exit_status = DISPATCHER_EXIT_CONFIG;
        loop_stop(d->loop);
    } else if (st != ST_OK && !d->leaving && rds_up(d->rds))
        log_error("cannot register the worker: %s", err.msg);
    return st;
}

static void
greeted_cb(void *arg, enum status status)
{
    struct dispatcher *d = arg;

    d->greeting = false;
    if (status != ST_OK || d->leaving)
        return; /* again with the next beat, or connect */
    d->admitted = true;
    beat(d);
    scheduler_admitted(d->scheduler);
}

void
beat_now(struct dispatcher *d)
{
    if (d->admitted)
        beat(d);
}

void
beat_connected(struct dispatcher *d)
{
    if (d->greeting || d->leaving)
        return;
    d->greeting = true;
    if (co_spawn(d->loop, "greet", greet, d, greeted_cb) != ST_OK)
        d->greeting = false;
}

static void
tick_cb(struct loop_timer *timer)
{
    struct dispatcher *d = LIST_ENTRY(timer, struct dispatcher, beat_timer);

    if (d->admitted)
        beat(d);
    else if (rds_up(d->rds))
        beat_connected(d);
    beat_start(d);
}

/* Soon again while it is not admitted yet. */
void
beat_start(struct dispatcher *d)
{
    loop_timer_start(d->loop, &d->beat_timer,
                     d->admitted ? REGISTRY_HEARTBEAT_MS : PAUSE_MS, tick_cb);
}

/* --- farewell ---------------------------------------------------------------
 */

static void
left_cb(struct op *op)
{
    struct dispatcher *d = op->arg;

    loop_stop(d->loop);
}

static void
farewell_over_cb(struct loop_timer *timer)
{
    loop_stop(LIST_ENTRY(timer, struct dispatcher, stop_timer)->loop);
}

void
beat_leave(struct dispatcher *d)
{
    if (d->leaving)
        return;
    d->leaving = true;
    loop_timer_start(d->loop, &d->stop_timer, FAREWELL_MS, farewell_over_cb);
    registry_leave(d->queues, &d->leave_call, d->name, left_cb, d);
}
