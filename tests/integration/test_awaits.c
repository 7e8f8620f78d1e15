/* Every await there is, and how it ends before its time: by a client that hangs
 * up, by a deadline, by the process' stop.
 *
 * A row a kind: a request whose handler gets into that await and cannot get out
 * of it by itself. Each is let in, is seen to be there (by the name that a dump
 * shows), and must then end soon, with the reason, and every later await at
 * once with the same one. Sanitizers and Valgrind look on.
 *
 * tests/lint/check-awaits holds the rows against the sources: a kind of await
 * without a row is an error. What an API's handler makes of the reason is its
 * own affair. Nothing is asserted in a coroutine. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "app/http/site.h"
#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "async/curl/mail.h"
#include "async/threads.h"
#include "base/clock.h"
#include "endpoint.h"
#include "harness/redis_server.h"
#include "harness/slowness.h"
#include "http/exchange_sse.h"
#include "http/front.h"
#include "pit/fetch.h"
#include "pit/file.h"
#include "pit/follow.h"
#include "pit/mail.h"
#include "pit/queue.h"
#include "pit/redis.h"
#include "queue/durability.h"
#include "settings.h"

enum { SOON_MS = 5000, DEADLINE_MS = 150, FOR_EVER_MS = 3600 * 1000 };

enum event { HANG_UP, DEADLINE, STOP, EVENTS };
static const char *const event_names[] = {"hang-up", "deadline", "stop"};

/* Longer on a slow machine, but not for minutes under Valgrind. */
static int64_t
deadline_ms(void)
{
    return DEADLINE_MS * (slowness() < 5 ? slowness() : 5);
}

struct fixture;

struct row {
    const char *await; /* as a dump names it */
    const char *what;
    enum status (*run)(struct co *co, struct fixture *f,
                       struct http_exchange *x); /* NULL: the API's route */
    const char *request;                         /* NULL: "GET /" */
    bool redis_stopped;
    bool threads_taken; /* the only one is at something else */
    bool held;          /* it ends only when the gate is opened, not sooner */
    bool gated;         /* a thread is at the gate meanwhile */
    int64_t more_ms;    /* of a deadline, to get there */
};

struct fixture {
    const struct row *row;
    enum event event;
    struct loop *loop;
    struct rds *rds;
    struct rds *mute; /* a Redis that never says a word */
    struct queues *queues;
    struct settings settings;
    struct api api;
    struct route_table *routes;
    struct outside outside;
    struct mail_server mail;
    struct front *front;
    int client;
    bool ended;
    enum status result;
    enum status later; /* of an await after it */
    char url[64];      /* of somebody who accepts and never answers */
    char mail_url[64];
};

static struct redis_server *server;
static char folder[] = "/tmp/pit-awaits-XXXXXX";
static int silent_tcp, silent_unix;
static uint16_t silent_port;

/* ---- a function that a thread is at until the test says so ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};

static enum pit_status
stand_at_gate(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
    return PIT_OK;
}

static void
set_gate(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void
await_somebody_at_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside == 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static enum status
take_the_thread(struct co *co, void *arg)
{
    return (enum status)pit_await_thread(co_public_of(co), stand_at_gate, arg);
}

/* ---- the awaits ---- */

#define RUN(name)                                             \
    static enum status name(struct co *co, struct fixture *f, \
                            struct http_exchange *x)

RUN(run_sleep)
{
    (void)f;
    (void)x;
    return (enum status)pit_sleep(co_public_of(co), FOR_EVER_MS);
}

RUN(run_fetch)
{
    struct pit_fetch fetch PIT_FETCH = {.url = f->url,
                                        .timeout_ms = FOR_EVER_MS};
    (void)x;
    return (enum status)pit_fetch(co_public_of(co), &fetch);
}

RUN(run_mail)
{
    struct pit_mail mail = {
        .to = {"a@example.org"}, .text = "text", .timeout_ms = FOR_EVER_MS};
    (void)f;
    (void)x;
    return (enum status)pit_mail(co_public_of(co), &mail);
}

RUN(run_redis)
{
    struct pit_redis reply PIT_REDIS = {0};

    (void)f;
    (void)x;
    return (enum status)pit_redis(co_public_of(co), &reply, "GET", "a");
}

