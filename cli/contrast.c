/* Contrast: the phases, one after the other in each lane.
 *
 * Each request has an id that is never used again; the work writes it to a file
 * when it is done (bench/contrast). What was answered and what was done are so
 * two lists of ids, and the difference between them is what was lost. */
#include "contrast.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "contrast_load.h"

enum {
    PHASE_MS = 60 * 1000, /* for any phase, and for its work to be done */
    QUIET_MS = 500,
    LOST_AFTER_MS = 20 * 1000, /* a lease is a second */
};

struct bench {
    const struct contrast_options *options;
    struct contrast_servers servers;
    uint32_t next_id;
    struct error *err;
};

/* --- what was done -------------------------------------------------------- */

static size_t
done_count(const struct bench *bench)
{
    struct stat stat_;

    return stat(bench->servers.done, &stat_) == 0
               ? (size_t)stat_.st_size / sizeof(uint32_t)
               : 0;
}

/* How often each of the ids from @first was done, by id - @first; to be freed.
 * Counts to 255. */
static uint8_t *
done_times(const struct bench *bench, uint32_t first, uint32_t n)
{
    uint8_t *times = xcalloc(n, 1);
    uint32_t ids[1024];
    ssize_t bytes;
    int fd = open(bench->servers.done, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && (bytes = read(fd, ids, sizeof ids)) > 0)
        for (size_t i = 0; i < (size_t)bytes / sizeof *ids; i++)
            if (ids[i] >= first && ids[i] - first < n &&
                times[ids[i] - first] < UINT8_MAX)
                times[ids[i] - first]++;
    if (fd >= 0)
        close(fd);
    return times;
}

