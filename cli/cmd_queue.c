/* pit queue - one queue: what it holds, how fast it goes, what it was told; and
 * tells it. */
#include <inttypes.h>
#include <stdlib.h>

#include "app/document/queue_json.h"
#include "base/clock.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct queue_options {
    struct session_options session;
    const char *length;
    const char *bytes;
    const char *concurrency;
    const char *rate;
    const char *ended;
    const char *dead;
    const char *dead_for;
    const char *quarantined;
    const char *quarantined_for;
    const char *retries;
    const char *backoff;
    const char *backoff_base;
    const char *backoff_cap;
    const char *backoff_jitter;
    const char *note;
};

#define FIELD(name) offsetof(struct queue_options, name)

static const struct config_option option_table[] = {
    {"length", "N", CONFIG_STRING, FIELD(length), "",
     .help = "jobs that may wait; more are refused. none: any number"},
    {"bytes", "N", CONFIG_STRING, FIELD(bytes), "",
     .help = "bytes of the records of those that wait, or none"},
    {"concurrency", "N", CONFIG_STRING, FIELD(concurrency), "",
     .help = "jobs that may run at once, over all workers, or none"},
    {"rate", "N/TIME", CONFIG_STRING, FIELD(rate), "",
     .help = "jobs that may start in a time: 100/m, or none"},
    {"ended", "N", CONFIG_STRING, FIELD(ended), "",
     .help = "ended jobs that are kept at most; none: the standard"},
    {"dead", "N", CONFIG_STRING, FIELD(dead), "",
     .help = "dead jobs that are kept at most; none: the standard"},
    {"dead-for", "TIME", CONFIG_STRING, FIELD(dead_for), "",
     .help = "how long a dead job is kept; none: the standard"},
    {"quarantined", "N", CONFIG_STRING, FIELD(quarantined), "",
     .help = "quarantined jobs that are kept at most; none: the standard"},
    {"quarantined-for", "TIME", CONFIG_STRING, FIELD(quarantined_for), "",
     .help = "how long a quarantined job is kept; none: the standard"},
    {"retries", "N", CONFIG_STRING, FIELD(retries), "",
     .help = "of jobs enqueued from now on that, and whose task, do not say; "
             "none: the standard"},
    {"backoff", "KIND", CONFIG_STRING, FIELD(backoff), "",
     .help = "of their retries: fixed or exponential; none: the standard"},
    {"backoff-base", "TIME", CONFIG_STRING, FIELD(backoff_base), "",
     .help = "before their first retry; none: the standard"},
    {"backoff-cap", "TIME", CONFIG_STRING, FIELD(backoff_cap), "",
     .help = "the longest time before a retry; none: the standard"},
    {"backoff-jitter", "PART", CONFIG_STRING, FIELD(backoff_jitter), "",
     .help = "how much of that is random, 0 to 1; none: the standard"},
    {"note", "TEXT", CONFIG_STRING, FIELD(note), "",
     .help = "for whoever looks at it; none: removes it"},
    SESSION_OPTIONS(struct queue_options),
    {0},
};

static const struct config_program program = {
    .name = "pit queue",
    .synopsis = "pit queue QUEUE [OPTION...]",
    .about = "Shows one queue with its limits and rates. Options change what "
             "they name, for all workers at once; none goes back to the "
             "standard.",
    .options = option_table,
};

struct telling {
    const char *queue;
    struct queue_setting changes[QUEUE_SETTINGS_MAX];
    size_t n;
};

/* --- what is told -----------------------------------------------------------
 */

static bool
is_none(const char *text)
{
    return str_eq_c(str_c(text), "none");
}

static struct queue_setting *
add_change(struct telling *what, const char *name)
{
    what->changes[what->n] = (struct queue_setting){.name = name};
    return &what->changes[what->n++];
}

static enum status
read_number(struct telling *what, const char *option, const char *name,
            const char *text, int64_t max, struct error *err)
{
    int64_t n = 0;

    if (!text[0])
        return ST_OK;
    if (!is_none(text) && (!str_to_i64(str_c(text), &n) || n > max))
        return error_set(err, ST_INVALID,
                         "--%s: give 0 to %" PRId64 ", or none", option, max);
    struct queue_setting *setting = add_change(what, name);
    if (!is_none(text))
        snprintf(setting->value, sizeof setting->value, "%" PRId64, n);
    return ST_OK;
}

static enum status
read_rate(struct telling *what, const char *text, struct error *err)
{
    int64_t period_ms = 0;
    int32_t rate = 0;

    if (!text[0])
        return ST_OK;
    if (!is_none(text) && !job_rate_parse(str_c(text), &rate, &period_ms))
        return error_set(err, ST_INVALID,
                         "--rate: give so many in a time, such as 100/m, or "
                         "none");
    struct queue_setting *setting = add_change(what, "rate");
    if (!is_none(text))
        snprintf(setting->value, sizeof setting->value, "%" PRId32 "/%" PRId64,
                 rate, period_ms);
    return ST_OK;
}

