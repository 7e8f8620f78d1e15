/* The list of workers: heartbeats, read with jansson; there are few. */
#include "app/document/worker_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "queue/keys.h"
#include "queue/registry.h"

#define FORGET_MS INT64_C(3600000)
enum { FORGET_MAX = 100 }; /* of one call */

bool
worker_list_id_valid(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!((id.p[i] >= 'a' && id.p[i] <= 'z') ||
              (id.p[i] >= 'A' && id.p[i] <= 'Z') ||
              (id.p[i] >= '0' && id.p[i] <= '9') || id.p[i] == '-' ||
              id.p[i] == '_'))
            return false;
    return id.n >= 1 && id.n <= QUEUE_WORKER_MAX;
}

/* ---- one worker ---- */

static int64_t
number_of(const json_t *entry, const char *name)
{
    return json_integer_value(json_object_get(entry, name));
}

static json_t *
text_of(const json_t *entry, const char *name)
{
    const char *text = json_string_value(json_object_get(entry, name));

    return json_string(text ? text : "");
}

static json_t *
time_of(const json_t *entry, const char *name)
{
    int64_t ms = number_of(entry, name);
    char text[CLOCK_TIME_LEN + 1];

    if (ms <= 0 || ms > CLOCK_LAST_MS)
        return json_null();
    clock_format(ms, text);
    return json_string(text);
}

static const char *
state_of(const json_t *entry, int64_t now_ms)
{
    if (now_ms - number_of(entry, "seen_ms") > REGISTRY_WORKER_DEAD_MS)
        return "lost";
    if (json_is_true(json_object_get(entry, "stopping")))
        return "draining";
    return json_is_true(json_object_get(entry, "quiet")) ? "quiet" : "running";
}

static json_t *
queues_of(const json_t *entry)
{
    json_t *made = json_object(), *value;
    const char *name;

    json_object_foreach(json_object_get(entry, "queues"), name,
                        value) if (json_is_integer(value) &&
                                   id_queue_valid(str_c(name)))
        json_object_set(made, name, value);
    return made;
}

static json_t *
running_of(const json_t *entry)
{
    json_t *made = json_array(), *one;
    size_t i;

    json_array_foreach(json_object_get(entry, "running"), i, one)
    {
        json_t *slot = json_object_get(one, "slot");
        json_array_append_new(
            made, json_pack("{s:O?, s:o, s:o, s:I, s:o}", "slot",
                            json_is_integer(slot) ? slot : NULL, "job",
                            text_of(one, "job"), "task", text_of(one, "task"),
                            "attempt", (json_int_t)number_of(one, "attempt"),
                            "started_at", time_of(one, "started_ms")));
    }
    return made;
}

static json_t *
worker_of(const char *id, const json_t *entry, int64_t now_ms)
{
    return json_pack(
        "{s:s, s:o, s:I, s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
        "id", id, "host", text_of(entry, "host"), "pid",
        (json_int_t)number_of(entry, "pid"), "version",
        text_of(entry, "version"), "state", state_of(entry, now_ms), "slots",
        (json_int_t)number_of(entry, "slots"), "async",
        (json_int_t)number_of(entry, "async"), "held",
        (json_int_t)number_of(entry, "held"), "rss_bytes",
        (json_int_t)number_of(entry, "rss_bytes"), "started_at",
        time_of(entry, "started_ms"), "seen_at", time_of(entry, "seen_ms"),
        "queues", queues_of(entry), "running", running_of(entry));
}

/* ---- all of them ---- */

static json_t *
parse(const redisReply *text)
{
    struct jsontext value;

    /* Bounds the nesting, which jansson follows by recursion. */
    if (text->type != REDIS_REPLY_STRING ||
        jsontext_check(str_from(text->str, text->len), &value, NULL) != ST_OK)
        return NULL;
    return json_loadb(text->str, text->len, 0, NULL);
}

struct list_of {
    json_t *workers[REGISTRY_TASKS_MAX];
    size_t len;
    const char *gone[FORGET_MAX]; /* lent by the reply */
    size_t gone_len;
};

