/* pit schedules - jobs that are enqueued again and again.
 *
 * The first word says what to do, the second names the schedule. `put` changes
 * what its options name and leaves the rest of a schedule that is there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/document/schedule_json.h"
#include "app/task/task_entry.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "queue/schedule/schedules_change.h"
#include "queue/schema.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct schedules_options {
    struct session_options session;
    const char *cron;
    const char *timezone;
    const char *at;
    const char *task;
    const char *args;
    const char *queue;
    const char *misfire;
    const char *overlap;
    const char *jitter;
    const char *note;
    const char *from;
    int64_t every_ms;
    int64_t priority; /* -1: not given */
    int64_t count;
    bool force;
};

#define FIELD(name) offsetof(struct schedules_options, name)

static const struct config_option option_table[] = {
    {"cron", "LINE", CONFIG_STRING, FIELD(cron),
     .help = "put, next: when, as five cron fields or @daily"},
    {"timezone", "ZONE", CONFIG_STRING, FIELD(timezone),
     .help = "put, next: whose clock the line means; default UTC"},
    {"every", "TIME", CONFIG_DURATION, FIELD(every_ms),
     .max = SCHEDULE_EVERY_MAX_MS, .help = "put: an interval instead, 5m"},
    {"at", "TIME", CONFIG_STRING, FIELD(at),
     .help = "put: once, at 2027-01-01T08:00:00Z"},
    {"task", "NAME", CONFIG_STRING, FIELD(task),
     .help = "put: what is enqueued"},
    {"args", "JSON", CONFIG_STRING, FIELD(args),
     .help = "put: what the task gets"},
    {"queue", "NAME", CONFIG_STRING, FIELD(queue),
     .help = "put: instead of the task's own queue"},
    {"priority", "N", CONFIG_INT, FIELD(priority), "-1", 0, JOB_PRIORITY_MAX,
     .help = "put: 0 to 9, 9 first; else the task's own"},
    {"misfire", "WORD", CONFIG_STRING, FIELD(misfire),
     .help = "put: times that were missed: skip, once or all"},
    {"overlap", "WORD", CONFIG_STRING, FIELD(overlap),
     .help = "put: while the job before runs: allow, skip or buffer"},
    {"jitter", "TIME", CONFIG_STRING, FIELD(jitter),
     .help = "put: each fire is late by up to that"},
    {"note", "TEXT", CONFIG_STRING, FIELD(note),
     .help = "put, pause: a line for whoever wonders"},
    {"from", "TIME", CONFIG_STRING, FIELD(from),
     .help = "next: from there on instead of from now"},
    {"count", "N", CONFIG_INT, FIELD(count), "5", 1, 10000,
     .help = "next: how many"},
    {"force", NULL, CONFIG_BOOL, FIELD(force),
     .help = "put: also a task that no application has told of yet"},
    SESSION_OPTIONS(struct schedules_options),
    {0},
};

static const struct config_program program = {
    .name = "pit schedules",
    .synopsis = "pit schedules [list] | show NAME | put NAME [OPTION...] | "
                "pause NAME | resume NAME | trigger NAME | delete NAME | "
                "next [NAME]",
    .about = "Lists schedules, changes them, and tells when one fires next; "
             "`next --cron LINE` tells it of a line that is no schedule yet.",
    .options = option_table,
};

struct schedules_command {
    const struct schedules_options *options;
    struct str name;
};

static const struct schedules_options *
options_of(const struct session *session)
{
    return ((const struct schedules_command *)session->arg)->options;
}

static struct str
name_of(const struct session *session)
{
    return ((const struct schedules_command *)session->arg)->name;
}

/* ---- list and show ---- */

static const char *const heads[] = {"SCHEDULE", "WHEN",  "ZONE", "TASK",
                                    "QUEUE",    "STATE", "NEXT", "LAST"};

static void
add_when(struct table *table, const struct schedule *s)
{
    char text[TEXT_SIZE];

    switch (s->when) {
    case SCHEDULE_CRON:
        table_add(table, "%.*s", STR_ARG(s->cron_text));
        table_add(table, "%.*s", STR_ARG(s->timezone));
        return;
    case SCHEDULE_EVERY:
        table_add(table, "every %s", clock_words(s->every_ms, text));
        break;
    default:
        table_add(table, "at %s", text_time(s->at_ms, text));
    }
    table_add(table, "%s", "");
}

