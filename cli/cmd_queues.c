/* pit queues - every queue with its depth by state. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct queues_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct queues_options),
    {0},
};

static const struct config_program program = {
    .name = "pit queues",
    .synopsis = "pit queues [OPTION...]",
    .about = "Lists the queues: how many jobs are in which state, how long the "
             "oldest waits, and the totals since the queue exists.",
    .options = option_table,
};

static const char *const heads[] = {
    "QUEUE", "READY",       "SCHEDULED", "RUNNING",  "RETRYING", "BLOCKED",
    "DEAD",  "QUARANTINED", "SUCCEEDED", "ENQUEUED", "OLDEST",   "STATE"};

static void
add_row(struct table *table, const struct queue_counts *counts)
{
    static const enum job_state states[] = {
        JOB_READY,   JOB_SCHEDULED, JOB_RUNNING,    JOB_RETRYING,
        JOB_BLOCKED, JOB_DEAD,      JOB_QUARANTINED};
    char oldest[TEXT_SIZE];

    table_add(table, "%s", counts->name);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        table_add(table, "%" PRId64, counts->count[states[i]]);
    table_add(table, "%" PRId64, counts->succeeded);
    table_add(table, "%" PRId64, counts->enqueued);
    table_add(table, "%s", clock_words(counts->oldest_ready_ms, oldest));
    table_add(table, "%s", counts->paused ? "paused" : "open");
}

static json_t *
counts_json(const struct queue_counts *counts)
{
    json_t *by_state = json_object();

    for (int i = 0; i < JOB_STATES; i++)
        json_object_set_new(by_state, job_state_name((enum job_state)i),
                            json_integer(counts->count[i]));
    json_t *oldest = counts->oldest_ready_ms < 0
                         ? json_null()
                         : json_real((double)counts->oldest_ready_ms / 1000);
    return json_pack(
        "{s:s, s:b, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I}}",
        "name", counts->name, "paused", counts->paused, "counts", by_state,
        "oldest_ready_s", oldest, "totals", "enqueued",
        (json_int_t)counts->enqueued, "succeeded",
        (json_int_t)counts->succeeded, "failed", (json_int_t)counts->failed,
        "retried", (json_int_t)counts->retried, "dead",
        (json_int_t)counts->dead, "crashed", (json_int_t)counts->crashed,
        "lost", (json_int_t)counts->lost, "timeout",
        (json_int_t)counts->timeout, "released", (json_int_t)counts->released,
        "expired", (json_int_t)counts->expired, "quarantined",
        (json_int_t)counts->quarantined);
}

static enum status
list(struct co *co, struct session *session)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;
    struct table table;
    struct queue_counts counts;

    enum status st =
        queue_names(co, session->queues, &names, &n, &session->err);
    if (st != ST_OK)
        return st;
    json_t *array = json_array();
    table_init(&table, "lrrrrrrrrrrl", heads);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = queue_counts(co, session->queues, str_c(names[i]), &counts,
                          &session->err);
        if (st == ST_OK && session->options->json)
            json_array_append_new(array, counts_json(&counts));
        else if (st == ST_OK)
            add_row(&table, &counts);
    }
    if (st == ST_OK && session->options->json)
        text_print_json(json_pack("{s:O}", "queues", array));
    else if (st == ST_OK)
        table_print(&table, stdout);
    table_clear(&table);
    json_decref(array);
    free(names);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct queues_options *options = values;

    (void)words;
    if (words_len != 0)
        return command_fail(&cmd_queues, COMMAND_USAGE, "takes no words");
    return session_run(&cmd_queues, &options->session, list, NULL);
}

const struct command cmd_queues = {
    .name = "queues",
    .about = "list the queues with their depth",
    .program = &program,
    .options_size = sizeof(struct queues_options),
    .run = run,
};
