/* Listeners: addresses, a connection for real, the cap, and what happens when
 * descriptors run out. */
#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"

enum { WAIT_MS = 5000 };

static enum status
handler(struct co *co, struct http_exchange *x, void *arg)
{
    (void)co;
    (void)arg;
    return (enum status)pit_reply_text(&x->res, 200, "from %s", x->req.peer);
}

struct fixture {
    struct loop *loop;
    struct front *front;
    struct listener *listener;
    char name[128];
};

static void
start(struct fixture *f, const char *address,
      const struct front_options *options)
{
    struct error err;
    int fd = -1;

    f->loop = loop_new(NULL);
    f->front = front_new(f->loop, options, handler, NULL);
    if (listener_open(address, false, &fd, &err) != ST_OK)
        fail_msg("%s", err.msg);
    listener_name(fd, f->name, sizeof f->name);
    f->listener = listener_new(f->loop, f->front, fd);
}

static void
stop(struct fixture *f)
{
    listener_free(f->listener);
    front_free(f->front);
    loop_free(f->loop);
}

/* A connected client of the address that listener_name() gave. */
static int
dial(const char *name)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *addr = (const struct sockaddr *)&v4;
    socklen_t len = sizeof v4;
    uint16_t port = 0;
    const char *colon = strrchr(name, ':');

    if (strncmp(name, "unix:", 5) == 0) {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", name + 5);
        addr = (const struct sockaddr *)&un;
        len = sizeof un;
    } else {
        port = (uint16_t)strtoul(colon + 1, NULL, 10);
        v4.sin_port = v6.sin6_port = htons(port);
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        v6.sin6_addr = in6addr_loopback;
        if (name[0] == '[') {
            addr = (const struct sockaddr *)&v6;
            len = sizeof v6;
        }
    }
    int fd = socket(addr->sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, addr, len) != 0)
        fail_msg("%s: %m", name);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void
turn_until(struct fixture *f, bool (*done)(struct fixture *f, void *arg),
           void *arg)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (!done(f, arg)) {
        assert_true(clock_mono_ms() < end);
        loop_turn(f->loop, 10);
    }
}

struct reading {
    int fd;
    char text[2048];
    size_t len;
    bool eof;
};

static bool
has_answer(struct fixture *f, void *arg)
{
    struct reading *r = arg;
    ssize_t n = recv(r->fd, r->text + r->len, sizeof r->text - 1 - r->len, 0);

    (void)f;
    if (n > 0)
        r->len += (size_t)n;
    r->eof = n == 0 || (n < 0 && errno != EAGAIN);
    r->text[r->len] = '\0';
    return r->eof || strstr(r->text, "from ");
}

static void
ask(struct fixture *f, int fd, const char *want)
{
    struct reading r = {.fd = fd};
    static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    assert_int_equal(send(fd, get, sizeof get - 1, 0), sizeof get - 1);
    turn_until(f, has_answer, &r);
    assert_non_null(strstr(r.text, want));
}

static void
test_serves(void **state)
{
    static const struct {
        const char *address, *name, *want;
    } rows[] = {
        {"127.0.0.1:0", "127.0.0.1:", "from 127.0.0.1"},
        {"[::1]:0", "[::1]:", "from ::1"},
        {":0", "[::]:", "from ::1"},
        {"unix:/tmp/pit-test-listener.sock", "unix:/tmp/pit-test-listener.sock",
         "from unix"},
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int probe = socket(AF_INET6, SOCK_STREAM, 0);
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                  .sin6_addr = in6addr_loopback};
        bool has_v6 =
            probe >= 0 && bind(probe, (struct sockaddr *)&v6, sizeof v6) == 0;
        if (probe >= 0)
            close(probe);
        if (!has_v6 && (i == 1 || i == 2))
            continue;
        start(&f, rows[i].address, NULL);
        assert_memory_equal(f.name, rows[i].name, strlen(rows[i].name));
        int fd = dial(f.name);
        ask(&f, fd, rows[i].want);
        close(fd);
        stop(&f);
    }
    unlink("/tmp/pit-test-listener.sock");
}

/* One IPv4 client of a socket for every address goes by its IPv4 name. */
static void
test_ipv4_client_of_every_address(void **state)
{
    struct fixture f;
    char name[64];

    (void)state;
    start(&f, ":0", NULL);
    snprintf(name, sizeof name, "127.0.0.1%s", strrchr(f.name, ':'));
    int fd = dial(name);
    ask(&f, fd, "from 127.0.0.1");
    close(fd);
    stop(&f);
}

static void
test_bad_addresses(void **state)
{
    static const char *const rows[] = {
        "",
        "8000",
        "127.0.0.1",
        "127.0.0.1:",
        ":",
        ":65536",
        ":-1",
        ":80x",
        "[::1]",
        "[::1:80",
        "::1:80",
        "localhost:80",
        "1.2.3:4",
        "127.0.0.1:+1",
        "[::g]:80",
        "unix:",
        "[]:80",
        "256.0.0.1:80",
        "a.name.is.not.an.address:80",
    };
    static char path[200];
    struct error err;
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (listener_open(rows[i], false, &fd, &err) != ST_INVALID)
            fail_msg("'%s' was taken", rows[i]);
        assert_non_null(strstr(err.msg, "cannot listen on"));
    }
    memset(path, 'a', sizeof path - 1);
    memcpy(path, "unix:/", 6);
    assert_int_equal(listener_open(path, false, &fd, &err), ST_INVALID);
    assert_int_equal(fd, -1);
}

