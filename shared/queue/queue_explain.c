/* Explain: scripts/explain.lua tells what is, this file what it means. */
#include "queue/queue_explain.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "queue/registry.h"
#include "queue/script_call.h"

PRINTF(4, 5)
static void
add(struct explanation *e, const char *code, int64_t until_ms, const char *fmt,
    ...)
{
    struct explain_reason *reason = &e->reasons[e->len];
    va_list ap;

    if (e->len == EXPLAIN_REASONS_MAX)
        return;
    reason->code = code;
    reason->until_ms = until_ms;
    va_start(ap, fmt);
    vsnprintf(reason->text, sizeof reason->text, fmt, ap);
    va_end(ap);
    e->len++;
}

/* --- judging ---------------------------------------------------------------
 */

static void
judge_ended(const struct explain_facts *facts, struct explanation *e)
{
    static const char *const words[JOB_STATES] = {
        [JOB_SUCCEEDED] = "it has succeeded",
        [JOB_DEAD] = ("it failed and has no retries left: retry it once the "
                      "cause is gone"),
        [JOB_CANCELLED] = "it was cancelled: retry it to run it all the same",
        [JOB_EXPIRED] = "it was not started before its expires_at",
        [JOB_QUARANTINED] = ("its process crashed, or its lease was lost, too "
                             "often: release it once the cause is gone"),
    };

    add(e, job_state_name(e->state), 0, "%s", words[e->state]);
    (void)facts;
}

/* From @from_ms to @to_ms, which a clock that was set may have before it. */
static const char *
span(int64_t from_ms, int64_t to_ms, char dst[CLOCK_WORDS_SIZE])
{
    return clock_words(to_ms > from_ms ? to_ms - from_ms : 0, dst);
}

static void
judge_running(const struct explain_facts *facts, struct explanation *e)
{
    char ran[CLOCK_WORDS_SIZE];

    if (facts->cancel_asked)
        add(e, "cancel-asked", 0,
            "it was asked to stop, and is killed when it has not after its "
            "grace time");
    add(e, "running", 0, "it has been running at %.*s for %s, attempt %d",
        STR_ARG(facts->history.worker),
        span(facts->history.started_ms, facts->now_ms, ran),
        facts->history.attempt);
}

static void
judge_limits(const struct explain_facts *facts, struct explanation *e)
{
    char wait[CLOCK_WORDS_SIZE];

    if (facts->concurrency >= 0 && facts->running >= facts->concurrency)
        add(e, "queue-concurrency", 0,
            "the queue runs %" PRId64 " jobs, and may run %" PRId64,
            facts->running, facts->concurrency);
    if (facts->rate_wait_ms > 0)
        add(e, "queue-rate", facts->now_ms + facts->rate_wait_ms,
            "the queue's rate allows the next start in %s",
            clock_words(facts->rate_wait_ms, wait));
    if (facts->key_concurrency >= 0 &&
        facts->key_running >= facts->key_concurrency)
        add(e, "key-concurrency", 0,
            "%" PRId64 " jobs of its limit key %.*s run, and %" PRId64 " may",
            facts->key_running, STR_ARG(facts->key), facts->key_concurrency);
    if (facts->key_rate_wait_ms > 0)
        add(e, "key-rate", facts->now_ms + facts->key_rate_wait_ms,
            "the rate of its limit key %.*s allows the next start in %s",
            STR_ARG(facts->key), clock_words(facts->key_rate_wait_ms, wait));
}

