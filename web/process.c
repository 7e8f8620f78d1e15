/* Process: puts the parts together, and takes them down in the right order.
 *
 * DRAINING
 *   The supervisor lets no new connection begin, then sends SIGTERM, which is
 *   blocked until this process can handle it. What had begun may still lie in
 *   the socket's queue, so this process goes on accepting for LINGER_MS and
 *   until the queue is empty; then it closes the socket, ends when no
 *   connection is open, and cancels what is left at the end of the grace.
 */
#include "process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access.h"
#include "api/api.h"
#include "app/loader.h"
#include "app/outside.h"
#include "app/public/queue_public.h"
#include "async/co/co.h"
#include "async/curl/mail.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "dump.h"
#include "endpoint.h"
#include "figures.h"
#include "http/forwarded.h"
#include "http/front.h"
#include "http/listener.h"
#include "http/tls.h"
#include "queue/schema.h"
#include "views.h"

enum {
    LINGER_MS = 250,        /* accepting after SIGTERM: a slow handshake */
    DRAIN_LOOK_MS = 20,     /* between two looks whether all is done */
    CANCEL_GRACE_MS = 1000, /* for cancelled handlers to unwind */
    INTRODUCE_AGAIN_MS = 1000,
    OTHER_DESCRIPTORS = 256, /* than connections: Redis, fetches, files */
    COUNT_MS = 250,          /* between two looks at --recycle-after */
    REDIS_FIRST_MS = 500,    /* to wait for Redis before the first accept */
};

struct process {
    const struct settings *settings;
    struct loop *loop;
    struct forwarded forwarded;
    struct tls *tls; /* NULL: no address speaks it */
    const unsigned char *ticket_key;
    struct rds *rds;
    struct queues *queues;
    struct loader loader;
    bool loaded;
    struct views *views;
    struct mail_server mail;
    struct outside outside;
    struct route_table *routes;
    struct api api;
    struct access_log *access;
    struct front *front;
    const struct sockets *sockets;
    unsigned index;
    int status_fd; /* -1: nobody is to be told */
    bool listened; /* the listeners have taken the sockets */
    struct listener *listeners[SOCKETS_ADDRESSES_MAX];
    struct loop_timer listen_timer;
    struct loop_timer drain_timer;
    struct loop_timer introduce_timer;
    struct loop_timer count_timer;
    uint64_t tired_at; /* requests; 0: never */
    int64_t drain_started_ms;
    bool draining;
    bool cancelled;
    bool introducing;
};

/* ---- one request ---- */

static enum status
handle(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct process *process = arg;
    struct route_match match;

    enum route_result result =
        route_match(process->routes, &exchange->req, &match);
    if (result != ROUTE_FOUND)
        return views_other(co, exchange, process->views, result, match.allow);
    const struct endpoint *endpoint = match.target;
    return endpoint->handle(co, exchange, endpoint->arg);
}

/* ---- each time that Redis is there again ---- */

/* Jobs of another schema must not be touched: until the operator has mended
 * that, nothing is enqueued. */
static enum status
introduce(struct co *co, void *arg)
{
    struct process *process = arg;
    struct error err;

    enum status st = schema_claim(co, process->queues, &err);
    if (st == ST_CONFLICT) {
        log_error("%s", err.msg);
        process->api.foreign = true;
        return ST_OK;
    }
    if (st == ST_OK) {
        process->api.foreign = false;
        if (process->loaded)
            st = task_entry_publish(co, process->queues, &process->loader.app,
                                    &err);
    }
    if (st != ST_OK && st != ST_CANCELLED)
        log_warn("the tasks could not be published: %s", err.msg);
    return st;
}

static void start_introducing(struct process *process);

static void
introduce_again(struct loop_timer *timer)
{
    start_introducing(LIST_ENTRY(timer, struct process, introduce_timer));
}

static void
on_introduced(void *arg, enum status status)
{
    struct process *process = arg;

    process->introducing = false;
    if (status != ST_OK && !process->draining && rds_up(process->rds))
        loop_timer_start(process->loop, &process->introduce_timer,
                         INTRODUCE_AGAIN_MS, introduce_again);
}

static void
start_introducing(struct process *process)
{
    if (process->introducing || process->draining)
        return;
    process->introducing = true;
    if (co_spawn(process->loop, "introduce", introduce, process,
                 on_introduced) != ST_OK)
        on_introduced(process, ST_LIMIT);
}

static void
tell(const struct process *process, enum process_kind kind)
{
    const struct process_message message = {getpid(), kind};

    if (process->status_fd >= 0 &&
        write(process->status_fd, &message, sizeof message) < 0)
        log_warn("the supervisor cannot be told: %m");
}

/* A process that comes up under load would refuse what it accepts before it
 * has reached Redis; in the socket's queue it can wait. */
static void
start_listening(struct process *process)
{
    const struct sockets *sockets = process->sockets;

    if (process->listened || !process->front)
        return;
    process->listened = true;
    loop_timer_stop(&process->listen_timer);
    for (size_t i = 0; i < sockets->len; i++) {
        process->listeners[i] =
            listener_new(process->loop, process->front,
                         sockets_fd(sockets, i, process->index));
        if (sockets->addresses[i]->tls)
            listener_use_tls(process->listeners[i], process->tls);
    }
    tell(process, PROCESS_SERVES);
}

