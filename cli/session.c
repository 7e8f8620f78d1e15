/* Session: everything is made for one coroutine and taken down behind it. */
#include "session.h"

struct visit {
    struct session session;
    enum status (*run)(struct co *co, struct session *session);
};

static enum status
visit_run(struct co *co, void *arg)
{
    struct visit *visit = arg;
    struct session *session = &visit->session;

    enum status st =
        rds_wait_up(co, session->rds, session->options->timeout_ms);
    if (st == ST_TIMEOUT)
        return error_set(&session->err, ST_UNAVAILABLE,
                         "Redis does not answer: %s (see --redis)",
                         rds_last_error(session->rds));
    return st == ST_OK ? visit->run(co, session) : st;
}

int
session_run(const struct command *command,
            const struct session_options *options,
            enum status (*run)(struct co *co, struct session *session),
            void *arg)
{
    struct visit visit = {
        .session = {.command = command, .options = options, .arg = arg},
        .run = run,
    };
    struct session *session = &visit.session;
    const struct rds_options how = {
        .url = options->redis,
        .client_name = "pit",
        .connect_timeout_ms = options->timeout_ms,
        .command_timeout_ms = options->timeout_ms,
    };

    session->loop = loop_new(NULL);
    enum status st = rds_new(session->loop, &how, &session->rds, &session->err);
    if (st == ST_OK) {
        session->queues = queues_new(session->rds, session->loop, NULL);
        st = co_run(session->loop, command->name, visit_run, &visit);
        queues_free(session->queues);
        rds_free(session->rds);
    }
    loop_free(session->loop);
    if (st == ST_OK)
        return session->exit;
    return command_fail(
        command, st == ST_INVALID ? COMMAND_USAGE : COMMAND_FAILED, "%s",
        session->err.msg[0] ? session->err.msg : status_name(st));
}