RUN(run_redis_up)
{
    (void)x;
    return rds_wait_up(co, f->mute, FOR_EVER_MS);
}

/* pit_enqueue() may ask for the queue's settings before. */
RUN(run_enqueue)
{
    struct enqueue e = {0};

    (void)x;
    job_spec_init(&e.spec);
    e.spec.queue = STR("q");
    e.spec.task = STR("noop");
    e.spec.args = STR("{}");
    e.spec.retry_open = 0; /* the queue is not asked for it before */
    return queue_enqueue_await(co, f->queues, &e);
}

RUN(run_result_wait)
{
    struct pit_result result PIT_RESULT = {0};
    struct pit_ticket ticket;

    (void)f;
    (void)x;
    enum pit_status st = pit_enqueue(co_public_of(co), "noop", NULL,
                                     &(struct pit_enqueue){.ticket = &ticket});
    if (st == PIT_OK)
        st = pit_result_wait(co_public_of(co), ticket.id, FOR_EVER_MS, &result);
    return (enum status)st;
}

RUN(run_follow_job)
{
    struct pit_follow follow PIT_FOLLOW = {0};
    struct pit_ticket ticket;

    (void)f;
    (void)x;
    enum pit_status st = pit_enqueue(co_public_of(co), "noop", NULL,
                                     &(struct pit_enqueue){.ticket = &ticket});
    if (st == PIT_OK)
        st = pit_follow_job(co_public_of(co), ticket.id, NULL, &follow);
    while (st == PIT_OK)
        st = pit_follow_next(co_public_of(co), &follow, PIT_FOR_EVER);
    return (enum status)st;
}

RUN(run_follow_queues)
{
    struct pit_follow follow PIT_FOLLOW = {0};

    (void)f;
    (void)x;
    enum pit_status st = pit_follow_queues(
        co_public_of(co), &(struct pit_follow_queues){.counters = true},
        &follow);
    while (st == PIT_OK)
        st = pit_follow_next(co_public_of(co), &follow, PIT_FOR_EVER);
    return (enum status)st;
}

static enum pit_status
part(struct pit_co *co, void *arg)
{
    (void)arg;
    return pit_sleep(co, FOR_EVER_MS);
}

RUN(run_all)
{
    (void)f;
    (void)x;
    return (enum status)pit_await_all(co_public_of(co), part, NULL, part, NULL);
}

RUN(run_any)
{
    size_t which;

    (void)f;
    (void)x;
    return (enum status)pit_await_any(co_public_of(co), &which, part, NULL,
                                      part, NULL);
}

RUN(run_thread)
{
    (void)f;
    (void)x;
    return take_the_thread(co, NULL);
}

RUN(run_thread_take)
{
    (void)f;
    (void)x;
    return (enum status)pit_await_thread_take(co_public_of(co), stand_at_gate,
                                              xcalloc(1, 1), free);
}

static enum pit_status
sync_view(struct pit_request *req, struct pit_response *res)
{
    (void)req;
    (void)res;
    return stand_at_gate(NULL);
}

RUN(run_site)
{
    const struct site_defaults defaults = {.timeout_ms = FOR_EVER_MS};
    const struct pit_view views[] = {
        {.method = PIT_GET, .route = "/", .blocking = sync_view}};
    const struct app app = {.name = "t", .views = views, .views_len = 1};
    struct site *site;

    (void)f;
    enum status st = site_new(&app, &defaults, &site, &x->err);
    if (st != ST_OK)
        return st;
    st = site_run(co, &site->views[0], &x->req, &x->res);
    site_free(site);
    return st;
}

RUN(run_file_read)
{
    struct pit_bytes bytes PIT_BYTES = {0};

    (void)f;
    (void)x;
    return (enum status)pit_file_read(co_public_of(co), folder, "a", 100,
                                      &bytes);
}

RUN(run_file_write)
{
    (void)f;
    (void)x;
    return (enum status)pit_file_write(co_public_of(co), folder, "a", "b", 1);
}

RUN(run_file_append)
{
    (void)f;
    (void)x;
    return (enum status)pit_file_append(co_public_of(co), folder, "a", "b", 1);
}

RUN(run_file_remove)
{
    (void)f;
    (void)x;
    return (enum status)pit_file_remove(co_public_of(co), folder, "a");
}

