/* bench-waiters: many clients that wait for a slow view at the same time.
 *
 * It makes --connections connections, prints the line "connected" and waits for
 * a line on standard input, so that bench/run can look at the server before.
 * Then it sends one GET on each, one right after the other, and takes the time
 * of the first byte of each answer: from when the first request was sent, and
 * from when its own was (own_...). An answer other than 200 is counted apart.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool.h"

enum {
    CONNECTIONS_MAX = 20000,
    SPARE_FDS = 16,
    EVENTS_MAX = 512,
    INPUT_SIZE = 4096,
};

struct options {
    int64_t port;
    const char *path;
    int64_t connections;
    int64_t limit_ms;
};

#define FIELD(name) offsetof(struct options, name)
static const struct config_option table[] = {
    {"port", "N", CONFIG_INT, FIELD(port), "8000", 1, 65535, false,
     "of 127.0.0.1"},
    {"path", "PATH", CONFIG_STRING, FIELD(path), "/wait", 0, 0, false,
     "of each request"},
    {"connections", "N", CONFIG_INT, FIELD(connections), "10000", 1,
     CONNECTIONS_MAX, false, "each with one request"},
    {"limit", "TIME", CONFIG_DURATION, FIELD(limit_ms), "30s", 1, 3600000,
     false, "give up after that time"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-waiters",
    .synopsis = "bench-waiters [OPTION...]",
    .about = "Sends one GET on each of many connections at once and prints "
             "how long the answers took.",
    .options = table,
};

struct waiters {
    struct options options;
    struct sockaddr_in address;
    int epoll;
    int *fds;
    int64_t *sent_us;
    int64_t *took_us; /* since the first was sent, in the order of coming */
    int64_t *own_us;  /* since its own was */
    int64_t start_us;
    int64_t answered;
    int64_t ok;
};

static void
raise_limit(int64_t connections)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)connections + SPARE_FDS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        tool_fail("getrlimit: %m");
    if (limit.rlim_max < want)
        tool_fail("%lld connections need as many open files, %llu are allowed:"
                  " ulimit -n",
                  (long long)connections, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        tool_fail("setrlimit: %m");
}

static void
connect_all(struct waiters *waiters)
{
    for (int64_t i = 0; i < waiters->options.connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&waiters->address,
                              sizeof waiters->address) != 0)
            tool_fail("connection %lld: %m", (long long)i + 1);
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
            tool_fail("fcntl: %m");
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(waiters->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            tool_fail("epoll_ctl: %m");
        waiters->fds[i] = fd;
    }
}

static void
wait_for_word(void)
{
    char line[16];

    puts("connected");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        tool_fail("nobody says when to begin");
}

static void
send_all(struct waiters *waiters)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                       waiters->options.path);

    if (len < 0 || (size_t)len >= sizeof request)
        tool_fail("--path is too long");
    waiters->start_us = clock_mono_us();
    for (int64_t i = 0; i < waiters->options.connections; i++) {
        waiters->sent_us[i] = clock_mono_us();
        if (send(waiters->fds[i], request, (size_t)len, MSG_NOSIGNAL) != len)
            tool_fail("request %lld: %m", (long long)i + 1);
    }
}

static void
take_answer(struct waiters *waiters, uint32_t i)
{
    static const char good[] = "HTTP/1.1 200 ";
    char input[INPUT_SIZE];
    ssize_t n = recv(waiters->fds[i], input, sizeof input, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    waiters->ok += n >= (ssize_t)sizeof good - 1 &&
                   memcmp(input, good, sizeof good - 1) == 0;
    int64_t now_us = clock_mono_us();
    waiters->took_us[waiters->answered] = now_us - waiters->start_us;
    waiters->own_us[waiters->answered++] = now_us - waiters->sent_us[i];
    close(waiters->fds[i]);
}

static void
receive_all(struct waiters *waiters)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t end_ms = clock_mono_ms() + waiters->options.limit_ms;

    while (waiters->answered < waiters->options.connections) {
        int64_t left = end_ms - clock_mono_ms();
        if (left <= 0)
            tool_fail(
                "%lld of %lld are unanswered after %lld ms",
                (long long)(waiters->options.connections - waiters->answered),
                (long long)waiters->options.connections,
                (long long)waiters->options.limit_ms);
        int n = epoll_wait(waiters->epoll, events, EVENTS_MAX, (int)left);
        for (int i = 0; i < n; i++)
            take_answer(waiters, events[i].data.u32);
    }
}

static int
by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* In milliseconds; @times are in order. */
static double
at(const struct waiters *waiters, const int64_t *times, int64_t percent)
{
    int64_t last = waiters->answered - 1;

    return (double)times[last * percent / 100] / 1000;
}

static void
print(struct waiters *waiters)
{
    const int64_t *took = waiters->took_us, *own = waiters->own_us;
    int64_t last = waiters->options.connections - 1;

    qsort(waiters->own_us, (size_t)waiters->answered, sizeof *own, by_time);
    printf("{\"connections\":%lld,\"200\":%lld,\"other\":%lld,"
           "\"sending_ms\":%.3f,\"first_ms\":%.3f,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"last_ms\":%.3f,\"own_p50_ms\":%.3f,"
           "\"own_p99_ms\":%.3f,\"own_most_ms\":%.3f}\n",
           (long long)waiters->answered, (long long)waiters->ok,
           (long long)(waiters->answered - waiters->ok),
           (double)(waiters->sent_us[last] - waiters->start_us) / 1000,
           at(waiters, took, 0), at(waiters, took, 50), at(waiters, took, 99),
           at(waiters, took, 100), at(waiters, own, 50), at(waiters, own, 99),
           at(waiters, own, 100));
}

int
main(int argc, char **argv)
{
    static struct waiters waiters;

    tool_options(&program, argc, argv, &waiters.options);
    raise_limit(waiters.options.connections);
    waiters.address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)waiters.options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    size_t n = (size_t)waiters.options.connections;
    waiters.fds = calloc(n, sizeof *waiters.fds);
    waiters.sent_us = calloc(n, sizeof *waiters.sent_us);
    waiters.took_us = calloc(n, sizeof *waiters.took_us);
    waiters.own_us = calloc(n, sizeof *waiters.own_us);
    waiters.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!waiters.fds || !waiters.sent_us || !waiters.took_us ||
        !waiters.own_us || waiters.epoll < 0)
        tool_fail("out of memory");

    connect_all(&waiters);
    wait_for_word();
    send_all(&waiters);
    receive_all(&waiters);
    print(&waiters);
    free(waiters.fds);
    free(waiters.sent_us);
    free(waiters.took_us);
    free(waiters.own_us);
    close(waiters.epoll);
    config_clear(&program, &waiters.options);
    return 0;
}
