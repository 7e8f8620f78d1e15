/* GET /metrics: the text format of Prometheus (version 0.0.4).
 *
 * Queues are asked one after the other and the loop serves others in between.
 * Redis that is away costs what is known of it, never the answer: what the web
 * processes do is then what one wants to see. */
#include "api/api.h"
#include "figures.h"
#include "queue/queue_scale.h"
#include "queue/queue_settings.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"

struct queue_figures {
    struct queue_counts counts;
    bool closed;
};

struct scrape {
    struct queue_figures *queues;
    size_t len;
    int64_t workers;
    int64_t slots;
    bool redis;
};

static void
add_family(struct buf *body, const char *name, const char *type,
           const char *help)
{
    buf_addf(body, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_value(struct buf *body, const char *name, const char *type,
          const char *help, uint64_t value)
{
    add_family(body, name, type, help);
    buf_addf(body, "%s %" PRIu64 "\n", name, value);
}

/* ---- the web processes ---- */

static void
add_threads(struct buf *body, const struct figures *f)
{
    static const char *const pools[] = {[THREADS_AWAITS] = "await",
                                        [THREADS_VIEWS] = "sync",
                                        [THREADS_MAILS] = "mail"};

    add_family(body, "pit_web_threads_running", "gauge",
               "Functions on threads now; sync: sync views.");
    for (int i = 0; i < THREADS_POOLS; i++)
        buf_addf(body, "pit_web_threads_running{pool=\"%s\"} %" PRIu32 "\n",
                 pools[i], f->threads[i].running);
    add_family(body, "pit_web_threads_waiting", "gauge",
               "Functions that wait for a thread.");
    for (int i = 0; i < THREADS_POOLS; i++)
        buf_addf(body, "pit_web_threads_waiting{pool=\"%s\"} %" PRIu32 "\n",
                 pools[i], f->threads[i].waiting);
    add_family(body, "pit_web_threads_refused_total", "counter",
               "Functions for which too many waited already.");
    for (int i = 0; i < THREADS_POOLS; i++)
        buf_addf(body,
                 "pit_web_threads_refused_total{pool=\"%s\"} %" PRIu64 "\n",
                 pools[i], f->threads[i].refused);
}

static void
add_web(struct buf *body)
{
    struct figures f = figures_read();

    add_value(body, "pit_web_processes", "gauge", "Web processes alive.",
              f.processes);
    add_value(body, "pit_web_connections", "gauge", "Connections open now.",
              f.open);
    add_value(body, "pit_web_requests_in_flight", "gauge",
              "Requests under way now.", f.in_flight);
    add_value(body, "pit_web_resident_bytes", "gauge",
              "Resident memory of all web processes.",
              (uint64_t)f.resident_bytes);
    add_value(body, "pit_web_connections_total", "counter",
              "Connections accepted.", f.connections);
    add_value(body, "pit_web_requests_total", "counter", "Requests answered.",
              f.requests);
    add_value(body, "pit_web_refused_total", "counter",
              "Of those, refused by the front itself.", f.refused);
    add_value(body, "pit_web_hung_up_total", "counter",
              "Requests whose client went away.", f.hung_up);
    add_value(body, "pit_web_timed_out_total", "counter",
              "Connections cut at a deadline.", f.timed_out);
    add_threads(body, &f);
}

/* ---- the queues ---- */

static void
add_states(struct buf *body, const struct scrape *scrape)
{
    add_family(body, "pit_queue_jobs", "gauge",
               "Jobs there are now; succeeded: all ended ones that are kept.");
    for (size_t i = 0; i < scrape->len; i++) {
        const struct queue_counts *counts = &scrape->queues[i].counts;
        for (int state = 0; state < JOB_STATES; state++)
            if (state != JOB_CANCELLED && state != JOB_EXPIRED)
                buf_addf(body,
                         "pit_queue_jobs{queue=\"%s\",state=\"%s\"} %" PRId64
                         "\n",
                         counts->name, job_state_name((enum job_state)state),
                         counts->count[state]);
    }
}

static void
add_totals(struct buf *body, const struct scrape *scrape)
{
    add_family(body, "pit_queue_events_total", "counter",
               "What happened to a queue's jobs and their attempts.");
    for (size_t i = 0; i < scrape->len; i++) {
        const struct queue_counts *c = &scrape->queues[i].counts;
        const struct {
            const char *name;
            int64_t n;
        } totals[] = {
            {"enqueued", c->enqueued},
            {"succeeded", c->succeeded},
            {"failed", c->failed},
            {"retried", c->retried},
            {"dead", c->dead},
            {"crashed", c->crashed},
            {"lost", c->lost},
            {"timeout", c->timeout},
            {"released", c->released},
            {"expired", c->expired},
            {"quarantined", c->quarantined},
        };
        for (size_t t = 0; t < ARRAY_LEN(totals); t++)
            buf_addf(
                body,
                "pit_queue_events_total{queue=\"%s\",event=\"%s\"} %" PRId64
                "\n",
                c->name, totals[t].name, totals[t].n);
    }
}

static void
add_queues(struct buf *body, const struct scrape *scrape)
{
    add_states(body, scrape);
    add_family(body, "pit_queue_oldest_ready_seconds", "gauge",
               "Age of the job that waits longest, 0 without one.");
    for (size_t i = 0; i < scrape->len; i++) {
        int64_t ms = scrape->queues[i].counts.oldest_ready_ms;
        buf_addf(body, "pit_queue_oldest_ready_seconds{queue=\"%s\"} %.3f\n",
                 scrape->queues[i].counts.name, ms < 0 ? 0 : (double)ms / 1000);
    }
    add_family(body, "pit_queue_paused", "gauge", "1: nothing is claimed.");
    for (size_t i = 0; i < scrape->len; i++)
        buf_addf(body, "pit_queue_paused{queue=\"%s\"} %d\n",
                 scrape->queues[i].counts.name,
                 scrape->queues[i].counts.paused);
    add_family(body, "pit_queue_closed", "gauge", "1: nothing is enqueued.");
    for (size_t i = 0; i < scrape->len; i++)
        buf_addf(body, "pit_queue_closed{queue=\"%s\"} %d\n",
                 scrape->queues[i].counts.name, scrape->queues[i].closed);
    add_totals(body, scrape);
    add_value(body, "pit_workers", "gauge", "Workers alive.",
              (uint64_t)scrape->workers);
    add_value(body, "pit_worker_slots", "gauge", "Slots of those.",
              (uint64_t)scrape->slots);
}

static enum status
ask(struct co *co, struct api *api, struct scrape *scrape, struct error *err)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;

    enum status st = queue_names(co, api->queues, &names, &n, err);
    if (st != ST_OK)
        return st;
    scrape->queues = xcalloc(n + 1, sizeof *scrape->queues);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct queue_settings settings;
        struct queue_figures *one = &scrape->queues[scrape->len];
        st = queue_counts(co, api->queues, str_c(names[i]), &one->counts, err);
        if (st == ST_OK)
            st = queue_settings_apply(co, api->queues, str_c(names[i]), NULL, 0,
                                      &settings, err);
        if (st == ST_OK) {
            one->closed = settings.closed;
            scrape->len++;
        }
    }
    free(names);
    if (st == ST_OK)
        st = queue_scale_workers(co, api->queues, STR_NULL, &scrape->workers,
                                 &scrape->slots, err);
    return st;
}

enum status
metrics_get(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct scrape scrape = {0};
    struct error err;
    struct buf body;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = rds_up(api->rds) ? ask(co, api, &scrape, &err) : ST_UNAVAILABLE;
    if (st == ST_CANCELLED) {
        free(scrape.queues);
        return st;
    }
    scrape.redis = st == ST_OK;
    buf_init(&body, RESPONSE_BODY_MAX);
    add_value(&body, "pit_redis_up", "gauge", "1: Redis answers.",
              scrape.redis);
    add_web(&body);
    if (scrape.redis)
        add_queues(&body, &scrape);
    free(scrape.queues);
    return response_take(&exchange->res, 200,
                         "text/plain; version=0.0.4; charset=utf-8", &body);
}
