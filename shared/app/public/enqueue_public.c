/* Public enqueue: pit_enqueue() and its plurals on top of queue/queue.h.
 *
 * Everything that an enqueue sends is made before it suspends for the last
 * time, in one struct entry and its buffer, and lives until the answer. Many
 * are a window of entries at a time: each is handed to the queue as soon as it
 * is made, and the queue gathers what one loop turn brings; then all of the
 * window are awaited. */
#include <stdio.h>
#include <stdlib.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "base/log.h"
#include "queue/durability.h"
#include "queue/flow/queue_after.h"

enum {
    AFTER_MAX = 64,
    WINDOW_JOBS = 512,
    WINDOW_BYTES = 4 * 1024 * 1024, /* of args */
};

/* One job on its way. */
struct entry {
    struct enqueue e;
    struct task_entry room;
    struct job_id *after; /* AFTER_MAX; NULL: none was given */
    size_t after_len;
    struct buf args;
    struct error err;
    enum status st;
    bool under_way; /* to be awaited */
    struct durability_wish wish;
};

static void
entry_clear(struct entry *entry)
{
    buf_clear(&entry->args);
    free(entry->after);
    entry->after = NULL;
}

/* ---- making ---- */

static enum status
take_after(struct entry *entry, const char *const *ids)
{
    for (size_t i = 0; ids && ids[i]; i++) {
        if (i == AFTER_MAX)
            return error_set_at(&entry->err, "/after", "at most %d jobs",
                                AFTER_MAX);
        if (!entry->after)
            entry->after = xcalloc(AFTER_MAX, sizeof *entry->after);
        enum status st = id_split(str_c(ids[i]), &entry->after[i], &entry->err);
        if (st != ST_OK)
            return st;
        entry->after_len = i + 1;
    }
    return ST_OK;
}

static enum status
take_wish(struct entry *entry, const struct pit_enqueue *options)
{
    int replicas = options->replicas ? options->replicas : 1;

    if (options->durability == PIT_AS_CONFIGURED && options->replicas == 0)
        return ST_OK;
    if (options->durability == PIT_FSYNC && options->replicas == 0)
        entry->wish.kind = DURABILITY_FSYNC;
    else if (options->durability == PIT_REPLICA && replicas >= 1 &&
             replicas <= DURABILITY_REPLICAS_MAX)
        entry->wish = (struct durability_wish){.kind = DURABILITY_REPLICA,
                                               .replicas = replicas};
    else
        return error_set_at(&entry->err, "/durability",
                            "must be PIT_FSYNC, or PIT_REPLICA with 1 to %d "
                            "replicas",
                            DURABILITY_REPLICAS_MAX);
    return ST_OK;
}

/* Takes the reference to @args. entry->st says whether it can be sent. */
static void
entry_make(struct co *co, struct entry *entry, const char *task, json_t *args,
           const struct pit_enqueue *options)
{
    struct task_catalog *catalog = queue_public_catalog(co_loop(co));
    struct enqueue *e = &entry->e;

    *e = (struct enqueue){.local = ""};
    entry->err = (struct error){.msg = ""};
    entry->after = NULL;
    entry->after_len = 0;
    entry->under_way = false;
    entry->wish = (struct durability_wish){.kind = DURABILITY_UNSAID};
    buf_init(&entry->args, JOB_ARGS_MAX);
    enum status st = queue_public_args(args, &entry->args, &entry->err);
    if (st == ST_OK && !queue_public_possible(co))
        st = error_set(&entry->err, ST_UNAVAILABLE,
                       "this process has no queues to enqueue into");
    if (st == ST_OK)
        st = queue_public_spec(co, catalog, task, options, &entry->room,
                               &e->spec, &entry->err);
    if (st == ST_OK && options)
        st = take_after(entry, options->after);
    if (st == ST_OK && options)
        st = take_wish(entry, options);
    if (st == ST_OK) {
        e->spec.args = buf_str(&entry->args);
        e->spec.origin = queue_public_origin(co);
        if (e->spec.local.n > 0) {
            e->named = true;
            str_copy_to(e->spec.local, e->local, sizeof e->local);
        }
        st = co_cancelled(co);
        if (st != ST_OK)
            (void)error_set(&entry->err, st, "nothing was sent: %s",
                            status_name(st));
    }
    entry->st = st;
}

/* ---- what became of it ---- */

static enum status
status_of_outcome(const struct enqueue *e, struct error *err)
{
    if (e->outcome == ENQUEUE_OTHER)
        return error_set(err, ST_CONFLICT,
                         "the id %s belongs to a job with other content",
                         e->local);
    if (e->outcome == ENQUEUE_GONE)
        return error_set(err, ST_GONE,
                         "the id %s belongs to a job that has ended and is "
                         "past its retention",
                         e->local);
    if (e->outcome == ENQUEUE_DUPLICATE &&
        e->spec.unique.on_conflict != UNIQUE_RETURN)
        return error_set(err, ST_CONFLICT,
                         "the job %.*s.%s holds the unique key",
                         STR_ARG(e->spec.queue), e->holder);
    return ST_OK;
}

