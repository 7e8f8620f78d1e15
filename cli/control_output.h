/* control_output.h - what became of a step for one job, for people or machines.
 */
#ifndef CLI_CONTROL_OUTPUT_H
#define CLI_CONTROL_OUTPUT_H

#include "queue/queue_control.h"
#include "session.h"

/* @status: of queue_control_await(), with @err for one that failed. With --json
 * one line on standard output; else one line where there is something to say.
 * A step that was refused makes the session exit with COMMAND_FAILED. */
void control_output_report(struct session *session,
                           const struct control *control, enum status status,
                           struct error *err);

#endif