/* @range: min_ms to max_ms in words. */
static enum status
read_time(struct telling *what, const char *option, const char *name,
          const char *text, int64_t min_ms, int64_t max_ms, const char *range,
          struct error *err)
{
    int64_t ms = 0;

    if (!text[0])
        return ST_OK;
    if (!is_none(text) &&
        (!str_to_duration_ms(str_c(text), &ms) || ms < min_ms || ms > max_ms))
        return error_set(err, ST_INVALID, "--%s: give %s, or none", option,
                         range);
    struct queue_setting *setting = add_change(what, name);
    if (!is_none(text))
        snprintf(setting->value, sizeof setting->value, "%" PRId64, ms);
    return ST_OK;
}

static enum status
read_kept(struct telling *what, const char *option, const char *name,
          const char *text, struct error *err)
{
    return read_time(what, option, name, text, 1000, JOB_KEEP_MAX_MS,
                     "1s to 365d", err);
}

static enum status
read_backoff(struct telling *what, const char *text, struct error *err)
{
    enum backoff_kind kind = BACKOFF_FIXED;

    if (!text[0])
        return ST_OK;
    if (!is_none(text) && !backoff_parse(str_c(text), &kind))
        return error_set(err, ST_INVALID,
                         "--backoff: give fixed, exponential, or none");
    struct queue_setting *setting =
        add_change(what, queue_retry_name(JOB_RETRY_BACKOFF));
    if (!is_none(text))
        setting->value[0] = backoff_name(kind)[0];
    return ST_OK;
}

static enum status
read_jitter(struct telling *what, const char *text, struct error *err)
{
    char *end;

    if (!text[0])
        return ST_OK;
    double jitter = strtod(text, &end);
    if (!is_none(text) && (*end || !(jitter >= 0 && jitter <= 1)))
        return error_set(err, ST_INVALID,
                         "--backoff-jitter: give 0 to 1, or none");
    struct queue_setting *setting =
        add_change(what, queue_retry_name(JOB_RETRY_JITTER));
    if (!is_none(text))
        snprintf(setting->value, sizeof setting->value, "%d",
                 (int)(jitter * 100 + 0.5));
    return ST_OK;
}

static enum status
read_retry(struct telling *what, const struct queue_options *options,
           struct error *err)
{
    static const char range[] = "1ms to 3650d";
    enum status st =
        read_number(what, "retries", queue_retry_name(JOB_RETRY_MAX),
                    options->retries, JOB_RETRIES_MAX, err);

    if (st == ST_OK)
        st = read_backoff(what, options->backoff, err);
    if (st == ST_OK)
        st = read_time(what, "backoff-base", queue_retry_name(JOB_RETRY_BASE),
                       options->backoff_base, 1, JOB_DELAY_MAX_MS, range, err);
    if (st == ST_OK)
        st = read_time(what, "backoff-cap", queue_retry_name(JOB_RETRY_CAP),
                       options->backoff_cap, 1, JOB_DELAY_MAX_MS, range, err);
    return st == ST_OK ? read_jitter(what, options->backoff_jitter, err) : st;
}

static enum status
read_changes(struct telling *what, const struct queue_options *options,
             struct error *err)
{
    enum status st = read_number(what, "length", "len_max", options->length,
                                 QUEUE_LEN_LIMIT_MAX, err);

    if (st == ST_OK)
        st = read_number(what, "bytes", "bytes_max", options->bytes,
                         QUEUE_BYTES_LIMIT_MAX, err);
    if (st == ST_OK)
        st = read_number(what, "concurrency", "concurrency",
                         options->concurrency, JOB_CONCURRENCY_MAX, err);
    if (st == ST_OK)
        st = read_number(what, "ended", "done_max", options->ended,
                         QUEUE_LEN_LIMIT_MAX, err);
    if (st == ST_OK)
        st = read_number(what, "dead", "dead_max", options->dead,
                         QUEUE_LEN_LIMIT_MAX, err);
    if (st == ST_OK)
        st = read_number(what, "quarantined", "quarantined_max",
                         options->quarantined, QUEUE_LEN_LIMIT_MAX, err);
    if (st == ST_OK)
        st = read_kept(what, "quarantined-for", "quarantined_ms",
                       options->quarantined_for, err);
    if (st == ST_OK)
        st = read_rate(what, options->rate, err);
    if (st == ST_OK)
        st = read_kept(what, "dead-for", "dead_ms", options->dead_for, err);
    if (st == ST_OK)
        st = read_retry(what, options, err);
    if (st == ST_OK && options->note[0])
        str_copy_to(is_none(options->note) ? STR_NULL : str_c(options->note),
                    add_change(what, "note")->value,
                    sizeof what->changes[0].value);
    return st;
}

