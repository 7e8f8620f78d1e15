/* pit jobs - the jobs of one queue in one state, a table or documents. */
#include "app/document/job_json.h"
#include "queue/queue_list.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct jobs_options {
    struct session_options session;
    const char *state;
    const char *cursor;
    int64_t limit;
};

#define FIELD(name) offsetof(struct jobs_options, name)

static const struct config_option option_table[] = {
    {"state", "STATE", CONFIG_STRING, FIELD(state), "ready",
     .help = "ready, scheduled, retrying, blocked, running, dead, quarantined, "
             "ended, succeeded, cancelled or expired"},
    {"limit", "N", CONFIG_INT, FIELD(limit), "20", 1, 100000,
     .help = "how many to show at most"},
    {"cursor", "CURSOR", CONFIG_STRING, FIELD(cursor), "",
     .help = "go on where --json said next_cursor"},
    SESSION_OPTIONS(struct jobs_options),
    {0},
};

static const struct config_program program = {
    .name = "pit jobs",
    .synopsis = "pit jobs QUEUE [--state STATE] [OPTION...]",
    .about = "Lists jobs of a queue: ready ones by priority and the newest "
             "first, all others from the latest time down.",
    .options = option_table,
};

struct listing {
    struct str queue;
    int state;
    int64_t left;
    char cursor[QUEUE_CURSOR_SIZE]; /* "": the end */
    struct table table;
    struct buf document; /* one job */
    bool any;
};

static void
add_row(struct table *table, const struct job_view *view)
{
    const struct job_history *history = &view->history;
    char when[TEXT_SIZE];
    int64_t last_ms = 0;

    table_add(table, "%.*s.%.*s", STR_ARG(view->spec.queue),
              STR_ARG(view->spec.local));
    table_add(table, "%.*s", STR_ARG(view->spec.task));
    table_add(table, "%s", job_state_name(view->state));
    table_add(table, "%d", view->spec.priority);
    table_add(table, "%d", history->attempt);
    table_add(table, "%s", text_time(view->created_ms, when));
    if (history->ended_ms > 0)
        last_ms = history->ended_ms;
    else if (view->due_ms > 0)
        last_ms = view->due_ms;
    else if (view->state == JOB_RUNNING)
        last_ms = history->started_ms;
    table_add(table, "%s", text_time(last_ms, when));
    table_add(table, "%.*s", STR_ARG(view->spec.tags));
}

static void
show(struct listing *listing, const struct job_view *view, bool json)
{
    if (!json) {
        add_row(&listing->table, view);
        return;
    }
    buf_reset(&listing->document);
    job_json_write(view, &listing->document);
    printf("%s%.*s", listing->any ? "," : "", (int)listing->document.len,
           listing->document.p);
    listing->any = true;
}

static enum status
show_page(struct co *co, struct session *session, struct listing *listing,
          const struct list_page *page)
{
    struct job_view views[QUEUE_VIEWS_MAX];
    enum status st = ST_OK;

    for (size_t at = 0; at < page->len && st == ST_OK; at += QUEUE_VIEWS_MAX) {
        size_t n = page->len - at;
        if (n > QUEUE_VIEWS_MAX)
            n = QUEUE_VIEWS_MAX;
        st = queue_list_views(co, session->queues, listing->queue,
                              page->items + at, n, views, &session->err);
        for (size_t i = 0; i < n; i++) {
            if (st == ST_OK && views[i].spec.task.n > 0)
                show(listing, &views[i], session->options->json);
            queue_view_clear(&views[i]);
        }
    }
    return st;
}

static enum status
walk(struct co *co, struct session *session, struct listing *listing)
{
    enum status st = ST_OK;

    do {
        struct list_page page = {0};
        size_t limit = listing->left < QUEUE_LIST_MAX ? (size_t)listing->left
                                                      : QUEUE_LIST_MAX;
        st = queue_list(co, session->queues, listing->queue, listing->state,
                        str_c(listing->cursor), limit, false, &page,
                        &session->err);
        if (st == ST_OK)
            st = show_page(co, session, listing, &page);
        if (st == ST_OK) {
            queue_list_cursor(page.next, listing->cursor);
            listing->left -= (int64_t)page.len;
        }
        queue_list_clear(&page);
    } while (st == ST_OK && listing->cursor[0] && listing->left > 0);
    return st;
}

static enum status
list(struct co *co, struct session *session)
{
    static const char *const heads[] = {"JOB",     "TASK",    "STATE", "PRIO",
                                        "ATTEMPT", "CREATED", "WHEN",  "TAGS"};
    struct listing *listing = session->arg;
    bool json = session->options->json;

    table_init(&listing->table, "lllrrlll", heads);
    buf_init(&listing->document, (size_t)8 * 1024 * 1024);
    if (json)
        fputs("{\"jobs\":[", stdout);
    enum status st = walk(co, session, listing);
    if (st == ST_OK && json) {
        if (listing->cursor[0])
            printf("],\"next_cursor\":\"%s\"}\n", listing->cursor);
        else
            puts("],\"next_cursor\":null}");
    } else if (st == ST_OK) {
        table_print(&listing->table, stdout);
        if (listing->cursor[0])
            puts("... more: raise --limit");
    }
    buf_clear(&listing->document);
    table_clear(&listing->table);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct jobs_options *options = values;
    struct listing listing = {.left = options->limit};

    if (words_len != 1 || !id_queue_valid(str_c(words[0])))
        return command_fail(&cmd_jobs, COMMAND_USAGE,
                            "name one queue: pit queues lists them");
    if (!queue_list_state_parse(str_c(options->state), &listing.state))
        return command_fail(&cmd_jobs, COMMAND_USAGE,
                            "--state: there is no state \"%.60s\": "
                            "give " QUEUE_LIST_STATE_NAMES,
                            options->state);
    listing.queue = str_c(words[0]);
    str_copy_to(str_c(options->cursor), listing.cursor, sizeof listing.cursor);
    return session_run(&cmd_jobs, &options->session, list, &listing);
}

const struct command cmd_jobs = {
    .name = "jobs",
    .about = "list the jobs of a queue by state",
    .program = &program,
    .options_size = sizeof(struct jobs_options),
    .run = run,
};