static void
add_row(struct table *table, const struct schedule_view *view)
{
    const struct schedule *s = &view->schedule;
    char when[TEXT_SIZE] = "";
    int64_t next_ms;

    table_add(table, "%s", view->name);
    add_when(table, s);
    table_add(table, "%.*s", STR_ARG(s->spec.task));
    table_add(table, "%s", view->queue);
    table_add(table, "%s%s", s->paused ? "paused" : "active",
              s->modified ? ", modified" : "");
    if (schedule_json_next(view, &next_ms, 1) == 1)
        text_time(schedule_times_fire(s, next_ms), when);
    table_add(table, "%s", when);
    table_add(table, "%s",
              view->fires_len > 0 ? schedules_fire_name(view->fires[0].what)
                                  : "");
}

static enum status
list(struct co *co, struct session *session)
{
    struct schedule_place *places = NULL;
    struct schedule_view view;
    struct table table;
    struct buf json;
    size_t n = 0;

    table_init(&table, "llllllll", heads);
    buf_init(&json, (size_t)1 << 30);
    buf_add_c(&json, "{\"schedules\":[");
    enum status st =
        schedules_list(co, session->queues, &places, &n, &session->err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = schedules_get(co, session->queues, str_c(places[i].name), &view,
                           &session->err);
        if (st == ST_OK) {
            add_row(&table, &view);
            if (json.p[json.len - 1] != '[')
                buf_add_char(&json, ',');
            schedule_json_write(&view, &json);
        }
        schedules_view_clear(&view);
        if (st == ST_NOT_FOUND || st == ST_INVALID)
            st = ST_OK; /* deleted meanwhile, or damaged */
    }
    buf_add_c(&json, "]}\n");
    if (st == ST_OK && session->options->json)
        fwrite(json.p, 1, json.len, stdout);
    else if (st == ST_OK)
        table_print(&table, stdout);
    buf_clear(&json);
    table_clear(&table);
    free(places);
    return st;
}

static void
print_json(const struct schedule_view *view)
{
    struct buf json;

    buf_init(&json, SCHEDULE_JSON_MAX * 2);
    schedule_json_write(view, &json);
    printf("%.*s\n", (int)json.len, json.p);
    buf_clear(&json);
}

static void
print_fires(const struct schedule_view *view)
{
    static const char *const fire_heads[] = {"FOR", "FIRED", "OUTCOME", "JOB"};
    char when[TEXT_SIZE];
    struct table table;

    if (view->fires_len == 0)
        return;
    putchar('\n');
    table_init(&table, "llll", fire_heads);
    for (size_t i = 0; i < view->fires_len; i++) {
        const struct schedule_fire *fire = &view->fires[i];
        table_add(&table, "%s", text_time(fire->nominal_ms, when));
        table_add(&table, "%s", text_time(fire->at_ms, when));
        table_add(&table, "%s", schedules_fire_name(fire->what));
        if (fire->what == 'm')
            table_add(&table, "%" PRId64 " times", fire->missed);
        else if (fire->local.n > 0)
            table_add(&table, "%s.%.*s", view->queue, STR_ARG(fire->local));
        else
            table_add(&table, "%s", "");
    }
    table_print(&table, stdout);
    table_clear(&table);
}

static enum status
show(struct co *co, struct session *session)
{
    struct schedule_view view;
    struct table table;

    enum status st = schedules_get(co, session->queues, name_of(session), &view,
                                   &session->err);
    if (st == ST_OK && session->options->json)
        print_json(&view);
    else if (st == ST_OK) {
        table_init(&table, "llllllll", heads);
        add_row(&table, &view);
        table_print(&table, stdout);
        table_clear(&table);
        text_print_line("note", view.schedule.note);
        text_print_line("args", view.schedule.spec.args);
        print_fires(&view);
    }
    schedules_view_clear(&view);
    return st;
}

/* ---- put ---- */

/* "pointer: message" instead of a pointer that nobody would see. */
static enum status
explain(struct session *session, enum status st, const struct error *err)
{
    return error_set(&session->err, st, "%s%s%s", err->pointer,
                     err->pointer[0] ? ": " : "", err->msg);
}

static enum status
set_times(struct schedule *s, const struct schedules_options *options,
          struct error *err)
{
    enum status st = ST_OK;
    int given = (options->cron != NULL) + (options->every_ms > 0) +
                (options->at != NULL);

    if (given > 1)
        return error_set(err, ST_INVALID,
                         "give one of --cron, --every and --at");
    if (options->cron)
        st = schedule_set_cron(s, str_c(options->cron), err);
    if (options->every_ms > 0)
        s->when = SCHEDULE_EVERY, s->every_ms = options->every_ms;
    if (options->at) {
        s->when = SCHEDULE_AT;
        if (!clock_parse(str_c(options->at), &s->at_ms))
            return error_set(err, ST_INVALID,
                             "--at: not a time: give RFC 3339, such as "
                             "2027-01-01T08:00:00Z");
    }
    if (st == ST_OK && (options->timezone || (given && !s->zone)))
        st = schedule_set_timezone(
            s, options->timezone ? str_c(options->timezone) : STR("UTC"), err);
    if (st == ST_OK && given && s->when != SCHEDULE_CRON && !options->timezone)
        s->timezone = STR("UTC");
    return st;
}

