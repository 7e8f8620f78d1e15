/* Bulk: a page of ids with the first lines of their records; those that match
 * get their step, all of the page at once. */
#include "queue/queue_bulk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_purge.h"

enum { STEPS_MAX = 32 }; /* under way at once; they lie on the stack */

static const char *const kinds[] = {"retry", "cancel", "delete", "purge"};
_Static_assert(ARRAY_LEN(kinds) == BULK_KINDS, "a word for each kind");

const char *
queue_bulk_kind_name(enum bulk_kind kind)
{
    assert((unsigned)kind < BULK_KINDS);
    return kinds[kind];
}

bool
queue_bulk_kind_parse(struct str name, enum bulk_kind *ret)
{
    for (size_t i = 0; i < BULK_KINDS; i++)
        if (str_eq_c(name, kinds[i])) {
            *ret = (enum bulk_kind)i;
            return true;
        }
    return false;
}

bool
queue_bulk_allows(enum bulk_kind kind, int state)
{
    switch (kind) {
    case BULK_RETRY:
        return state == JOB_DEAD || state == JOB_CANCELLED ||
               state == JOB_EXPIRED || state == JOB_RETRYING ||
               state == JOB_QUARANTINED;
    case BULK_CANCEL:
        return state == JOB_READY || state == JOB_SCHEDULED ||
               state == JOB_RETRYING || state == JOB_BLOCKED ||
               state == JOB_RUNNING || state == JOB_QUARANTINED;
    case BULK_DELETE:
        return state != JOB_RUNNING;
    case BULK_PURGE:
        return state == JOB_READY || state == JOB_SCHEDULED ||
               state == JOB_RETRYING || state == JOB_BLOCKED ||
               state == JOB_DEAD || state == JOB_QUARANTINED ||
               state == LIST_ENDED;
    }
    return false;
}

int64_t
queue_bulk_wait_ms(const struct bulk *bulk, int64_t rate,
                   int64_t rate_period_ms, int64_t elapsed_ms)
{
    if (rate == 0)
        return 0;
    int64_t wait_ms = bulk->matched * rate_period_ms / rate - elapsed_ms;
    return wait_ms > 0 ? wait_ms : 0;
}

static bool
has_tag(struct str tags, struct str tag)
{
    while (tags.n > 0)
        if (str_eq(str_cut(tags, ',', &tags), tag))
            return true;
    return false;
}

static bool
matches(const struct bulk *bulk, struct str head)
{
    struct job_spec spec;
    int64_t created_ms;

    if (bulk->task.n == 0 && bulk->tag.n == 0 && bulk->older_ms == 0)
        return true;
    /* A record without its args: a line break stands for them. */
    char text[4096];
    if (head.n + 2 > sizeof text)
        return false;
    memcpy(text, head.p, head.n);
    memcpy(text + head.n, "\n", 2);
    if (job_decode(str_from(text, head.n + 1), &spec, &created_ms, NULL) !=
        ST_OK)
        return false;
    return (bulk->task.n == 0 || str_eq(spec.task, bulk->task)) &&
           (bulk->tag.n == 0 || has_tag(spec.tags, bulk->tag)) &&
           (bulk->older_ms == 0 ||
            created_ms + bulk->older_ms <= clock_wall_ms());
}

static enum control_verb
verb_of(const struct bulk *bulk, int state)
{
    if (bulk->kind == BULK_CANCEL)
        return CONTROL_CANCEL;
    if (bulk->kind == BULK_DELETE)
        return CONTROL_DELETE;
    return state == JOB_QUARANTINED ? CONTROL_RELEASE : CONTROL_RETRY;
}

/* The steps of @n jobs, all under way at once. */
static enum status
take_steps(struct co *co, struct queues *queues, struct bulk *bulk,
           const struct job_id *ids, size_t n, int state, struct error *err)
{
    struct control controls[STEPS_MAX];
    struct op *ops[STEPS_MAX];
    enum status st = ST_OK;

    assert(n <= STEPS_MAX);
    for (size_t i = 0; i < n; i++) {
        controls[i] = (struct control){
            .verb = verb_of(bulk, state),
            .id = ids[i],
            .grace_ms = bulk->grace_ms,
            .reason = bulk->reason,
        };
        queue_control_send(queues, &controls[i], NULL, NULL);
        ops[i] = &controls[i].call.op;
    }
    if (n > 0)
        st = co_await_all(co, ops, n);
    for (size_t i = 0; i < n; i++) {
        enum status one = queue_control_result(&controls[i], err);
        if (one == ST_OK && (controls[i].outcome == CONTROL_DONE ||
                             controls[i].outcome == CONTROL_ASKED))
            bulk->done++;
        else if (one == ST_OK || one == ST_NOT_FOUND || one == ST_GONE)
            bulk->refused++;
        else if (st == ST_OK)
            st = one;
        rds_call_clear(&controls[i].call);
    }
    return st;
}

