/* bench-http: one request, over and over, on --connections connections.
 *
 * On each connection --pipeline requests are under way: as many as were
 * answered are sent again. The answers are framed (Content-Length or chunked)
 * and their status is counted, their content is not looked at. A connection
 * that the server closes (it does after its --max-requests) is made again, and
 * what was unanswered on it is sent once more.
 *
 * It ends after --requests answers or --limit, whichever is first. What it
 * costs itself does not matter: the server's CPU time is what bench/run looks
 * at. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool.h"

enum {
    CONNECTIONS_MAX = 4096,
    PIPELINE_MAX = 256,
    INPUT_SIZE = 65536,
    BODY_MAX = 64 * 1024 * 1024,
    EVENTS_MAX = 256,
    LOST_MAX = 100, /* connections lost without one answer */
};

struct options {
    const char *host;
    const char *method;
    const char *path;
    const char *type;
    const char *body;
    int64_t port;
    int64_t connections;
    int64_t pipeline;
    int64_t requests;
    int64_t limit_ms;
};

#define FIELD(name) offsetof(struct options, name)
static const struct config_option table[] = {
    {"host", "ADDR", CONFIG_STRING, FIELD(host), "127.0.0.1", 0, 0, false,
     "the server's IPv4 address"},
    {"port", "N", CONFIG_INT, FIELD(port), "8000", 1, 65535, false,
     "the server's port"},
    {"method", "NAME", CONFIG_STRING, FIELD(method), "POST", 0, 0, false,
     "of each request"},
    {"path", "PATH", CONFIG_STRING, FIELD(path), "/v1/jobs", 0, 0, false,
     "of each request"},
    {"type", "TYPE", CONFIG_STRING, FIELD(type), "application/json", 0, 0,
     false, "content type of the body"},
    {"body", "FILE", CONFIG_STRING, FIELD(body), NULL, 0, 0, false,
     "what each request sends; without it none has a body"},
    {"connections", "N", CONFIG_INT, FIELD(connections), "1", 1,
     CONNECTIONS_MAX, false, "kept alive at once"},
    {"pipeline", "N", CONFIG_INT, FIELD(pipeline), "1", 1, PIPELINE_MAX, false,
     "requests under way on each"},
    {"requests", "N", CONFIG_INT, FIELD(requests), "10000", 1, 100000000, false,
     "end after so many answers"},
    {"limit", "TIME", CONFIG_DURATION, FIELD(limit_ms), "60s", 1, 3600000,
     false, "end after that time at the latest"},
    {.name = NULL},
};
static const struct config_program program = {
    .name = "bench-http",
    .synopsis = "bench-http [OPTION...]",
    .about = "Sends one HTTP request many times and counts the answers.",
    .options = table,
};

/* Where in an answer the next byte stands. */
enum part { HEAD, BODY, CHUNK_SIZE, CHUNK, TRAILER };

struct connection {
    struct load *load;
    int fd;
    bool writable;     /* not waiting for EPOLLOUT */
    int64_t under_way; /* sent, or to be sent, and not answered */
    int64_t answered;
    size_t at;        /* in the request that is being written */
    int64_t to_write; /* requests that are not wholly written */
    enum part part;
    int64_t left; /* bytes of the body or chunk */
    size_t input_len;
    char input[INPUT_SIZE];
};

struct load {
    struct options options;
    struct buf request; /* --pipeline times the same, for one write() */
    size_t request_len; /* of one */
    struct sockaddr_in address;
    int epoll;
    int64_t started;
    int64_t answered;
    int64_t by_status[6]; /* 1xx .. 5xx; 0 the rest */
    int64_t reconnects;
    int lost;
    struct connection *connections;
};

static void
read_file(const char *path, struct buf *dst)
{
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        tool_fail("%s: %m", path);
    do {
        char *room = buf_room(dst, INPUT_SIZE);
        if (!room)
            tool_fail("%s: more than %d bytes", path, BODY_MAX);
        n = read(fd, room, INPUT_SIZE);
        if (n < 0)
            tool_fail("%s: %m", path);
        buf_grew(dst, (size_t)n);
    } while (n > 0);
    close(fd);
}