/* Once it is on its way a deadline leaves its fate open. @why is Redis'. */
static enum status
status_sent(const struct co *co, const struct enqueue *e, enum status st,
            const struct error *why, struct error *err)
{
    if (st == ST_OK)
        return status_of_outcome(e, err);
    if (st == ST_TIMEOUT && co_cancelled(co) == ST_TIMEOUT)
        return error_set(err, ST_UNCLEAR,
                         "the deadline passed before Redis answered: the job "
                         "may be stored");
    if (st == ST_CANCELLED)
        return error_set(err, st, "cancelled: the job may be stored");
    *err = *why;
    return st;
}

static void
fill_ticket(const struct entry *entry, struct pit_ticket *ticket)
{
    const struct enqueue *e = &entry->e;
    bool chosen = e->local[0] != '\0';
    bool held = e->outcome == ENQUEUE_DUPLICATE;

    snprintf(ticket->id, sizeof ticket->id, "%.*s%s%s",
             chosen ? (int)e->spec.queue.n : 0, e->spec.queue.p,
             chosen ? "." : "", held ? e->holder : e->local);
    ticket->existed =
        entry->st == ST_OK && (held || e->outcome == ENQUEUE_SAME);
    queue_public_words(entry->st, &entry->err, ticket->error);
}

static enum pit_status
entry_end(struct entry *entry, const struct pit_enqueue *options)
{
    if (options && options->ticket)
        fill_ticket(entry, options->ticket);
    entry_clear(entry);
    return (enum pit_status)entry->st;
}

/* ---- one ---- */

/* Which queues to send with: another connection's where something must be
 * waited for. */
static enum status
choose_queues(struct co *co, struct entry *entry, struct queues **ret)
{
    struct durability *durability = queue_public_durability(co_loop(co));

    *ret = queue_public_catalog(co_loop(co))->queues;
    if (entry->wish.kind == DURABILITY_UNSAID)
        return ST_OK;
    if (!durability)
        return error_set(&entry->err, ST_UNAVAILABLE,
                         "this process cannot wait for a job to be durable");
    return durability_begin(co, durability, &entry->wish, *ret, ret,
                            &entry->err);
}

/* It is stored: whether it is safe as well is what is left to know. */
static enum status
reach(struct co *co, struct entry *entry)
{
    struct error why = {.msg = ""};

    enum status st = durability_reach(co, queue_public_durability(co_loop(co)),
                                      &entry->wish, &why);
    if (st == ST_OK)
        return ST_OK;
    return error_set(&entry->err, st == ST_CANCELLED ? st : ST_UNCLEAR, "%s",
                     why.msg[0] ? why.msg
                                : "the job is stored, but nobody knows how "
                                  "safely");
}

/* Sends and awaits it. */
static void
entry_run(struct co *co, struct entry *entry)
{
    const struct outside_script *script = outside_script(co);
    struct enqueue *e = &entry->e;
    struct queues *queues = NULL;
    enum status st = ST_OK;

    if (!script)
        st = choose_queues(co, entry, &queues);
    if (st != ST_OK) {
        entry->st = st;
        return;
    }
    st =
        script ? script->enqueue(co, e, entry->after, entry->after_len)
        : entry->after_len > 0
            ? queue_after_enqueue(co, queues, e, entry->after, entry->after_len)
            : queue_enqueue_await(co, queues, e);
    entry->st = status_sent(co, e, st, &e->err, &entry->err);
    if (entry->st == ST_OK && entry->wish.kind != DURABILITY_UNSAID && !script)
        entry->st = reach(co, entry);
}

enum pit_status
pit_enqueue(struct pit_co *public, const char *task, json_t *args,
            const struct pit_enqueue *options)
{
    struct co *co = co_public_core(public);
    struct entry entry;

    entry_make(co, &entry, task, args, options);
    if (entry.st == ST_OK)
        entry_run(co, &entry);
    if (!options || !options->ticket)
        queue_public_log("pit_enqueue()", entry.st, &entry.err);
    return entry_end(&entry, options);
}

/* A wish is for one job: many would wait behind each other. */
static void
refuse_wish(struct entry *entry)
{
    if (entry->st == ST_OK && entry->wish.kind != DURABILITY_UNSAID)
        entry->st = error_set_at(&entry->err, "/durability",
                                 "is for pit_enqueue() alone");
}

/* ---- many ---- */

/* How many fit a window; at least one. */
static size_t
send_window(struct co *co, struct entry *entries,
            const struct pit_enqueue_job *jobs, size_t n)
{
    struct task_catalog *catalog = queue_public_catalog(co_loop(co));
    size_t bytes = 0, i = 0;

    for (; i < n && i < WINDOW_JOBS && bytes < WINDOW_BYTES; i++) {
        struct entry *entry = &entries[i];
        entry_make(co, entry, jobs[i].task, jobs[i].args, jobs[i].options);
        refuse_wish(entry);
        bytes += entry->args.len;
        if (entry->st != ST_OK)
            continue;
        entry->under_way = !outside_script(co) && entry->after_len == 0;
        if (entry->under_way)
            queue_enqueue(catalog->queues, &entry->e, NULL, NULL);
        else /* takes several steps, or none */
            entry_run(co, entry);
    }
    return i;
}

