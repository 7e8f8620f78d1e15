/* pit watch - queues and workers as they are now, again and again.
 *
 * On a terminal the page repaints in place; into a pipe goes one line a queue
 * each time, or one JSON document with --json. Rates are those between two
 * looks.
 */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "app/document/worker_list.h"
#include "base/clock.h"
#include "base/log.h"
#include "screen.h"
#include "session.h"
#include "table.h"
#include "text.h"

struct watch_options {
    struct session_options session;
    int64_t every_ms;
    int64_t count;
};

#define FIELD(name) offsetof(struct watch_options, name)

static const struct config_option option_table[] = {
    {"every", "TIME", CONFIG_DURATION, FIELD(every_ms), "1s", 100, 3600000,
     .help = "between two looks"},
    {"count", "N", CONFIG_INT, FIELD(count), "0", 0, 1000000000,
     .help = "look so many times, then end; 0: until q or Ctrl-C"},
    SESSION_OPTIONS(struct watch_options),
    {0},
};

static const struct config_program program = {
    .name = "pit watch",
    .synopsis = "pit watch [OPTION...]",
    .about = "Shows queues and workers, and goes on doing so: a page that "
             "repaints in place on a terminal (q ends it), plain lines in a "
             "pipe.",
    .options = option_table,
};

enum { KEY_EVERY_MS = 50 };

/* A queue, and what it had counted when it was looked at before. */
struct watched {
    struct queue_counts counts;
    int64_t enqueued, ended; /* before */
    int64_t looked_ms;       /* before, by Redis' clock; 0: never */
    double in_per_s, out_per_s;
    bool there;
};

struct watch {
    const struct watch_options *options;
    struct watched *queues; /* sorted by name */
    size_t len;
    json_t *workers;
    bool painted; /* on a terminal */
    bool stop;
};

static void
on_signal(int signo, void *arg)
{
    struct watch *watch = arg;

    (void)signo;
    watch->stop = true;
}

/* --- looking ----------------------------------------------------------------
 */

static int64_t
ended_of(const struct queue_counts *counts)
{
    return counts->succeeded + counts->dead + counts->expired;
}

static struct watched *
find(struct watch *watch, const char *name)
{
    assert(name);
    for (size_t i = 0; i < watch->len; i++)
        if (strcmp(watch->queues[i].counts.name, name) == 0)
            return &watch->queues[i];
    return NULL;
}

static void
take(struct watched *queue, const struct watched *before,
     const struct queue_counts *counts)
{
    int64_t passed_ms = 0;

    *queue = (struct watched){.counts = *counts, .there = true};
    if (before)
        passed_ms = counts->now_ms - before->looked_ms;
    if (passed_ms > 0) {
        double s = (double)passed_ms / 1000;
        queue->in_per_s = (double)(counts->enqueued - before->enqueued) / s;
        queue->out_per_s = (double)(ended_of(counts) - before->ended) / s;
    }
    queue->enqueued = counts->enqueued;
    queue->ended = ended_of(counts);
    queue->looked_ms = counts->now_ms;
}

static enum status
look(struct co *co, struct session *session, struct watch *watch)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    struct queue_counts counts;
    size_t n = 0;

    enum status st =
        queue_names(co, session->queues, &names, &n, &session->err);
    if (st != ST_OK)
        return st;
    struct watched *queues = xcalloc(n + 1, sizeof *queues);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = queue_counts(co, session->queues, str_c(names[i]), &counts,
                          &session->err);
        if (st == ST_OK)
            take(&queues[i], find(watch, names[i]), &counts);
    }
    free(names);
    if (st != ST_OK) {
        free(queues);
        return st;
    }
    free(watch->queues);
    watch->queues = queues;
    watch->len = n;
    json_decref(watch->workers);
    watch->workers = NULL;
    return worker_list_read(co, session->queues, &watch->workers,
                            &session->err);
}

/* --- as a page --------------------------------------------------------------
 */

static const char *
flags_of(const struct queue_counts *counts)
{
    return counts->paused ? "paused" : "open";
}

static void
add_queues(const struct watch *watch, FILE *out)
{
    static const char *const heads[] = {
        "QUEUE", "READY", "SCHEDULED", "RUNNING", "RETRYING",
        "DEAD",  "IN/S",  "OUT/S",     "OLDEST",  "STATE"};
    struct table table;
    char oldest[TEXT_SIZE];

    table_init(&table, "lrrrrrrrrl", heads);
    for (size_t i = 0; i < watch->len; i++) {
        const struct watched *queue = &watch->queues[i];
        const int64_t *count = queue->counts.count;
        table_add(&table, "%s", queue->counts.name);
        table_add(&table, "%" PRId64, count[JOB_READY]);
        table_add(&table, "%" PRId64, count[JOB_SCHEDULED]);
        table_add(&table, "%" PRId64, count[JOB_RUNNING]);
        table_add(&table, "%" PRId64, count[JOB_RETRYING]);
        table_add(&table, "%" PRId64, count[JOB_DEAD] + count[JOB_QUARANTINED]);
        table_add(&table, "%.0f", queue->in_per_s);
        table_add(&table, "%.0f", queue->out_per_s);
        table_add(&table, "%s",
                  clock_words(queue->counts.oldest_ready_ms, oldest));
        table_add(&table, "%s", flags_of(&queue->counts));
    }
    table_print(&table, out);
    table_clear(&table);
}

