/* Public workers: pit/workers.h on top of worker_list.h, whose objects have
 * each member, and of its type. */
#include "pit/workers.h"

#include "app/document/worker_list.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

void
pit_workers_clear(struct pit_workers *workers)
{
    shown_free(workers->private_);
    *workers = (struct pit_workers){.len = 0};
}

/* ---- what is shown ---- */

static enum pit_worker_state
state_of(const char *name)
{
    static const char *const names[] = {
        [PIT_WORKER_RUNNING] = "running",
        [PIT_WORKER_QUIET] = "quiet",
        [PIT_WORKER_DRAINING] = "draining",
        [PIT_WORKER_LOST] = "lost",
    };

    return (enum pit_worker_state)shown_word(names, ARRAY_LEN(names), name);
}

static void
fill_queues(struct shown *shown, json_t *queues, struct pit_worker_info *info)
{
    struct pit_worker_queue *ret =
        shown_alloc(shown, (json_object_size(queues) + 1) * sizeof *ret);
    const char *name;
    json_t *weight;

    info->queues = ret;
    if (!ret)
        return;
    json_object_foreach(queues, name, weight)
    {
        ret[info->queues_len++] = (struct pit_worker_queue){
            .name = shown_text(shown, str_c(name)),
            .weight = json_integer_value(weight),
        };
    }
}

static void
fill_running(struct shown *shown, const json_t *running,
             struct pit_worker_info *info)
{
    struct pit_worker_job *ret =
        shown_alloc(shown, (json_array_size(running) + 1) * sizeof *ret);
    const json_t *one;
    size_t i;

    info->running = ret;
    if (!ret)
        return;
    json_array_foreach(running, i, one)
    {
        const json_t *slot = json_object_get(one, "slot");
        ret[info->running_len++] = (struct pit_worker_job){
            .id = shown_member(shown, one, "job"),
            .task = shown_member(shown, one, "task"),
            .attempt = (int)shown_number(one, "attempt"),
            .slot = json_is_integer(slot) ? (int)json_integer_value(slot) : -1,
            .started_ms = shown_time(one, "started_at"),
        };
    }
}

static void
add(struct shown *shown, const json_t *worker)
{
    struct pit_worker_info *info =
        (struct pit_worker_info *)shown->items + shown->len++;
    const char *state = shown_member(shown, worker, "state");

    *info = (struct pit_worker_info){
        .id = shown_member(shown, worker, "id"),
        .host = shown_member(shown, worker, "host"),
        .pid = shown_number(worker, "pid"),
        .version = shown_member(shown, worker, "version"),
        .state = state_of(state),
        .state_name = state,
        .slots = shown_number(worker, "slots"),
        .async = shown_number(worker, "async"),
        .held = shown_number(worker, "held"),
        .rss_bytes = shown_number(worker, "rss_bytes"),
        .started_ms = shown_time(worker, "started_at"),
        .seen_ms = shown_time(worker, "seen_at"),
    };
    fill_queues(shown, json_object_get(worker, "queues"), info);
    fill_running(shown, json_object_get(worker, "running"), info);
}

/* Takes over @shown, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct shown *shown, struct pit_workers *ret)
{
    shown = shown_settle(shown, ret, &st, "out of memory", err);
    if (!ret)
        return queue_public_end(co, st, wrote, err, NULL);
    pit_workers_clear(ret);
    if (shown)
        *ret = (struct pit_workers){
            .len = shown->len, .workers = shown->items, .private_ = shown};
    return queue_public_end(co, st, wrote, err, ret->error);
}

/* ---- the calls ---- */

static enum status
look(struct co *co, struct queues *queues, const char *id, struct shown **ret,
     struct error *err)
{
    json_t *worker;

    enum status st = worker_list_find(co, queues, str_c(id), &worker, err);
    if (st != ST_OK)
        return st;
    *ret = shown_new(1, sizeof(struct pit_worker_info), ARENA_MAX);
    add(*ret, worker);
    json_decref(worker);
    return ST_OK;
}

enum pit_status
pit_workers_get(struct pit_co *public, const char *id, struct pit_workers *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct queues *queues;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = look(co, queues, id, &shown, &err);
    return end(co, st, false, &err, shown, ret);
}

enum pit_status
pit_workers_list(struct pit_co *public, struct pit_workers *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct queues *queues;
    json_t *workers;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = worker_list_read(co, queues, &workers, &err);
    if (st == ST_OK) {
        size_t n = json_array_size(workers);
        shown = shown_new(n + 1, sizeof(struct pit_worker_info), ARENA_MAX);
        for (size_t i = 0; i < n; i++)
            add(shown, json_array_get(workers, i));
        json_decref(workers);
    }
    return end(co, st, false, &err, shown, ret);
}

/* The order stands whatever becomes of the look. */
static enum pit_status
tell(struct pit_co *public, const char *id, const char *order,
     struct pit_workers *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct queues *queues;
    bool sent = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK) {
        sent = true;
        st = worker_list_order(co, queues, str_c(id), order, &err);
    }
    if (st == ST_OK && ret)
        (void)!look(co, queues, id, &shown, &err);
    return end(co, st, sent, &err, shown, ret);
}

enum pit_status
pit_workers_quiet(struct pit_co *co, const char *id, struct pit_workers *ret)
{
    return tell(co, id, "quiet", ret);
}

enum pit_status
pit_workers_resume(struct pit_co *co, const char *id, struct pit_workers *ret)
{
    return tell(co, id, "resume", ret);
}

enum pit_status
pit_workers_stop(struct pit_co *co, const char *id, struct pit_workers *ret)
{
    return tell(co, id, "stop", ret);
}