static void
judge_ready(const struct explain_facts *facts, struct explanation *e)
{
    e->position = facts->position;
    e->position_least = facts->far;
    if (facts->paused)
        add(e, "paused", 0, "its queue is paused: resume it");
    if (facts->workers == 0)
        add(e, "no-worker", 0,
            "no worker that is alive serves its queue: start one, or add the "
            "queue to its --queues");
    if (!facts->task_known)
        add(e, "unknown-task", 0,
            "no worker has told of a task %.*s: deploy the application that "
            "has it",
            STR_ARG(facts->task));
    judge_limits(facts, e);
    if (facts->key.n > 0 && facts->key_position > 0)
        add(e, "behind-key", 0,
            "%" PRId64 " jobs of its limit key %.*s are before it",
            facts->key_position, STR_ARG(facts->key));
    if (facts->position > 0)
        add(e, "behind", 0, "%s%" PRId64 " jobs are before it",
            facts->far ? "more than " : "", facts->position);
    if (e->len == 0)
        add(e, "next", 0, "nothing holds it up: it is the next to run");
}

void
queue_explain_judge(const struct explain_facts *facts, struct explanation *ret)
{
    struct explanation e = {.position = -1, .now_ms = facts->now_ms};
    char wait[CLOCK_WORDS_SIZE];

    e.state = job_history_state(facts->history.code, facts->due_ms,
                                facts->parents >= 0);
    switch (e.state) {
    case JOB_READY:
        judge_ready(facts, &e);
        break;
    case JOB_RUNNING:
        judge_running(facts, &e);
        break;
    case JOB_BLOCKED:
        add(&e, "blocked", 0,
            "%" PRId64 " of the %" PRId64 " jobs that it waits for have ended",
            facts->arrived, facts->parents);
        break;
    case JOB_SCHEDULED:
        add(&e, "scheduled", facts->due_ms,
            "it is due in %s: promote it to run it now",
            span(facts->now_ms, facts->due_ms, wait));
        break;
    case JOB_RETRYING:
        add(&e, "retrying", facts->due_ms,
            "attempt %d failed, the next is due in %s: promote it to run it "
            "now",
            facts->history.attempt, span(facts->now_ms, facts->due_ms, wait));
        break;
    default:
        judge_ended(facts, &e);
    }
    *ret = e;
}

/* --- the facts --------------------------------------------------------------
 */

/* Of a record's options. */
static int64_t
read_expiry(struct str options)
{
    int64_t ms = 0;

    while (options.n > 0) {
        struct str option = str_cut(options, ' ', &options);
        if (option.n > 1 && option.p[0] == 'e')
            return str_to_i64(str_skip(option, 1), &ms) ? ms : 0;
    }
    return 0;
}

static void
read_fact(struct explain_facts *facts, struct str name, struct str value)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {
        {"now", &facts->now_ms},
        {"due", &facts->due_ms},
        {"position", &facts->position},
        {"concurrency", &facts->concurrency},
        {"running", &facts->running},
        {"rate_wait", &facts->rate_wait_ms},
        {"key_concurrency", &facts->key_concurrency},
        {"key_running", &facts->key_running},
        {"key_rate_wait", &facts->key_rate_wait_ms},
        {"key_position", &facts->key_position},
        {"parents", &facts->parents},
        {"arrived", &facts->arrived},
    };
    struct str rest;

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (str_eq_c(name, numbers[i].name))
            (void)str_to_i64(value, numbers[i].number);
    if (str_eq_c(name, "record")) {
        (void)str_cut(value, ' ', &rest);
        (void)str_cut(rest, ' ', &rest);
        facts->task = str_cut(rest, ' ', &rest);
        facts->expires_ms = read_expiry(rest);
    } else if (str_eq_c(name, "key")) {
        facts->key = value;
    } else if (str_eq_c(name, "far")) {
        facts->far = true;
    } else if (str_eq_c(name, "paused")) {
        facts->paused = true;
    } else if (str_eq_c(name, "cancel")) {
        facts->cancel_asked = true;
    } else if (str_eq_c(name, "state")) {
        /* One that cannot be read says nothing, and get says so. */
        if (job_history_decode(value, &facts->history, NULL) != ST_OK)
            facts->history = (struct job_history){0};
    }
}

static const struct explain_facts nothing_known = {
    .concurrency = -1,
    .rate_wait_ms = -1,
    .key_concurrency = -1,
    .key_rate_wait_ms = -1,
    .parents = -1,
};

