/* A step that happened needs no words: but a job that runs was only asked. */
#include "control_output.h"

#include <stdio.h>

#include "text.h"

void
control_output_report(struct session *session, const struct control *control,
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
