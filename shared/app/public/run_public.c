/* Public run: pit/run.h. A loop, a connection and the queues around one
 * coroutine, as a process of ours has them around many. */
#include "pit/run.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "async/curl/mail.h"
#include "queue/changes.h"
#include "queue/durability.h"
#include "queue/schema.h"

enum { CONNECT_STANDARD_MS = 2000, DRAIN_MS = 60000 };

struct visit {
    const struct pit_run *run;
    pit_co_fn *fn;
    void *arg;
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
    struct durability *durability;
    struct changes *changes;
    struct task_catalog catalog;
    struct mail_server mail;
    struct outside outside;
    struct error err; /* why fn was not called */
    bool called;
};

/* ---- SIGPIPE ---- */

/* A peer that closed while we write is an error of that write, and no reason to
 * end a program that may have left the signal at its default. It is directed at
 * the thread that wrote, so it is blocked here and taken away at the end. */
struct pipes {
    sigset_t before;
    bool pending; /* already, from elsewhere */
};

static void
pipes_block(struct pipes *pipes)
{
    sigset_t set;

    sigpending(&set);
    pipes->pending = sigismember(&set, SIGPIPE) == 1;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &pipes->before);
}

static void
pipes_restore(const struct pipes *pipes)
{
    const struct timespec none = {0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    while (!pipes->pending && sigtimedwait(&set, NULL, &none) == SIGPIPE)
        continue;
    pthread_sigmask(SIG_SETMASK, &pipes->before, NULL);
}

/* ---- the visit ---- */

static const char *
redis_url(const struct pit_run *run)
{
    const char *url = run->redis ? run->redis : getenv("PIT_REDIS");

    return url && url[0] ? url : "redis://127.0.0.1:6379";
}

static int64_t
connect_ms(const struct pit_run *run)
{
    return run->connect_ms ? run->connect_ms : CONNECT_STANDARD_MS;
}

static enum status
check(const struct pit_run *run, struct error *err)
{
    if (run->connect_ms < 0 || run->timeout_ms < 0)
        return error_set(err, ST_INVALID,
                         "connect_ms and timeout_ms must not be negative");
    return ST_OK;
}

/* A store that takes no writes can be looked at all the same. */
static enum status
claim_schema(struct co *co, struct visit *visit)
{
    enum status st = schema_claim(co, visit->queues, &visit->err);

    return st == ST_READ_ONLY ? ST_OK : st;
}

static enum status
visit_fn(struct co *co, void *arg)
{
    struct visit *visit = arg;
    const struct pit_run *run = visit->run;

    if (run->timeout_ms > 0)
        co_deadline_ms(co, run->timeout_ms);
    enum status st = rds_wait_up(co, visit->rds, connect_ms(run));
    if (st == ST_TIMEOUT)
        st = error_set(&visit->err, ST_UNAVAILABLE, "Redis does not answer: %s",
                       rds_last_error(visit->rds));
    if (st == ST_OK)
        st = claim_schema(co, visit);
    if (st != ST_OK)
        return st;
    visit->called = true;
    return (enum status)visit->fn(co_public_of(co), visit->arg);
}

static enum status
visit_begin(struct visit *visit)
{
    const struct pit_run *run = visit->run;
    const struct rds_options how = {
        .url = redis_url(run),
        .client_name = run->name ? run->name : "pit-client",
    };

    enum status st = check(run, &visit->err);
    if (st == ST_OK)
        st = rds_new(visit->loop, &how, &visit->rds, &visit->err);
    if (st != ST_OK)
        return st;
    visit->queues = queues_new(visit->rds, visit->loop, NULL);
    queues_listen_later(visit->queues, how.url);
    task_catalog_init(&visit->catalog, visit->queues, NULL);
    queue_public_attach(visit->loop, &visit->catalog);
    visit->durability = durability_new(visit->loop, visit->queues, how.url);
    queue_public_attach_durability(visit->loop, visit->durability);
    visit->changes = changes_new(visit->loop, visit->queues, how.url);
    queue_public_attach_changes(visit->loop, visit->changes);
    visit->mail =
        (struct mail_server){.url = run->smtp, .from = run->mail_from};
    visit->outside = (struct outside){
        .rds = visit->rds,
        .mail = run->smtp ? &visit->mail : NULL,
    };
    outside_attach(visit->loop, &visit->outside);
    return ST_OK;
}

static void
visit_end(struct visit *visit)
{
    if (visit->queues)
        task_catalog_clear(&visit->catalog);
    changes_free(visit->changes);
    durability_free(visit->durability);
    queues_free(visit->queues);
    rds_free(visit->rds);
    loop_free(visit->loop);
}

enum pit_status
pit_run(struct pit_run *run, pit_co_fn *fn, void *arg)
{
    static const struct pit_run usual;
    struct visit visit = {
        .run = run ? run : &usual, .fn = fn, .arg = arg, .err = {.msg = ""}};
    struct pipes pipes;

    pipes_block(&pipes);
    visit.loop = loop_new(NULL);
    enum status st = visit_begin(&visit);
    if (st == ST_OK) {
        st = co_run(visit.loop, "run", visit_fn, &visit);
        (void)co_drain(visit.loop, DRAIN_MS);
    }
    visit_end(&visit);
    pipes_restore(&pipes);
    if (run)
        queue_public_words(visit.called ? ST_OK : st, &visit.err, run->error);
    return (enum pit_status)st;
}
