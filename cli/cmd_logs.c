/* pit logs - what a job's attempts said, and what they say next. */
#include <stdlib.h>

#include "base/utf8.h"
#include "queue/queue_log.h"
#include "session.h"
#include "text.h"

struct logs_options {
    struct session_options session;
    bool follow;
};

#define FIELD(name) offsetof(struct logs_options, name)

static const struct config_option option_table[] = {
    {"follow", NULL, CONFIG_BOOL, FIELD(follow),
     .help = "go on until the job has ended"},
    SESSION_OPTIONS(struct logs_options),
    {0},
};

static const struct config_program program = {
    .name = "pit logs",
    .synopsis = "pit logs ID [OPTION...]",
    .about = "Shows the log lines of a job, oldest first; the newest 1,000 are "
             "kept.",
    .options = option_table,
};

enum { LOOK_EVERY_MS = 500 };

struct following {
    struct job_id id;
    bool follow;
    char cursor[QUEUE_LOG_CURSOR_MAX];
};

static void
print_line(const struct queue_log_line *line, bool json)
{
    char when[TEXT_SIZE];
    struct buf text;

    buf_init(&text, (size_t)8 * QUEUE_LOG_LINE_MAX);
    if (json) {
        buf_add_c(&text, "{\"at\":");
        buf_add_json_time(&text, line->at_ms);
        buf_addf(&text, ",\"attempt\":%d,\"text\":", line->attempt);
        buf_add_json_string(&text, line->text);
        printf("%.*s}\n", (int)text.len, text.p);
    } else {
        buf_add_str(&text, line->text);
        text_make_printable(text.p, text.len);
        printf("%s %d  %.*s\n", text_time(line->at_ms, when), line->attempt,
               (int)text.len, text.p ? text.p : "");
    }
    buf_clear(&text);
}

/* All that is there now behind the cursor. */
static enum status
print_more(struct co *co, struct session *session, struct following *what)
{
    bool more = true;
    enum status st = ST_OK;

    while (st == ST_OK && more) {
        struct queue_log_page page;
        st = queue_log_read(co, session->queues, what->id, str_c(what->cursor),
                            QUEUE_LOG_KEPT, &page, &session->err);
        for (size_t i = 0; i < page.len && st == ST_OK; i++)
            print_line(&page.lines[i], session->options->json);
        if (page.len > 0 && st == ST_OK)
            str_copy_to(str_c(page.lines[page.len - 1].cursor), what->cursor,
                        sizeof what->cursor);
        more = page.more;
        queue_log_page_clear(&page);
    }
    fflush(stdout);
    return st;
}

static enum status
has_ended(struct co *co, struct session *session, struct job_id id, bool *ret)
{
    struct job_view view = {0};

    enum status st = queue_get(co, session->queues, id, &view, &session->err);
    if (st == ST_OK)
        *ret = job_state_ended(view.state);
    queue_view_clear(&view);
    return st;
}

static enum status
show(struct co *co, struct session *session)
{
    struct following *what = session->arg;
    bool ended = !what->follow;
    enum status st = ST_OK;

    do {
        /* Asked first: what it says before its end is shown in any case. */
        if (!ended)
            st = has_ended(co, session, what->id, &ended);
        if (st == ST_OK)
            st = print_more(co, session, what);
        if (st == ST_OK && !ended && ferror(stdout))
            break;
        if (st == ST_OK && !ended)
            st = co_sleep(co, LOOK_EVERY_MS);
    } while (st == ST_OK && !ended);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct logs_options *options = values;
    struct following what = {.follow = options->follow};
    struct error err;

    if (words_len != 1)
        return command_fail(&cmd_logs, COMMAND_USAGE, "name one job by its id");
    if (id_split(str_c(words[0]), &what.id, &err) != ST_OK)
        return command_fail(&cmd_logs, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_logs, &options->session, show, &what);
}

const struct command cmd_logs = {
    .name = "logs",
    .about = "show what a job said",
    .program = &program,
    .options_size = sizeof(struct logs_options),
    .run = run,
};
