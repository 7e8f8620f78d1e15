/* pit tasks - the tasks that workers and web processes have told of. */
#include <inttypes.h>

#include "app/task/task_entry.h"
#include "base/clock.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct tasks_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct tasks_options),
    {0},
};

static const struct config_program program = {
    .name = "pit tasks",
    .synopsis = "pit tasks [OPTION...]",
    .about = "Lists the tasks that can be enqueued, with their queue and "
             "policy.",
    .options = option_table,
};

static const char *const heads[] = {"TASK",    "QUEUE", "TIMEOUT",  "RETRIES",
                                    "BACKOFF", "KEEP",  "PRIORITY", "ABOUT"};

static void
add_row(struct table *table, const char *name, const struct app_task *task)
{
    char text[TEXT_SIZE];

    table_add(table, "%s", name);
    table_add(table, "%s", task->queue);
    table_add(table, "%s", clock_words(task->timeout_ms, text));
    table_add(table, "%" PRId32, task->retries);
    table_add(table, "%s", clock_words(task->backoff_ms, text));
    table_add(table, "%s", clock_words(task->keep_ms, text));
    table_add(table, "%" PRId32, task->priority);
    table_add(table, "%s", task->about);
}

static json_t *
task_json(const char *name, const struct app_task *task)
{
    return json_pack(
        "{s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:i, s:s}", "name", name, "queue",
        task->queue, "timeout_ms", (json_int_t)task->timeout_ms, "retries",
        (int)task->retries, "backoff_ms", (json_int_t)task->backoff_ms,
        "backoff_cap_ms", (json_int_t)task->backoff_cap_ms, "keep_ms",
        (json_int_t)task->keep_ms, "priority", (int)task->priority, "about",
        task->about);
}

/* Name, entry, name, entry. */
static void
print(const redisReply *pairs, bool json)
{
    json_t *array = json_array();
    struct task_entry entry;
    struct table table;

    table_init(&table, "llrrrrrl", heads);
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        const char *name = pairs->element[i]->str;
        const redisReply *text = pairs->element[i + 1];
        /* An entry that is none is no reason to hide the others. */
        if (task_entry_read(str_from(text->str, text->len), &entry, NULL) !=
            ST_OK)
            continue;
        if (json)
            json_array_append_new(array, task_json(name, &entry.task));
        else
            add_row(&table, name, &entry.task);
    }
    if (json)
        text_print_json(json_pack("{s:O}", "tasks", array));
    else
        table_print(&table, stdout);
    table_clear(&table);
    json_decref(array);
}

static enum status
list(struct co *co, struct session *session)
{
    struct rds_call call = {0};

    enum status st = registry_tasks(co, session->queues, &call, &session->err);
    if (st == ST_OK)
        print(call.reply, session->options->json);
    rds_call_clear(&call);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct tasks_options *options = values;

    (void)words;
    if (words_len != 0)
        return command_fail(&cmd_tasks, COMMAND_USAGE, "takes no words");
    return session_run(&cmd_tasks, &options->session, list, NULL);
}

const struct command cmd_tasks = {
    .name = "tasks",
    .about = "list the tasks that can be enqueued",
    .program = &program,
    .options_size = sizeof(struct tasks_options),
    .run = run,
};