static void
test_taken_port_is_one_clear_line(void **state)
{
    struct fixture f;
    struct error err;
    int fd = -1;

    (void)state;
    start(&f, "127.0.0.1:0", NULL);
    assert_int_equal(listener_open(f.name, false, &fd, &err), ST_UNAVAILABLE);
    assert_non_null(strstr(err.msg, f.name));
    assert_non_null(strstr(err.msg, "in use"));
    stop(&f);
}

static void
test_shared_port(void **state)
{
    struct error err;
    char name[64];
    int one = -1, two = -1;

    (void)state;
    assert_int_equal(listener_open("127.0.0.1:0", true, &one, &err), ST_OK);
    listener_name(one, name, sizeof name);
    assert_int_equal(listener_open(name, true, &two, &err), ST_OK);
    close(one);
    close(two);
}

static void
test_local_sockets(void **state)
{
    static const char address[] = "unix:/tmp/pit-test-stale.sock";
    struct error err;
    struct stat st;
    int fd = -1, other = -1;

    (void)state;
    unlink(address + 5);
    assert_int_equal(listener_open(address, false, &fd, &err), ST_OK);
    assert_int_equal(stat(address + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    /* somebody listens there */
    assert_int_equal(listener_open(address, false, &other, &err),
                     ST_UNAVAILABLE);
    /* a crash left it */
    close(fd);
    assert_int_equal(listener_open(address, false, &fd, &err), ST_OK);
    close(fd);
    /* something else of that name is not touched */
    unlink(address + 5);
    fd = open(address + 5, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(listener_open(address, false, &fd, &err), ST_UNAVAILABLE);
    assert_int_equal(stat(address + 5, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    unlink(address + 5);
}

static bool
is_open(struct fixture *f, void *arg)
{
    return front_stats(f->front).open == *(uint32_t *)arg;
}

static void
test_accepting_pauses_at_the_cap(void **state)
{
    struct front_options options = {.connections_max = 2};
    struct fixture f;
    int fds[3];
    uint32_t two = 2;

    (void)state;
    start(&f, "127.0.0.1:0", &options);
    for (int i = 0; i < 3; i++)
        fds[i] = dial(f.name);
    turn_until(&f, is_open, &two);
    int turns = 0;
    for (int64_t began = clock_mono_ms(); clock_mono_ms() < began + 60; turns++)
        loop_turn(f.loop, 20);
    assert_true(turns < 20); /* it does not spin */
    assert_int_equal(front_stats(f.front).connections, 2);
    /* the third waits in the backlog, and is served when one leaves */
    close(fds[0]);
    ask(&f, fds[2], "from 127.0.0.1");
    assert_int_equal(front_stats(f.front).connections, 3);
    close(fds[1]);
    close(fds[2]);
    stop(&f);
}

static void
test_descriptors_run_out(void **state)
{
    struct fixture f;
    struct rlimit before, low;
    struct reading r = {0};
    int64_t began;
    int turns = 0;

    (void)state;
    start(&f, "127.0.0.1:0", NULL);
    int first = dial(f.name);
    ask(&f, first, "from");
    r.fd = dial(f.name);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    int lowest = dup(0);
    close(lowest);
    low.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    /* it is turned away, the others are served, and nothing spins */
    turn_until(&f, has_answer, &r);
    assert_true(r.eof);
    ask(&f, first, "from");
    for (began = clock_mono_ms(); clock_mono_ms() < began + 60; turns++)
        loop_turn(f.loop, 20);
    assert_true(turns < 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    /* and it recovers by itself */
    int last = dial(f.name);
    ask(&f, last, "from");
    close(first);
    close(r.fd);
    close(last);
    stop(&f);
}

/* Whoever is in the queue when the socket is closed would be reset. */
static void
test_what_waits_is_accepted_before_the_end(void **state)
{
    enum { CLIENTS = 3 * LISTENER_BATCH };
    const struct front_options options = {.connections_max = CLIENTS};
    int fds[CLIENTS + 1];
    struct fixture f;

    (void)state;
    start(&f, "127.0.0.1:0", &options);
    for (int i = 0; i <= CLIENTS; i++)
        fds[i] = dial(f.name);
    assert_false(listener_drain(f.listener)); /* one more than there is room */
    assert_int_equal(front_stats(f.front).open, CLIENTS);
    ask(&f, fds[0], "from");
    close(fds[0]);
    while (front_full(f.front))
        loop_turn(f.loop, 10);
    assert_true(listener_drain(f.listener));
    listener_free(f.listener);
    f.listener = NULL;
    for (int i = 1; i <= CLIENTS; i++) {
        ask(&f, fds[i], "from");
        close(fds[i]);
    }
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves),
        cmocka_unit_test(test_ipv4_client_of_every_address),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_taken_port_is_one_clear_line),
        cmocka_unit_test(test_shared_port),
        cmocka_unit_test(test_local_sockets),
        cmocka_unit_test(test_accepting_pauses_at_the_cap),
        cmocka_unit_test(test_descriptors_run_out),
        cmocka_unit_test(test_what_waits_is_accepted_before_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
