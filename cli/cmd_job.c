/* pit job - everything that is kept of one job. */
#include "job_output.h"
#include "session.h"

struct job_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct job_options),
    {0},
};

static const struct config_program program = {
    .name = "pit job",
    .synopsis = "pit job ID [OPTION...]",
    .about = "Shows one job: its state, attempts, args and result.",
    .options = option_table,
};

static enum status
show(struct co *co, struct session *session)
{
    const struct job_id *id = session->arg;
    struct job_view view = {0};

    enum status st = queue_get(co, session->queues, *id, &view, &session->err);
    if (st == ST_OK)
        job_output_print(&view, session->options->json);
    queue_view_clear(&view);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct job_options *options = values;
    struct job_id id;
    struct error err;

    if (words_len != 1)
        return command_fail(&cmd_job, COMMAND_USAGE, "name one job by its id");
    if (id_split(str_c(words[0]), &id, &err) != ST_OK)
        return command_fail(&cmd_job, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_job, &options->session, show, &id);
}

const struct command cmd_job = {
    .name = "job",
    .about = "show one job",
    .program = &program,
    .options_size = sizeof(struct job_options),
    .run = run,
};
