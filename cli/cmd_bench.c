/* pit bench contrast - await, detach or enqueue? Measured here, now.
 *
 * See docs/views-or-queue.md for what the rows say. */
#include <sched.h>
#include <unistd.h>

#include "command.h"
#include "contrast.h"
#include "contrast_load.h"
#include "table.h"
#include "text.h"

struct bench_options {
    struct contrast_options contrast;
    bool json;
};

#define FIELD(name) offsetof(struct bench_options, name)

static const struct config_option option_table[] = {
    {"wait", "TIME", CONFIG_DURATION, FIELD(contrast.work.wait_ms), "50ms", 0,
     10000, .help = "what the work waits for somebody else"},
    {"cpu-us", "N", CONFIG_INT, FIELD(contrast.work.cpu_us), "1000", 0, 1000000,
     .help = "microseconds of CPU that it needs then"},
    {"requests", "N", CONFIG_INT, FIELD(contrast.requests), "1000", 10,
     CONTRAST_REQUESTS_MAX, .help = "pieces of work for the throughput"},
    {"clients", "N", CONFIG_INT, FIELD(contrast.clients), "64", 1,
     CONTRAST_CLIENTS_MAX, .help = "clients at once for the throughput"},
    {"burst", "N", CONFIG_INT, FIELD(contrast.burst), "200", 2,
     CONTRAST_CLIENTS_MAX, .help = "requests at the same time in a burst"},
    {"json", NULL, CONFIG_BOOL, FIELD(json), .help = "print JSON"},
    {0},
};

static const struct config_program program = {
    .name = "pit bench",
    .synopsis = "pit bench contrast [OPTION...]",
    .about = "Does the same work as an awaited view, as detached work and as a "
             "queued job, and prints what each costs and what each loses when "
             "everything but Redis is killed half way. Starts a Redis, a web "
             "process and a worker of its own, and ends them. Needs "
             "redis-server.",
    .options = option_table,
};

static void
tell(const char *lane)
{
    /* Standard output is for the result. */
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "measuring: %s\n", lane);
}

static int
cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* --- for people ----------------------------------------------------------- */

static void
head(struct table *table, const char *name)
{
    table_add(table, "%s", name);
}

static void
row_ms(struct table *table, const struct contrast *found, const char *name,
       size_t offset)
{
    head(table, name);
    for (size_t i = 0; i < CONTRAST_LANES; i++)
        table_add(
            table, "%.2f",
            *(const double *)(const void *)((const char *)&found->lanes[i] +
                                            offset));
}

static void
row_count(struct table *table, const struct contrast *found, const char *name,
          size_t offset)
{
    head(table, name);
    for (size_t i = 0; i < CONTRAST_LANES; i++)
        table_add(
            table, "%u",
            *(const uint32_t *)(const void *)((const char *)&found->lanes[i] +
                                              offset));
}

#define LANE(name) offsetof(struct contrast_lane, name)

static void
print_text(const struct contrast_options *options, const struct contrast *found)
{
    static const char *const heads[] = {"", "AWAITED", "DETACHED", "QUEUED"};
    struct table table;

    printf("The work waits %lld ms, then needs %lld us of CPU. 1 web process, "
           "1 worker, %d CPUs;\nRedis writes to disk each second.\n\n",
           (long long)options->work.wait_ms, (long long)options->work.cpu_us,
           cpus());
    table_init(&table, "lrrr", heads);
    row_ms(&table, found, "answer, one client: p50 ms", LANE(answer_p50_ms));
    row_ms(&table, found, "answer, one client: p99 ms", LANE(answer_p99_ms));
    head(&table, "work done a second");
    for (size_t i = 0; i < CONTRAST_LANES; i++)
        table_add(&table, "%.0f", found->lanes[i].done_per_s);
    row_count(&table, found, "  refused with 503", LANE(refused));
    row_ms(&table, found, "others in a burst: p50 ms", LANE(others_p50_ms));
    row_ms(&table, found, "others in a burst: p99 ms", LANE(others_p99_ms));
    row_ms(&table, found, "others in a burst: max ms", LANE(others_max_ms));
    row_count(&table, found, "killed half way: asked", LANE(asked));
    row_count(&table, found, "  answered with 2xx", LANE(answered));
    row_count(&table, found, "  done in the end", LANE(done));
    row_count(&table, found, "  ANSWERED AND LOST", LANE(lost));
    row_count(&table, found, "  done twice", LANE(twice));
    table_print(&table, stdout);
    table_clear(&table);
    printf("\nothers without a burst: p50 %.2f, p99 %.2f ms\n",
           found->quiet_p50_ms, found->quiet_p99_ms);
}

/* --- for machines --------------------------------------------------------- */

static json_t *
lane_json(const struct contrast_lane *lane)
{
    return json_pack(
        "{s:s, s:{s:f, s:f}, s:f, s:I, s:{s:f, s:f, s:f}, s:{s:I, s:I, s:I, "
        "s:I, s:I}}",
        "lane", lane->name, "answer_ms", "p50", lane->answer_p50_ms, "p99",
        lane->answer_p99_ms, "done_per_s", lane->done_per_s, "refused",
        (json_int_t)lane->refused, "others_ms", "p50", lane->others_p50_ms,
        "p99", lane->others_p99_ms, "max", lane->others_max_ms, "killed",
        "asked", (json_int_t)lane->asked, "answered",
        (json_int_t)lane->answered, "done", (json_int_t)lane->done, "lost",
        (json_int_t)lane->lost, "twice", (json_int_t)lane->twice);
}

static void
print_json(const struct contrast_options *options, const struct contrast *found)
{
    json_t *lanes = json_array();

    for (size_t i = 0; i < CONTRAST_LANES; i++)
        json_array_append_new(lanes, lane_json(&found->lanes[i]));
    text_print_json(json_pack(
        "{s:{s:I, s:I}, s:i, s:I, s:I, s:I, s:{s:f, s:f}, s:o}", "work",
        "wait_ms", (json_int_t)options->work.wait_ms, "cpu_us",
        (json_int_t)options->work.cpu_us, "cpus", cpus(), "requests",
        (json_int_t)options->requests, "clients", (json_int_t)options->clients,
        "burst", (json_int_t)options->burst, "quiet_ms", "p50",
        found->quiet_p50_ms, "p99", found->quiet_p99_ms, "lanes", lanes));
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct bench_options *options = values;
    struct contrast found;
    struct error err = {.msg = ""};

    if (words_len != 1 || strcmp(words[0], "contrast") != 0)
        return command_fail(&cmd_bench, COMMAND_USAGE,
                            "say what: pit bench contrast");
    enum status st = contrast_measure(&options->contrast, tell, &found, &err);
    if (st != ST_OK)
        return command_fail(&cmd_bench, COMMAND_FAILED, "%s", err.msg);
    if (options->json)
        print_json(&options->contrast, &found);
    else
        print_text(&options->contrast, &found);
    return COMMAND_OK;
}

const struct command cmd_bench = {
    .name = "bench",
    .about = "await, detach or enqueue? measured on this machine",
    .program = &program,
    .options_size = sizeof(struct bench_options),
    .run = run,
};