static enum status
set_words(struct schedule *s, const struct schedules_options *options,
          struct error *err)
{
    if (options->misfire &&
        !schedule_misfire_parse(str_c(options->misfire), &s->misfire))
        return error_set(err, ST_INVALID,
                         "--misfire is \"skip\", \"once\" or \"all\"");
    if (options->overlap &&
        !schedule_overlap_parse(str_c(options->overlap), &s->overlap))
        return error_set(err, ST_INVALID,
                         "--overlap is \"allow\", \"skip\" or \"buffer\"");
    if (options->jitter &&
        !str_to_duration_ms(str_c(options->jitter), &s->jitter_ms))
        return error_set(err, ST_INVALID,
                         "--jitter: not a duration: give 500ms, 30s or 5m");
    if (options->note)
        s->note = str_c(options->note);
    return ST_OK;
}

static enum status
set_args(struct job_spec *spec, const char *args, struct error *err)
{
    struct jsontext value;
    struct error why;

    if (!args)
        return ST_OK;
    if (jsontext_check(str_c(args), &value, &why) != ST_OK)
        return error_set(err, ST_INVALID, "--args: %s", why.msg);
    spec->args = value.raw;
    return ST_OK;
}

/* The task's policy, for a new schedule or another task. */
static enum status
set_task(struct co *co, struct session *session, struct task_entry *entry,
         struct schedule *s)
{
    const struct schedules_options *options = options_of(session);
    struct str name = str_c(options->task);
    struct str args = s->spec.args;
    struct rds_call call = {0};

    enum status st =
        registry_get_task(co, session->queues, name, &call, &session->err);
    if (st == ST_OK)
        st = task_entry_read(str_from(call.reply->str, call.reply->len), entry,
                             &session->err);
    else if (st == ST_UNKNOWN_TASK && options->force)
        st = task_entry_read(STR("{}"), entry, &session->err);
    else if (st == ST_UNKNOWN_TASK)
        st = error_set(&session->err, st,
                       "no worker has told of a task \"%s\": pit tasks lists "
                       "them; --force takes it all the same",
                       options->task);
    rds_call_clear(&call);
    if (st != ST_OK)
        return st;
    entry->task.name = options->task;
    task_entry_spec(&entry->task, &s->spec);
    s->spec.args = args;
    return ST_OK;
}

static enum status
put(struct co *co, struct session *session)
{
    const struct schedules_options *options = options_of(session);
    struct task_entry entry;
    struct schedule_view view;
    struct error err = {.status = ST_OK};

    enum status st = schema_claim(co, session->queues, &session->err);
    if (st != ST_OK)
        return st;
    st = schedules_get(co, session->queues, name_of(session), &view,
                       &session->err);
    bool is_new = st == ST_NOT_FOUND;
    struct schedule s = view.schedule;
    s.name = name_of(session);
    if (is_new)
        st = ST_OK;
    if (is_new && !options->task)
        st =
            error_set(&session->err, ST_INVALID, "a new schedule needs --task");
    if (st == ST_OK && is_new && !options->cron && !options->at &&
        options->every_ms <= 0)
        st = error_set(&session->err, ST_INVALID,
                       "a new schedule needs --cron, --every or --at");
    if (st == ST_OK && options->task)
        st = set_task(co, session, &entry, &s);
    if (st != ST_OK)
        goto out;
    if (options->queue)
        s.spec.queue = str_c(options->queue);
    if (options->priority >= 0)
        s.spec.priority = (int)options->priority;
    st = set_times(&s, options, &err);
    if (st == ST_OK)
        st = set_words(&s, options, &err);
    if (st == ST_OK)
        st = set_args(&s.spec, options->args, &err);
    if (st == ST_OK)
        st = schedule_check(&s, &err);
    if (st == ST_OK)
        st = schedules_put(co, session->queues, &s, &view, &err);
    if (st != ST_OK)
        st = explain(session, st, &err);
out:
    schedules_view_clear(&view);
    return st == ST_OK ? show(co, session) : st;
}

/* ---- the rest ---- */

static enum status
set_paused(struct co *co, struct session *session, bool paused)
{
    const struct schedules_options *options = options_of(session);
    struct str note = paused ? str_c(options->note) : STR_NULL;

    enum status st = schedules_change_paused(
        co, session->queues, name_of(session), paused, note, &session->err);
    return st == ST_OK ? show(co, session) : st;
}

static enum status
pause_it(struct co *co, struct session *session)
{
    return set_paused(co, session, true);
}

static enum status
resume(struct co *co, struct session *session)
{
    return set_paused(co, session, false);
}

