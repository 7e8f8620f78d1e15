/* The benchmark's application: tasks and views that do nothing but be measured.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <pit/app.h>

static enum pit_status
noop(struct pit_job *job)
{
    (void)job;
    return PIT_OK;
}

/* Sends the moment at which it started (CLOCK_MONOTONIC, ns, 8 bytes) to the
 * datagram socket whose path is in args.to. The clock is one for all processes
 * of a machine, so the receiver may subtract its own. */
static enum pit_status
stamp(struct pit_job *job)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *to =
        json_string_value(json_object_get(pit_job_args(job), "to"));
    if (!to || strlen(to) >= sizeof address.sun_path)
        return pit_job_fail(job, PIT_PERMANENT, "args.to: not a path");
    memcpy(address.sun_path, to, strlen(to) + 1);

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pit_job_fail(job, PIT_FAILED, "socket: %m");
    ssize_t n = sendto(fd, &ns, sizeof ns, 0, (struct sockaddr *)&address,
                       sizeof address);
    close(fd);
    return n == (ssize_t)sizeof ns
               ? PIT_OK
               : pit_job_fail(job, PIT_PERMANENT, "nobody listens: %m");
}

/* Appends {args.at, when it started (CLOCK_REALTIME, us)}, 8 bytes each, to the
 * file BENCH_LOG names, then takes args.ms. With "at" 0 it writes nothing. */
static enum pit_status
due(struct pit_job *job)
{
    static int fd = -1;
    const json_t *args = pit_job_args(job);
    int64_t at = json_integer_value(json_object_get(args, "at"));
    int64_t ms = json_integer_value(json_object_get(args, "ms"));
    const char *path = getenv("BENCH_LOG");
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (fd < 0 && path)
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return pit_job_fail(job, PIT_PERMANENT, "BENCH_LOG names no file");
    int64_t line[2] = {at, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
    if (at && write(fd, line, sizeof line) != sizeof line)
        return pit_job_fail(job, PIT_PERMANENT, "BENCH_LOG: %m");
    if (ms > 0)
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    return PIT_OK;
}

static enum pit_status
hello(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_text(res, 200, "Hello, async C!");
}

/* Waits a second, as a view does for a slow third party. */
static enum pit_status
slow(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    enum pit_status st = pit_sleep(co, 1000);

    (void)req;
    return st == PIT_OK ? pit_reply_text(res, 200, "Hello, patience!") : st;
}

static const struct pit_view views[] = {
    {PIT_GET, "/", hello},
    {PIT_GET, "/wait", slow},
    {0},
};

static const struct pit_task tasks[] = {
    {"bench.noop", noop, .queue = "bench", .about = "does nothing"},
    {"bench.due", due, .queue = "bench", .about = "notes when it started"},
    {"bench.stamp", stamp, .queue = "bench", .about = "says when it started"},
    {0},
};

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("bench"),
    .views = views,
    .tasks = tasks,
};
