/* pit cancel, retry, promote, release and delete - one step for the jobs that
 * are named, or for all that a filter finds.
 *
 * Jobs that are named get one line each where something did not work; a filter
 * prints how many at its end. The exit status is 1 when any was refused. */
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "named_jobs.h"
#include "queue/queue_bulk.h"
#include "session.h"
#include "text.h"

struct control_options {
    struct session_options session;
    const char *queue;
    const char *state;
    const char *task;
    const char *tag;
    int64_t older_ms;
    int64_t limit;
    const char *rate;
    bool dry_run;
    int64_t grace_ms;
    const char *reason;
};

#define FIELD(name) offsetof(struct control_options, name)

/* What a filter is made of. */
#define FILTER_OPTIONS                                                      \
    {.name = "queue",                                                       \
     .value_name = "NAME",                                                  \
     .kind = CONFIG_STRING,                                                 \
     .offset = FIELD(queue),                                                \
     .standard = "",                                                        \
     .help = "the jobs of a queue, instead of those named; needs --state"}, \
        {.name = "state",                                                   \
         .value_name = "STATE[,STATE]",                                     \
         .kind = CONFIG_STRING,                                             \
         .offset = FIELD(state),                                            \
         .standard = "",                                                    \
         .help = "of those, the ones in these states"},                     \
        {.name = "task",                                                    \
         .value_name = "NAME",                                              \
         .kind = CONFIG_STRING,                                             \
         .offset = FIELD(task),                                             \
         .standard = "",                                                    \
         .help = "of those, the ones of a task"},                           \
        {.name = "tag",                                                     \
         .value_name = "TAG",                                               \
         .kind = CONFIG_STRING,                                             \
         .offset = FIELD(tag),                                              \
         .standard = "",                                                    \
         .help = "of those, the ones with a tag"},                          \
        {.name = "older-than",                                              \
         .value_name = "TIME",                                              \
         .kind = CONFIG_DURATION,                                           \
         .offset = FIELD(older_ms),                                         \
         .max = JOB_DELAY_MAX_MS,                                           \
         .help = "of those, the ones enqueued so long ago"},                \
        {.name = "limit",                                                   \
         .value_name = "N",                                                 \
         .kind = CONFIG_INT,                                                \
         .offset = FIELD(limit),                                            \
         .max = 1000000000,                                                 \
         .help = "so many at most; 0 is all"},                              \
        {.name = "rate",                                                    \
         .value_name = "N/TIME",                                            \
         .kind = CONFIG_STRING,                                             \
         .offset = FIELD(rate),                                             \
         .standard = "",                                                    \
         .help = "so many in a time at most: 100/s"},                       \
    {                                                                       \
        .name = "dry-run", .kind = CONFIG_BOOL, .offset = FIELD(dry_run),   \
        .help = "count what the filter finds, change nothing"               \
    }

static const struct config_option filter_table[] = {
    FILTER_OPTIONS,
    SESSION_OPTIONS(struct control_options),
    {0},
};

static const struct config_option cancel_table[] = {
    FILTER_OPTIONS,
    {"grace", "TIME", CONFIG_DURATION, FIELD(grace_ms), "10s", 0,
     CONTROL_GRACE_MAX_MS,
     .help = "for one that runs to stop by itself, before it is killed"},
    {"reason", "TEXT", CONFIG_STRING, FIELD(reason), "",
     .help = "kept with the job"},
    SESSION_OPTIONS(struct control_options),
    {0},
};

static const struct config_option plain_table[] = {
    SESSION_OPTIONS(struct control_options),
    {0},
};

struct controlling {
    const struct command *command;
    const struct control_options *options;
    enum control_verb verb;
    struct named_jobs jobs;
    struct bulk bulk; /* with a filter */
    int32_t rate;
    int64_t rate_period_ms;
};

/* --- the jobs that are named ---------------------------------------------- */

static enum status
control_one(struct co *co, struct session *session, struct control *control,
            struct error *err)
{
    enum status st = queue_control_await(co, session->queues, control, err);

    /* Deleted is deleted, however often. */
    if (st == ST_GONE && control->verb == CONTROL_DELETE) {
        control->outcome = CONTROL_SAME;
        return ST_OK;
    }
    return st;
}

