/* pit operations - work on many jobs that web processes do behind their
 * answers: lists it, shows or cancels one. */
#include <inttypes.h>
#include <string.h>

#include "queue/operation.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct operations_options {
    struct session_options session;
    int64_t limit;
};

static const struct config_option option_table[] = {
    {"limit", "N", CONFIG_INT, offsetof(struct operations_options, limit), "20",
     1, OPERATION_LIST_MAX, .help = "how many, the newest first"},
    SESSION_OPTIONS(struct operations_options),
    {0},
};

static const struct config_program program = {
    .name = "pit operations",
    .synopsis = "pit operations [OPTION...] [[cancel] ID]",
    .about = "Lists what POST /v1/jobs:retry, :cancel, :delete and purges have "
             "begun, for a day; an ID shows one. cancel: it goes no further; "
             "what it did is done.",
    .options = option_table,
};

static const char *const heads[] = {"OPERATION", "KIND", "QUEUE",   "STATE",
                                    "MATCHED",   "DONE", "REFUSED", "STARTED"};

struct order {
    const char *id; /* NULL: list them */
    bool cancel;
};

static void
add_row(struct table *table, const json_t *one)
{
    char since[TEXT_SIZE];

    table_add(table, "%s", text_member(one, "id"));
    table_add(table, "%s", text_member(one, "kind"));
    table_add(table, "%s", text_member(one, "queue"));
    table_add(table, "%s%s", text_member(one, "state"),
              json_is_true(json_object_get(one, "dry_run")) ? " (dry run)"
                                                            : "");
    table_add(table, "%" PRId64, text_number(one, "matched"));
    table_add(table, "%" PRId64, text_number(one, "done"));
    table_add(table, "%" PRId64, text_number(one, "refused"));
    table_add(table, "%s ago", text_age(one, "created_at", since));
}

/* Takes @shown over. */
static void
print(json_t *shown, bool json, bool list)
{
    struct table table;
    json_t *one;
    size_t i;

    if (json) {
        text_print_json(list ? json_pack("{s:o}", "operations", shown)
                             : json_incref(json_array_get(shown, 0)));
        if (!list)
            json_decref(shown);
        return;
    }
    table_init(&table, "llllrrrl", heads);
    json_array_foreach(shown, i, one) add_row(&table, one);
    table_print(&table, stdout);
    table_clear(&table);
    json_decref(shown);
}

static enum status
show(struct co *co, struct session *session)
{
    const struct order *order = session->arg;
    const struct operations_options *options =
        (const struct operations_options *)(const void *)session->options;
    struct operation_page page = {.len = 0};
    json_t *shown = json_array();
    bool asked = true;
    enum status st = ST_OK;

    if (order->cancel)
        st = operation_stop(co, session->queues, str_c(order->id), &asked,
                            &session->err);
    if (st == ST_OK && !asked)
        st = error_set(&session->err, ST_CONFLICT,
                       "%s has ended: what it did is done", order->id);
    if (st == ST_OK && order->id)
        st = operation_get(co, session->queues, str_c(order->id), &page,
                           &session->err);
    else if (st == ST_OK)
        st = operation_list(co, session->queues, STR_NULL,
                            (size_t)options->limit, &page, &session->err);
    for (size_t i = 0; st == ST_OK && i < page.len; i++) {
        json_t *one = operation_shown(&page.items[i]);
        if (one)
            json_array_append_new(shown, one);
    }
    operation_page_clear(&page);
    if (st == ST_OK)
        print(shown, session->options->json, !order->id);
    else
        json_decref(shown);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct operations_options *options = values;
    struct order order = {0};

    if (words_len == 2 && strcmp(words[0], "cancel") == 0)
        order = (struct order){words[1], true};
    else if (words_len == 1 && strcmp(words[0], "cancel") != 0)
        order.id = words[0];
    else if (words_len != 0)
        return command_fail(&cmd_operations, COMMAND_USAGE,
                            "takes nothing, an operation's id, or cancel and "
                            "an id");
    return session_run(&cmd_operations, &options->session, show, &order);
}

const struct command cmd_operations = {
    .name = "operations",
    .about = "work on many jobs behind an answer: list, show, cancel",
    .program = &program,
    .options_size = sizeof(struct operations_options),
    .run = run,
};
