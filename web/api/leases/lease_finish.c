/* Lease finish: records and states of one queue are read in two commands, then
 * the script ends the attempts; what it refuses has lost its lease. */
#include "api/leases/lease_finish.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/utf8.h"
#include "queue/keys.h"

/* One call's worth: finishes of one queue. */
struct round {
    struct queues *queues;
    struct pull *pull;
    struct str queue;
    struct lease_finish *items[QUEUE_FINISH_MAX];
    size_t len;
    struct rds_call records;
    struct rds_call states;
    struct finish finishes[QUEUE_FINISH_MAX];
    struct lease_finish *sent[QUEUE_FINISH_MAX];
    struct buf messages[QUEUE_FINISH_MAX];
    size_t sent_len;
};

static void
refuse(struct lease_finish *item, enum problem_kind kind)
{
    item->refused = true;
    item->kind = kind;
}

/* ---- reading ---- */

static enum status
read_hash(struct co *co, struct round *round, enum key key,
          struct rds_call *call)
{
    const char *argv[2 + QUEUE_FINISH_MAX] = {"HMGET"};
    size_t len[ARRAY_LEN(argv)] = {5};
    struct keys keys;
    int n = 2;

    keys_of_queue(queues_prefix(round->queues), round->queue, &keys);
    argv[1] = keys.p[key];
    len[1] = keys.n[key];
    for (size_t i = 0; i < round->len; i++, n++) {
        argv[n] = round->items[i]->id.local.p;
        len[n] = round->items[i]->id.local.n;
    }
    rds_send(queues_rds(round->queues), call, n, argv, len, NULL, NULL);
    return co_await(co, &call->op);
}

static struct str
word(const struct rds_call *call, size_t i)
{
    const redisReply *reply = call->reply->element[i];

    return reply->type == REDIS_REPLY_STRING ? str_from(reply->str, reply->len)
                                             : STR_NULL;
}

/* ---- deciding ---- */

/* The state that this very attempt left behind, when it was ended before. */
static bool
was_ended(struct lease_finish *item, const struct job_history *history)
{
    switch (history->code) {
    case 'S':
        item->state = JOB_SUCCEEDED;
        return item->outcome == OUTCOME_SUCCEEDED;
    case 'D':
        item->state = JOB_DEAD;
        return item->outcome == OUTCOME_FAILED;
    case 'C':
        item->state = JOB_CANCELLED;
        return item->outcome != OUTCOME_SUCCEEDED;
    case 'W':
        item->state =
            item->outcome == OUTCOME_FAILED ? JOB_RETRYING : JOB_READY;
        return item->outcome == OUTCOME_FAILED ||
               item->outcome == OUTCOME_RELEASED;
    default:
        return false;
    }
}

static int64_t
delay_of(const struct lease_finish *item, const struct job_spec *spec,
         const struct job_history *history)
{
    if (item->final || history->retries >= spec->retries)
        return -1;
    if (item->delay_ms >= 0)
        return item->delay_ms;
    return backoff_delay_ms(&spec->backoff, (uint32_t)history->retries,
                            random_double());
}

static void
expect(struct lease_finish *item, int64_t delay_ms)
{
    switch (item->outcome) {
    case OUTCOME_SUCCEEDED:
        item->state = JOB_SUCCEEDED;
        break;
    case OUTCOME_CANCELLED:
        item->state = JOB_CANCELLED;
        break;
    case OUTCOME_RELEASED:
        item->state = JOB_READY;
        break;
    default:
        item->state = delay_ms < 0 ? JOB_DEAD : JOB_RETRYING;
        item->retry_in_ms = delay_ms < 0 ? 0 : delay_ms;
    }
}

static void
add_finish(struct round *round, struct lease_finish *item,
           const struct job_spec *spec, const struct job_history *history)
{
    struct buf *message = &round->messages[round->sent_len];
    int64_t delay_ms = delay_of(item, spec, history);
    struct str text = item->message;

    buf_init(message, 6 * JOB_ERROR_MAX + 2);
    if (text.n > 0) {
        if (text.n > JOB_ERROR_MAX)
            text.n = utf8_floor(text.p, JOB_ERROR_MAX);
        buf_add_json_string(message, text);
    }
    expect(item, delay_ms);
    round->sent[round->sent_len] = item;
    round->finishes[round->sent_len++] = (struct finish){
        .local = item->id.local,
        .token = item->token,
        .priority = spec->priority,
        .outcome = item->outcome,
        .delay_ms = delay_ms,
        .keep_ms = spec->keep_ms,
        .result = item->result,
        .message = buf_str(message),
    };
}

