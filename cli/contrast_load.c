/* Contrast's clients: plain sockets and poll(), so that the times are those of
 * the server and not of a library. */
#include "contrast_load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "contrast_servers.h"

enum {
    PING_EVERY_US = 2000,
    PINGS_MAX = 100000,
    ANSWER_TIMEOUT_MS = 30000,
};

bool
contrast_peer_open(struct contrast_peer *peer, const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *peer = (struct contrast_peer){.fd = -1};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd >= 0 &&
        connect(peer->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return true;
    contrast_peer_close(peer);
    return false;
}

void
contrast_peer_close(struct contrast_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->waiting = false;
}

/* A request is so short that a socket always takes it whole. */
static bool
send_request(struct contrast_peer *peer, const char *path)
{
    char request[256];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: contrast\r\n\r\n", path);

    assert(n > 0 && (size_t)n < sizeof request);
    peer->len = 0;
    peer->asked_us = clock_mono_us();
    peer->waiting = send(peer->fd, request, (size_t)n, MSG_NOSIGNAL) == n;
    return peer->waiting;
}

/* 0: not complete yet. */
static int
answer_status(const struct contrast_peer *peer)
{
    static const char start[] = "HTTP/1.1 ";
    const char *end = memmem(peer->input, peer->len, "\r\n\r\n", 4);
    const char *line = end ? memmem(peer->input, (size_t)(end - peer->input),
                                    "\r\nContent-Length: ", 18)
                           : NULL;

    if (!end || strncmp(peer->input, start, sizeof start - 1) != 0)
        return 0;
    int status = (int)strtol(peer->input + sizeof start - 1, NULL, 10);
    size_t body = line ? strtoul(line + 18, NULL, 10) : 0;
    return peer->len >= (size_t)(end - peer->input) + 4 + body ? status : 0;
}

/* A status, 0: more must come, -1: the connection is over. */
static int
receive(struct contrast_peer *peer)
{
    ssize_t n = recv(peer->fd, peer->input + peer->len,
                     sizeof peer->input - 1 - peer->len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    peer->len += (size_t)n;
    peer->input[peer->len] = '\0';
    int status = answer_status(peer);
    if (status == 0 && peer->len == sizeof peer->input - 1)
        return -1;
    if (status)
        peer->waiting = false;
    return status;
}

/* --- many ----------------------------------------------------------------- */

struct run {
    struct contrast_load *load;
    struct contrast_peer *peers;
    struct pollfd *polls;
    uint32_t next;    /* not yet sent */
    uint32_t settled; /* have their fate */
};

static void
settle(struct run *run, struct contrast_peer *peer, enum contrast_fate fate)
{
    struct contrast_load *load = run->load;

    load->fate[peer->id - load->first] = (uint8_t)fate;
    run->settled++;
    if (fate == CONTRAST_ANSWERED)
        load->took_us[load->answered++] = clock_mono_us() - peer->asked_us;
    else if (fate == CONTRAST_REFUSED)
        load->refused++;
    else
        load->cut++;
}

/* The next request, on this connection or on a new one. */
static void
go_on(struct run *run, struct contrast_peer *peer)
{
    struct contrast_load *load = run->load;
    char path[128];

    if (run->next == load->n)
        return;
    if (peer->fd < 0 && !contrast_peer_open(peer, load->socket))
        return; /* nobody listens: the rest stays unsent */
    peer->id = load->first + run->next++;
    snprintf(path, sizeof path, "%s?id=%u", load->path, (unsigned)peer->id);
    if (!send_request(peer, path)) {
        contrast_peer_close(peer);
        settle(run, peer, CONTRAST_CUT);
    }
}

static void
hear(struct run *run, struct contrast_peer *peer)
{
    int status = receive(peer);

    if (status == 0)
        return;
    if (status < 0) {
        bool asked = peer->waiting;
        contrast_peer_close(peer);
        if (asked)
            settle(run, peer, CONTRAST_CUT);
    } else {
        settle(run, peer,
               status / 100 == 2 ? CONTRAST_ANSWERED : CONTRAST_REFUSED);
    }
    go_on(run, peer);
}

static bool
turn(struct run *run)
{
    struct contrast_load *load = run->load;
    nfds_t open = 0;

    for (uint32_t i = 0; i < load->clients; i++) {
        run->polls[i] =
            (struct pollfd){.fd = run->peers[i].fd, .events = POLLIN};
        open += run->peers[i].fd >= 0;
    }
    if (open == 0)
        return false;
    if (poll(run->polls, load->clients, 1) > 0)
        for (uint32_t i = 0; i < load->clients; i++)
            if (run->polls[i].revents)
                hear(run, &run->peers[i]);
    return true;
}

void
contrast_load_run(struct contrast_load *load)
{
    struct run run = {.load = load};
    int64_t end_ms = clock_mono_ms() + load->limit_ms;

    assert(load->n <= CONTRAST_REQUESTS_MAX);
    assert(load->clients > 0 && load->clients <= CONTRAST_CLIENTS_MAX);
    load->took_us = xcalloc(load->n, sizeof *load->took_us);
    load->fate = xcalloc(load->n, sizeof *load->fate);
    run.peers = xcalloc(load->clients, sizeof *run.peers);
    run.polls = xcalloc(load->clients, sizeof *run.polls);

    /* All connections first: the requests then come at once. */
    for (uint32_t i = 0; i < load->clients; i++)
        (void)contrast_peer_open(&run.peers[i], load->socket);
    for (uint32_t i = 0; i < load->clients; i++)
        go_on(&run, &run.peers[i]);
    while (run.settled < load->n && clock_mono_ms() < end_ms &&
           !contrast_servers_interrupted() &&
           !(load->stop && load->stop(load->arg)) && turn(&run))
        continue;

    for (uint32_t i = 0; i < load->clients; i++) {
        bool asked = run.peers[i].waiting;
        contrast_peer_close(&run.peers[i]);
        if (asked)
            settle(&run, &run.peers[i], CONTRAST_CUT);
    }
    free(run.peers);
    free(run.polls);
}

void
contrast_load_clear(struct contrast_load *load)
{
    free(load->took_us);
    free(load->fate);
    load->took_us = NULL;
    load->fate = NULL;
}

/* --- one ------------------------------------------------------------------ */

/* The status, or -1. */
static int
ask(struct contrast_peer *peer, const char *path)
{
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    int status = 0;

    if (!send_request(peer, path))
        return -1;
    while (status == 0) {
        int n = poll(&wait, 1, ANSWER_TIMEOUT_MS);
        if (n == 0 || (n < 0 && errno != EINTR) ||
            contrast_servers_interrupted())
            return -1;
        if (n > 0)
            status = receive(peer);
    }
    return status;
}

int
contrast_load_ask(const char *socket, const char *path)
{
    struct contrast_peer peer;
    int status = -1;

    if (contrast_peer_open(&peer, socket))
        status = ask(&peer, path);
    contrast_peer_close(&peer);
    return status > 0 ? status : 0;
}

struct contrast_ping {
    pthread_t thread;
    const char *socket;
    _Atomic int64_t stop_us; /* 0: goes on */
    int64_t *times_us;
    size_t len;
};

/* All that were due by then were sent. */
static bool
has_stopped(struct contrast_ping *ping, int64_t due_us)
{
    int64_t stop_us = atomic_load(&ping->stop_us);

    return stop_us && due_us > stop_us;
}

/* Keeps to its times: an answer that kept later pings from being sent counts
 * for each of them, as it would for clients who do not wait for one another. */
static void *
ping_main(void *arg)
{
    struct contrast_ping *ping = arg;
    struct contrast_peer peer;
    int64_t due_us = clock_mono_us();

    if (!contrast_peer_open(&peer, ping->socket))
        return NULL;
    while (!has_stopped(ping, due_us) && ping->len < PINGS_MAX) {
        bool late = clock_mono_us() > due_us + PING_EVERY_US;
        if (ask(&peer, "/ping") != 200)
            break;
        int64_t now_us = clock_mono_us();
        ping->times_us[ping->len++] = now_us - (late ? due_us : peer.asked_us);
        due_us += PING_EVERY_US;
        if (due_us > now_us)
            nanosleep(&(struct timespec){.tv_nsec = (due_us - now_us) * 1000},
                      NULL);
    }
    contrast_peer_close(&peer);
    return NULL;
}

struct contrast_ping *
contrast_ping_start(const char *socket)
{
    struct contrast_ping *ping = xcalloc(1, sizeof *ping);

    ping->socket = socket;
    ping->times_us = xcalloc(PINGS_MAX, sizeof *ping->times_us);
    if (pthread_create(&ping->thread, NULL, ping_main, ping) != 0) {
        free(ping->times_us);
        free(ping);
        return NULL;
    }
    return ping;
}

int64_t *
contrast_ping_stop(struct contrast_ping *ping, size_t *ret_len)
{
    int64_t *times_us = ping->times_us;

    atomic_store(&ping->stop_us, clock_mono_us());
    pthread_join(ping->thread, NULL);
    *ret_len = ping->len;
    free(ping);
    return times_us;
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double
contrast_percentile(int64_t *times_us, size_t n, int percent)
{
    if (n == 0)
        return 0;
    size_t at = (n - 1) * (size_t)percent / 100;
    qsort(times_us, n, sizeof *times_us, compare);
    return (double)times_us[at] / 1000;
}
