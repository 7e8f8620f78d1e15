/* pit edit - another time or another priority for jobs that wait.
 *
 * What is not given stays as it is. A delay is counted from now by Redis'
 * clock, which alone decides when a job is due; each job's queue is asked for
 * it, and only then. */
#include "named_jobs.h"
#include "text.h"

struct edit_options {
    struct session_options session;
    const char *run_at; /* NULL: as it is */
    const char *delay;  /* NULL: as it is */
    int64_t priority;   /* -1: as it is */
};

#define FIELD(name) offsetof(struct edit_options, name)

static const struct config_option option_table[] = {
    {"run-at", "TIME", CONFIG_STRING, FIELD(run_at),
     .help = "not before 2027-01-01T08:00:00Z, say"},
    {"delay", "TIME", CONFIG_STRING, FIELD(delay),
     .help = "not before that time has passed from now: 30s, 2h; 0: at once"},
    {"priority", "N", CONFIG_INT, FIELD(priority), "-1", 0, JOB_PRIORITY_MAX,
     .help = "0 to 9, 9 first; else it stays"},
    SESSION_OPTIONS(struct edit_options),
    {0},
};

static const struct config_program program = {
    .name = "pit edit",
    .synopsis = "pit edit ID... [--run-at TIME | --delay TIME] [--priority N]",
    .about = "Gives jobs that wait another time, another priority, or both. A "
             "blocked one can be given a priority alone.",
    .options = option_table,
};

struct editing {
    struct named_jobs jobs;
    int64_t run_at_ms; /* as in struct control */
    int64_t delay_ms;  /* 0: none */
    int priority;
};

static enum status
edit_one(struct co *co, struct session *session, struct control *control,
         struct error *err)
{
    const struct editing *what = session->arg;

    if (what->delay_ms > 0) {
        struct queue_counts counts;
        enum status st =
            queue_counts(co, session->queues, control->id.queue, &counts, err);
        if (st != ST_OK)
            return st;
        control->run_at_ms = counts.now_ms + what->delay_ms;
    }
    return queue_control_await(co, session->queues, control, err);
}

static enum status
edit(struct co *co, struct session *session)
{
    const struct editing *what = session->arg;
    const struct control step = {
        .verb = CONTROL_EDIT,
        .run_at_ms = what->run_at_ms,
        .priority = what->priority,
    };

    return named_jobs_control(co, session, &what->jobs, &step, edit_one);
}

static enum status
read_changes(struct editing *what, const struct edit_options *options,
             struct error *err)
{
    what->run_at_ms = -1;
    what->priority = (int)options->priority;
    if (!options->run_at && !options->delay && options->priority < 0)
        return error_set(err, ST_INVALID,
                         "nothing to change: give --run-at, --delay or "
                         "--priority");
    if (options->run_at && options->delay)
        return error_set(err, ST_INVALID, "give one of --run-at and --delay");
    if (options->delay) {
        if (!str_to_duration_ms(str_c(options->delay), &what->delay_ms) ||
            what->delay_ms < 0 || what->delay_ms > JOB_DELAY_MAX_MS)
            return error_set(err, ST_INVALID,
                             "--delay: give 0 to 3650d, such as 30s or 2h");
        what->run_at_ms = 0;
    }
    return text_read_time("run-at", options->run_at, &what->run_at_ms, err);
}

static int
run(const void *values, int words_len, char *const *words)
{
    static struct editing what; /* large, and there is one */
    const struct edit_options *options = values;
    struct error err;

    if (words_len == 0)
        return command_fail(&cmd_edit, COMMAND_USAGE, "name jobs by their ids");
    enum status st = named_jobs_read(&what.jobs, words_len, words, &err);
    if (st == ST_OK)
        st = read_changes(&what, options, &err);
    if (st != ST_OK)
        return command_fail(&cmd_edit, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_edit, &options->session, edit, &what);
}

const struct command cmd_edit = {
    .name = "edit",
    .about = "give a job that waits another time or priority",
    .program = &program,
    .options_size = sizeof(struct edit_options),
    .run = run,
};
