/* enqueue_batch.h - pit enqueue --batch: a job a line, and a result a line.
 *
 * Each line is an envelope, as POST /v1/jobs:batch takes it in NDJSON, read by
 * the same reader; each job has its own outcome. */
#ifndef CLI_ENQUEUE_BATCH_H
#define CLI_ENQUEUE_BATCH_H

#include "session.h"

/* For session_run(), whose arg points to the path (const char *; "-" is
 * standard input). Prints the results in the order of the lines; session->exit
 * is COMMAND_FAILED when some were refused. Errors: ST_INVALID the file cannot
 * be read; Redis' status when it went away, and what lies behind that line was
 * not sent. */
CHECK enum status enqueue_batch_run(struct co *co, struct session *session);

#endif
