/* bench-latency: from the call that enqueues to the first line of the handler.
 *
 * One job at a time, with a pause between them in which the worker falls
 * asleep, so each sample has a wake-up of Redis, of the dispatcher and of a
 * slot child in it. The task (tasks/tasks.c) sends the moment of its start back
 * over a datagram socket; both ends read CLOCK_MONOTONIC, which is one for the
 * whole machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { ANSWER_TIMEOUT_S = 10, WARM_UP = 20 };

struct options {
    const char *redis;
    const char *queue;
    const char *socket;
    int64_t jobs;
    int64_t pause_ms;
};

#define FIELD(name) offsetof(struct options, name)
static const struct config_option table[] = {
    {"redis", "URL", CONFIG_STRING, FIELD(redis), "redis://127.0.0.1:6379", 0,
     0, true, "where the queue lives"},
    {"queue", "NAME", CONFIG_STRING, FIELD(queue), "bench", 0, 0, false,
     "the queue of a worker that runs bench.stamp"},
    {"socket", "PATH", CONFIG_STRING, FIELD(socket), "/tmp/pit-bench.sock", 0,
     0, false, "where the handler answers; replaced when it is there"},
    {"jobs", "N", CONFIG_INT, FIELD(jobs), "1000", 1, 1000000, false,
     "how many samples"},
    {"pause", "TIME", CONFIG_DURATION, FIELD(pause_ms), "3ms", 0, 10000, false,
     "between two of them"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-latency",
    .synopsis = "bench-latency [OPTION...]",
    .about = "Measures the time from an enqueue to the start of its handler.",
    .options = table,
};

struct latency {
    struct options options;
    struct tool tool;
    int fd;
    struct sockaddr_un address;
    int64_t *samples_ns;
};

static int64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A socket in the abstract namespace would need no file, but its name cannot
 * stand in JSON. */
static void
listen_on(struct latency *latency)
{
    const struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};
    struct sockaddr_un *address = &latency->address;
    const char *path = latency->options.socket;

    if (strlen(path) >= sizeof address->sun_path || strpbrk(path, "\"\\"))
        tool_fail("%s: not a path for a socket", path);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path) + 1);
    unlink(path);
    latency->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (latency->fd < 0 ||
        bind(latency->fd, (struct sockaddr *)address, sizeof *address) != 0 ||
        setsockopt(latency->fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
                   sizeof limit) != 0)
        tool_fail("%s: %m", path);
}

/* Blocks its loop, on purpose: there is nothing else on it, and the sleep that
 * the kernel wakes is the same. */
static int64_t
started_ns(const struct latency *latency)
{
    int64_t ns;

    if (recv(latency->fd, &ns, sizeof ns, 0) != (ssize_t)sizeof ns)
        tool_fail("the handler did not start within %d s: %m",
                  ANSWER_TIMEOUT_S);
    return ns;
}

static enum status
measure(struct co *co, void *arg)
{
    struct latency *latency = arg;
    char args[sizeof latency->address.sun_path + 16];
    int n = snprintf(args, sizeof args, "{\"to\":\"%s\"}",
                     latency->address.sun_path);

    for (int64_t i = -WARM_UP; i < latency->options.jobs; i++) {
        struct enqueue e = {0};

        job_spec_init(&e.spec);
        e.spec.queue = str_c(latency->options.queue);
        e.spec.task = STR("bench.stamp");
        e.spec.args = str_from(args, (size_t)n);
        enum status st = co_sleep(co, latency->options.pause_ms);
        int64_t start = now_ns();
        if (st == ST_OK)
            st = queue_enqueue_await(co, latency->tool.queues, &e);
        if (st != ST_OK)
            tool_fail("enqueue: %s", e.err.msg);
        int64_t took = started_ns(latency) - start;
        if (i >= 0)
            latency->samples_ns[i] = took;
    }
    return ST_OK;
}

static int
compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double
percentile_ms(const struct latency *latency, double part)
{
    double index = part * (double)(latency->options.jobs - 1);
    return (double)latency->samples_ns[(int64_t)(index + 0.5)] / 1e6;
}

int
main(int argc, char **argv)
{
    struct latency latency = {0};

    tool_options(&program, argc, argv, &latency.options);
    latency.samples_ns =
        calloc((size_t)latency.options.jobs, sizeof *latency.samples_ns);
    if (!latency.samples_ns)
        tool_fail("out of memory");
    listen_on(&latency);
    tool_connect(&latency.tool, latency.options.redis);
    enum status st = co_run(latency.tool.loop, "measure", measure, &latency);
    unlink(latency.address.sun_path);
    if (st != ST_OK)
        tool_fail("cancelled");

    qsort(latency.samples_ns, (size_t)latency.options.jobs,
          sizeof *latency.samples_ns, compare);
    printf("{\"jobs\":%lld,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,"
           "\"max_ms\":%.4f}\n",
           (long long)latency.options.jobs, percentile_ms(&latency, 0.5),
           percentile_ms(&latency, 0.9), percentile_ms(&latency, 0.99),
           percentile_ms(&latency, 1));
    tool_clear(&latency.tool);
    close(latency.fd);
    free(latency.samples_ns);
    config_clear(&program, &latency.options);
    return 0;
}
