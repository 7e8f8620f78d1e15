/* Trials: tasks that do little, each for one thing that a queue must get right.
 *
 * They block and burn CPU without a thought: each runs in a child process of
 * its own, and the worker goes on beside it. */
#include <signal.h>
#include <time.h>

#include "args.h"
#include "smokehouse.h"

static double
seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The least that a job can cost: what benches measure. */
enum pit_status
trial_noop(struct pit_job *job)
{
    (void)job;
    return PIT_OK;
}

enum pit_status
trial_echo(struct pit_job *job)
{
    size_t len;
    const char *text = pit_job_args_text(job, &len);

    return len ? pit_job_result_text(job, text, len) : PIT_OK;
}

/* In naps, so that a cancellation is heard in time. */
enum pit_status
trial_sleep(struct pit_job *job)
{
    const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
    double seconds = 1;
    enum pit_status st = args_read(
        job, (const struct arg[]){{"seconds", &seconds, .max = 3600}, {0}});

    if (st != PIT_OK)
        return st;
    double start = seconds_now();
    double slept = 0;
    while (slept < seconds) {
        if (pit_job_cancelled(job))
            return PIT_CANCELLED;
        pit_job_progress(job, (int64_t)(slept * 1000),
                         (int64_t)(seconds * 1000), "sleeping");
        double left = seconds - slept;
        nanosleep(left > 0.02
                      ? &nap
                      : &(struct timespec){.tv_nsec = (long)(left * 1e9)},
                  NULL);
        slept = seconds_now() - start;
    }
    return pit_job_result(job, "{s:f}", "slept", seconds_now() - start);
}

enum pit_status
trial_spin(struct pit_job *job)
{
    double seconds = 1;
    uint64_t turns = 0;
    enum pit_status st = args_read(
        job, (const struct arg[]){{"seconds", &seconds, .max = 3600}, {0}});

    if (st != PIT_OK)
        return st;
    for (double start = seconds_now(); seconds_now() - start < seconds; turns++)
        if (pit_job_cancelled(job))
            return PIT_CANCELLED;
    return pit_job_result(job, "{s:I}", "turns", (json_int_t)turns);
}

/* Goes through all its retries and ends among the dead letters. */
enum pit_status
trial_fail(struct pit_job *job)
{
    const char *message = "failed, as it was told to";
    enum pit_status st = args_read(
        job, (const struct arg[]){{"message", .text = &message}, {0}});

    if (st != PIT_OK)
        return st;
    return pit_job_fail(job, PIT_FAILED, "%s", message);
}

/* Needs no memory of its own: the job knows its attempt. */
enum pit_status
trial_flaky(struct pit_job *job)
{
    double failures = 2;
    int attempt = pit_job_attempt(job);
    enum pit_status st = args_read(
        job, (const struct arg[]){{"failures", &failures, .max = 1000}, {0}});

    if (st != PIT_OK)
        return st;
    if (attempt <= failures)
        return pit_job_fail(job, PIT_FAILED, "attempt %d of %.0f that fail",
                            attempt, failures);
    return pit_job_result(job, "{s:i}", "attempts", attempt);
}

/* A bug in C as the worker sees it. With 3 times and more the job is
 * quarantined; the worker and everyone else's jobs go on. */
enum pit_status
trial_crash(struct pit_job *job)
{
    double times = 1;
    enum pit_status st = args_read(
        job, (const struct arg[]){{"times", &times, .max = 1000}, {0}});

    if (st != PIT_OK)
        return st;
    if (pit_job_crashes(job) < times)
        raise(SIGSEGV);
    return pit_job_result(job, "{s:i}", "crashes", pit_job_crashes(job));
}
