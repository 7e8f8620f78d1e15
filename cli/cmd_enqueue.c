/* pit enqueue - one job into a queue, or many out of a file.
 *
 * Queue and policy come from the task's entry in the registry, which workers
 * write at their start; options override single values. What is wrong with the
 * words is said before Redis is asked for anything. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/task/task_entry.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "enqueue_batch.h"
#include "enqueue_options.h"
#include "job_output.h"
#include "queue/flow/queue_after.h"
#include "queue/queue_retry.h"
#include "queue/schema.h"
#include "session.h"
#include "text.h"

#define FIELD(name) offsetof(struct enqueue_options, name)

static const struct config_option option_table[] = {
    {"args", "JSON", CONFIG_STRING, FIELD(args),
     .help = "what the task gets; - reads it from standard input"},
    {"queue", "NAME", CONFIG_STRING, FIELD(queue),
     .help = "instead of the task's own queue"},
    {"delay", "TIME", CONFIG_DURATION, FIELD(delay_ms), .max = JOB_DELAY_MAX_MS,
     .help = "not before that time has passed: 500ms, 30s, 5m, 2h"},
    {"wait", "TIME", CONFIG_DURATION, FIELD(wait_ms), .max = 86400000,
     .help = "wait so long for the end, print the job, exit 1 unless it "
             "succeeded"},
    {"priority", "N", CONFIG_INT, FIELD(priority), "-1", 0, JOB_PRIORITY_MAX,
     .help = "0 to 9, 9 first; else the task's own"},
    {"run-at", "TIME", CONFIG_STRING, FIELD(run_at),
     .help = "not before 2027-01-01T08:00:00Z, say"},
    {"expires-at", "TIME", CONFIG_STRING, FIELD(expires_at),
     .help = "it no longer starts after that time"},
    {"run-timeout", "TIME", CONFIG_DURATION, FIELD(time_ms),
     .max = JOB_TIMEOUT_MAX_MS,
     .help = "what one attempt may take; 0 is the task's own"},
    {"retries", "N", CONFIG_INT, FIELD(retries), "-1", 0, JOB_RETRIES_MAX,
     .help = "after the first attempt; else the task's own"},
    {"backoff", "KIND", CONFIG_STRING, FIELD(backoff),
     .help = "of its retries: fixed or exponential; else the task's own, as "
             "what follows"},
    {"backoff-base", "TIME", CONFIG_STRING, FIELD(backoff_base),
     .help = "before the first retry"},
    {"backoff-cap", "TIME", CONFIG_STRING, FIELD(backoff_cap),
     .help = "before any retry at most"},
    {"backoff-jitter", "PART", CONFIG_STRING, FIELD(backoff_jitter),
     .help = "0 to 1, what of that is random"},
    {"keep", "TIME", CONFIG_STRING, FIELD(keep),
     .help = "how long it can be looked up once it has ended: 0, 30s, 2h, 7d"},
    {"tags", "TAG,...", CONFIG_STRING, FIELD(tags), .help = "up to 16 names"},
    {"unique", "KEY", CONFIG_STRING, FIELD(unique),
     .help = "only one job may hold that key at a time"},
    {"unique-while", "WHEN", CONFIG_STRING, FIELD(unique_while), "running",
     .help = "it holds the key while waiting, running (to its end) or ended "
             "(--unique-ttl past its end)"},
    {"unique-ttl", "TIME", CONFIG_DURATION, FIELD(unique_ttl_ms),
     .max = JOB_KEEP_MAX_MS,
     .help = "ended: so long past the end; else the longest that it holds the "
             "key"},
    {"on-conflict", "WHAT", CONFIG_STRING, FIELD(on_conflict), "reject",
     .help = "when the key is held: reject, return (print the holder) or "
             "replace (a holder that still waits)"},
    {"limit", "KEY", CONFIG_STRING, FIELD(limit),
     .help = "shares limits and turns with the queue's jobs of that key"},
    {"concurrency", "N", CONFIG_INT, FIELD(concurrency), "0", 0,
     JOB_CONCURRENCY_MAX, .help = "of that key at once; 0: any number"},
    {"rate", "N/PERIOD", CONFIG_STRING, FIELD(rate),
     .help = "starts of that key: 100/s, 5/m, 10/30s"},
    {"after", "ID,...", CONFIG_STRING, FIELD(after),
     .help = "waits until these jobs have succeeded, up to 64"},
    {"callback", "URL", CONFIG_STRING, FIELD(callback),
     .help = "is sent a signed request when the job succeeded or is dead"},
    {"callback-on", "WHEN,...", CONFIG_STRING, FIELD(callback_on),
     "succeeded,dead", .help = "only then: succeeded or dead"},
    {"durability", "HOW", CONFIG_STRING, FIELD(durability),
     .help = "fails unless what was stored is in memory, on disk (fsync) or at "
             "so many replicas (replica:1) before the id is printed"},
    {"id", "ID", CONFIG_STRING, FIELD(id),
     .help = "an id of your own (behind the queue's name and a dot), so that a "
             "repetition makes no second job; of a batch, ID:1 and so on, by "
             "the numbers of its lines"},
    {"batch", "FILE", CONFIG_STRING, FIELD(batch),
     .help = "the jobs of a file (-: standard input), an envelope of POST "
             "/v1/jobs a line; prints an id or a refusal for each"},
    {"atomic", NULL, CONFIG_BOOL, FIELD(atomic),
     .help = "all jobs of the batch or none of them: up to 128 of one queue"},
    {"force", NULL, CONFIG_BOOL, FIELD(force),
     .help = "also a task that no application has told of yet"},
    SESSION_OPTIONS(struct enqueue_options),
    {0},
};

static const struct config_program program = {
    .name = "pit enqueue",
    .synopsis = "pit enqueue TASK [OPTION...] | pit enqueue --batch FILE",
    .about = "Puts a job into its queue and prints its id; or the jobs of a "
             "file, one a line.",
    .options = option_table,
};

enum { AFTER_MAX = 64 };

struct enqueue_command {
    const struct enqueue_options *options;
    struct job_id after[AFTER_MAX];
    size_t after_len;
    const char *task;
    struct str args;
    struct enqueue e;
    struct durability_wish durability;
    char id[ID_JOB_MAX + 1];
};

/* The task's entry, or the standard values under --force. The spec borrows from
 * @entry. */