RUN(run_body)
{
    (void)f;
    return exchange_read_all(co, x);
}

RUN(run_stream)
{
    static const char block[65536];
    enum status st = ST_OK;

    (void)f;
    while (st == ST_OK)
        st = exchange_write(co, x, str_from(block, sizeof block));
    return st;
}

RUN(run_sse)
{
    static char data[16384];
    enum status st = ST_OK;

    (void)f;
    memset(data, 'd', sizeof data);
    while (st == ST_OK)
        st = exchange_sse_send(
            co, x,
            &(struct exchange_sse_event){.data = str_from(data, sizeof data)});
    return st;
}

/* Nobody is there to copy to, so it waits for its own time, again and again. */
RUN(run_durability)
{
    struct durability_wish disk = {.kind = DURABILITY_FSYNC};
    const struct durability_wish copy = {.kind = DURABILITY_REPLICA,
                                         .replicas = 1};
    struct queues *queues;

    /* For its connection: what it says is of no interest. */
    enum status st = durability_begin(co, f->api.durability, &disk, f->queues,
                                      &queues, &x->err);
    do
        st = durability_reach(co, f->api.durability, &copy, &x->err);
    while (st == ST_TIMEOUT && co_cancelled(co) == ST_OK);
    return st;
}

#define LEASES                                                              \
    "POST /v1/leases HTTP/1.1\r\nHost: a\r\nContent-Type: application/json" \
    "\r\nContent-Length: 29\r\n\r\n{\"queues\":[\"z\"],\"wait\":\"55s\"}"

