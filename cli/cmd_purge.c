/* pit purge - remove all jobs of a queue that wait, or are in certain states.
 */
#include <inttypes.h>
#include <string.h>

#include "queue/queue_bulk.h"
#include "session.h"
#include "text.h"

struct purge_options {
    struct session_options session;
    const char *confirm;
    const char *state;
};

#define FIELD(name) offsetof(struct purge_options, name)

static const struct config_option option_table[] = {
    {"confirm", "QUEUE", CONFIG_STRING, FIELD(confirm), "",
     .help = "the queue's name once more: its jobs will be gone"},
    {"state", "STATE[,STATE]", CONFIG_STRING, FIELD(state),
     "ready,scheduled,retrying,blocked",
     .help = "which jobs; also dead, quarantined and ended"},
    SESSION_OPTIONS(struct purge_options),
    {0},
};

static const struct config_program program = {
    .name = "pit purge",
    .synopsis = "pit purge QUEUE --confirm QUEUE [OPTION...]",
    .about = "Removes the jobs of a queue that wait, a few hundred at a time. "
             "Those that run stay.",
    .options = option_table,
};

static enum status
purge(struct co *co, struct session *session)
{
    struct bulk *bulk = session->arg;
    enum status st = ST_OK;

    while (st == ST_OK && !bulk->ended)
        st = queue_bulk_step(co, session->queues, bulk, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json)
        text_print_json(json_pack("{s:I}", "removed", (json_int_t)bulk->done));
    else
        printf("%" PRId64 " jobs removed\n", bulk->done);
    return ST_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct purge_options *options = values;
    struct bulk bulk = {.kind = BULK_PURGE};

    if (words_len != 1 || !id_queue_valid(str_c(words[0])))
        return command_fail(&cmd_purge, COMMAND_USAGE,
                            "name one queue: pit queues lists them");
    if (strcmp(options->confirm, words[0]) != 0)
        return command_fail(&cmd_purge, COMMAND_USAGE,
                            "say it twice: --confirm %s. Its jobs will be gone",
                            words[0]);
    bulk.queue = str_c(words[0]);
    for (struct str rest = str_c(options->state); rest.n > 0;) {
        struct str word = str_cut(rest, ',', &rest);
        int state = 0;
        if (!queue_list_state_parse(word, &state) ||
            !queue_bulk_allows(BULK_PURGE, state) ||
            bulk.states_len == BULK_STATES_MAX)
            return command_fail(&cmd_purge, COMMAND_USAGE,
                                "--state: no jobs that are \"%.*s\" can be "
                                "purged",
                                STR_ARG(word));
        bulk.states[bulk.states_len++] = state;
    }
    if (bulk.states_len == 0)
        return command_fail(&cmd_purge, COMMAND_USAGE, "--state: name one");
    return session_run(&cmd_purge, &options->session, purge, &bulk);
}

const struct command cmd_purge = {
    .name = "purge",
    .about = "remove the jobs of a queue",
    .program = &program,
    .options_size = sizeof(struct purge_options),
    .run = run,
};