static void
add_workers(const struct watch *watch, FILE *out)
{
    static const char *const heads[] = {"WORKER", "STATE",   "HOST",
                                        "SLOTS",  "RUNNING", "MEMORY"};
    struct table table;
    json_t *worker;
    size_t i;

    table_init(&table, "lllrrr", heads);
    json_array_foreach(watch->workers, i, worker)
    {
        table_add(&table, "%s", text_member(worker, "id"));
        table_add(&table, "%s", text_member(worker, "state"));
        table_add(&table, "%s", text_member(worker, "host"));
        table_add(&table, "%" PRId64, text_number(worker, "slots"));
        table_add(&table, "%zu",
                  json_array_size(json_object_get(worker, "running")));
        table_add(&table, "%.1f MiB",
                  (double)text_number(worker, "rss_bytes") / (1 << 20));
    }
    table_print(&table, out);
    table_clear(&table);
}

static void
paint(const struct watch *watch)
{
    char *text = NULL;
    size_t n = 0;
    char when[CLOCK_TIME_LEN + 1];
    FILE *out = open_memstream(&text, &n);

    if (!out)
        log_fatal("out of memory");
    clock_format(clock_wall_ms(), when);
    fprintf(out, "pit watch  %s  q: quit\n\n", when);
    add_queues(watch, out);
    fputc('\n', out);
    add_workers(watch, out);
    fclose(out);
    screen_paint(str_from(text, n));
    free(text);
}

/* --- as lines ---------------------------------------------------------------
 */

static void
print_lines(const struct watch *watch)
{
    char when[CLOCK_TIME_LEN + 1];

    clock_format(clock_wall_ms(), when);
    for (size_t i = 0; i < watch->len; i++) {
        const struct watched *queue = &watch->queues[i];
        const int64_t *count = queue->counts.count;
        printf("%s %s ready %" PRId64 " scheduled %" PRId64 " running %" PRId64
               " retrying %" PRId64 " dead %" PRId64 " in/s %.1f out/s %.1f "
               "%s\n",
               when, queue->counts.name, count[JOB_READY], count[JOB_SCHEDULED],
               count[JOB_RUNNING], count[JOB_RETRYING],
               count[JOB_DEAD] + count[JOB_QUARANTINED], queue->in_per_s,
               queue->out_per_s, flags_of(&queue->counts));
    }
    printf("%s workers %zu\n", when, json_array_size(watch->workers));
}

static void
print_json(const struct watch *watch)
{
    char when[CLOCK_TIME_LEN + 1];
    json_t *queues = json_array();

    clock_format(clock_wall_ms(), when);
    for (size_t i = 0; i < watch->len; i++) {
        const struct watched *queue = &watch->queues[i];
        json_t *counts = json_object();
        for (int s = 0; s < JOB_STATES; s++)
            json_object_set_new(counts, job_state_name((enum job_state)s),
                                json_integer(queue->counts.count[s]));
        json_array_append_new(queues,
                              json_pack("{s:s, s:b, s:o, s:f, s:f}", "name",
                                        queue->counts.name, "paused",
                                        queue->counts.paused, "counts", counts,
                                        "in_per_s", queue->in_per_s,
                                        "out_per_s", queue->out_per_s));
    }
    text_print_json(json_pack("{s:s, s:o, s:O}", "at", when, "queues", queues,
                              "workers", watch->workers));
}

/* --- again and again --------------------------------------------------------
 */

/* Until the time is up, or somebody wants to end it. */
static enum status
pause_between(struct co *co, struct watch *watch)
{
    int64_t until_ms = clock_mono_ms() + watch->options->every_ms;
    enum status st = ST_OK;

    while (st == ST_OK && !watch->stop && clock_mono_ms() < until_ms) {
        int64_t left_ms = until_ms - clock_mono_ms();
        st = co_sleep(co, left_ms < KEY_EVERY_MS ? left_ms : KEY_EVERY_MS);
        char key = screen_key();
        if (key == 'q' || key == 'Q')
            watch->stop = true;
    }
    return st;
}

static enum status
run_watch(struct co *co, struct session *session)
{
    struct watch *watch = session->arg;
    bool json = session->options->json;
    enum status st = ST_OK;

    loop_on_signal(session->loop, SIGINT, on_signal, watch);
    loop_on_signal(session->loop, SIGTERM, on_signal, watch);
    watch->painted = !json && screen_open();
    for (int64_t n = 1; st == ST_OK && !watch->stop; n++) {
        st = look(co, session, watch);
        if (st != ST_OK)
            break;
        if (watch->painted)
            paint(watch);
        else if (json)
            print_json(watch);
        else
            print_lines(watch);
        if (fflush(stdout) != 0 || n == watch->options->count)
            break;
        st = pause_between(co, watch);
    }
    screen_close();
    free(watch->queues);
    json_decref(watch->workers);
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct watch_options *options = values;
    struct watch watch = {.options = options};

    (void)words;
    if (words_len != 0)
        return command_fail(&cmd_watch, COMMAND_USAGE, "takes no words");
    return session_run(&cmd_watch, &options->session, run_watch, &watch);
}

const struct command cmd_watch = {
    .name = "watch",
    .about = "queues and workers, live",
    .program = &program,
    .options_size = sizeof(struct watch_options),
    .run = run,
};
