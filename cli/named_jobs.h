/* named_jobs.h - the jobs that a command line names by their ids, and a step
 * for each of them. */
#ifndef CLI_NAMED_JOBS_H
#define CLI_NAMED_JOBS_H

#include "queue/queue_control.h"
#include "session.h"

enum { NAMED_JOBS_MAX = 1000 };

struct named_jobs {
    struct job_id ids[NAMED_JOBS_MAX];
    size_t len;
};

/* The ids lend from @words. Errors: ST_INVALID for too many, or one that is no
 * id. */
CHECK enum status named_jobs_read(struct named_jobs *ret, int words_len,
                                  char *const *words, struct error *err);
/* Calls @take with a copy of @step for each, as queue_control_await() is
 * called, and tells what became of it: with --json in one line on standard
 * output, else in one line where there is something to say. A step that was
 * refused makes the session exit with COMMAND_FAILED. Ends at the first error
 * that is not about the job alone. */
CHECK enum status named_jobs_control(
    struct co *co, struct session *session, const struct named_jobs *jobs,
    const struct control *step,
    enum status (*take)(struct co *co, struct session *session,
                        struct control *control, struct error *err));

#endif
