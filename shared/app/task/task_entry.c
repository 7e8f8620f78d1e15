/* Entries: written as text, read with jansson; the registry holds few. */
#include "app/task/task_entry.h"

#include <inttypes.h>
#include <jansson.h>

#include "base/jsontext.h"

/* What a queue's own policy of retries may not override when the task says it:
 * the names in `given`. */
static const struct {
    const char *name;
    unsigned bit;
} policy[] = {
    {"retries", JOB_RETRY_MAX},
    {"backoff_ms", JOB_RETRY_BASE},
    {"backoff_cap_ms", JOB_RETRY_CAP},
};

void
task_entry_write(const struct app_task *task, struct buf *dst)
{
    buf_addf(dst,
             "{\"queue\":\"%s\",\"timeout_ms\":%" PRId64 ",\"retries\":%" PRId32
             ",\"backoff_ms\":%" PRId64 ",\"backoff_cap_ms\":%" PRId64
             ",\"keep_ms\":%" PRId64 ",\"priority\":%" PRId32 ",\"about\":",
             task->queue, task->timeout_ms, task->retries, task->backoff_ms,
             task->backoff_cap_ms, task->keep_ms, task->priority);
    buf_add_json_string(dst, str_c(task->about));
    buf_add_c(dst, ",\"given\":[");
    for (size_t i = 0, n = 0; i < ARRAY_LEN(policy); i++)
        if (task->retry_given & policy[i].bit)
            buf_addf(dst, "%s\"%s\"", n++ > 0 ? "," : "", policy[i].name);
    buf_add_c(dst, "]}");
}

/* One number of an entry, where it goes and what it may be. */
struct number {
    const char *name;
    int64_t standard, min, max;
    int64_t *ret;
};

static bool
read_number(const json_t *entry, const struct number *n)
{
    const json_t *value = json_object_get(entry, n->name);
    int64_t read = value ? json_integer_value(value) : n->standard;

    if ((value && !json_is_integer(value)) || read < n->min || read > n->max)
        return false;
    *n->ret = read;
    return true;
}

static bool
read_numbers(const json_t *entry, struct app_task *task)
{
    int64_t retries;
    int64_t priority;
    const struct number numbers[] = {
        {"timeout_ms", JOB_TIMEOUT_STANDARD_MS, 1, JOB_TIMEOUT_MAX_MS,
         &task->timeout_ms},
        {"backoff_ms", APP_BACKOFF_MS, 1, JOB_DELAY_MAX_MS, &task->backoff_ms},
        {"backoff_cap_ms", APP_BACKOFF_CAP_MS, 1, JOB_DELAY_MAX_MS,
         &task->backoff_cap_ms},
        {"keep_ms", JOB_KEEP_STANDARD_MS, 0, JOB_KEEP_MAX_MS, &task->keep_ms},
        {"retries", JOB_RETRIES_STANDARD, 0, JOB_RETRIES_MAX, &retries},
        {"priority", JOB_PRIORITY_STANDARD, 0, JOB_PRIORITY_MAX, &priority},
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (!read_number(entry, &numbers[i]))
            return false;
    task->retries = (int32_t)retries;
    task->priority = (int32_t)priority;
    return task->backoff_cap_ms >= task->backoff_ms;
}

/* An entry of a program that does not tell: what is not the standard was given.
 */
static unsigned
guess_given(const struct app_task *task)
{
    unsigned given = 0;

    if (task->retries != JOB_RETRIES_STANDARD)
        given |= JOB_RETRY_MAX;
    if (task->backoff_ms != APP_BACKOFF_MS)
        given |= JOB_RETRY_BASE;
    if (task->backoff_cap_ms != APP_BACKOFF_CAP_MS)
        given |= JOB_RETRY_CAP;
    return given;
}

static unsigned
read_given(const json_t *entry, const struct app_task *task)
{
    const json_t *names = json_object_get(entry, "given");
    unsigned given = 0;
    json_t *name;
    size_t at;

    if (!json_is_array(names))
        return guess_given(task);
    json_array_foreach(names, at, name)
    {
        const char *text = json_string_value(name);
        for (size_t i = 0; text && i < ARRAY_LEN(policy); i++)
            if (strcmp(text, policy[i].name) == 0)
                given |= policy[i].bit;
    }
    return given;
}

/* Absent: @standard. Longer than the place: cut, or refused below. */
static void
read_text(const json_t *entry, const char *name, const char *standard,
          char *dst, size_t size)
{
    const char *value = json_string_value(json_object_get(entry, name));

    str_copy_to(str_c(value ? value : standard), dst, size);
}

enum status
task_entry_read(struct str json, struct task_entry *ret, struct error *err)
{
    struct jsontext value;
    struct task_entry read = {0};
    json_t *entry = NULL;

    /* Bounds the nesting, which jansson follows by recursion. */
    enum status st = jsontext_check(json, &value, err);
    if (st != ST_OK)
        return st;
    entry = json_loadb(json.p, json.n, JSON_DECODE_ANY, NULL);
    read_text(entry, "queue", APP_QUEUE, read.queue, sizeof read.queue);
    read_text(entry, "about", "", read.about, sizeof read.about);
    if (!json_is_object(entry) || !read_numbers(entry, &read.task) ||
        !id_queue_valid(str_c(read.queue))) {
        st = error_set(err, ST_INVALID, "the registry holds no valid entry");
    } else {
        *ret = read;
        ret->task.retry_given = read_given(entry, &read.task);
        ret->task.queue = ret->queue;
        ret->task.about = ret->about;
    }
    json_decref(entry);
    return st;
}

enum status
task_entry_publish(struct co *co, struct queues *queues, const struct app *app,
                   struct error *err)
{
    enum status st = ST_OK;
    struct buf json;

    buf_init(&json, REGISTRY_JSON_MAX);
    for (size_t i = 0; i < app->tasks_len && st == ST_OK; i++) {
        buf_reset(&json);
        task_entry_write(&app->tasks[i], &json);
        st = registry_put_task(co, queues, str_c(app->tasks[i].name),
                               buf_str(&json), err);
    }
    buf_clear(&json);
    return st;
}

void
task_entry_spec(const struct app_task *task, struct job_spec *ret)
{
    job_spec_init(ret);
    ret->task = str_c(task->name);
    ret->queue = str_c(task->queue);
    ret->priority = task->priority;
    ret->timeout_ms = task->timeout_ms;
    ret->keep_ms = task->keep_ms;
    ret->retries = task->retries;
    ret->backoff.base_ms = task->backoff_ms;
    ret->backoff.cap_ms = task->backoff_cap_ms;
    ret->retry_open = JOB_RETRY_ALL & ~task->retry_given;
}
