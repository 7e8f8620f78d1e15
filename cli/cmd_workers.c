/* pit workers - who runs jobs here; and quiet, resume or stop one of them. */
#include <inttypes.h>
#include <string.h>

#include "app/document/worker_list.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct workers_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct workers_options),
    {0},
};

static const struct config_program program = {
    .name = "pit workers",
    .synopsis = "pit workers [OPTION...] [quiet|resume|stop ID]",
    .about = "Lists the workers and what they run. quiet: that one claims no "
             "more jobs, until resume. stop: it drains and ends, as on "
             "SIGTERM.",
    .options = option_table,
};

static const char *const heads[] = {"WORKER", "STATE",  "HOST",    "PID",
                                    "SLOTS",  "ASYNC",  "RUNNING", "MEMORY",
                                    "SINCE",  "VERSION"};

struct order {
    const char *word; /* NULL: list them */
    const char *id;
};

static void
add_row(struct table *table, const json_t *worker)
{
    char since[TEXT_SIZE];

    table_add(table, "%s", text_member(worker, "id"));
    table_add(table, "%s", text_member(worker, "state"));
    table_add(table, "%s", text_member(worker, "host"));
    table_add(table, "%" PRId64, text_number(worker, "pid"));
    table_add(table, "%" PRId64, text_number(worker, "slots"));
    table_add(table, "%" PRId64, text_number(worker, "async"));
    table_add(table, "%zu",
              json_array_size(json_object_get(worker, "running")));
    table_add(table, "%.1f MiB",
              (double)text_number(worker, "rss_bytes") / (1 << 20));
    table_add(table, "%s", text_age(worker, "started_at", since));
    table_add(table, "%s", text_member(worker, "version"));
}

static enum status
list(struct co *co, struct session *session)
{
    struct table table;
    json_t *workers, *worker;
    size_t i;

    enum status st =
        worker_list_read(co, session->queues, &workers, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json) {
        text_print_json(json_pack("{s:o}", "workers", workers));
        return ST_OK;
    }
    table_init(&table, "lllrrrrrrl", heads);
    json_array_foreach(workers, i, worker) add_row(&table, worker);
    table_print(&table, stdout);
    table_clear(&table);
    json_decref(workers);
    return ST_OK;
}

static enum status
tell(struct co *co, struct session *session)
{
    const struct order *order = session->arg;

    return worker_list_order(co, session->queues, str_c(order->id), order->word,
                             &session->err);
}

static int
run(const void *values, int words_len, char *const *words)
{
    static const char *const orders[] = {"quiet", "resume", "stop"};
    const struct workers_options *options = values;
    struct order order = {0};

    if (words_len == 0)
        return session_run(&cmd_workers, &options->session, list, NULL);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (words_len == 2 && strcmp(words[0], orders[i]) == 0)
            order = (struct order){orders[i], words[1]};
    if (!order.word)
        return command_fail(&cmd_workers, COMMAND_USAGE,
                            "takes nothing, or quiet, resume or stop and a "
                            "worker's id");
    return session_run(&cmd_workers, &options->session, tell, &order);
}

const struct command cmd_workers = {
    .name = "workers",
    .about = "list the workers; quiet, resume or stop one",
    .program = &program,
    .options_size = sizeof(struct workers_options),
    .run = run,
};
