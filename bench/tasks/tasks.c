/* The benchmark's application: tasks and views that do nothing but be measured.
 */
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
    {"bench.stamp", stamp, .queue = "bench", .about = "says when it started"},
    {0},
};

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("bench"),
    .views = views,
    .tasks = tasks,
};