static void
build_request(struct load *load)
{
    const struct options *options = &load->options;
    struct buf body, one;

    buf_init(&body, BODY_MAX);
    if (options->body)
        read_file(options->body, &body);
    buf_init(&one, BODY_MAX + 4096);
    buf_addf(&one, "%s %s HTTP/1.1\r\nHost: %s:%lld\r\nUser-Agent: bench\r\n",
             options->method, options->path, options->host,
             (long long)options->port);
    if (options->body)
        buf_addf(&one, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                 options->type, body.len);
    buf_add_c(&one, "\r\n");
    buf_add_str(&one, buf_str(&body));
    load->request_len = one.len;
    buf_init(&load->request, 2 * (size_t)BODY_MAX);
    for (int64_t i = 0; i < options->pipeline; i++)
        buf_add_str(&load->request, buf_str(&one));
    if (load->request.failed || one.failed)
        tool_fail("a body too large to be sent %lld times at once",
                  (long long)options->pipeline);
    buf_clear(&one);
    buf_clear(&body);
}

static void
watch(struct connection *c, int how)
{
    struct epoll_event event = {
        .events = EPOLLIN | (c->writable ? 0 : (uint32_t)EPOLLOUT),
        .data.ptr = c,
    };
    if (epoll_ctl(c->load->epoll, how, c->fd, &event) != 0)
        tool_fail("epoll_ctl: %m");
}

/* Asks for as many as the pipeline and --requests allow. */
static void
refill(struct connection *c)
{
    struct load *load = c->load;

    while (c->under_way < load->options.pipeline &&
           load->started < load->options.requests) {
        load->started++;
        c->under_way++;
        c->to_write++;
    }
}

static void
send_pending(struct connection *c)
{
    struct load *load = c->load;

    while (c->to_write > 0) {
        size_t want = (size_t)c->to_write * load->request_len - c->at;
        size_t there = load->request.len - c->at;
        ssize_t n = send(c->fd, load->request.p + c->at,
                         want < there ? want : there, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            /* A lost connection is noticed by the read. */
            bool writable = errno != EAGAIN;
            if (writable != c->writable) {
                c->writable = writable;
                watch(c, EPOLL_CTL_MOD);
            }
            return;
        }
        c->at += (size_t)n;
        c->to_write -= (int64_t)(c->at / load->request_len);
        c->at %= load->request_len;
    }
    if (!c->writable) {
        c->writable = true;
        watch(c, EPOLL_CTL_MOD);
    }
}

/* Also again after a loss: what was under way is then sent once more. */
static void
open_connection(struct connection *c)
{
    const int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&c->load->address,
                             sizeof c->load->address) != 0)
        tool_fail("connect: %m");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        tool_fail("fcntl: %m");
    c->writable = true;
    c->answered = 0;
    c->at = 0;
    c->to_write = c->under_way;
    c->part = HEAD;
    c->input_len = 0;
    watch(c, EPOLL_CTL_ADD);
    refill(c);
    send_pending(c);
}

static void
lose_connection(struct connection *c)
{
    if (c->answered == 0 && ++c->load->lost > LOST_MAX)
        tool_fail("the server closes connections without an answer");
    close(c->fd);
    c->load->reconnects++;
    open_connection(c);
}

static void
answer_ended(struct connection *c)
{
    c->part = HEAD;
    c->under_way--;
    c->answered++;
    c->load->answered++;
}

/* The value of a field, in a head that ends in an empty line. */
static struct str
field(struct str head, struct str name)
{
    struct str line, rest = head;

    while (rest.n > 0) {
        struct str value;
        line = str_cut(rest, '\n', &rest);
        struct str key = str_cut(line, ':', &value);
        if (value.p && str_eq_nocase(key, name))
            return str_trim(value);
    }
    return STR_NULL;
}