/* True when it listens nowhere any more. */
static bool
leave_sockets(struct process *process, bool whatever_waits)
{
    bool left = true;

    for (size_t i = 0; i < SOCKETS_ADDRESSES_MAX; i++) {
        struct listener *listener = process->listeners[i];
        if (listener && !listener_drain(listener) && !whatever_waits) {
            left = false;
            continue;
        }
        listener_free(listener);
        process->listeners[i] = NULL;
    }
    return left;
}

static void
stop_listening(struct process *process)
{
    for (size_t i = 0; i < SOCKETS_ADDRESSES_MAX; i++) {
        listener_free(process->listeners[i]);
        process->listeners[i] = NULL;
    }
}

static void
listen_anyway(struct loop_timer *timer)
{
    start_listening(LIST_ENTRY(timer, struct process, listen_timer));
}

static void
on_redis(struct rds *rds, bool up, void *arg)
{
    if (up) {
        log_info("Redis is there");
        start_introducing(arg);
        start_listening(arg);
    } else {
        log_warn("Redis is away: %s", rds_last_error(rds));
    }
}

/* Processes that were started together shall not leave together: up to a tenth
 * more, by chance. */
static uint64_t
tired_at(int64_t requests)
{
    return (uint64_t)requests +
           (uint64_t)(random_double() * (double)requests / 10);
}

static void
look_whether_tired(struct loop_timer *timer)
{
    struct process *process = LIST_ENTRY(timer, struct process, count_timer);

    if (process->draining)
        return;
    if (front_stats(process->front).requests >= process->tired_at) {
        tell(process, PROCESS_IS_TIRED);
        return;
    }
    loop_timer_start(process->loop, timer, COUNT_MS, look_whether_tired);
}

/* ---- draining ---- */

static void
look_whether_drained(struct loop_timer *timer)
{
    struct process *process = LIST_ENTRY(timer, struct process, drain_timer);
    int64_t passed_ms = clock_mono_ms() - process->drain_started_ms;
    int64_t grace_ms = process->settings->grace;
    bool deaf =
        passed_ms >= LINGER_MS && leave_sockets(process, passed_ms >= grace_ms);
    struct front_stats stats = front_stats(process->front);

    if (deaf && stats.open == 0 && stats.in_flight == 0 &&
        co_detached(process->loop) == 0) {
        loop_stop(process->loop);
        return;
    }
    if (!process->cancelled && passed_ms >= grace_ms) {
        if (stats.in_flight > 0)
            log_warn("%u requests are cancelled at the end of the grace time",
                     stats.in_flight);
        process->cancelled = true;
        front_cancel(process->front);
        co_detached_cancel(process->loop);
    }
    if (passed_ms >= grace_ms + CANCEL_GRACE_MS) {
        loop_stop(process->loop);
        return;
    }
    loop_timer_start(process->loop, timer, DRAIN_LOOK_MS, look_whether_drained);
}

static void
on_term(int signo, void *arg)
{
    struct process *process = arg;

    (void)signo;
    if (process->draining)
        return;
    start_listening(process); /* what waits in the queue gets its answer */
    process->draining = true;
    process->drain_started_ms = clock_mono_ms();
    api_drain(&process->api);
    front_drain(process->front);
    loop_timer_start(process->loop, &process->drain_timer, DRAIN_LOOK_MS,
                     look_whether_drained);
}

/* ---- putting it together ---- */

static enum status
load(struct process *process, struct error *err)
{
    const struct settings *settings = process->settings;

    if (!settings->app)
        return ST_OK;
    enum status st = loader_open(settings->app, &process->loader, err);
    process->loaded = st == ST_OK;
    return st;
}

static enum status
add_routes(struct process *process, struct error *err)
{
    process->routes = route_table_new();
    enum status st = api_route(&process->api, process->routes, err);
    if (st == ST_OK && process->loaded)
        st = views_route(&process->loader.app, process->settings,
                         process->routes, &process->views, err);
    return st;
}

static enum status
connect_redis(struct process *process, struct error *err)
{
    const struct rds_options options = {
        .url = process->settings->redis,
        .client_name = "pit-web",
        .connect_timeout_ms = process->settings->redis_timeout,
        .command_timeout_ms = process->settings->redis_timeout,
        .on_state = on_redis,
        .arg = process,
    };

    return rds_new(process->loop, &options, &process->rds, err);
}

