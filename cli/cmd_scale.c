/* pit scale - how many workers a queue asks for, and why. */
#include <inttypes.h>
#include <math.h>

#include "app/document/scale_json.h"
#include "base/clock.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct scale_options {
    struct session_options session;
    int64_t target_ms;
    int64_t slots; /* 0: the mean of those alive */
};

#define FIELD(name) offsetof(struct scale_options, name)

static const struct config_option option_table[] = {
    {"target", "TIME", CONFIG_DURATION, FIELD(target_ms), "60s",
     QUEUE_SCALE_TARGET_MIN_MS, QUEUE_SCALE_TARGET_MAX_MS,
     .help = "in which what waits should be done"},
    {"slots", "N", CONFIG_INT, FIELD(slots), "0", 0, QUEUE_SCALE_SLOTS_MAX,
     .help = "that one worker has; 0: the mean of those alive"},
    SESSION_OPTIONS(struct scale_options),
    {0},
};

static const struct config_program program = {
    .name = "pit scale",
    .synopsis = "pit scale QUEUE [OPTION...]",
    .about = "Says how many workers a queue asks for, by what arrived, ended "
             "and failed in about the last minute, and how long it takes until "
             "nothing waits.",
    .options = option_table,
};

struct scaling {
    const char *queue;
    const struct scale_options *options;
};

/* A rate close to nothing makes a time that no integer holds. */
static const char *
duration(double s, char dst[TEXT_SIZE])
{
    static const double most_s = 1e12;

    return clock_words(s < 0 ? -1 : (int64_t)(fmin(s, most_s) * 1000), dst);
}

static void
add_number(struct table *table, const char *name, int64_t n)
{
    table_add(table, "%s", name);
    table_add(table, "%" PRId64, n);
}

static void
print_text(const char *queue, const struct queue_scale *scale,
           int64_t slots_each)
{
    const struct queue_rates *rates = &scale->rates;
    char text[TEXT_SIZE];
    struct table table;

    table_init(&table, "ll", NULL);
    table_add(&table, "queue");
    table_add(&table, "%s", queue);
    table_add(&table, "in, out, failed");
    if (rates->window_s > 0)
        table_add(&table, "%.1f/s, %.1f/s, %.1f/s over %s",
                  rates->enqueued_per_s, rates->succeeded_per_s,
                  rates->failed_per_s, duration(rates->window_s, text));
    else
        table_add(&table, "not known yet");
    add_number(&table, "waiting", scale->waiting);
    add_number(&table, "running", scale->running);
    table_add(&table, "drained in");
    if (scale->drain_s < 0)
        table_add(&table, rates->window_s > 0 ? "never at these rates"
                                              : "not known yet");
    else
        table_add(&table, "%s", duration(scale->drain_s, text));
    table_add(&table, "an attempt takes");
    if (scale->attempt_s < 0)
        table_add(&table, "not known");
    else
        table_add(&table, "%s", duration(scale->attempt_s, text));
    add_number(&table, "workers", scale->workers);
    add_number(&table, "slots", scale->slots);
    add_number(&table, "wanted slots", scale->wanted);
    add_number(&table, "wanted workers",
               queue_scale_wanted_workers(scale, slots_each));
    table_print(&table, stdout);
    table_clear(&table);
}

static enum status
show(struct co *co, struct session *session)
{
    const struct scaling *what = session->arg;
    struct queue_counts counts;
    struct queue_scale scale;

    enum status st = queue_counts(co, session->queues, str_c(what->queue),
                                  &counts, &session->err);
    if (st == ST_OK)
        st = queue_scale(co, session->queues, &counts, what->options->target_ms,
                         &scale, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json)
        text_print_json(scale_json(counts.name, &scale, what->options->slots));
    else
        print_text(counts.name, &scale, what->options->slots);
    return ST_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    struct scaling what = {.options = values};

    if (words_len != 1 || !id_queue_valid(str_c(words[0])))
        return command_fail(&cmd_scale, COMMAND_USAGE,
                            "name one queue: pit queues lists them");
    what.queue = words[0];
    return session_run(&cmd_scale, &what.options->session, show, &what);
}

const struct command cmd_scale = {
    .name = "scale",
    .about = "say how many workers a queue asks for",
    .program = &program,
    .options_size = sizeof(struct scale_options),
    .run = run,
};
