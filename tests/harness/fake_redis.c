/* A scripted Redis: a thread with blocking sockets and time limits. */
#include "harness/fake_redis.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 << 10 };

struct fake_redis {
    const struct fake_redis_step *steps;
    bool tcp;
    char dir[64];
    char path[80];
    uint16_t port;
    int listener;
    int peer;
    char in[BUFFER_SIZE];
    size_t in_len;
    char failure[600];
    sem_t go;
    atomic_bool done;
    pthread_t thread;
};

static char last_failure[600];

static bool
fail(struct fake_redis *f, const char *what, const char *detail)
{
    snprintf(f->failure, sizeof f->failure, "%s: %.500s", what, detail);
    return false;
}

static bool
fail_sys(struct fake_redis *f, const char *what)
{
    snprintf(f->failure, sizeof f->failure, "%s: %m", what);
    return false;
}

static void
listen_now(struct fake_redis *f)
{
    int on = 1;
    int bound;

    f->listener =
        socket(f->tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(f->listener >= 0);
    if (f->tcp) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(f->port),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof in;
        setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        bound = bind(f->listener, (struct sockaddr *)&in, sizeof in);
        getsockname(f->listener, (struct sockaddr *)&in, &len);
        f->port = ntohs(in.sin_port);
    } else {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof un.sun_path, "%s", f->path);
        unlink(f->path);
        bound = bind(f->listener, (struct sockaddr *)&un, sizeof un);
    }
    assert(bound == 0);
    bound = listen(f->listener, 16);
    assert(bound == 0);
}

static void
hang_up(struct fake_redis *f)
{
    if (f->peer >= 0)
        close(f->peer);
    f->peer = -1;
    f->in_len = 0;
}