static void
prepare(struct round *round, size_t i)
{
    struct lease_finish *item = round->items[i];
    struct job_history history;
    struct job_spec spec;
    int64_t created_ms;

    if (job_decode(word(&round->records, i), &spec, &created_ms, NULL) !=
            ST_OK ||
        job_history_decode(word(&round->states, i), &history, NULL) != ST_OK) {
        refuse(item, PROBLEM_NOT_FOUND);
        return;
    }
    if (!str_eq(history.token, item->token)) {
        refuse(item, PROBLEM_LEASE_LOST);
        return;
    }
    if (history.code == 'R' || history.code == 'r')
        add_finish(round, item, &spec, &history);
    else if (!was_ended(item, &history))
        refuse(item, PROBLEM_LEASE_LOST);
}

/* ---- ending ---- */

static void
take_stale(struct round *round, const struct work *work)
{
    for (size_t s = 0; s < work->stale_len; s++)
        for (size_t i = 0; i < round->sent_len; i++)
            if (str_eq(work->stale[s], round->sent[i]->token))
                refuse(round->sent[i], PROBLEM_LEASE_LOST);
}

static enum status
end(struct co *co, struct round *round, struct error *err)
{
    struct work work = {.queue = round->queue,
                        .lease_ms = 1000,
                        .worker = "pull",
                        .token_first = 0};

    queue_work(round->queues, &work, round->finishes, round->sent_len, NULL,
               NULL);
    enum status st = co_await(co, &work.call.op);
    if (st == ST_OK)
        st = queue_work_result(&work, err);
    else if (err)
        *err = work.call.err;
    if (st == ST_OK) {
        take_stale(round, &work);
        if (work.outbox)
            pull_deliver(round->pull, round->queue);
    }
    for (size_t i = 0; i < round->sent_len && st != ST_OK; i++)
        refuse(round->sent[i], st == ST_UNCLEAR ? PROBLEM_OUTCOME_UNKNOWN
                                                : PROBLEM_STORE_UNAVAILABLE);
    rds_call_clear(&work.call);
    return st;
}

static enum status
run_round(struct co *co, struct round *round, struct error *err)
{
    enum status st = read_hash(co, round, KEY_JOBS, &round->records);
    const struct rds_call *failed = &round->records;

    if (st == ST_OK) {
        st = read_hash(co, round, KEY_STATE, &round->states);
        failed = &round->states;
    }
    if (st != ST_OK && err)
        *err = failed->err;
    for (size_t i = 0; i < round->len; i++)
        if (st == ST_OK)
            prepare(round, i);
        else
            refuse(round->items[i], PROBLEM_STORE_UNAVAILABLE);
    if (st == ST_UNCLEAR) /* a read has no outcome that could be unclear */
        st = ST_UNAVAILABLE;
    if (st == ST_OK && round->sent_len > 0)
        st = end(co, round, err);
    for (size_t i = 0; i < round->sent_len; i++)
        buf_clear(&round->messages[i]);
    rds_call_clear(&round->records);
    rds_call_clear(&round->states);
    return st;
}

enum status
lease_finish(struct co *co, struct queues *queues, struct pull *pull,
             struct lease_finish *finishes, size_t n, struct error *err)
{
    bool taken[LEASE_FINISHES_MAX] = {0};
    enum status st = ST_OK;

    assert(n <= LEASE_FINISHES_MAX);
    struct round *round = malloc(sizeof *round);
    if (!round)
        return error_set(err, ST_LIMIT, "out of memory");
    for (size_t first = 0; first < n && co_cancelled(co) == ST_OK; first++) {
        if (taken[first])
            continue;
        *round = (struct round){
            .queues = queues, .pull = pull, .queue = finishes[first].id.queue};
        for (size_t i = first; i < n && round->len < QUEUE_FINISH_MAX; i++)
            if (!taken[i] && str_eq(finishes[i].id.queue, round->queue)) {
                taken[i] = true;
                round->items[round->len++] = &finishes[i];
            }
        struct error why;
        enum status one = run_round(co, round, &why);
        if (one != ST_OK && st == ST_OK) {
            st = one;
            if (err)
                *err = why;
        }
    }
    free(round);
    return co_cancelled(co) == ST_OK ? st : co_cancelled(co);
}