static enum status
fill_spec(struct co *co, struct session *session, struct task_entry *entry,
          struct enqueue_command *command)
{
    struct rds_call call = {0};
    struct error err;
    struct str name = str_c(command->task);

    enum status st =
        registry_get_task(co, session->queues, name, &call, &session->err);
    if (st == ST_OK)
        st = task_entry_read(str_from(call.reply->str, call.reply->len), entry,
                             &session->err);
    else if (st == ST_UNKNOWN_TASK && command->options->force)
        st = task_entry_read(STR("{}"), entry, &session->err);
    else if (st == ST_UNKNOWN_TASK)
        st = error_set(&session->err, st,
                       "no worker has told of a task \"%s\": pit tasks lists "
                       "them; --force enqueues it all the same",
                       command->task);
    rds_call_clear(&call);
    if (st != ST_OK)
        return st;

    struct job_spec *spec = &command->e.spec;
    entry->task.name = command->task;
    task_entry_spec(&entry->task, spec);
    spec->args = command->args;
    st = enqueue_options_apply(command->options, spec, &session->err);
    if (st != ST_OK)
        return st;
    st = job_spec_check(spec, &err);
    if (st != ST_OK)
        error_set(&session->err, st, "%s%s%s", err.pointer,
                  err.pointer[0] ? ": " : "", err.msg);
    else
        st = queue_retry_fill(co, session->queues, spec, &session->err);
    return st;
}

static enum status
send(struct co *co, struct session *session, struct queues *queues,
     struct enqueue_command *command)
{
    struct enqueue *e = &command->e;

    if (command->options->id) {
        e->named = true;
        str_copy_to(str_c(command->options->id), e->local, sizeof e->local);
    }
    enum status st = command->after_len > 0
                         ? queue_after_enqueue(co, queues, e, command->after,
                                               command->after_len)
                         : queue_enqueue_await(co, queues, e);
    snprintf(command->id, sizeof command->id, "%.*s.%s", STR_ARG(e->spec.queue),
             e->local);
    if (st == ST_UNCLEAR)
        return error_set(
            &session->err, st,
            "nobody knows whether %s was stored (%.80s): repeat it "
            "with --id %s",
            command->id, e->err.msg, e->local);
    if (st != ST_OK) {
        session->err = e->err;
        return st;
    }
    if (e->outcome == ENQUEUE_OTHER)
        return error_set(&session->err, ST_CONFLICT,
                         "%s is there already, with other content",
                         command->id);
    if (e->outcome == ENQUEUE_DUPLICATE &&
        e->spec.unique.on_conflict != UNIQUE_RETURN)
        return error_set(
            &session->err, ST_CONFLICT, "%.*s.%s holds the unique key %.*s",
            STR_ARG(e->spec.queue), e->holder, STR_ARG(e->spec.unique.key));
    if (e->outcome == ENQUEUE_DUPLICATE) { /* that one is the answer */
        memcpy(e->local, e->holder, sizeof e->local);
        snprintf(command->id, sizeof command->id, "%.*s.%s",
                 STR_ARG(e->spec.queue), e->local);
    }
    if (e->outcome == ENQUEUE_GONE)
        return error_set(&session->err, ST_GONE,
                         "%s ended before and is past its retention",
                         command->id);
    return ST_OK;
}