static enum status
control_named(struct co *co, struct session *session)
{
    const struct controlling *what = session->arg;
    const struct control step = {
        .verb = what->verb,
        .grace_ms = what->options->grace_ms,
        .reason = str_c(what->options->reason),
    };

    return named_jobs_control(co, session, &what->jobs, &step, control_one);
}

/* --- a filter --------------------------------------------------------------
 */

static enum status
keep_rate(struct co *co, const struct controlling *what, int64_t started_ms)
{
    int64_t wait_ms =
        queue_bulk_wait_ms(&what->bulk, what->rate, what->rate_period_ms,
                           clock_mono_ms() - started_ms);

    return wait_ms > 0 ? co_sleep(co, wait_ms) : ST_OK;
}

static void
show_progress(const struct bulk *bulk, bool last)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr,
                "\r%" PRId64 " seen, %" PRId64 " match, %" PRId64 " done%s",
                bulk->seen, bulk->matched, bulk->done, last ? "\n" : "");
}

static enum status
control_filtered(struct co *co, struct session *session)
{
    struct controlling *what = session->arg;
    struct bulk *bulk = &what->bulk;
    int64_t started_ms = clock_mono_ms();
    enum status st = ST_OK;

    while (st == ST_OK && !bulk->ended) {
        st = queue_bulk_step(co, session->queues, bulk, &session->err);
        show_progress(bulk, bulk->ended);
        if (st == ST_OK && !bulk->ended)
            st = keep_rate(co, what, started_ms);
    }
    if (st != ST_OK)
        return st;
    if (session->options->json)
        text_print_json(json_pack("{s:b, s:I, s:I, s:I, s:I}", "dry_run",
                                  bulk->dry_run, "seen", (json_int_t)bulk->seen,
                                  "matched", (json_int_t)bulk->matched, "done",
                                  (json_int_t)bulk->done, "refused",
                                  (json_int_t)bulk->refused));
    else if (bulk->dry_run)
        printf("%" PRId64 " of %" PRId64 " jobs match\n", bulk->matched,
               bulk->seen);
    else
        printf("%" PRId64 " of %" PRId64 " jobs done, %" PRId64 " refused\n",
               bulk->done, bulk->matched, bulk->refused);
    return ST_OK;
}

static enum status
read_states(struct bulk *bulk, const char *states, struct error *err)
{
    for (struct str rest = str_c(states); rest.n > 0;) {
        struct str word = str_cut(rest, ',', &rest);
        int state = 0;
        if (!queue_list_state_parse(word, &state))
            return error_set(err, ST_INVALID,
                             "--state: there is no state \"%.*s\": "
                             "give " QUEUE_LIST_STATE_NAMES,
                             (int)(word.n < 60 ? word.n : 60), word.p);
        if (!queue_bulk_allows(bulk->kind, state))
            return error_set(err, ST_INVALID,
                             "--state: jobs that are %.*s cannot be had by %s",
                             STR_ARG(word), queue_bulk_kind_name(bulk->kind));
        if (bulk->states_len == BULK_STATES_MAX)
            return error_set(err, ST_INVALID, "--state: too many states");
        bulk->states[bulk->states_len++] = state;
    }
    if (bulk->states_len == 0)
        return error_set(err, ST_INVALID,
                         "--queue needs --state: nothing is assumed");
    return ST_OK;
}

static enum status
read_filter(struct controlling *what, enum bulk_kind kind, struct error *err)
{
    const struct control_options *options = what->options;

    if (!id_queue_valid(str_c(options->queue)))
        return error_set(err, ST_INVALID, "--queue: \"%s\" is no queue's name",
                         options->queue);
    if (options->rate[0] && !job_rate_parse(str_c(options->rate), &what->rate,
                                            &what->rate_period_ms))
        return error_set(err, ST_INVALID,
                         "--rate: give so many in a time, such as 100/s");
    what->bulk = (struct bulk){
        .kind = kind,
        .queue = str_c(options->queue),
        .task = str_c(options->task),
        .tag = str_c(options->tag),
        .older_ms = options->older_ms,
        .limit = options->limit,
        .grace_ms = options->grace_ms,
        .reason = str_c(options->reason),
        .dry_run = options->dry_run,
    };
    return read_states(&what->bulk, options->state, err);
}

/* --- the commands ----------------------------------------------------------
 */

