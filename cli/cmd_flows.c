/* pit flows - the flows of all queues or of one, a flow with its jobs, its
 * start, its cancellation. */
#include <stdlib.h>

#include "app/document/flow_report.h"
#include "flow_output.h"
#include "flow_start.h"
#include "queue/flow/flow_list.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct flows_options {
    struct session_options session;
    const char *queue;
    int64_t limit;
    int64_t wait_ms;
};

#define FIELD(name) offsetof(struct flows_options, name)

static const struct config_option option_table[] = {
    {"queue", "QUEUE", CONFIG_STRING, FIELD(queue), "",
     .help = "only those whose home that is"},
    {"limit", "N", CONFIG_INT, FIELD(limit), "20", 1, FLOW_LIST_MAX,
     .help = "how many of a queue to show at most"},
    {"wait", "TIME", CONFIG_DURATION, FIELD(wait_ms), .max = 86400000,
     .help = "start: wait so long for its end, print it, exit 1 unless it "
             "succeeded"},
    SESSION_OPTIONS(struct flows_options),
    {0},
};

static const struct config_program program = {
    .name = "pit flows",
    .synopsis = "pit flows [start FILE | show ID | cancel ID] [OPTION...]",
    .about = "Lists flows, the newest of each queue first; starts the one that "
             "FILE (-: standard input) describes, as POST /v1/flows takes it, "
             "and prints its id; shows one with the state of each of its jobs; "
             "or cancels what of it has not ended.",
    .options = option_table,
};

static const char *const heads[] = {"FLOW", "NAME",    "STATE", "JOBS",
                                    "LEFT", "STARTED", "ENDED"};

/* ---- the list ---- */

struct listing {
    struct table table;
    json_t *array;
};

static void
add_time(struct table *table, int64_t ms)
{
    char text[TEXT_SIZE];

    table_add(table, "%s", text_time(ms, text));
}

static void
add_row(struct table *table, const struct flow_view *view)
{
    table_add(table, "%.*s.%.*s", STR_ARG(view->id.queue),
              STR_ARG(view->id.local));
    table_add(table, "%.*s", STR_ARG(view->title));
    table_add(table, "%s", flow_report_state(view));
    table_add(table, "%lld", (long long)view->jobs);
    table_add(table, "%lld", (long long)view->left);
    add_time(table, view->created_ms);
    add_time(table, view->ended_ms);
}

static void
add_json(json_t *array, const struct flow_view *view)
{
    struct buf text;

    buf_init(&text, 64 * 1024);
    flow_report_write_line(view, &text);
    if (!text.failed)
        json_array_append_new(array, json_loadb(text.p, text.len, 0, NULL));
    buf_clear(&text);
}

static enum status
add_found(struct co *co, struct session *session,
          const struct flow_found *found, struct listing *listing)
{
    struct job_id id = {str_c(found->queue), str_c(found->flow.local)};
    struct flow_view view;

    enum status st = flow_get(co, session->queues, id, &view, &session->err);
    if (st == ST_OK && session->options->json)
        add_json(listing->array, &view);
    else if (st == ST_OK)
        add_row(&listing->table, &view);
    else if (st == ST_NOT_FOUND) /* past its retention */
        st = ST_OK;
    flow_view_clear(&view);
    return st;
}

static enum status
list(struct co *co, struct session *session)
{
    const struct flows_options *options = session->arg;
    struct flow_found *found = NULL;
    struct listing listing;
    size_t n = 0;

    table_init(&listing.table, "lllrrll", heads);
    listing.array = json_array();
    enum status st =
        flow_list_newest(co, session->queues, str_c(options->queue), NULL,
                         (size_t)options->limit, &found, &n, &session->err);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = add_found(co, session, &found[i], &listing);
    if (st == ST_OK && session->options->json)
        text_print_json(json_pack("{s:O}", "flows", listing.array));
    else if (st == ST_OK)
        table_print(&listing.table, stdout);
    json_decref(listing.array);
    table_clear(&listing.table);
    free(found);
    return st;
}

/* ---- one ---- */

struct visit {
    struct job_id id;
    bool cancel;
};

static enum status
show(struct co *co, struct session *session)
{
    const struct visit *visit = session->arg;
    struct flow_report report = {0};
    size_t running = 0;
    enum status st = ST_OK;

    if (visit->cancel)
        st = flow_report_cancel(co, session->queues, visit->id, &running,
                                &session->err);
    if (st == ST_OK)
        st = flow_report_load(co, session->queues, visit->id, &report,
                              &session->err);
    if (st == ST_OK)
        flow_output_print(&report, session->options->json);
    if (st == ST_OK && running > 0)
        fprintf(stderr, "pit flows: %zu running jobs were asked to stop\n",
                running);
    flow_report_clear(&report);
    return st;
}

/* ---- a new one ---- */

static int
start(const struct flows_options *options, int words_len, char *const *words)
{
    struct flow_start request = {.wait_ms = options->wait_ms};
    struct error err;

    if (words_len != 2)
        return command_fail(&cmd_flows, COMMAND_USAGE,
                            "start takes one FILE with the flow, or - for "
                            "standard input");
    if (options->queue[0])
        return command_fail(&cmd_flows, COMMAND_USAGE,
                            "--queue is for the list: a flow's home is the "
                            "\"queue\" of its document");
    enum status st = flow_start_open(words[1], &request, &err);
    int exit = st == ST_OK
                   ? session_run(&cmd_flows, &options->session, flow_start_run,
                                 &request)
                   : command_fail(&cmd_flows, COMMAND_USAGE, "%s", err.msg);
    flow_start_clear(&request);
    return exit;
}

static int
refuse_wait(void)
{
    return command_fail(&cmd_flows, COMMAND_USAGE,
                        "--wait is for pit flows start");
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct flows_options *options = values;
    struct flows_options copy = *options; /* a session's arg is not const */
    struct visit visit = {.cancel = false};
    struct error err;

    if (words_len == 0) {
        if (options->wait_ms > 0)
            return refuse_wait();
        if (options->queue[0] && !id_queue_valid(str_c(options->queue)))
            return command_fail(&cmd_flows, COMMAND_USAGE,
                                "--queue %s: no queue has such a name",
                                options->queue);
        return session_run(&cmd_flows, &options->session, list, &copy);
    }
    if (str_eq_c(str_c(words[0]), "start"))
        return start(options, words_len, words);
    if (options->wait_ms > 0)
        return refuse_wait();
    visit.cancel = str_eq_c(str_c(words[0]), "cancel");
    if (words_len != 2 || !(visit.cancel || str_eq_c(str_c(words[0]), "show")))
        return command_fail(
            &cmd_flows, COMMAND_USAGE,
            "takes no words, or: start FILE, show ID, cancel ID");
    if (id_split(str_c(words[1]), &visit.id, &err) != ST_OK)
        return command_fail(&cmd_flows, COMMAND_USAGE, "%s: %s", words[1],
                            err.msg);
    return session_run(&cmd_flows, &options->session, show, &visit);
}

const struct command cmd_flows = {
    .name = "flows",
    .about = "list flows, start one, show one with its jobs, cancel one",
    .program = &program,
    .options_size = sizeof(struct flows_options),
    .run = run,
};
