/* job_info.h - jobs as pit/jobs.h shows them: texts that end in a NUL, JSON as
 * trees, all in one allocation that outlives the reply of Redis.
 *
 * Owner: whoever asked. Pure but for memory. */
#ifndef APP_JOB_INFO_H
#define APP_JOB_INFO_H

#include "app/http/arena.h"
#include "pit/jobs.h"
#include "queue/queue_control.h"

struct job_infos {
    struct arena arena; /* all texts, and the trees by its disposers */
    struct pit_job_info *jobs;
    size_t len;
    size_t cap;
    size_t bytes; /* of args, results and messages so far */
    char *next;   /* the cursor as text, or NULL */
};

/* Room for @cap jobs; freed with job_info_free(). Never fails. */
struct job_infos *job_info_new(size_t cap);
/* NULL is fine. */
void job_info_free(struct job_infos *infos);
/* Takes all of @view over. False: out of memory, and nothing was added. There
 * must be room. */
CHECK bool job_info_add(struct job_infos *infos, const struct job_view *view);
/* How it was, for struct control; lent by what it lies in. */
const struct control_seen *job_info_seen(const struct pit_job_info *job);

enum pit_state job_info_state(enum job_state state);

#endif