static int
run(const struct command *command, enum control_verb verb,
    const enum bulk_kind *kind, const struct control_options *options,
    int words_len, char *const *words)
{
    static struct controlling what; /* large, and there is one */
    struct error err;
    bool filtered = kind && options->queue[0];

    what = (struct controlling){
        .command = command, .options = options, .verb = verb};
    if (filtered == (words_len > 0))
        return command_fail(command, COMMAND_USAGE, "%s",
                            kind ? "name jobs by their ids, or give --queue "
                                   "and --state"
                                 : "name jobs by their ids");
    enum status st = filtered
                         ? read_filter(&what, *kind, &err)
                         : named_jobs_read(&what.jobs, words_len, words, &err);
    if (st == ST_OK && !filtered && kind && options->dry_run)
        st = error_set(&err, ST_INVALID, "--dry-run is for a filter");
    if (st != ST_OK)
        return command_fail(command, COMMAND_USAGE, "%s", err.msg);
    return session_run(command, &options->session,
                       filtered ? control_filtered : control_named, &what);
}

static int
run_cancel(const void *values, int words_len, char *const *words)
{
    static const enum bulk_kind kind = BULK_CANCEL;

    return run(&cmd_cancel, CONTROL_CANCEL, &kind, values, words_len, words);
}

static int
run_retry(const void *values, int words_len, char *const *words)
{
    static const enum bulk_kind kind = BULK_RETRY;

    return run(&cmd_retry, CONTROL_RETRY, &kind, values, words_len, words);
}

static int
run_delete(const void *values, int words_len, char *const *words)
{
    static const enum bulk_kind kind = BULK_DELETE;

    return run(&cmd_delete, CONTROL_DELETE, &kind, values, words_len, words);
}

static int
run_promote(const void *values, int words_len, char *const *words)
{
    return run(&cmd_promote, CONTROL_PROMOTE, NULL, values, words_len, words);
}

static int
run_release(const void *values, int words_len, char *const *words)
{
    return run(&cmd_release, CONTROL_RELEASE, NULL, values, words_len, words);
}

static const struct config_program cancel_program = {
    .name = "pit cancel",
    .synopsis = "pit cancel ID... | --queue NAME --state STATE [OPTION...]",
    .about = "Ends jobs that wait or are quarantined; asks those that run to "
             "stop, and has them killed when they have not after the grace "
             "time.",
    .options = cancel_table,
};

static const struct config_program retry_program = {
    .name = "pit retry",
    .synopsis = "pit retry ID... | --queue NAME --state STATE [OPTION...]",
    .about = "Makes jobs ready again that are dead, cancelled or expired, with "
             "all their retries; those that wait for a retry run now.",
    .options = filter_table,
};

static const struct config_program delete_program = {
    .name = "pit delete",
    .synopsis = "pit delete ID... | --queue NAME --state STATE [OPTION...]",
    .about = "Forgets jobs that wait or have ended. One that runs is refused: "
             "cancel it first.",
    .options = filter_table,
};

static const struct config_program promote_program = {
    .name = "pit promote",
    .synopsis = "pit promote ID... [OPTION...]",
    .about = "Runs jobs now that are scheduled or wait for a retry.",
    .options = plain_table,
};

static const struct config_program release_program = {
    .name = "pit release",
    .synopsis = "pit release ID... [OPTION...]",
    .about = "Lets jobs run again that were quarantined, because their process "
             "crashed or their lease was lost too often.",
    .options = plain_table,
};

const struct command cmd_cancel = {
    .name = "cancel",
    .about = "end jobs that wait, stop jobs that run",
    .program = &cancel_program,
    .options_size = sizeof(struct control_options),
    .run = run_cancel,
};

const struct command cmd_retry = {
    .name = "retry",
    .about = "run dead or cancelled jobs again",
    .program = &retry_program,
    .options_size = sizeof(struct control_options),
    .run = run_retry,
};

const struct command cmd_delete = {
    .name = "delete",
    .about = "forget jobs that wait or have ended",
    .program = &delete_program,
    .options_size = sizeof(struct control_options),
    .run = run_delete,
};

const struct command cmd_promote = {
    .name = "promote",
    .about = "run a scheduled or retrying job now",
    .program = &promote_program,
    .options_size = sizeof(struct control_options),
    .run = run_promote,
};

const struct command cmd_release = {
    .name = "release",
    .about = "let a quarantined job run again",
    .program = &release_program,
    .options_size = sizeof(struct control_options),
    .run = run_release,
};