static void
collect(const redisReply *reply, struct list_of *list)
{
    int64_t now_ms = clock_wall_ms();

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *id = reply->element[i];
        json_t *entry = parse(reply->element[i + 1]);
        bool valid = worker_list_id_valid(str_from(id->str, id->len)) &&
                     json_is_object(entry);
        if (valid && now_ms - number_of(entry, "seen_ms") > FORGET_MS) {
            if (list->gone_len < FORGET_MAX)
                list->gone[list->gone_len++] = id->str;
        } else if (valid && list->len < ARRAY_LEN(list->workers))
            list->workers[list->len++] = worker_of(id->str, entry, now_ms);
        json_decref(entry);
    }
}

/* One that comes back says so with its next heartbeat. */
static void
forget(struct co *co, struct queues *queues, const struct list_of *list)
{
    const char *argv[FORGET_MAX + 2];
    size_t len[FORGET_MAX + 2];
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    if (list->gone_len == 0)
        return;
    keys_global(queues_prefix(queues), "workers", key);
    argv[0] = "HDEL", len[0] = 4;
    argv[1] = key, len[1] = strlen(key);
    for (size_t i = 0; i < list->gone_len; i++) {
        argv[i + 2] = list->gone[i];
        len[i + 2] = strlen(list->gone[i]);
    }
    rds_send(queues_rds(queues), &call, (int)list->gone_len + 2, argv, len,
             NULL, NULL);
    if (co_await(co, &call.op) != ST_OK)
        call.timeout_ms = 0; /* whoever lists them next tries again */
    rds_call_clear(&call);
}

static int
compare_ids(const void *a, const void *b)
{
    const json_t *const *left = a, *const *right = b;

    return strcmp(json_string_value(json_object_get(*left, "id")),
                  json_string_value(json_object_get(*right, "id")));
}

enum status
worker_list_read(struct co *co, struct queues *queues, json_t **ret,
                 struct error *err)
{
    struct rds_call call = {0};
    enum status st = registry_workers(co, queues, &call, err);

    if (st == ST_OK) {
        struct list_of *list = calloc(1, sizeof *list);
        if (!list) {
            rds_call_clear(&call);
            return error_set(err, ST_LIMIT, "out of memory");
        }
        collect(call.reply, list);
        forget(co, queues, list);
        qsort(list->workers, list->len, sizeof(json_t *), compare_ids);
        json_t *array = json_array();
        for (size_t i = 0; i < list->len; i++)
            json_array_append_new(array, list->workers[i]);
        free(list);
        *ret = array;
    }
    rds_call_clear(&call);
    return st;
}

static enum status
not_found(struct str id, struct error *err)
{
    return error_set(err, ST_NOT_FOUND, "no worker \"%.*s\" is known",
                     id.n > 64 ? 64 : (int)id.n, id.p);
}

enum status
worker_list_find(struct co *co, struct queues *queues, struct str id,
                 json_t **ret, struct error *err)
{
    json_t *workers, *worker;
    size_t i;

    enum status st = worker_list_read(co, queues, &workers, err);
    if (st != ST_OK)
        return st;
    st = not_found(id, err);
    json_array_foreach(
        workers, i,
        worker) if (str_eq_c(id,
                             json_string_value(json_object_get(worker, "id"))))
    {
        *ret = json_incref(worker);
        st = ST_OK;
        break;
    }
    json_decref(workers);
    return st;
}

enum status
worker_list_order(struct co *co, struct queues *queues, struct str id,
                  const char *order, struct error *err)
{
    struct rds_call call = {0};
    char what[16 + QUEUE_WORKER_MAX], channel[KEYS_MAX_LEN];

    if (!worker_list_id_valid(id))
        return not_found(id, err);
    snprintf(what, sizeof what, "worker:%.*s", STR_ARG(id));
    keys_global(queues_prefix(queues), what, channel);
    enum status st = rds_await(co, queues_rds(queues), &call, "PUBLISH %s %s",
                               channel, order);
    if (st != ST_OK && err)
        *err = call.err;
    else if (st == ST_OK && call.reply->integer == 0)
        st = error_set(err, ST_NOT_FOUND, "no worker \"%.*s\" is listening",
                       STR_ARG(id));
    rds_call_clear(&call);
    return st;
}
