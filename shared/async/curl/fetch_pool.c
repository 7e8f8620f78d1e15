/* Fetch pool: libcurl says which sockets and which single timer it wants
 * watched; the loop tells it what happened.
 *
 *   event or timer -> multi_socket_action() -> multi_info_read() -> done() of
 *   each that ended
 *
 * libcurl's own callbacks (socket_cb, timer_cb, close_cb) only note what is
 * wanted: calling libcurl from inside of them is an error. A timeout of zero is
 * a task in the ready list, so that a new request leaves in the turn in which
 * it was made.
 *
 * Events are kept by descriptor, and dropped at the latest when libcurl closes
 * it: it does not always say before that it is done with a socket. */
#include "async/curl/fetch_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "async/curl/fetch.h"
#include "async/loop_private.h"
#include "base/log.h"

enum { IDLE_MAX = 32 };

/* What CURLOPT_PRIVATE points at while a handle is out. */
struct transfer {
    void (*done)(void *arg, CURLcode code);
    void *arg;
    bool added;
};

struct fetch_pool {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct loop_task kick;
    struct event **events; /* by descriptor */
    size_t events_len;
    uint32_t out; /* handles that were taken and not given back */
    uint32_t idle_len;
    CURL *idle[IDLE_MAX];
};

static void
report_ended(struct fetch_pool *pool)
{
    CURLMsg *message;
    int left;

    while ((message = libcurl()->multi_info_read(pool->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* gone with the removal */
        char *private = NULL;
        libcurl()->easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct transfer *transfer = (void *)private;
        libcurl()->multi_remove_handle(pool->multi, easy);
        transfer->added = false;
        transfer->done(transfer->arg, code);
    }
}

static void
act(struct fetch_pool *pool, curl_socket_t fd, int mask)
{
    int running;

    libcurl()->multi_socket_action(pool->multi, fd, mask, &running);
    report_ended(pool);
}

static void
event_cb(evutil_socket_t fd, short what, void *arg)
{
    act(arg, fd,
        (what & EV_READ ? CURL_CSELECT_IN : 0) |
            (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
timeout_cb(struct loop_timer *timer)
{
    act(LIST_ENTRY(timer, struct fetch_pool, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void
kick_task(struct loop_task *task)
{
    act(LIST_ENTRY(task, struct fetch_pool, kick), CURL_SOCKET_TIMEOUT, 0);
}

/* ---- called by libcurl ---- */

static int
timer_cb(CURLM *multi, long timeout_ms, void *arg)
{
    struct fetch_pool *pool = arg;

    (void)multi;
    loop_timer_stop(&pool->timer);
    loop_unready(&pool->kick);
    if (timeout_ms == 0)
        loop_ready(pool->loop, &pool->kick);
    else if (timeout_ms > 0)
        loop_timer_start(pool->loop, &pool->timer, timeout_ms, timeout_cb);
    return 0;
}

static void
forget(struct fetch_pool *pool, curl_socket_t fd)
{
    if ((size_t)fd >= pool->events_len || !pool->events[fd])
        return;
    event_free(pool->events[fd]);
    pool->events[fd] = NULL;
}

/* As many as there are descriptors, which the system limits. */
static void
make_room(struct fetch_pool *pool, curl_socket_t fd)
{
    if ((size_t)fd < pool->events_len)
        return;
    size_t len = (size_t)fd + 64;
    struct event **events =
        reallocarray(pool->events, len, sizeof(struct event *));
    if (!events)
        log_fatal("fetch: no memory");
    for (size_t i = pool->events_len; i < len; i++)
        events[i] = NULL;
    pool->events = events;
    pool->events_len = len;
}

static int
socket_cb(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
    struct fetch_pool *pool = arg;
    short events = EV_PERSIST;

    (void)easy;
    (void)assigned;
    forget(pool, fd);
    if (what == CURL_POLL_REMOVE)
        return 0;
    make_room(pool, fd);
    if (what & CURL_POLL_IN)
        events |= EV_READ;
    if (what & CURL_POLL_OUT)
        events |= EV_WRITE;
    struct event *event =
        event_new(loop_base(pool->loop), fd, events, event_cb, pool);
    if (!event || event_add(event, NULL) != 0)
        log_fatal("fetch: cannot watch descriptor %d", (int)fd);
    pool->events[fd] = event;
    return 0;
}

static int
close_cb(void *arg, curl_socket_t fd)
{
    forget(arg, fd);
    return close(fd);
}

/* ---- life ---- */

struct fetch_pool *
fetch_pool_of(struct loop *loop)
{
    if (loop->fetch_pool)
        return loop->fetch_pool;
    struct fetch_pool *pool = xcalloc(1, sizeof *pool);
    pool->loop = loop;
    pool->kick.fn = kick_task;
    pool->multi = libcurl()->multi_init();
    if (!pool->multi)
        log_fatal("fetch: no memory");
    libcurl()->multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, socket_cb);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, timer_cb);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                            (long)FETCH_HOST_MAX);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)FETCH_CONNECTIONS_MAX);
    libcurl()->multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS,
                            (long)FETCH_CONNECTIONS_MAX);
    loop->fetch_pool = pool;
    return pool;
}

void
fetch_pool_free(struct fetch_pool *pool)
{
    if (!pool)
        return;
    assert(pool->out == 0);
    while (pool->idle_len > 0)
        libcurl()->easy_cleanup(pool->idle[--pool->idle_len]);
    libcurl()->multi_cleanup(pool->multi);
    loop_timer_stop(&pool->timer);
    loop_unready(&pool->kick);
    for (size_t fd = 0; fd < pool->events_len; fd++)
        forget(pool, (curl_socket_t)fd);
    free(pool->events);
    free(pool);
}

enum status
fetch_pool_take(struct fetch_pool *pool, CURL **ret)
{
    if (pool->out >= FETCH_UNDER_WAY_MAX)
        return ST_LIMIT;
    CURL *easy = pool->idle_len > 0 ? pool->idle[--pool->idle_len]
                                    : libcurl()->easy_init();
    if (!easy)
        return ST_LIMIT;
    struct transfer *transfer = xcalloc(1, sizeof *transfer);
    libcurl()->easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    libcurl()->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_cb);
    libcurl()->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, pool);
    pool->out++;
    *ret = easy;
    return ST_OK;
}

static struct transfer *
transfer_of(CURL *easy)
{
    char *private = NULL;

    libcurl()->easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    return (void *)private;
}

enum status
fetch_pool_start(struct fetch_pool *pool, CURL *easy,
                 void (*done)(void *arg, CURLcode code), void *arg)
{
    struct transfer *transfer = transfer_of(easy);

    transfer->done = done;
    transfer->arg = arg;
    if (libcurl()->multi_add_handle(pool->multi, easy) != CURLM_OK)
        return ST_LIMIT;
    transfer->added = true;
    return ST_OK;
}

void
fetch_pool_give(struct fetch_pool *pool, CURL *easy)
{
    struct transfer *transfer = transfer_of(easy);

    if (transfer->added)
        libcurl()->multi_remove_handle(pool->multi, easy);
    free(transfer);
    pool->out--;
    libcurl()->easy_reset(easy);
    if (pool->idle_len < IDLE_MAX)
        pool->idle[pool->idle_len++] = easy;
    else
        libcurl()->easy_cleanup(easy);
}
