/* enqueue_batch.h - pit enqueue --batch: a job a line, and a result a line.
 *
 * Each line is an envelope, as POST /v1/jobs:batch takes it in NDJSON, read by
 * the same reader; each job has its own outcome. */
#ifndef CLI_ENQUEUE_BATCH_H
#define CLI_ENQUEUE_BATCH_H

#include "queue/durability.h"
#include "session.h"

enum { ENQUEUE_BATCH_ID_MAX = 52 }; /* ":" and a line's number follow */

struct enqueue_batch {
    const char *path; /* "-": standard input */
    const char *id;   /* NULL, or what the jobs' ids begin with: the same file
                         with the same id makes no second jobs */
    bool atomic;      /* all jobs, of one queue, or none: QUEUE_ENQUEUE_MAX */
    struct durability_wish durability; /* of what was stored, at the end */
};

/* For session_run(), whose arg is a struct enqueue_batch. Prints the results in
 * the order of the lines; session->exit is COMMAND_FAILED when some were
 * refused. Errors: ST_INVALID the file cannot be read, or an atomic batch was
 * refused (the line says why) and nothing was stored; Redis' status when it
 * went away, and what lies behind that line was not sent; as
 * durability_begin() and durability_reach(). */
CHECK enum status enqueue_batch_run(struct co *co, struct session *session);

#endif
