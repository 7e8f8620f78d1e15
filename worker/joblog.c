/* Job log: lines of tasks on their way to Redis.
 *
 * What waits in a child's queue is taken in one go and sent a batch a job,
 * before the ends of this turn: they are refused once the attempt has ended.
 * While Redis is away, or too many calls are under way, lines are dropped: a
 * log must not cost the worker its memory. */
#include <stdlib.h>

#include "base/log.h"
#include "queue/queue_log.h"
#include "state.h"

enum { CALLS_MAX = 64 };

struct joblog_call {
    struct list link;
    struct dispatcher *d;
    struct rds_call call;
};

static void
call_free(struct joblog_call *call)
{
    list_remove(&call->link);
    call->d->joblog_len--;
    rds_call_clear(&call->call);
    free(call);
}

static void
settled_cb(struct op *op)
{
    call_free(op->arg);
}

static void
send_lines(struct dispatcher *d, const struct held *held,
           const struct str *lines, size_t n)
{
    if (!held || held->lost || n == 0 || !rds_up(d->rds) ||
        d->joblog_len >= CALLS_MAX)
        return;
    const struct lease lease = {.local = held->local,
                                .token = str_c(held->token),
                                .priority = held->priority};
    struct joblog_call *call = xcalloc(1, sizeof *call);
    call->d = d;
    list_append(&d->joblog, &call->link);
    d->joblog_len++;
    queue_log(d->queues, &call->call, held->source->name, &lease, lines, n,
              settled_cb, call);
}

void
joblog_take(struct dispatcher *d, struct lines_reader *reader,
            struct held *(*find)(void *arg, uint32_t owner), void *arg)
{
    static struct lines_cell cells[QUEUE_LOG_LINES_MAX];
    struct str lines[QUEUE_LOG_LINES_MAX];
    struct held *of = NULL;
    size_t n = 0;

    while (lines_waiting(reader) && lines_read(reader, &cells[n])) {
        struct held *held = find(arg, cells[n].owner);
        if (held != of) {
            send_lines(d, of, lines, n);
            cells[0] = cells[n];
            n = 0;
            of = held;
        }
        lines[n] = str_from(cells[n].text, cells[n].len);
        if (++n == QUEUE_LOG_LINES_MAX) {
            send_lines(d, of, lines, n);
            n = 0;
        }
    }
    send_lines(d, of, lines, n);
}

void
joblog_clear(struct dispatcher *d)
{
    struct list *link;

    while ((link = list_shift(&d->joblog)))
        call_free(LIST_ENTRY(link, struct joblog_call, link));
}
