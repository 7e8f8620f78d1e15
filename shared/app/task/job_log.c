/* A job's log: lines are cut out of what the task says and let through at a
 * bounded rate, so that a chatty loop costs neither the worker nor Redis.
 *
 * The allowance is one time (GCRA): each line moves it a fiftieth of a second
 * ahead, and a line is let through while it is less than the burst ahead of
 * now. */
#include <stdarg.h>
#include <stdio.h>

#include "app/task/job_context.h"
#include "base/clock.h"

enum {
    LINE_US = 1000 * 1000 / JOB_CONTEXT_LOG_RATE,
    TEXT_MAX = 16 * JOB_CONTEXT_LOG_MAX, /* of one call */
};

static bool
allowed(struct pit_job *job)
{
    int64_t now_us = clock_mono_us();
    int64_t at_us = job->log_at_us > now_us ? job->log_at_us : now_us;

    if (at_us - now_us > (JOB_CONTEXT_LOG_BURST - 1) * LINE_US)
        return false;
    job->log_at_us = at_us + LINE_US;
    return true;
}

static void
pass_on(struct pit_job *job, struct str line)
{
    char words[64];

    if (!allowed(job)) {
        job->log_lost++;
        return;
    }
    if (job->log_lost > 0) {
        snprintf(words, sizeof words,
                 "(%llu lines were lost: too many at once)",
                 (unsigned long long)job->log_lost);
        if (job->start.ops->log(job->start.arg, str_c(words)))
            job->log_lost = 0;
    }
    if (!job->start.ops->log(job->start.arg, line))
        job->log_lost++;
}

void
pit_job_log(struct pit_job *job, const char *fmt, ...)
{
    char text[TEXT_MAX + 1];
    va_list ap;

    if (!job->start.ops || !job->start.ops->log)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct str rest = str_c(text);
    while (rest.n > 0) {
        char line[JOB_CONTEXT_LOG_MAX + 1];
        str_copy_to(str_trim(str_cut(rest, '\n', &rest)), line, sizeof line);
        job_context_make_utf8(line);
        pass_on(job, str_c(line));
    }
}