/* --- what is shown ----------------------------------------------------------
 */

static void
add_limit(struct table *table, const char *name, int64_t n)
{
    table_add(table, "%s", name);
    if (n < 0)
        table_add(table, "none");
    else
        table_add(table, "%" PRId64, n);
}

static void
add_settings(struct table *table, const struct queue_settings *settings)
{
    char text[QUEUE_RATE_SIZE], kept[TEXT_SIZE];

    add_limit(table, "length", settings->len_max);
    add_limit(table, "bytes", settings->bytes_max);
    add_limit(table, "concurrency", settings->concurrency);
    table_add(table, "rate");
    table_add(table, "%s",
              settings->rate < 0 ? "none"
                                 : queue_settings_rate(settings, text));
    add_limit(table, "keeps ended", settings->done_max);
    add_limit(table, "keeps dead", settings->dead_max);
    table_add(table, "dead for");
    table_add(table, "%s", clock_words(settings->dead_ms, kept));
    add_limit(table, "keeps quarantined", settings->quarantined_max);
    table_add(table, "quarantined for");
    table_add(table, "%s", clock_words(settings->quarantined_ms, kept));
}

/* "8, exponential from 2s up to 1h, jitter 0.2": what a plain job gets, and
 * whether the queue was told any of it. */
static void
add_retry(struct table *table, const struct queue_retry *retry)
{
    char base[TEXT_SIZE], cap[TEXT_SIZE];
    struct job_spec spec;

    job_spec_init(&spec);
    spec.retry_open = JOB_RETRY_ALL;
    queue_retry_apply(retry, &spec);
    table_add(table, "retries");
    table_add(table, "%" PRId32 ", %s from %s up to %s, jitter %g%s",
              spec.retries, backoff_name(spec.backoff.kind),
              clock_words(spec.backoff.base_ms, base),
              clock_words(spec.backoff.cap_ms, cap), spec.backoff.jitter,
              retry->set ? "" : " (the standard)");
}

static void
print_text(const struct queue_overview *queue)
{
    const struct queue_settings *settings = &queue->settings;
    const struct queue_counts *counts = &queue->counts;
    const struct queue_rates *rates = &queue->rates;
    struct table table;
    char oldest[TEXT_SIZE];

    table_init(&table, "ll", NULL);
    table_add(&table, "queue");
    table_add(&table, "%s", counts->name);
    table_add(&table, "dispatch");
    table_add(&table, "%s", settings->paused ? "paused" : "open");
    table_add(&table, "intake");
    table_add(&table, "%s", settings->closed ? "closed" : "open");
    table_add(&table, "note");
    table_add(&table, "%s", settings->note);
    for (int i = 0; i < JOB_STATES; i++)
        if (i != JOB_CANCELLED && i != JOB_EXPIRED) {
            table_add(&table, "%s",
                      i == JOB_SUCCEEDED ? "ended"
                                         : job_state_name((enum job_state)i));
            table_add(&table, "%" PRId64, counts->count[i]);
        }
    table_add(&table, "oldest");
    table_add(&table, "%s", clock_words(counts->oldest_ready_ms, oldest));
    table_add(&table, "in, out, failed");
    table_add(&table, "%.1f/s, %.1f/s, %.1f/s", rates->enqueued_per_s,
              rates->succeeded_per_s, rates->failed_per_s);
    add_settings(&table, settings);
    add_retry(&table, &settings->retry);
    table_print(&table, stdout);
    table_clear(&table);
}

static void
print_json(const struct queue_overview *queue)
{
    struct buf text;

    buf_init(&text, QUEUE_JSON_MAX);
    queue_json_write(queue, &text);
    text_print_json(json_loadb(text.p, text.len, 0, NULL));
    buf_clear(&text);
}

static enum status
tell_and_show(struct co *co, struct session *session)
{
    const struct telling *what = session->arg;
    struct queue_overview queue;

    enum status st =
        queue_overview_get(co, session->queues, str_c(what->queue),
                           what->changes, what->n, &queue, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json)
        print_json(&queue);
    else
        print_text(&queue);
    return ST_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct queue_options *options = values;
    struct telling what = {.n = 0};
    struct error err;

    if (words_len != 1 || !id_queue_valid(str_c(words[0])))
        return command_fail(&cmd_queue, COMMAND_USAGE,
                            "name one queue: pit queues lists them");
    what.queue = words[0];
    if (read_changes(&what, options, &err) != ST_OK)
        return command_fail(&cmd_queue, COMMAND_USAGE, "%s", err.msg);
    return session_run(&cmd_queue, &options->session, tell_and_show, &what);
}

const struct command cmd_queue = {
    .name = "queue",
    .about = "show one queue, set its limits",
    .program = &program,
    .options_size = sizeof(struct queue_options),
    .run = run,
};