static enum status
trigger(struct co *co, struct session *session)
{
    char local[ID_LOCAL_MAX + 1], id[ID_JOB_MAX + 1];
    struct schedule_view view;

    enum status st = schedules_get(co, session->queues, name_of(session), &view,
                                   &session->err);
    if (st == ST_OK)
        st =
            schedules_trigger(co, session->queues, &view, local, &session->err);
    snprintf(id, sizeof id, "%s.%s", view.queue, st == ST_OK ? local : "");
    if (st == ST_OK && session->options->json)
        text_print_json(json_pack("{s:s}", "id", id));
    else if (st == ST_OK)
        puts(id);
    schedules_view_clear(&view);
    return st;
}

static enum status
delete_it(struct co *co, struct session *session)
{
    struct schedule_view view;

    enum status st = schedules_get(co, session->queues, name_of(session), &view,
                                   &session->err);
    if (st == ST_OK)
        st = schedules_change_delete(co, session->queues, &view, &session->err);
    schedules_view_clear(&view);
    return st;
}

/* ---- next ---- */

static void
print_times(const struct schedule_view *view, size_t max, bool json)
{
    int64_t *times = calloc(max, sizeof *times);
    size_t n = times ? schedule_json_next(view, times, max) : 0;
    json_t *array = json_array();
    char when[TEXT_SIZE];

    for (size_t i = 0; i < n; i++) {
        text_time(schedule_times_fire(&view->schedule, times[i]), when);
        if (json)
            json_array_append_new(array, json_string(when));
        else
            puts(when);
    }
    if (json)
        text_print_json(json_pack("{s:O}", "next", array));
    json_decref(array);
    free(times);
}

static enum status
next_of_schedule(struct co *co, struct session *session)
{
    const struct schedules_options *options = options_of(session);
    struct schedule_view view;

    enum status st = schedules_get(co, session->queues, name_of(session), &view,
                                   &session->err);
    if (st == ST_OK)
        print_times(&view, (size_t)options->count, session->options->json);
    schedules_view_clear(&view);
    return st;
}

/* Needs no Redis. */
static int
next_of_line(const struct command *command,
             const struct schedules_options *options)
{
    struct schedule_view view = {0};
    struct error err = {.status = ST_OK};
    int64_t from_ms = clock_wall_ms();

    schedule_init(&view.schedule);
    enum status st = set_times(&view.schedule, options, &err);
    if (st == ST_OK && options->from &&
        !clock_parse(str_c(options->from), &from_ms))
        st = error_set(&err, ST_INVALID,
                       "--from: not a time: give RFC 3339, such as "
                       "2027-01-01T08:00:00Z");
    if (st != ST_OK)
        return command_fail(command, COMMAND_USAGE, "%s%s%s", err.pointer,
                            err.pointer[0] ? ": " : "", err.msg);
    view.nominal_ms = schedule_times_next(&view.schedule, from_ms);
    print_times(&view, (size_t)options->count, options->session.json);
    return COMMAND_OK;
}

static const struct {
    const char *word;
    bool named;
    enum status (*run)(struct co *co, struct session *session);
} verbs[] = {
    {"list", false, list},       {"show", true, show},
    {"put", true, put},          {"pause", true, pause_it},
    {"resume", true, resume},    {"trigger", true, trigger},
    {"delete", true, delete_it}, {"next", true, next_of_schedule},
};

static int
run(const void *values, int words_len, char *const *words)
{
    const struct schedules_options *options = values;
    struct schedules_command command = {.options = options};
    const char *word = words_len > 0 ? words[0] : "list";

    if (strcmp(word, "next") == 0 && words_len == 1 && options->cron)
        return next_of_line(&cmd_schedules, options);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(word, verbs[i].word) != 0)
            continue;
        if (words_len > 1 + verbs[i].named)
            return command_fail(&cmd_schedules, COMMAND_USAGE,
                                "%s takes no word \"%s\"", word,
                                words[words_len - 1]);
        if (verbs[i].named && words_len < 2)
            return command_fail(
                &cmd_schedules, COMMAND_USAGE,
                "%s which one? name a schedule%s", word,
                verbs[i].run == next_of_schedule ? ", or give --cron" : "");
        command.name = words_len > 1 ? str_c(words[1]) : STR_NULL;
        return session_run(&cmd_schedules, &options->session, verbs[i].run,
                           &command);
    }
    return command_fail(&cmd_schedules, COMMAND_USAGE,
                        "there is no \"%s\": it is list, show, put, pause, "
                        "resume, trigger, delete or next",
                        word);
}

const struct command cmd_schedules = {
    .name = "schedules",
    .about = "jobs that are enqueued again and again",
    .program = &program,
    .options_size = sizeof(struct schedules_options),
    .run = run,
};