/* As send(), and until it is as durable as was asked for. */
static enum status
send_durably(struct co *co, struct session *session,
             struct enqueue_command *command)
{
    struct queues *queues = NULL;
    struct error why = {.msg = ""};
    struct durability *durability =
        durability_new(session->loop, session->queues, session->options->redis);

    enum status st = durability_begin(co, durability, &command->durability,
                                      session->queues, &queues, &session->err);
    if (st == ST_OK)
        st = send(co, session, queues, command);
    if (st == ST_OK && command->durability.kind != DURABILITY_UNSAID) {
        st = durability_reach(co, durability, &command->durability, &why);
        if (st != ST_OK)
            error_set(&session->err, st, "%s was stored, but: %s", command->id,
                      why.msg);
    }
    durability_free(durability);
    return st;
}

/* Prints the job as it is when it ended, or when the time was up. */
static enum status
wait_for_end(struct co *co, struct session *session,
             const struct enqueue_command *command)
{
    const struct job_id id = {command->e.spec.queue, str_c(command->e.local)};
    struct job_view view = {0};

    enum status st = queue_wait(co, session->queues, id,
                                command->options->wait_ms, &session->err);
    if (st != ST_OK && st != ST_TIMEOUT)
        return st;
    st = queue_get(co, session->queues, id, &view, &session->err);
    if (st == ST_OK) {
        job_output_print(&view, session->options->json);
        if (view.state != JOB_SUCCEEDED)
            session->exit = COMMAND_FAILED;
        if (!job_state_ended(view.state))
            (void)command_fail(session->command, COMMAND_FAILED,
                               "%s has not ended yet", command->id);
    }
    queue_view_clear(&view);
    return st;
}

static enum status
enqueue(struct co *co, struct session *session)
{
    struct enqueue_command *command = session->arg;
    bool wait = command->options->wait_ms > 0;
    struct task_entry entry;

    enum status st = schema_claim(co, session->queues, &session->err);
    if (st == ST_OK)
        st = fill_spec(co, session, &entry, command);
    if (st == ST_OK && wait)
        st = queues_listen(session->queues, session->options->redis,
                           &session->err);
    if (st == ST_OK)
        st = send_durably(co, session, command);
    if (st != ST_OK)
        return st;
    if (wait)
        return wait_for_end(co, session, command);
    if (session->options->json)
        text_print_json(json_pack(
            "{s:s, s:s, s:s%, s:b}", "id", command->id, "task", command->task,
            "queue", command->e.spec.queue.p, command->e.spec.queue.n, "new",
            command->e.outcome == ENQUEUE_NEW));
    else
        printf("%s\n", command->id);
    return ST_OK;
}

/* Reads standard input to its end. */
static enum status
read_input(struct buf *dst, struct error *err)
{
    ssize_t n = 1;

    while (n > 0) {
        char *room = buf_room(dst, 4096);
        if (!room)
            return error_set(err, ST_TOO_LARGE, "--args: more than %d bytes",
                             JOB_ARGS_MAX);
        n = read(STDIN_FILENO, room, 4096);
        if (n > 0)
            buf_grew(dst, (size_t)n);
    }
    return n == 0 ? ST_OK
                  : error_set(err, ST_INVALID, "--args: cannot be read");
}

static enum status
take_args(const char *given, struct buf *input, struct str *ret,
          struct error *err)
{
    struct jsontext value;
    struct error why;
    enum status st = ST_OK;

    if (!given)
        return ST_OK;
    if (strcmp(given, "-") == 0)
        st = read_input(input, err);
    if (st != ST_OK)
        return st;
    struct str text = strcmp(given, "-") == 0 ? buf_str(input) : str_c(given);
    st = jsontext_check(text, &value, &why);
    if (st != ST_OK)
        return error_set(err, ST_INVALID, "--args: %s", why.msg);
    if (value.raw.n > JOB_ARGS_MAX)
        return error_set(err, ST_TOO_LARGE, "--args: more than %d bytes",
                         JOB_ARGS_MAX);
    *ret = value.raw;
    return ST_OK;
}