static void
read_head(struct connection *c, struct str head)
{
    struct str length = field(head, STR("Content-Length"));
    int class = head.n > 9 ? head.p[9] - '0' : 0;

    if (!str_starts(head, STR("HTTP/1.1 ")))
        tool_fail("not an HTTP/1.1 answer: %.*s", STR_ARG(head));
    c->load->by_status[class >= 1 && class <= 5 ? class : 0]++;
    if (length.p && str_to_i64(length, &c->left)) {
        c->part = BODY;
        if (c->left == 0)
            answer_ended(c);
    } else if (str_eq_nocase(field(head, STR("Transfer-Encoding")),
                             STR("chunked"))) {
        c->part = CHUNK_SIZE;
    } else {
        answer_ended(c);
    }
}

/* A line that ends a part of a chunked body. */
static void
read_line(struct connection *c, struct str line)
{
    if (c->part == CHUNK_SIZE) {
        char digits[20];
        str_copy_to(line, digits, sizeof digits);
        c->left = strtoll(digits, NULL, 16);
        c->part = c->left > 0 ? CHUNK : TRAILER;
        c->left += 2; /* its CRLF */
    } else if (str_trim(line).n == 0) {
        answer_ended(c);
    }
}

/* Takes one step; how many bytes it used, 0: more are needed. */
static size_t
take(struct connection *c, struct str input)
{
    if (c->part == BODY || c->part == CHUNK) {
        size_t n = (int64_t)input.n < c->left ? input.n : (size_t)c->left;
        c->left -= (int64_t)n;
        if (c->left == 0 && c->part == BODY)
            answer_ended(c);
        else if (c->left == 0)
            c->part = CHUNK_SIZE;
        return n;
    }
    const char *sign = c->part == HEAD ? "\r\n\r\n" : "\r\n";
    const char *end = memmem(input.p, input.n, sign, strlen(sign));
    if (!end)
        return 0;
    size_t n = (size_t)(end - input.p) + strlen(sign);
    if (c->part == HEAD)
        read_head(c, str_from(input.p, n));
    else
        read_line(c, str_from(input.p, n));
    return n;
}

static void
receive(struct connection *c)
{
    ssize_t n =
        recv(c->fd, c->input + c->input_len, sizeof c->input - c->input_len, 0);
    size_t used = 0, step;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose_connection(c);
        return;
    }
    c->input_len += (size_t)n;
    while (used < c->input_len &&
           (step = take(c, str_from(c->input + used, c->input_len - used))) > 0)
        used += step;
    c->input_len -= used;
    memmove(c->input, c->input + used, c->input_len);
    if (c->input_len == sizeof c->input)
        tool_fail("a response head of more than %zu bytes", sizeof c->input);
    refill(c);
    send_pending(c);
}

static void
run(struct load *load)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t end_ms = clock_mono_ms() + load->options.limit_ms;

    for (int64_t i = 0; i < load->options.connections; i++) {
        load->connections[i].load = load;
        open_connection(&load->connections[i]);
    }
    while (load->answered < load->options.requests) {
        int64_t left = end_ms - clock_mono_ms();
        if (left <= 0)
            return;
        int n = epoll_wait(load->epoll, events, EVENTS_MAX, (int)left);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_pending(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c);
        }
    }
}

int
main(int argc, char **argv)
{
    static struct load load;

    tool_options(&program, argc, argv, &load.options);
    load.address.sin_family = AF_INET;
    load.address.sin_port = htons((uint16_t)load.options.port);
    if (inet_pton(AF_INET, load.options.host, &load.address.sin_addr) != 1)
        tool_fail("%s: not an IPv4 address", load.options.host);
    build_request(&load);
    load.connections =
        calloc((size_t)load.options.connections, sizeof *load.connections);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.connections || load.epoll < 0)
        tool_fail("out of memory");

    int64_t start_us = clock_mono_us();
    run(&load);
    double seconds = (double)(clock_mono_us() - start_us) / 1e6;
    printf("{\"requests\":%lld,\"seconds\":%.6f,\"2xx\":%lld,\"other\":%lld,"
           "\"reconnects\":%lld}\n",
           (long long)load.answered, seconds, (long long)load.by_status[2],
           (long long)(load.answered - load.by_status[2]),
           (long long)load.reconnects);
    for (int64_t i = 0; i < load.options.connections; i++)
        close(load.connections[i].fd);
    free(load.connections);
    close(load.epoll);
    buf_clear(&load.request);
    config_clear(&program, &load.options);
    return 0;
}
