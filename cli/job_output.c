/* A job for people: what stands still first, then its attempts, then the two
 * texts that may be long. */
#include "job_output.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/document/job_json.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "table.h"
#include "text.h"

/* Args, result and twenty messages, and room around them. */
enum { DOCUMENT_MAX = JOB_ARGS_MAX + JOB_RESULT_MAX + 1024 * 1024 };

static void
add_time(struct table *table, const char *name, int64_t ms)
{
    char when[TEXT_SIZE];

    if (ms <= 0)
        return;
    table_add(table, "%s", name);
    table_add(table, "%s", text_time(ms, when));
}

static void
print_fields(const struct job_view *view)
{
    const struct job_spec *spec = &view->spec;
    const struct job_history *history = &view->history;
    char took[TEXT_SIZE];
    struct table table;

    table_init(&table, "ll", NULL);
    table_add(&table, "id");
    table_add(&table, "%.*s.%.*s", STR_ARG(spec->queue), STR_ARG(spec->local));
    table_add(&table, "task");
    table_add(&table, "%.*s", STR_ARG(spec->task));
    if (spec->origin.request_id.n > 0) {
        table_add(&table, "request");
        table_add(&table, "%.*s", STR_ARG(spec->origin.request_id));
    }
    table_add(&table, "state");
    table_add(&table, "%s", job_state_name(view->state));
    table_add(&table, "priority");
    table_add(&table, "%d", spec->priority);
    table_add(&table, "attempts");
    table_add(&table, "%d (%d of %" PRId32 " retries, %d crash%s)",
              history->attempt, history->retries, spec->retries,
              history->crashes, history->crashes == 1 ? "" : "es");
    add_time(&table, "created", view->created_ms);
    add_time(&table, "due", view->due_ms);
    add_time(&table, "started", history->started_ms);
    add_time(&table, "ended", history->ended_ms);
    if (history->ended_ms > 0 && history->started_ms > 0) {
        table_add(&table, "took");
        table_add(&table, "%s",
                  clock_words(history->ended_ms - history->started_ms, took));
    }
    table_print(&table, stdout);
    table_clear(&table);
}

/* A message is kept as a JSON string. */
static void
add_message(struct table *table, struct str message)
{
    struct jsontext value = {.type = JSONTEXT_NULL};
    struct buf decoded;

    buf_init(&decoded, JOB_ERROR_MAX);
    if (message.n > 0 && jsontext_check(message, &value, NULL) == ST_OK &&
        value.type == JSONTEXT_STRING)
        message = jsontext_string(value, &decoded);
    table_add(table, "%.*s", STR_ARG(message));
    buf_clear(&decoded);
}

static void
print_attempts(const struct job_history *history)
{
    static const char *const heads[] = {"ATTEMPT", "OUTCOME", "STARTED",
                                        "TOOK",    "WORKER",  "MESSAGE"};
    char when[TEXT_SIZE];
    char took[TEXT_SIZE];
    struct table table;

    if (history->attempts_len == 0)
        return;
    table_init(&table, "rllrll", heads);
    for (int i = 0; i < history->attempts_len; i++) {
        const struct job_attempt *attempt = &history->attempts[i];
        table_add(&table, "%d", attempt->number);
        table_add(&table, "%s", job_outcome_name(attempt->outcome));
        table_add(&table, "%s", text_time(attempt->started_ms, when));
        table_add(&table, "%s",
                  clock_words(attempt->ended_ms - attempt->started_ms, took));
        if (attempt->worker.n > 0)
            table_add(&table, "%.*s", STR_ARG(attempt->worker));
        else
            table_add(&table, "-");
        add_message(&table, attempt->message);
    }
    putchar('\n');
    table_print(&table, stdout);
    table_clear(&table);
}

static void
print_text(const struct job_view *view)
{
    print_fields(view);
    text_print_line("progress", view->progress);
    text_print_line("args", view->spec.args);
    text_print_line("result", view->result);
    print_attempts(&view->history);
}

void
job_output_print(const struct job_view *view, bool json)
{
    struct buf document;

    if (!json) {
        print_text(view);
        return;
    }
    buf_init(&document, DOCUMENT_MAX);
    job_json_write(view, &document);
    printf("%.*s\n", (int)document.len, document.p);
    buf_clear(&document);
}