/* "a.1,b.2" */
static enum status
take_after(struct enqueue_command *command, struct error *err)
{
    struct str rest = str_c(command->options->after);

    while (rest.n > 0) {
        struct str id = str_trim(str_cut(rest, ',', &rest));
        if (command->after_len == AFTER_MAX)
            return error_set(err, ST_INVALID, "--after: at most %d ids",
                             AFTER_MAX);
        enum status st =
            id_split(id, &command->after[command->after_len++], err);
        if (st != ST_OK) {
            struct error why = *err;
            return error_set(err, ST_INVALID, "--after: %s", why.msg);
        }
    }
    return ST_OK;
}

static enum status
read_durability(const struct enqueue_options *options,
                struct durability_wish *ret, struct error *err)
{
    if (!options->durability ||
        durability_parse(str_c(options->durability), ret))
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "--durability takes memory, fsync, or replica:1 to "
                     "replica:%d",
                     DURABILITY_REPLICAS_MAX);
}

/* Was it given, with another value than the standard one? */
static bool
is_set(const struct enqueue_options *options, const struct config_option *o)
{
    const char *standard = o->standard ? o->standard : "";
    const char *field = (const char *)options + o->offset;

    if (o->kind == CONFIG_BOOL)
        return *(const bool *)field;
    if (o->kind == CONFIG_STRING) {
        const char *text = *(const char *const *)(const void *)field;
        return text && strcmp(text, standard) != 0;
    }
    return *(const int64_t *)(const void *)field != strtoll(standard, NULL, 10);
}

static int
run_batch(const struct enqueue_options *options, int words_len)
{
    static const char *const fit[] = {
        "batch", "id", "atomic", "durability", "redis", "timeout", "json"};
    struct enqueue_batch batch = {
        .path = options->batch, .id = options->id, .atomic = options->atomic};
    struct error err;

    if (words_len != 0)
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "name a task or --batch FILE, not both: each line "
                            "of a batch names its own");
    for (const struct config_option *o = option_table; o->name; o++) {
        bool fits = false;
        for (size_t i = 0; i < ARRAY_LEN(fit); i++)
            fits = fits || strcmp(o->name, fit[i]) == 0;
        if (!fits && is_set(options, o))
            return command_fail(&cmd_enqueue, COMMAND_USAGE,
                                "--%s is for a single job: with --batch each "
                                "line says what it wants",
                                o->name);
    }
    if (options->id && (!id_local_valid(str_c(options->id)) ||
                        strlen(options->id) > ENQUEUE_BATCH_ID_MAX))
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "--id: must be 1 to %d characters out of A-Z a-z "
                            "0-9 _ : -",
                            ENQUEUE_BATCH_ID_MAX);
    if (read_durability(options, &batch.durability, &err) != ST_OK)
        return command_fail(&cmd_enqueue, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_enqueue, &options->session, enqueue_batch_run,
                       &batch);
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct enqueue_options *options = values;
    struct enqueue_command command = {.options = options};
    struct buf input;
    struct error err;
    int exit;

    if (options->batch)
        return run_batch(options, words_len);
    if (options->atomic)
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "--atomic is for the jobs of --batch");
    if (words_len != 1 || !id_task_valid(str_c(words[0])))
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "name one task, of 1 to %d characters out of A-Z "
                            "a-z 0-9 _ . : -",
                            ID_TASK_MAX);
    if (options->queue && !id_queue_valid(str_c(options->queue)))
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "--queue: \"%s\" is no queue's name",
                            options->queue);
    if (options->id && !id_local_valid(str_c(options->id)))
        return command_fail(&cmd_enqueue, COMMAND_USAGE,
                            "--id: must be 1 to %d characters out of A-Z a-z "
                            "0-9 _ : -",
                            ID_LOCAL_MAX);
    struct job_spec scratch;
    job_spec_init(&scratch);
    if (enqueue_options_apply(options, &scratch, &err) != ST_OK ||
        read_durability(options, &command.durability, &err) != ST_OK ||
        take_after(&command, &err) != ST_OK)
        return command_fail(&cmd_enqueue, COMMAND_USAGE, "%s", err.msg);
    command.task = words[0];
    buf_init(&input, JOB_ARGS_MAX + 4096);
    if (take_args(options->args, &input, &command.args, &err) != ST_OK)
        exit = command_fail(&cmd_enqueue, COMMAND_USAGE, "%s", err.msg);
    else
        exit = session_run(&cmd_enqueue, &options->session, enqueue, &command);
    buf_clear(&input);
    return exit;
}

const struct command cmd_enqueue = {
    .name = "enqueue",
    .about = "put a job into its queue, or the jobs of a file",
    .program = &program,
    .options_size = sizeof(struct enqueue_options),
    .run = run,
};