static bool
accept_one(struct fake_redis *f)
{
    struct timeval limit = {FAKE_REDIS_STEP_S, 0};

    hang_up(f);
    if (f->listener < 0)
        listen_now(f);
    struct pollfd wait = {f->listener, POLLIN, 0};
    if (poll(&wait, 1, FAKE_REDIS_STEP_S * 1000) != 1)
        return fail(f, "accept", "nobody connected");
    f->peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    if (f->peer < 0)
        return fail_sys(f, "accept");
    setsockopt(f->peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(f->peer, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return true;
}

static bool
more(struct fake_redis *f)
{
    if (f->in_len == sizeof f->in)
        return fail(f, "receive", "a command is too long for the fake");
    ssize_t n = recv(f->peer, f->in + f->in_len, sizeof f->in - f->in_len, 0);
    if (n < 0)
        return fail_sys(f, "receive");
    if (n == 0)
        return fail(f, "receive", "the client hung up");
    f->in_len += (size_t)n;
    return true;
}

/* "<prefix><number>\r\n" at f->in + *at. */
static bool
number(struct fake_redis *f, size_t *at, char prefix, size_t *ret)
{
    char *end;

    while (!memchr(f->in + *at, '\n', f->in_len - *at))
        if (!more(f))
            return false;
    if (f->in[*at] != prefix)
        return fail(f, "protocol", f->in + *at);
    *ret = strtoul(f->in + *at + 1, &end, 10);
    if (memcmp(end, "\r\n", 2) != 0)
        return fail(f, "protocol", f->in + *at);
    *at = (size_t)(end - f->in) + 2;
    return true;
}

/* One command, its words joined by spaces (cut to @size). */
static bool
command(struct fake_redis *f, char *words, size_t size)
{
    size_t at = 0, argc, used = 0;

    if (!number(f, &at, '*', &argc))
        return false;
    for (size_t i = 0; i < argc; i++) {
        size_t len;
        if (!number(f, &at, '$', &len))
            return false;
        while (f->in_len - at < len + 2)
            if (!more(f))
                return false;
        int n = snprintf(words + used, size - used, "%s%.*s", i ? " " : "",
                         (int)len, f->in + at);
        used = used + (size_t)n < size ? used + (size_t)n : size - 1;
        at += len + 2;
    }
    memmove(f->in, f->in + at, f->in_len - at);
    f->in_len -= at;
    return true;
}

static bool
put(struct fake_redis *f, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(f->peer, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return fail_sys(f, "send");
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static bool
drip(struct fake_redis *f, const char *text)
{
    const struct timespec pause = {0, 200000};

    for (; *text; text++) {
        if (!put(f, text, 1))
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool
expect(struct fake_redis *f, const char *text)
{
    char words[512] = "";
    char both[1100];

    if (!command(f, words, sizeof words))
        return false;
    if (strcmp(words, text) == 0)
        return true;
    snprintf(both, sizeof both, "\"%s\" instead of \"%s\"", words, text);
    return fail(f, "expected another command", both);
}

static bool
wait_eof(struct fake_redis *f)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(f->peer, bytes, sizeof bytes, 0)) > 0)
        continue;
    if (n < 0 && errno != ECONNRESET)
        return fail_sys(f, "waiting for the client to close");
    return true;
}

static bool
sink(struct fake_redis *f, size_t n)
{
    while (n > 0) {
        ssize_t got =
            recv(f->peer, f->in, n < sizeof f->in ? n : sizeof f->in, 0);
        if (got <= 0)
            return fail(f, "sink", "the client hung up");
        n -= (size_t)got;
    }
    return true;
}

static bool
wait_go(struct fake_redis *f)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_REDIS_STEP_S;
    while (sem_timedwait(&f->go, &until) != 0)
        if (errno != EINTR)
            return fail(f, "wait", "nobody said go");
    return true;
}

static bool
repeat(struct fake_redis *f, const struct fake_redis_step *step)
{
    char words[64];

    for (uint32_t i = 0; i < step->n; i++)
        if (!command(f, words, sizeof words) ||
            (step->text && !put(f, step->text, strlen(step->text))))
            return false;
    return true;
}

static void
reset(struct fake_redis *f)
{
    struct linger now = {1, 0};

    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hang_up(f);
}

static bool
run_step(struct fake_redis *f, const struct fake_redis_step *step)
{
    switch (step->kind) {
    case FAKE_ACCEPT:
        return accept_one(f);
    case FAKE_UP:
        return accept_one(f) && expect(f, "PING") && put(f, "+PONG\r\n", 7);
    case FAKE_EXPECT:
        return expect(f, step->text);
    case FAKE_SKIP:
    case FAKE_REPEAT:
        return repeat(f, step);
    case FAKE_SEND:
        return put(f, step->text, strlen(step->text));
    case FAKE_DRIP:
        return drip(f, step->text);
    case FAKE_WAIT:
        return wait_go(f);
    case FAKE_SINK:
        return sink(f, step->n);
    case FAKE_CLOSE:
        hang_up(f);
        return true;
    case FAKE_RESET:
        reset(f);
        return true;
    case FAKE_EOF:
        return wait_eof(f);
    case FAKE_REFUSE:
        hang_up(f);
        close(f->listener);
        f->listener = -1;
        return true;
    case FAKE_END:
        break;
    }
    return false;
}

static void *
thread_main(void *arg)
{
    struct fake_redis *f = arg;
    const struct fake_redis_step *step = f->steps;

    while (step->kind != FAKE_END && run_step(f, step))
        step++;
    if (step->kind != FAKE_END) {
        size_t used = strlen(f->failure);
        snprintf(f->failure + used, sizeof f->failure - used, " (step %td)",
                 step - f->steps);
        hang_up(f);
    }
    atomic_store(&f->done, true);
    return NULL;
}

struct fake_redis *
fake_redis_start(const struct fake_redis_step *steps, bool tcp)
{
    struct fake_redis *f = calloc(1, sizeof *f);
    int error;

    assert(f);
    f->steps = steps;
    f->tcp = tcp;
    f->peer = -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/pit-fake-XXXXXX");
    if (!tcp) {
        char *made = mkdtemp(f->dir);
        assert(made);
        snprintf(f->path, sizeof f->path, "%s/s", f->dir);
    }
    sem_init(&f->go, 0, 0);
    listen_now(f);
    error = pthread_create(&f->thread, NULL, thread_main, f);
    assert(error == 0);
    return f;
}

const char *
fake_redis_path(const struct fake_redis *fake)
{
    return fake->path;
}

uint16_t
fake_redis_port(const struct fake_redis *fake)
{
    return fake->port;
}

void
fake_redis_go(struct fake_redis *fake)
{
    sem_post(&fake->go);
}

bool
fake_redis_done(struct fake_redis *fake)
{
    return atomic_load(&fake->done);
}

const char *
fake_redis_end(struct fake_redis *fake)
{
    pthread_join(fake->thread, NULL);
    snprintf(last_failure, sizeof last_failure, "%s", fake->failure);
    hang_up(fake);
    if (fake->listener >= 0)
        close(fake->listener);
    if (!fake->tcp) {
        unlink(fake->path);
        rmdir(fake->dir);
    }
    sem_destroy(&fake->go);
    free(fake);
    return last_failure;
}
