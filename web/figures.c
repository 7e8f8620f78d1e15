/* Figures: a table in shared memory, with atomics in place of locks. */
#include "figures.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"

enum {
    PLACES = 1024, /* two generations of SETTINGS_PROCESSES_MAX, and room */
    LOOK_EVERY_MS = 1000,
};

struct place {
    atomic_int pid; /* 0: free */
    atomic_uint open;
    atomic_uint in_flight;
    atomic_llong resident_bytes;
    struct {
        atomic_uint running;
        atomic_uint waiting;
    } threads[THREADS_POOLS];
};

struct table {
    atomic_ullong connections;
    atomic_ullong requests;
    atomic_ullong refused;
    atomic_ullong hung_up;
    atomic_ullong timed_out;
    atomic_ullong threads_refused[THREADS_POOLS];
    struct place places[PLACES];
};

static struct table own_table; /* until there is a shared one */
static struct table *table = &own_table;

/* This process' part. */
static struct {
    struct loop *loop;
    const struct front *front;
    struct loop_timer timer;
    struct front_stats added; /* what is in the totals already */
    uint64_t added_refused[THREADS_POOLS];
    struct place *place;
} own;

void
figures_share(void)
{
    void *memory = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        log_warn("no shared memory (errno %d): /metrics will tell of one "
                 "process each time",
                 errno);
    else
        table = memory;
}

static bool
is_alive(int pid)
{
    return pid == getpid() || kill(pid, 0) == 0 || errno == EPERM;
}

static struct place *
take_place(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &table->places[i];
        int pid = atomic_load(&place->pid);
        if ((pid == 0 || !is_alive(pid)) &&
            atomic_compare_exchange_strong(&place->pid, &pid, (int)getpid()))
            return place;
    }
    return NULL;
}

static void
look_at_threads(enum threads_pool pool)
{
    struct threads_stats now = co_thread_stats(own.loop, pool);

    atomic_fetch_add(&table->threads_refused[pool],
                     now.refused - own.added_refused[pool]);
    own.added_refused[pool] = now.refused;
    if (!own.place)
        return;
    atomic_store(&own.place->threads[pool].running, now.running);
    atomic_store(&own.place->threads[pool].waiting, now.waiting);
}

static void
look(void)
{
    struct front_stats now = front_stats(own.front);

    atomic_fetch_add(&table->connections,
                     now.connections - own.added.connections);
    atomic_fetch_add(&table->requests, now.requests - own.added.requests);
    atomic_fetch_add(&table->refused, now.refused - own.added.refused);
    atomic_fetch_add(&table->hung_up, now.hung_up - own.added.hung_up);
    atomic_fetch_add(&table->timed_out, now.timed_out - own.added.timed_out);
    own.added = now;
    for (int pool = 0; pool < THREADS_POOLS; pool++)
        look_at_threads((enum threads_pool)pool);
    if (!own.place)
        return;
    atomic_store(&own.place->open, now.open);
    atomic_store(&own.place->in_flight, now.in_flight);
}

static void
on_timer(struct loop_timer *timer)
{
    look();
    if (own.place)
        atomic_store(&own.place->resident_bytes, process_rss_bytes(getpid()));
    loop_timer_start(own.loop, timer, LOOK_EVERY_MS, on_timer);
}

void
figures_start(struct loop *loop, const struct front *front)
{
    own.loop = loop;
    own.front = front;
    own.added = (struct front_stats){0};
    memset(own.added_refused, 0, sizeof own.added_refused);
    own.place = take_place();
    on_timer(&own.timer);
}

void
figures_stop(void)
{
    if (!own.front)
        return;
    look();
    loop_timer_stop(&own.timer);
    if (own.place)
        atomic_store(&own.place->pid, 0);
    own.place = NULL;
    own.front = NULL;
}

struct figures
figures_read(void)
{
    if (own.front)
        look();
    struct figures found = {
        .connections = atomic_load(&table->connections),
        .requests = atomic_load(&table->requests),
        .refused = atomic_load(&table->refused),
        .hung_up = atomic_load(&table->hung_up),
        .timed_out = atomic_load(&table->timed_out),
    };
    for (int pool = 0; pool < THREADS_POOLS; pool++)
        found.threads[pool].refused =
            atomic_load(&table->threads_refused[pool]);
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &table->places[i];
        int pid = atomic_load(&place->pid);
        if (pid == 0 || !is_alive(pid))
            continue;
        found.processes++;
        found.open += atomic_load(&place->open);
        found.in_flight += atomic_load(&place->in_flight);
        found.resident_bytes += atomic_load(&place->resident_bytes);
        for (int pool = 0; pool < THREADS_POOLS; pool++) {
            found.threads[pool].running +=
                atomic_load(&place->threads[pool].running);
            found.threads[pool].waiting +=
                atomic_load(&place->threads[pool].waiting);
        }
    }
    return found;
}