static const struct row rows[] = {
    {"sleep", "pit_sleep", run_sleep},
    {"fetch", "pit_fetch", run_fetch},
    {"mail", "pit_mail", run_mail},
    {"redis", "pit_redis", run_redis, .redis_stopped = true},
    {"redis up", "rds_wait_up", run_redis_up},
    {"enqueue", "queue_enqueue", run_enqueue, .redis_stopped = true},
    {"job end", "pit_result_wait", run_result_wait},
    {"calls", "pit_await_all", run_all},
    {"calls", "pit_await_any", run_any},
    {"thread", "pit_await_thread", run_thread, .held = true, .gated = true},
    {"thread", "pit_await_thread, none free", run_thread,
     .threads_taken = true},
    {"thread", "pit_await_thread_take", run_thread_take, .gated = true},
    {"sync view", "a sync view", run_site, .held = true, .gated = true},
    {"file read", "pit_file_read", run_file_read, .threads_taken = true},
    {"file write", "pit_file_write", run_file_write, .threads_taken = true},
    {"file write", "pit_file_append", run_file_append, .threads_taken = true},
    {"file remove", "pit_file_remove", run_file_remove, .threads_taken = true},
    {"http body", "pit_request_read", run_body,
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"},
    {"http output", "pit_stream_write", run_stream},
    {"http output", "pit_sse_send", run_sse},
    /* What was cancelled before still keeps its connection busy. */
    {"durability", "durability_reach", run_durability,
     .more_ms = 2 * DURABILITY_WAIT_MS},
    {"events", "GET /v1/events", NULL,
     "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"events", "pit_follow_next, a job", run_follow_job},
    {"events", "pit_follow_next, queues", run_follow_queues},
    {"jobs", "POST /v1/leases", NULL, LEASES},
    {"claim", "POST /v1/leases", NULL, LEASES, .redis_stopped = true},
};

/* ---- the process around them ---- */

static enum status
via_api(struct co *co, struct fixture *f, struct http_exchange *x)
{
    struct route_match match = {0};

    if (route_match(f->routes, &x->req, &match) != ROUTE_FOUND)
        return ST_NOT_FOUND;
    const struct endpoint *endpoint = match.target;
    return endpoint->handle(co, x, endpoint->arg);
}

static enum status
handler(struct co *co, struct http_exchange *x, void *arg)
{
    struct fixture *f = arg;

    if (f->event == DEADLINE)
        co_deadline_ms(co, deadline_ms() + f->row->more_ms);
    f->result = f->row->run ? f->row->run(co, f, x) : via_api(co, f, x);
    f->later = co_sleep(co, 0);
    f->ended = true;
    return f->result;
}

static void
connect_redis(struct fixture *f, const char *url, struct rds **ret)
{
    struct error err;

    if (rds_new(f->loop,
                &(struct rds_options){.url = url,
                                      .connect_timeout_ms = FOR_EVER_MS,
                                      .command_timeout_ms = FOR_EVER_MS},
                ret, &err) != ST_OK)
        fail_msg("%s", err.msg);
}

static void
load_settings(struct fixture *f)
{
    char redis[200], name[] = "pit-web";
    char *argv[] = {name, redis, NULL};
    struct settings_source source = {2, argv};
    struct error err;

    snprintf(redis, sizeof redis, "--redis=%s", redis_server_url(server));
    if (settings_load(&source, &f->settings, &err) != ST_OK)
        fail_msg("%s", err.msg);
}

static struct app_task tasks[] = {{.name = "noop",
                                   .queue = "q",
                                   .timeout_ms = 5000,
                                   .retries = 1,
                                   .backoff_ms = 1000,
                                   .backoff_cap_ms = 60000,
                                   .keep_ms = 1000,
                                   .about = ""}};
static const struct app app = {.name = "t", .tasks = tasks, .tasks_len = 1};

static void
start(struct fixture *f, const struct row *row)
{
    char mute[128];
    struct error err;

    *f = (struct fixture){.row = row, .client = -1};
    f->loop = loop_new(&(struct loop_options){.threads_max = 1});
    load_settings(f);
    connect_redis(f, redis_server_url(server), &f->rds);
    snprintf(mute, sizeof mute, "unix://%s/mute", folder);
    connect_redis(f, mute, &f->mute);
    f->queues = queues_new(f->rds, f->loop, NULL);
    if (queues_listen(f->queues, redis_server_url(server), &err) != ST_OK)
        fail_msg("%s", err.msg);
    api_init(&f->api, f->loop, f->rds, f->queues, &app, &f->settings);
    queue_public_attach(f->loop, &f->api.catalog);
    queue_public_attach_changes(f->loop, f->api.changes);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/", silent_port);
    snprintf(f->mail_url, sizeof f->mail_url, "smtp://127.0.0.1:%u",
             silent_port);
    f->mail = (struct mail_server){f->mail_url, "b@example.org"};
    f->outside = (struct outside){.rds = f->rds, .mail = &f->mail};
    outside_attach(f->loop, &f->outside);
    f->routes = route_table_new();
    if (api_route(&f->api, f->routes, &err) != ST_OK)
        fail_msg("%s", err.msg);
    f->front = front_new(f->loop, NULL, handler, f);
}

static void
stop(struct fixture *f)
{
    front_free(f->front);
    api_clear(&f->api);
    queues_free(f->queues);
    rds_free(f->rds);
    rds_free(f->mute);
    loop_turn(f->loop, 0); /* as pit-web: what Redis owed is told of */
    route_table_free(f->routes);
    loop_free(f->loop);
    settings_clear(&f->settings);
}

/* ---- one row, one event ---- */

static void
describe(const struct fixture *f, const char *wanted)
{
    co_dump(f->loop, stderr);
    fail_msg("%s (%s), %s: %s", f->row->what, f->row->await,
             event_names[f->event], wanted);
}

/* True while a coroutine of the request is in the row's await, and in no
 * other. */
static bool
is_there(const struct fixture *f)
{
    char *text = NULL, wanted[64];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct str line, rest;
    bool there = false;

    co_dump(f->loop, out);
    fclose(out);
    snprintf(wanted, sizeof wanted, "waiting for %s, ", f->row->await);
    for (rest = str_from(text, len); rest.n > 0 && !there;) {
        line = str_cut(rest, '\n', &rest);
        there = !str_starts(line, STR("taker:")) &&
                memmem(line.p, line.n, wanted, strlen(wanted));
    }
    free(text);
    return there;
}

static void
turn_until(struct fixture *f, bool (*condition)(const struct fixture *f),
           const char *wanted)
{
    int64_t end = clock_mono_ms() + SOON_MS * slowness();

    while (!condition(f)) {
        if (clock_mono_ms() > end || (condition == is_there && f->ended))
            describe(f, wanted);
        loop_turn(f->loop, 10);
    }
}

static bool
has_ended(const struct fixture *f)
{
    return f->ended;
}

static bool
is_redis_up(const struct fixture *f)
{
    return rds_up(f->rds);
}

static bool
is_empty(const struct fixture *f)
{
    return co_count(f->loop) == 0 && front_stats(f->front).open == 0;
}

static void
prepare(struct fixture *f)
{
    set_gate(false);
    f->ended = false;
    f->result = f->later = ST_OK;
    turn_until(f, is_redis_up, "Redis is not there");
    if (f->row->redis_stopped)
        redis_server_stop(server);
    if (f->row->threads_taken) {
        assert_int_equal(
            co_detach(f->loop, "taker", take_the_thread, NULL, NULL), ST_OK);
        await_somebody_at_gate();
    }
}

static void
send_request(struct fixture *f)
{
    const char *text =
        f->row->request ? f->row->request : "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->client = fds[0];
    front_adopt(f->front, fds[1]);
    assert_int_equal(write(f->client, text, strlen(text)), strlen(text));
    turn_until(f, is_there, "it never came to wait for that");
    if (f->row->gated)
        await_somebody_at_gate();
}

static void
make_it_happen(struct fixture *f)
{
    if (f->event == HANG_UP) {
        close(f->client);
        f->client = -1;
    } else if (f->event == STOP) {
        api_drain(&f->api);
        front_drain(f->front);
        front_cancel(f->front);
    }
}

static void
check(const struct fixture *f)
{
    enum status reason = f->event == DEADLINE ? ST_TIMEOUT : ST_CANCELLED;

    if (f->row->run && f->result != reason)
        fail_msg("%s, %s: it returned %s", f->row->what, event_names[f->event],
                 status_name(f->result));
    /* An API's wait that is told of the stop by api_drain() is cut short as by
     * its own time, and answers. */
    if (f->later != reason && (f->row->run || f->event != STOP))
        fail_msg("%s, %s: the next await returned %s", f->row->what,
                 event_names[f->event], status_name(f->later));
}

static void
try(struct fixture *f, enum event event)
{
    f->event = event;
    prepare(f);
    send_request(f);
    make_it_happen(f);
    if (f->row->held) {
        int64_t end = clock_mono_ms() + 2 * deadline_ms();
        while (clock_mono_ms() < end)
            loop_turn(f->loop, 10);
        if (f->ended)
            describe(f, "it left while a thread had its argument");
        set_gate(true);
    }
    turn_until(f, has_ended, "it did not end");
    check(f);
    set_gate(true);
    if (f->row->redis_stopped)
        redis_server_continue(server);
    if (f->client >= 0)
        close(f->client);
    f->client = -1;
    turn_until(f, is_empty, "something was left");
}

static void
test_row(void **state)
{
    struct fixture f;

    redis_server_continue(server); /* a row that failed left it so */
    /* The stop comes last: the front does not come back from it. */
    start(&f, *state);
    for (int event = 0; event < EVENTS; event++)
        try(&f, (enum event)event);
    stop(&f);
}

/* ---- all of them ---- */

static int
listen_silently(int family)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof in;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(un.sun_path, sizeof un.sun_path, "%s/mute", folder);
    bool bound = family == AF_INET
                     ? bind(fd, (struct sockaddr *)&in, sizeof in) == 0
                     : bind(fd, (struct sockaddr *)&un, sizeof un) == 0;
    if (!bound || listen(fd, 128) != 0)
        fail_msg("no silent socket: %m");
    if (family == AF_INET) {
        assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
        silent_port = ntohs(in.sin_port);
    }
    return fd;
}

static int
set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    silent_tcp = listen_silently(AF_INET);
    silent_unix = listen_silently(AF_UNIX);
    server = redis_server_start(NULL);
    return 0;
}

static int
tear_down(void **state)
{
    char path[128];

    (void)state;
    redis_server_free(server);
    close(silent_tcp);
    close(silent_unix);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "mute" : "a");
        unlink(path);
    }
    return rmdir(folder);
}

int
main(void)
{
    struct CMUnitTest tests[ARRAY_LEN(rows)];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].what,
            .test_func = test_row,
            .initial_state = (void *)(uintptr_t)&rows[i],
        };
    return cmocka_run_group_tests_name("awaits", tests, set_up, tear_down);
}
