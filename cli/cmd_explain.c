/* pit explain - why is this job not running? */
#include "queue/queue_explain.h"
#include "session.h"
#include "text.h"

struct explain_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct explain_options),
    {0},
};

static const struct config_program program = {
    .name = "pit explain",
    .synopsis = "pit explain ID [OPTION...]",
    .about = "Says why a job is not running: what is before it, which pause or "
             "limit holds it up, whether a worker serves its queue.",
    .options = option_table,
};

static void
print_json(struct job_id id, const struct explanation *e)
{
    char name[ID_JOB_MAX + 1];
    json_t *reasons = json_array();

    snprintf(name, sizeof name, "%.*s.%.*s", STR_ARG(id.queue),
             STR_ARG(id.local));
    for (size_t i = 0; i < e->len; i++) {
        char when[TEXT_SIZE];
        const struct explain_reason *reason = &e->reasons[i];
        text_time(reason->until_ms, when);
        json_array_append_new(
            reasons, json_pack("{s:s, s:s, s:s?}", "code", reason->code, "text",
                               reason->text, "until", when[0] ? when : NULL));
    }
    text_print_json(
        json_pack("{s:s, s:s, s:o, s:b, s:o}", "id", name, "state",
                  job_state_name(e->state), "position",
                  e->position < 0 ? json_null() : json_integer(e->position),
                  "position_at_least", e->position_least, "reasons", reasons));
}

static enum status
explain(struct co *co, struct session *session)
{
    const struct job_id *id = session->arg;
    struct explanation e;

    enum status st = queue_explain(co, session->queues, *id, &e, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json) {
        print_json(*id, &e);
        return ST_OK;
    }
    printf("%.*s.%.*s is %s\n", STR_ARG(id->queue), STR_ARG(id->local),
           job_state_name(e.state));
    for (size_t i = 0; i < e.len; i++) {
        text_make_printable(e.reasons[i].text, strlen(e.reasons[i].text));
        printf("- %s\n", e.reasons[i].text);
    }
    return ST_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct explain_options *options = values;
    struct job_id id;
    struct error err;

    if (words_len != 1)
        return command_fail(&cmd_explain, COMMAND_USAGE,
                            "name one job by its id");
    if (id_split(str_c(words[0]), &id, &err) != ST_OK)
        return command_fail(&cmd_explain, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_explain, &options->session, explain, &id);
}

const struct command cmd_explain = {
    .name = "explain",
    .about = "say why a job is not running",
    .program = &program,
    .options_size = sizeof(struct explain_options),
    .run = run,
};