static enum status
start(struct process *process, struct error *err)
{
    const struct loop_options loop_options = {
        .coroutines_max = (uint32_t)process->settings->max_in_flight + 64,
        .threads_max = (uint32_t)process->settings->threads,
        .view_threads_max = (uint32_t)process->settings->sync_threads,
        .view_threads_queue = (uint32_t)process->settings->sync_queue,
    };

    process->loop = loop_new(&loop_options);
    enum status st = forwarded_parse(process->settings->trusted_proxy,
                                     process->settings->proxy_header,
                                     &process->forwarded, err);
    if (st == ST_OK && process->settings->tls_cert)
        st = tls_new(&(struct tls_options){.cert = process->settings->tls_cert,
                                           .key = process->settings->tls_key,
                                           .ticket_key = process->ticket_key},
                     &process->tls, err);
    if (st == ST_OK)
        st = load(process, err);
    if (st == ST_OK)
        st = connect_redis(process, err);
    if (st != ST_OK)
        return st;
    process->queues = queues_new(process->rds, process->loop, NULL);
    api_init(&process->api, process->loop, process->rds, process->queues,
             process->loaded ? &process->loader.app : NULL, process->settings);
    queue_public_attach(process->loop, &process->api.catalog);
    queue_public_attach_durability(process->loop, process->api.durability);
    queue_public_attach_changes(process->loop, process->api.changes);
    process->mail = (struct mail_server){
        .url = process->settings->smtp,
        .from = process->settings->mail_from,
    };
    process->outside = (struct outside){
        .rds = process->rds,
        .mail = process->mail.url ? &process->mail : NULL,
    };
    outside_attach(process->loop, &process->outside);
    return add_routes(process, err);
}

/* The other way round; every part may be missing. */
static void
stop(struct process *process)
{
    loop_timer_stop(&process->listen_timer);
    loop_timer_stop(&process->drain_timer);
    loop_timer_stop(&process->introduce_timer);
    loop_timer_stop(&process->count_timer);
    stop_listening(process);
    if (process->front)
        front_free(process->front);
    tls_free(process->tls);
    access_free(process->access);
    if (process->queues) {
        api_clear(&process->api);
        queues_free(process->queues);
    }
    rds_free(process->rds);
    loop_turn(process->loop, 0); /* calls that it gave up end and are freed */
    route_table_free(process->routes);
    views_free(process->views);
    loop_free(process->loop); /* its threads may be in the application */
    loader_close(&process->loader);
}

enum status
process_check(const struct settings *settings, struct error *err)
{
    struct process process = {.settings = settings, .status_fd = -1};

    enum status st = start(&process, err);
    stop(&process);
    return st;
}

static void
on_usr1(int signo, void *arg)
{
    struct process *process = arg;

    (void)signo;
    dump_log(process->loop, process->front);
}

/* The supervisor has it blocked (children.h, term_blocked). */
static void
let_in(int signo)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signo);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void
serve(struct process *process, const struct process_options *options)
{
    struct front_options limits = settings_front(process->settings);

    if (options->access_fd >= 0)
        process->access = access_new(
            process->loop, options->access_fd,
            process->settings->log_json ? ACCESS_JSON : ACCESS_COMMON);
    limits.access = process->access;
    if (process->forwarded.len > 0 || process->forwarded.local)
        limits.forwarded = &process->forwarded;
    process->front = front_new(process->loop, &limits, handle, process);
    figures_start(process->loop, process->front);
    if (process->settings->recycle_after > 0) {
        process->tired_at = tired_at(process->settings->recycle_after);
        loop_timer_start(process->loop, &process->count_timer, COUNT_MS,
                         look_whether_tired);
    }
    if (rds_up(process->rds))
        start_listening(process);
    else
        loop_timer_start(process->loop, &process->listen_timer, REDIS_FIRST_MS,
                         listen_anyway);
    loop_on_signal(process->loop, SIGTERM, on_term, process);
    loop_on_signal(process->loop, SIGUSR1, on_usr1, process);
    let_in(SIGTERM);
    loop_run(process->loop);
}

/* A connection is a descriptor. The soft limit is for programs that would trip
 * over many of them; the hard one is what the operator allows. */
static void
raise_descriptors(const struct settings *settings, bool say)
{
    rlim_t wanted = (rlim_t)settings->max_connections + OTHER_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        if (say)
            log_warn("%llu descriptors are allowed (ulimit -n): too few for "
                     "--max-connections %lld",
                     (unsigned long long)limit.rlim_cur,
                     (long long)settings->max_connections);
    }
}

int
process_run(const struct process_options *options)
{
    struct process *process = xcalloc(1, sizeof *process);
    struct error err;

    process_set_name("pit-web");
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    process->settings = options->settings;
    raise_descriptors(options->settings, options->index == 0);
    process->sockets = options->sockets;
    process->index = options->index;
    process->ticket_key = options->ticket_key;
    process->status_fd = options->status_fd;
    enum status st = start(process, &err);
    if (st == ST_OK)
        st = queues_listen(process->queues, options->settings->redis, &err);
    if (st != ST_OK) {
        log_error("%s", err.msg);
        stop(process);
        free(process);
        return 1;
    }
    serve(process, options);
    figures_stop();
    bool clean = front_stats(process->front).in_flight == 0 &&
                 co_count(process->loop) == 0;
    /* Coroutines that did not unwind hold parts of all this: let them go with
     * the process. */
    if (!clean)
        _exit(0);
    stop(process);
    free(process);
    return 0;
}
