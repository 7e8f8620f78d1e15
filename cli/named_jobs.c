/* A step that happened needs no words: but a job that runs was only asked. */
#include "named_jobs.h"

#include <stdio.h>

#include "text.h"

enum status
named_jobs_read(struct named_jobs *ret, int words_len, char *const *words,
                struct error *err)
{
    if (words_len > NAMED_JOBS_MAX)
        return error_set(err, ST_INVALID, "at most %d jobs at once",
                         NAMED_JOBS_MAX);
    for (int i = 0; i < words_len; i++) {
        enum status st = id_split(str_c(words[i]), &ret->ids[i], err);
        if (st != ST_OK)
            return st;
    }
    ret->len = (size_t)words_len;
    return ST_OK;
}

/* @status: of the step, with @err for one that failed. */
static void
report(struct session *session, const struct control *control,
       enum status status, struct error *err)
{
    char id[ID_JOB_MAX + 1];

    if (status == ST_OK)
        status = queue_control_verdict(control, err);
    bool good = status == ST_OK;

    snprintf(id, sizeof id, "%.*s.%.*s", STR_ARG(control->id.queue),
             STR_ARG(control->id.local));
    if (session->options->json) {
        text_print_json(json_pack("{s:s, s:b, s:b, s:s?}", "id", id, "done",
                                  good, "asked",
                                  good && control->outcome == CONTROL_ASKED,
                                  "why", good ? NULL : err->msg));
    } else if (good && control->outcome == CONTROL_ASKED) {
        printf("%s runs: it was asked to stop\n", id);
    } else if (!good) {
        (void)command_fail(session->command, COMMAND_FAILED, "%s: %s", id,
                           err->msg);
    }
    if (!good)
        session->exit = COMMAND_FAILED;
}

enum status
named_jobs_control(struct co *co, struct session *session,
                   const struct named_jobs *jobs, const struct control *step,
                   enum status (*take)(struct co *co, struct session *session,
                                       struct control *control,
                                       struct error *err))
{
    for (size_t i = 0; i < jobs->len; i++) {
        struct error err = {.msg = ""};
        struct control control = *step;
        control.id = jobs->ids[i];
        enum status st = take(co, session, &control, &err);
        if (st != ST_OK && st != ST_NOT_FOUND && st != ST_GONE) {
            session->err = err;
            return st;
        }
        report(session, &control, st, &err);
    }
    return ST_OK;
}
