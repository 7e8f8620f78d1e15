/* Public tasks: pit/tasks.h on top of the registry, entry by entry. */
#include "pit/tasks.h"

#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"
#include "app/task/task_entry.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

void
pit_tasks_clear(struct pit_tasks *tasks)
{
    shown_free(tasks->private_);
    *tasks = (struct pit_tasks){.len = 0};
}

static void
add(struct shown *shown, const redisReply *name, const redisReply *text)
{
    struct task_entry entry;
    struct str own = str_from(name->str, name->len);

    if (!id_task_valid(own) || text->type != REDIS_REPLY_STRING ||
        task_entry_read(str_from(text->str, text->len), &entry, NULL) != ST_OK)
        return;
    const struct app_task *task = &entry.task;
    ((struct pit_task_info *)shown->items)[shown->len++] =
        (struct pit_task_info){
            .name = shown_text(shown, own),
            .queue = shown_text(shown, str_c(task->queue)),
            .timeout_ms = task->timeout_ms,
            .backoff_ms = task->backoff_ms,
            .backoff_cap_ms = task->backoff_cap_ms,
            .keep_ms = task->keep_ms,
            .retries = task->retries,
            .priority = task->priority,
            .about = shown_text(shown, str_c(task->about)),
        };
}

enum pit_status
pit_tasks_list(struct pit_co *public, struct pit_tasks *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct rds_call call = {0};
    struct queues *queues;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = registry_tasks(co, queues, &call, &err);
    if (st == ST_OK) {
        const redisReply *reply = call.reply;
        shown = shown_new(reply->elements / 2 + 1, sizeof(struct pit_task_info),
                          ARENA_MAX);
        for (size_t i = 0;
             i + 1 < reply->elements && shown->len < REGISTRY_TASKS_MAX; i += 2)
            add(shown, reply->element[i], reply->element[i + 1]);
    }
    rds_call_clear(&call);
    shown = shown_settle(shown, true, &st, "out of memory", &err);
    pit_tasks_clear(ret);
    if (shown)
        *ret = (struct pit_tasks){
            .len = shown->len, .tasks = shown->items, .private_ = shown};
    return queue_public_end(co, st, false, &err, ret->error);
}