static enum status
ask_queue(struct co *co, struct queues *queues, struct job_id id,
          struct rds_call *call, struct explain_facts *facts, struct error *err)
{
    static const enum key which[] = {KEY_JOBS};
    struct script_call words;

    script_call_init(&words, queues, id.queue, which, ARRAY_LEN(which));
    script_call_add(&words, id.local);
    enum status st =
        script_call_await(co, &words, queues, &script_explain, call, err);
    if (st == ST_OK)
        st = script_call_found(call->reply, id, err);
    if (st != ST_OK)
        return st;
    if (call->reply->type != REDIS_REPLY_ARRAY)
        return error_set(err, ST_BUG, "explain: a reply of another shape");
    for (size_t i = 0; i + 1 < call->reply->elements; i += 2)
        read_fact(facts, script_call_text(call->reply->element[i]),
                  script_call_text(call->reply->element[i + 1]));
    return ST_OK;
}

static bool
serves(const redisReply *entry, struct str queue)
{
    char name[ID_QUEUE_MAX + 1];
    json_t *worker = json_loadb(entry->str, entry->len, 0, NULL);
    int64_t seen_ms = json_integer_value(json_object_get(worker, "seen_ms"));

    str_copy_to(queue, name, sizeof name);
    bool good = clock_wall_ms() - seen_ms <= REGISTRY_WORKER_DEAD_MS &&
                !json_is_true(json_object_get(worker, "stopping")) &&
                !json_is_true(json_object_get(worker, "quiet")) &&
                json_object_get(json_object_get(worker, "queues"), name);
    json_decref(worker);
    return good;
}

static enum status
count_workers(struct co *co, struct queues *queues, struct str queue, int *ret,
              struct error *err)
{
    struct rds_call call = {0};

    enum status st = registry_workers(co, queues, &call, err);
    for (size_t i = 1; st == ST_OK && i < call.reply->elements; i += 2)
        if (call.reply->element[i]->type == REDIS_REPLY_STRING)
            *ret += serves(call.reply->element[i], queue);
    rds_call_clear(&call);
    return st;
}

/* What workers have built in needs no entry. */
static enum status
look_for_task(struct co *co, struct queues *queues, struct str task,
              bool *ret_known, struct error *err)
{
    struct rds_call call = {0};

    *ret_known = str_starts(task, STR("pit."));
    if (*ret_known)
        return ST_OK;
    enum status st = registry_get_task(co, queues, task, &call, err);
    *ret_known = st == ST_OK;
    rds_call_clear(&call);
    return st == ST_UNKNOWN_TASK ? ST_OK : st;
}

/* Once more, having ended it, when it should have expired. A server that takes
 * no writes still explains it, as it is. */
static enum status
settle(struct co *co, struct queues *queues, struct job_id id,
       struct rds_call *call, struct explain_facts *facts, struct error *err)
{
    enum job_state state = job_history_state(facts->history.code, facts->due_ms,
                                             facts->parents >= 0);

    if (job_state_ended(state) || state == JOB_RUNNING ||
        facts->expires_ms == 0 || facts->expires_ms > facts->now_ms ||
        queue_expire(co, queues, id, NULL) != ST_OK)
        return ST_OK;
    rds_call_clear(call);
    *facts = nothing_known;
    return ask_queue(co, queues, id, call, facts, err);
}

enum status
queue_explain(struct co *co, struct queues *queues, struct job_id id,
              struct explanation *ret, struct error *err)
{
    struct rds_call call = {0};
    struct explain_facts facts = nothing_known;

    enum status st = ask_queue(co, queues, id, &call, &facts, err);
    if (st == ST_OK)
        st = settle(co, queues, id, &call, &facts, err);
    if (st == ST_OK)
        st = count_workers(co, queues, id.queue, &facts.workers, err);
    if (st == ST_OK)
        st = look_for_task(co, queues, facts.task, &facts.task_known, err);
    if (st == ST_OK)
        queue_explain_judge(&facts, ret);
    rds_call_clear(&call);
    return st;
}