static bool
reached(const struct bulk *bulk)
{
    return bulk->limit > 0 && bulk->matched >= bulk->limit;
}

static void
next_state(struct bulk *bulk)
{
    bulk->cursor[0] = '\0';
    bulk->at++;
    bulk->ended = bulk->at == bulk->states_len;
}

/* --- ids ------------------------------------------------------------------ */

static enum status
step_ids(struct co *co, struct queues *queues, struct bulk *bulk,
         struct error *err)
{
    size_t n = bulk->ids_len - bulk->at;

    if (n > STEPS_MAX)
        n = STEPS_MAX;
    enum status st = bulk->dry_run
                         ? ST_OK
                         : take_steps(co, queues, bulk, bulk->ids + bulk->at, n,
                                      JOB_DEAD, err);
    if (st != ST_OK)
        return st;
    bulk->seen += (int64_t)n;
    bulk->matched += (int64_t)n;
    bulk->at += n;
    bulk->ended = bulk->at == bulk->ids_len;
    return ST_OK;
}

/* --- a queue's states ----------------------------------------------------- */

static enum status
step_purge(struct co *co, struct queues *queues, struct bulk *bulk,
           struct error *err)
{
    int64_t removed = 0;
    bool left = false;

    enum status st = queue_purge(co, queues, bulk->queue,
                                 bulk->states[bulk->at], &removed, &left, err);
    if (st != ST_OK)
        return st;
    bulk->seen += removed;
    bulk->matched += removed;
    bulk->done += removed;
    if (!left)
        next_state(bulk);
    return ST_OK;
}

/* Jobs of the page that match, as many as the limit still allows. */
static size_t
pick(struct bulk *bulk, const struct list_page *page, struct job_id *ids)
{
    size_t n = 0;

    for (size_t i = 0; i < page->len; i++) {
        if (bulk->limit > 0 && bulk->matched + (int64_t)n >= bulk->limit)
            break;
        bulk->seen++;
        if (matches(bulk, page->items[i].head))
            ids[n++] = (struct job_id){bulk->queue, page->items[i].local};
    }
    return n;
}

static enum status
step_page(struct co *co, struct queues *queues, struct bulk *bulk,
          const struct list_page *page, struct error *err)
{
    struct job_id *ids = xcalloc(page->len + 1, sizeof *ids);
    int64_t seen = bulk->seen;
    size_t n = pick(bulk, page, ids);
    enum status st = ST_OK;

    for (size_t at = 0; at < n && st == ST_OK && !bulk->dry_run;
         at += STEPS_MAX)
        st = take_steps(co, queues, bulk, ids + at,
                        n - at < STEPS_MAX ? n - at : STEPS_MAX,
                        bulk->states[bulk->at], err);
    free(ids);
    if (st != ST_OK) {
        bulk->seen = seen;
        return st;
    }
    bulk->matched += (int64_t)n;
    if (page->next.n > 0)
        queue_list_cursor(page->next, bulk->cursor);
    else
        next_state(bulk);
    if (reached(bulk))
        bulk->ended = true;
    return ST_OK;
}

enum status
queue_bulk_step(struct co *co, struct queues *queues, struct bulk *bulk,
                struct error *err)
{
    struct list_page page = {0};

    assert(!bulk->ended);
    if (bulk->ids_len > 0)
        return step_ids(co, queues, bulk, err);
    assert(bulk->at < bulk->states_len);
    if (bulk->kind == BULK_PURGE)
        return step_purge(co, queues, bulk, err);
    enum status st =
        queue_list(co, queues, bulk->queue, bulk->states[bulk->at],
                   str_c(bulk->cursor), BULK_PAGE, true, &page, err);
    if (st == ST_OK)
        st = step_page(co, queues, bulk, &page, err);
    queue_list_clear(&page);
    return st;
}