static void
nap(int64_t ms)
{
    nanosleep(
        &(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
        NULL);
}

static enum status
wait_done(struct bench *bench, size_t count, const char *lane)
{
    int64_t end_ms = clock_mono_ms() + PHASE_MS;

    while (done_count(bench) < count) {
        if (contrast_servers_interrupted())
            return error_set(bench->err, ST_CANCELLED, "interrupted");
        if (clock_mono_ms() > end_ms)
            return error_set(bench->err, ST_TIMEOUT,
                             "%s: the work was not done within %d s: ask for "
                             "less of it",
                             lane, PHASE_MS / 1000);
        nap(1);
    }
    return ST_OK;
}

/* --- the phases ----------------------------------------------------------- */

static struct contrast_load
load_of(struct bench *bench, const struct contrast_lane *lane, int64_t n,
        int64_t clients)
{
    struct contrast_load load = {
        .socket = bench->servers.web_socket,
        .path = lane->path,
        .first = bench->next_id,
        .n = (uint32_t)n,
        .clients = (uint32_t)(clients < n ? clients : n),
        .limit_ms = PHASE_MS,
    };

    bench->next_id += load.n;
    return load;
}

/* Runs it to the end of its work. *ret_us (may be NULL): how long that took. */
static enum status
run_load(struct bench *bench, const struct contrast_lane *lane,
         struct contrast_load *load, int64_t *ret_us)
{
    size_t before = done_count(bench);
    int64_t start_us = clock_mono_us();

    contrast_load_run(load);
    if (contrast_servers_interrupted())
        return error_set(bench->err, ST_CANCELLED, "interrupted");
    if (load->answered + load->refused < load->n)
        return error_set(bench->err, ST_UNAVAILABLE,
                         "%s: %u of %u requests were not answered", lane->name,
                         load->n - load->answered - load->refused, load->n);
    enum status st = wait_done(bench, before + load->answered, lane->name);
    if (st == ST_OK && ret_us)
        *ret_us = clock_mono_us() - start_us;
    return st;
}

static enum status
measure_answers(struct bench *bench, struct contrast_lane *lane)
{
    struct contrast_load load = load_of(bench, lane, CONTRAST_IDLE_REQUESTS, 1);

    enum status st = run_load(bench, lane, &load, NULL);
    lane->answer_p50_ms = contrast_percentile(load.took_us, load.answered, 50);
    lane->answer_p99_ms = contrast_percentile(load.took_us, load.answered, 99);
    contrast_load_clear(&load);
    return st;
}

static enum status
measure_throughput(struct bench *bench, struct contrast_lane *lane)
{
    struct contrast_load load =
        load_of(bench, lane, bench->options->requests, bench->options->clients);
    int64_t us = 0;

    enum status st = run_load(bench, lane, &load, &us);
    if (us > 0)
        lane->done_per_s = load.answered * 1e6 / (double)us;
    lane->refused = load.refused;
    contrast_load_clear(&load);
    return st;
}

static enum status
no_thread(struct bench *bench)
{
    return error_set(bench->err, ST_LIMIT, "no thread can be started");
}

static enum status
measure_quiet(struct bench *bench, struct contrast *ret)
{
    struct contrast_ping *ping = contrast_ping_start(bench->servers.web_socket);
    size_t n;

    if (!ping)
        return no_thread(bench);
    nap(QUIET_MS);
    int64_t *times_us = contrast_ping_stop(ping, &n);
    ret->quiet_p50_ms = contrast_percentile(times_us, n, 50);
    ret->quiet_p99_ms = contrast_percentile(times_us, n, 99);
    free(times_us);
    return ST_OK;
}

static enum status
measure_burst(struct bench *bench, struct contrast_lane *lane)
{
    struct contrast_load load =
        load_of(bench, lane, bench->options->burst, bench->options->burst);
    struct contrast_ping *ping = contrast_ping_start(bench->servers.web_socket);
    size_t n;

    if (!ping)
        return no_thread(bench);
    enum status st = run_load(bench, lane, &load, NULL);
    int64_t *times_us = contrast_ping_stop(ping, &n);
    lane->others_p50_ms = contrast_percentile(times_us, n, 50);
    lane->others_p99_ms = contrast_percentile(times_us, n, 99);
    lane->others_max_ms = contrast_percentile(times_us, n, 100);
    free(times_us);
    contrast_load_clear(&load);
    return st;
}

struct half {
    struct bench *bench;
    size_t done; /* kill when so many are done */
    bool killed;
};

/* Answers that have left are still read: only what comes after is cut. */
static bool
kill_at_half(void *arg)
{
    struct half *half = arg;

    if (!half->killed && done_count(half->bench) >= half->done) {
        contrast_servers_kill(&half->bench->servers);
        half->killed = true;
    }
    return false;
}

static uint32_t
count_lost(const struct contrast_load *load, const uint8_t *times)
{
    uint32_t lost = 0;

    for (uint32_t i = 0; i < load->n; i++)
        lost += load->fate[i] == CONTRAST_ANSWERED && times[i] == 0;
    return lost;
}

/* What the lane may still make up for, until nothing is lost or time is up. */
static enum status
wait_recovery(struct bench *bench, const struct contrast_load *load,
              struct contrast_lane *lane, bool durable)
{
    int64_t end_ms = clock_mono_ms() + (durable ? LOST_AFTER_MS : 0);

    for (;;) {
        uint8_t *times = done_times(bench, load->first, load->n);
        lane->lost = count_lost(load, times);
        lane->done = lane->twice = 0;
        for (uint32_t i = 0; i < load->n; i++) {
            lane->done += times[i] > 0;
            lane->twice += times[i] > 1;
        }
        free(times);
        if (contrast_servers_interrupted())
            return error_set(bench->err, ST_CANCELLED, "interrupted");
        if (lane->lost == 0 || clock_mono_ms() >= end_ms)
            return ST_OK;
        nap(20);
    }
}

static enum status
measure_kill(struct bench *bench, struct contrast_lane *lane, bool durable)
{
    struct contrast_load load =
        load_of(bench, lane, bench->options->burst, bench->options->burst);
    struct half half = {bench, done_count(bench) + load.n / 2, false};
    enum status st = ST_OK;

    load.stop = kill_at_half;
    load.arg = &half;
    contrast_load_run(&load);
    lane->asked = load.n;
    lane->answered = load.answered;
    if (!half.killed) {
        st = wait_done(bench, half.done, lane->name);
        contrast_servers_kill(&bench->servers);
    }
    if (st == ST_OK)
        st = contrast_servers_revive(&bench->servers, bench->err);
    if (st == ST_OK)
        st = wait_recovery(bench, &load, lane, durable);
    contrast_load_clear(&load);
    return st;
}

static enum status
measure_lane(struct bench *bench, struct contrast_lane *lane, bool durable)
{
    enum status st = measure_answers(bench, lane);

    if (st == ST_OK)
        st = measure_throughput(bench, lane);
    if (st == ST_OK)
        st = measure_burst(bench, lane);
    return st == ST_OK ? measure_kill(bench, lane, durable) : st;
}

enum status
contrast_measure(const struct contrast_options *options,
                 void (*tell)(const char *what), struct contrast *ret,
                 struct error *err)
{
    struct bench bench = {.options = options, .next_id = 1, .err = err};
    struct contrast found = {
        .lanes = {{.name = "awaited", .path = "/await"},
                  {.name = "detached", .path = "/detach"},
                  {.name = "queued", .path = "/enqueue"}},
    };

    enum status st =
        contrast_servers_start(&bench.servers, &options->work, err);
    if (st == ST_OK)
        st = measure_quiet(&bench, &found);
    for (size_t i = 0; i < CONTRAST_LANES && st == ST_OK; i++) {
        if (tell)
            tell(found.lanes[i].name);
        st = measure_lane(&bench, &found.lanes[i], i + 1 == CONTRAST_LANES);
    }
    contrast_servers_clear(&bench.servers);
    if (st == ST_OK)
        *ret = found;
    return st;
}