static void
end_window(struct co *co, struct entry *entries, struct pit_enqueue_job *jobs,
           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = &entries[i];
        if (entry->under_way) {
            enum status st = co_await(co, &entry->e.op);
            entry->st =
                status_sent(co, &entry->e, st, &entry->e.err, &entry->err);
        }
        jobs[i].status = entry_end(entry, jobs[i].options);
    }
}

static enum pit_status
first_failure(const struct pit_enqueue_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i].status != PIT_OK)
            return jobs[i].status;
    return PIT_OK;
}

enum pit_status
pit_enqueue_many(struct pit_co *public, struct pit_enqueue_job *jobs, size_t n)
{
    struct co *co = co_public_core(public);
    size_t room = n < WINDOW_JOBS ? n : WINDOW_JOBS;

    struct entry *entries = xcalloc(room + 1, sizeof *entries);
    for (size_t at = 0; at < n;) {
        size_t some = send_window(co, entries, jobs + at, n - at);
        end_window(co, entries, jobs + at, some);
        at += some;
    }
    free(entries);
    return first_failure(jobs, n);
}

/* ---- all or nothing ---- */

/* What one of them cannot be beside the others. */
static void
check_together(struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = &entries[i];
        refuse_wish(entry);
        /* A first one that is wrong itself is no measure. */
        const struct entry *first = entries[0].st == ST_OK ? entries : entry;
        if (entry->st == ST_OK)
            entry->st =
                queue_enqueue_together(entry->e.spec.queue, entry->after_len,
                                       first->e.spec.queue, &entry->err);
    }
}

static bool
all_there(const struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i].e.outcome != ENQUEUE_SAME)
            return false;
    return true;
}

/* Sends them, and gives each its status. */
static void
store_all(struct co *co, struct entry *entries, size_t n)
{
    struct queues *queues = queue_public_catalog(co_loop(co))->queues;
    struct enqueue *jobs[QUEUE_ENQUEUE_MAX];
    struct error why = {.msg = ""};

    for (size_t i = 0; i < n; i++)
        jobs[i] = &entries[i].e;
    enum status st = queue_enqueue_all(co, queues, jobs, n, &why);
    if (st == ST_CONFLICT && all_there(entries, n))
        st = ST_OK;
    for (size_t i = 0; i < n && st != ST_OK; i++) {
        struct entry *entry = &entries[i];
        if (st != ST_CONFLICT)
            entry->st = status_sent(co, &entry->e, st, &why, &entry->err);
        else if (entry->e.outcome == ENQUEUE_SAME)
            entry->st = error_set(&entry->err, st, "the id %s is taken",
                                  entry->e.local);
        else /* of those that are at fault alone */
            entry->st = status_of_outcome(&entry->e, &entry->err);
    }
}

/* The same where the test client plays the queue: one by one. */
static void
play_all(struct co *co, struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        entry_run(co, &entries[i]);
}

/* With one at fault the others are not stored either. */
static enum status
spread_failure(struct entry *entries, size_t n)
{
    size_t at = 0;

    while (at < n && entries[at].st == ST_OK)
        at++;
    for (size_t i = 0; i < n && at < n; i++) {
        struct entry *entry = &entries[i];
        if (entry->st != ST_OK)
            continue;
        entry->e.local[0] = '\0';
        entry->st = error_set(&entry->err, entries[at].st,
                              "nothing was stored, because of the job %zu of "
                              "%zu",
                              at + 1, n);
    }
    return at < n ? entries[at].st : ST_OK;
}

/* Too few, or too many. */
static enum pit_status
refuse_all(struct pit_enqueue_job *jobs, size_t n)
{
    struct entry entry = {.err = {.msg = ""}};

    entry.st = n < 1 ? ST_INVALID : ST_TOO_LARGE;
    (void)error_set(&entry.err, entry.st, "1 to %d jobs can be stored together",
                    QUEUE_ENQUEUE_MAX);
    for (size_t i = 0; i < n; i++) {
        json_decref(jobs[i].args);
        jobs[i].status = entry_end(&entry, jobs[i].options);
    }
    return (enum pit_status)entry.st;
}

enum pit_status
pit_enqueue_all(struct pit_co *public, struct pit_enqueue_job *jobs, size_t n)
{
    struct co *co = co_public_core(public);

    if (n < 1 || n > QUEUE_ENQUEUE_MAX)
        return refuse_all(jobs, n);
    struct entry *entries = xcalloc(n, sizeof *entries);
    for (size_t i = 0; i < n; i++)
        entry_make(co, &entries[i], jobs[i].task, jobs[i].args,
                   jobs[i].options);
    check_together(entries, n);
    enum status st = spread_failure(entries, n);
    if (st == ST_OK) {
        (outside_script(co) ? play_all : store_all)(co, entries, n);
        st = spread_failure(entries, n);
    }
    for (size_t i = 0; i < n; i++)
        jobs[i].status = entry_end(&entries[i], jobs[i].options);
    free(entries);
    return (enum pit_status)st;
}
