/* pit pause and pit resume - stop a queue, and let it go on. */
#include "queue/queue_settings.h"
#include "session.h"
#include "text.h"

struct pause_options {
    struct session_options session;
    bool intake;
    bool dispatch;
    const char *note;
};

#define FIELD(name) offsetof(struct pause_options, name)

static const struct config_option pause_table[] = {
    {"intake", NULL, CONFIG_BOOL, FIELD(intake),
     .help = "enqueue nothing; without --dispatch this alone"},
    {"dispatch", NULL, CONFIG_BOOL, FIELD(dispatch),
     .help = "claim nothing; what is meant when neither is given"},
    {"note", "TEXT", CONFIG_STRING, FIELD(note), "",
     .help = "why, for whoever looks at it"},
    SESSION_OPTIONS(struct pause_options),
    {0},
};

static const struct config_option resume_table[] = {
    {"intake", NULL, CONFIG_BOOL, FIELD(intake), .help = "only the intake"},
    {"dispatch", NULL, CONFIG_BOOL, FIELD(dispatch),
     .help = "only the dispatch"},
    SESSION_OPTIONS(struct pause_options),
    {0},
};

struct pausing {
    const char *queue;
    bool pause;
    const struct pause_options *options;
};

static void
print_state(const struct session *session, const char *queue,
            const struct queue_settings *settings)
{
    if (session->options->json)
        text_print_json(json_pack("{s:s, s:b, s:b, s:s}", "name", queue,
                                  "paused", settings->paused, "closed",
                                  settings->closed, "note", settings->note));
    else
        printf("%s: dispatch %s, intake %s\n", queue,
               settings->paused ? "paused" : "open",
               settings->closed ? "closed" : "open");
}

static enum status
change(struct co *co, struct session *session)
{
    const struct pausing *what = session->arg;
    const struct pause_options *options = what->options;
    struct str note =
        what->pause && options->note[0] ? str_c(options->note) : STR_NULL;
    struct queue_setting changes[QUEUE_SWITCH_MAX];
    struct queue_settings settings;
    size_t n = queue_settings_switch(what->pause, options->dispatch,
                                     options->intake, note, changes);

    enum status st =
        queue_settings_apply(co, session->queues, str_c(what->queue), changes,
                             n, &settings, &session->err);
    if (st == ST_OK)
        print_state(session, what->queue, &settings);
    return st;
}

static int
run(const struct command *command, bool pause,
    const struct pause_options *options, int words_len, char *const *words)
{
    if (words_len != 1 || !id_queue_valid(str_c(words[0])))
        return command_fail(command, COMMAND_USAGE,
                            "name one queue: pit queues lists them");
    struct pausing what = {words[0], pause, options};
    return session_run(command, &options->session, change, &what);
}

static int
run_pause(const void *values, int words_len, char *const *words)
{
    return run(&cmd_pause, true, values, words_len, words);
}

static int
run_resume(const void *values, int words_len, char *const *words)
{
    return run(&cmd_resume, false, values, words_len, words);
}

static const struct config_program pause_program = {
    .name = "pit pause",
    .synopsis = "pit pause QUEUE [OPTION...]",
    .about = "Stops a queue: its jobs wait and those that run go on. With "
             "--intake enqueueing is refused.",
    .options = pause_table,
};

static const struct config_program resume_program = {
    .name = "pit resume",
    .synopsis = "pit resume QUEUE [OPTION...]",
    .about = "Ends a queue's pause, of both kinds unless one is named.",
    .options = resume_table,
};

const struct command cmd_pause = {
    .name = "pause",
    .about = "stop a queue's dispatch or intake",
    .program = &pause_program,
    .options_size = sizeof(struct pause_options),
    .run = run_pause,
};

const struct command cmd_resume = {
    .name = "resume",
    .about = "let a queue go on",
    .program = &resume_program,
    .options_size = sizeof(struct pause_options),
    .run = run_resume,
};
