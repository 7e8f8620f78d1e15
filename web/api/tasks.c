/* GET /v1/tasks: the registry as it stands, by name. An entry that is no JSON
 * object was put there by another program; it is left out. */
#include "api/api.h"

#include "queue/registry.h"

/* The entry with its name as the first member, or NULL. */
static json_t *
make_task(const redisReply *name, const redisReply *text)
{
    json_t *entry = json_loadb(text->str, text->len, 0, NULL);
    json_t *task = NULL;

    if (json_is_object(entry) &&
        id_task_valid(str_from(name->str, name->len))) {
        task = json_pack("{s:s%}", "name", name->str, (size_t)name->len);
        json_object_update_missing(task, entry);
    }
    json_decref(entry);
    return task;
}

static json_t *
make_list(const redisReply *reply)
{
    json_t *list = json_array();

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        json_t *task = make_task(reply->element[i], reply->element[i + 1]);
        if (task && json_array_size(list) < REGISTRY_TASKS_MAX)
            json_array_append_new(list, task);
        else
            json_decref(task);
    }
    return list;
}

enum status
tasks_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct rds_call call = {0};

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = registry_tasks(co, api->queues, &call, &exchange->err);
    if (st == ST_OK)
        st = response_json_take(
            &exchange->res, 200,
            json_pack("{s:o}", "tasks", make_list(call.reply)));
    else
        st = api_fail(exchange, st, &exchange->err, false);
    rds_call_clear(&call);
    return st;
}
