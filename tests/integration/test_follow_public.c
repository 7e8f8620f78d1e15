/* pit/follow.h against a real Redis: one job to its end, queues, what was
 * missed, what was lost, who goes away. Nothing is asserted inside a coroutine.
 */
#include "pit/follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/queue_scene.h"
#include "harness/slowness.h"
#include "pit/jobs.h"
#include "pit/run.h"
#include "queue/changes.h"
#include "queue/queue_log.h"

enum { SOON_MS = 5000 };

static enum pit_status
put(struct co *co, const char *id)
{
    return pit_enqueue(co_public_of(co), "mail.send", pit_args("{s:i}", "n", 1),
                       &(struct pit_enqueue){.id = id, .keep_ms = 60000});
}

/* The next change of a kind; others are passed over. */
static enum pit_status
until(struct co *co, struct pit_follow *follow, enum pit_change_kind kind)
{
    enum pit_status st;

    do
        st = pit_follow_next(co_public_of(co), follow, SOON_MS * slowness());
    while (st == PIT_OK && follow->change->kind != kind);
    return st;
}

/* The same for a state. */
static enum pit_status
until_state(struct co *co, struct pit_follow *follow, enum pit_state state)
{
    enum pit_status st;

    do
        st = until(co, follow, PIT_CHANGE_STATE);
    while (st == PIT_OK && follow->change->state != state);
    return st;
}

static bool
says(const struct pit_follow *follow, const char *name, const char *data)
{
    const struct pit_event *sse = &follow->change->sse;

    return strcmp(sse->event, name) == 0 && strcmp(sse->data, data) == 0;
}

/* A job that runs. */
struct running {
    struct str local;
    int priority;
    char token[QUEUE_TOKEN_MAX + 1];
};

static enum status
claim(struct co *co, struct scene *s, const char *local, struct running *ret)
{
    struct job_id id = {STR("mail"), str_c(local)};
    struct job_view view;

    enum status st = scene_work(co, s, "mail", NULL);
    if (st != ST_OK)
        return st;
    st = queue_get(co, s->queues, id, &view, &s->err);
    if (st == ST_OK) {
        *ret =
            (struct running){.local = id.local, .priority = view.spec.priority};
        str_copy_to(view.history.token, ret->token, sizeof ret->token);
    }
    queue_view_clear(&view);
    return st;
}

static enum status
say(struct co *co, struct scene *s, const struct running *job,
    const char *progress, const char *line)
{
    const struct lease lease = {job->local, str_c(job->token), job->priority};
    const struct str lines[] = {str_c(line)};
    struct rds_call call = {0};

    if (progress)
        queue_progress(s->queues, &call, STR("mail"), &lease, str_c(progress),
                       NULL, NULL);
    else
        queue_log(s->queues, &call, STR("mail"), &lease, lines, 1, NULL, NULL);
    enum status st = co_await(co, &call.op);
    rds_call_clear(&call);
    return st;
}

static enum status
finish(struct co *co, struct scene *s, const struct running *job,
       struct finish how)
{
    struct work end = {.queue = STR("mail"), .lease_ms = 15000, .worker = "w1"};

    how.local = job->local;
    how.token = str_c(job->token);
    how.priority = job->priority;
    how.keep_ms = 60000;
    queue_work(s->queues, &end, &how, 1, NULL, NULL);
    enum status st = co_await(co, &end.call.op);
    rds_call_clear(&end.call);
    return st;
}

/* ---- one job ---- */

static enum status
test_a_job_from_waiting_to_its_end(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0};
    struct running job;
    char behind_two[64];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &follow) == PIT_OK);
    STEP(s, !follow.over && !follow.change && !follow.error[0]);
    STEP(s, pit_follow_next(public, &follow, 0) == PIT_OK);
    STEP(s, says(&follow, "state",
                 "{\"state\":\"ready\",\"attempt\":0,\"retries\":0,"
                 "\"crashes\":0}"));
    const struct pit_change *change = follow.change;
    STEP(s, change->kind == PIT_CHANGE_STATE && change->state == PIT_READY);
    STEP(s, strcmp(change->job, "mail.a") == 0 &&
                strcmp(change->queue, "mail") == 0 && !change->sse.id);
    STEP(s, pit_follow_next(public, &follow, 30) == PIT_TIMEOUT);
    STEP(s, !follow.change && strstr(follow.error, "nothing happened"));
    STEP(s, pit_cancelled(public) == PIT_OK);

    STEP(s, claim(co, s, "a", &job) == ST_OK);
    STEP(s, until_state(co, &follow, PIT_RUNNING) == PIT_OK);
    STEP(s, follow.change->attempt == 1 && !follow.error[0]);
    STEP(s, say(co, s, &job, "{\"done\":3}", NULL) == ST_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_PROGRESS) == PIT_OK);
    STEP(s, says(&follow, "progress", "{\"done\":3}"));
    STEP(s, json_integer_value(json_object_get(follow.change->value, "done")) ==
                3);
    STEP(s, say(co, s, &job, NULL, "one \"1\"") == ST_OK);
    STEP(s, say(co, s, &job, NULL, "two") == ST_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_LOG) == PIT_OK);
    STEP(s, strcmp(follow.change->text, "one \"1\"") == 0 &&
                follow.change->text_len == 7 && follow.change->attempt == 1 &&
                follow.change->at_ms > 0 && follow.change->sse.id);
    STEP(s, strstr(follow.change->sse.data, "\"text\":\"one \\\"1\\\"\""));
    STEP(s, until(co, &follow, PIT_CHANGE_LOG) == PIT_OK);
    STEP(s, strcmp(follow.change->text, "two") == 0);
    str_copy_to(str_c(follow.change->sse.id), behind_two, sizeof behind_two);
    STEP(s, say(co, s, &job, NULL, "three") == ST_OK);
    STEP(s, finish(co, s, &job,
                   (struct finish){.outcome = OUTCOME_SUCCEEDED,
                                   .result = STR("{\"n\":7}")}) == ST_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_END) == PIT_OK);
    STEP(s, follow.over && follow.change->state == PIT_SUCCEEDED);
    STEP(s, says(&follow, "end",
                 "{\"state\":\"succeeded\",\"result\":{\"n\":7},"
                 "\"error\":null}"));
    STEP(s,
         json_integer_value(json_object_get(follow.change->value, "n")) == 7);
    STEP(s, pit_follow_next(public, &follow, PIT_FOR_EVER) == PIT_GONE);
    STEP(s, follow.over && strstr(follow.error, "has ended"));

    /* Who comes back behind a line has the rest; behind the end, nothing. The
     * id may be lent by what the call drops. */
    STEP(s, pit_follow_job(public, "mail.a", behind_two, &follow) == PIT_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_LOG) == PIT_OK);
    STEP(s, strcmp(follow.change->text, "three") == 0);
    STEP(s, until(co, &follow, PIT_CHANGE_END) == PIT_OK);
    STEP(s, pit_follow_job(public, "mail.a", follow.change->sse.id, &follow) ==
                PIT_OK);
    STEP(s, follow.over && !follow.change);
    pit_follow_clear(&follow);
    pit_follow_clear(&follow);
    return ST_OK;
}

static enum status
test_why_it_failed_is_said(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0};
    struct running job;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, claim(co, s, "a", &job) == ST_OK);
    STEP(s,
         finish(co, s, &job,
                (struct finish){.outcome = OUTCOME_FAILED,
                                .delay_ms = -1,
                                .message = STR("\"no such host\"")}) == ST_OK);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &follow) == PIT_OK);
    STEP(s, !follow.over);
    STEP(s, until(co, &follow, PIT_CHANGE_END) == PIT_OK);
    STEP(s, follow.change->state == PIT_DEAD && !follow.change->value);
    STEP(s, strcmp(follow.change->cause, "failed") == 0 &&
                strcmp(follow.change->message, "no such host") == 0);
    return ST_OK;
}

static enum status
test_a_job_that_is_deleted(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &follow) == PIT_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_STATE) == PIT_OK);
    redis_server_command(s->server, "DEL pit:{mail}:jobs", ":1");
    redis_server_command(s->server, "XADD pit:{mail}:events * e 'a - 0'", "$");
    STEP(s, until(co, &follow, PIT_CHANGE_STATE) == PIT_NOT_FOUND);
    STEP(s, strstr(follow.error, "mail.a") && !follow.over);
    return ST_OK;
}

/* ---- queues ---- */

static enum status
test_queues_are_followed(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0}, one PIT_FOLLOW = {0};
    const struct pit_follow_queues mail = {.queue = "mail"};
    char behind[64];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_queues(public,
                              &(struct pit_follow_queues){.counters = true},
                              &follow) == PIT_OK);
    STEP(s, pit_follow_next(public, &follow, SOON_MS) == PIT_OK);
    STEP(s, follow.change->kind == PIT_CHANGE_COUNTERS);
    const struct pit_counters *counters = follow.change->counters;
    STEP(s, strcmp(follow.change->queue, "mail") == 0 && !counters->paused);
    STEP(s, counters->count[PIT_READY] == 1 && counters->enqueued == 1);
    STEP(s, strstr(follow.change->sse.data, "\"ready\":1,"));
    STEP(s, pit_follow_queues(public, &mail, &one) == PIT_OK);
    STEP(s, pit_follow_next(public, &one, 0) == PIT_TIMEOUT); /* no counters */

    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, until_state(co, &one, PIT_RUNNING) == PIT_OK);
    STEP(s, says(&one, "state",
                 "{\"queue\":\"mail\",\"id\":\"mail.a\",\"state\":"
                 "\"running\",\"attempt\":1}"));
    STEP(s, strcmp(one.change->job, "mail.a") == 0 && one.change->attempt == 1);
    STEP(s, strcmp(one.change->queue, "mail") == 0 && one.change->sse.id);
    str_copy_to(str_c(one.change->sse.id), behind, sizeof behind);
    STEP(s, until_state(co, &follow, PIT_RUNNING) == PIT_OK);
    STEP(s, until(co, &follow, PIT_CHANGE_COUNTERS) == PIT_OK);
    STEP(s, follow.change->counters->count[PIT_RUNNING] == 1 &&
                follow.change->counters->count[PIT_READY] == 0);

    /* What happens while nobody of ours is there comes later. */
    STEP(s, put(co, "b") == PIT_OK);
    STEP(s, pit_follow_queues(
                public,
                &(struct pit_follow_queues){.queue = "mail", .after = behind},
                &one) == PIT_OK);
    STEP(s, pit_follow_next(public, &one, 0) == PIT_OK);
    STEP(s, one.change->state == PIT_READY &&
                strcmp(one.change->job, "mail.b") == 0);
    STEP(s, pit_follow_next(public, &one, 0) == PIT_TIMEOUT); /* once */
    return ST_OK;
}

/* It is written while our loop stands still, so that it is both what was missed
 * and what is heard next. */
static enum status
test_what_was_missed_comes_once(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0}, late PIT_FOLLOW = {0};
    struct pit_follow_queues what = {.queue = "mail"};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_queues(public, &what, &follow) == PIT_OK);
    STEP(s, put(co, "b") == PIT_OK);
    STEP(s, until_state(co, &follow, PIT_READY) == PIT_OK);
    what.after = follow.change->sse.id;
    redis_server_command(s->server, "XADD pit:{mail}:events * e 'x R 1'", "$");
    STEP(s, pit_follow_queues(public, &what, &late) == PIT_OK);
    STEP(s, until_state(co, &late, PIT_RUNNING) == PIT_OK);
    STEP(s, strcmp(late.change->job, "mail.x") == 0);
    STEP(s, until_state(co, &follow, PIT_RUNNING) == PIT_OK);
    STEP(s, pit_follow_next(public, &late, 0) == PIT_TIMEOUT);
    return ST_OK;
}

/* Redis keeps no more of it than was written since somebody listened. */
static enum status
test_what_is_not_kept_is_lost(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_follow follow PIT_FOLLOW = {0};
    const struct pit_follow_queues what = {.queue = "mail", .after = "1000-1"};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_queues(co_public_of(co), &what, &follow) == PIT_OK);
    STEP(s, pit_follow_next(co_public_of(co), &follow, 0) == PIT_OK);
    STEP(s, follow.change->kind == PIT_CHANGE_LOST);
    STEP(s, says(&follow, "lost", "{\"reason\":\"old\"}"));
    return ST_OK;
}

/* What is not taken is not kept for ever. */
static enum status
test_who_is_too_slow_is_told(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s,
         pit_follow_queues(public, &(struct pit_follow_queues){.queue = "mail"},
                           &follow) == PIT_OK);
    for (int i = 0; i < 10000; i++)
        changes_tell(s->changes, STR("mail"), STR("1700000000000-1"),
                     STR("01M8XYZ01M8XYZ01M8XYZ01M8X R 1\n"));
    STEP(s, pit_follow_next(public, &follow, 0) == PIT_OK);
    STEP(s, says(&follow, "lost", "{\"reason\":\"slow\"}"));
    STEP(s, pit_follow_next(public, &follow, 0) == PIT_TIMEOUT);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK); /* it goes on */
    STEP(s, until_state(co, &follow, PIT_RUNNING) == PIT_OK);
    return ST_OK;
}

/* Writes @n entries while our loop stands still. */
static void
write_many(struct scene *s, int n)
{
    char line[200];

    snprintf(line, sizeof line,
             "EVAL 'for i = 1, %d do redis.call(\"XADD\", KEYS[1], \"MAXLEN\", "
             "\"~\", 1000, \"*\", \"e\", \"x\" .. i .. \" R 1\") end return 1' "
             "1 pit:{mail}:events",
             n);
    redis_server_command(s->server, line, ":1");
}

/* How many states come, until x@last, and whether LOST does. */
static enum pit_status
hear(struct co *co, struct pit_follow *follow, int last, int *ret_n,
     bool *ret_lost)
{
    enum pit_status st;
    char id[32];

    snprintf(id, sizeof id, "mail.x%d", last);
    *ret_n = 0;
    *ret_lost = false;
    do {
        st = pit_follow_next(co_public_of(co), follow, SOON_MS * slowness());
        if (st == PIT_OK && follow->change->kind == PIT_CHANGE_LOST)
            *ret_lost = true;
        else if (st == PIT_OK)
            ++*ret_n;
    } while (st == PIT_OK && strcmp(follow->change->job, id) != 0);
    if (st == PIT_OK && !*ret_lost) { /* it may be told behind the last one */
        enum pit_status more =
            pit_follow_next(co_public_of(co), follow, 200 * slowness());
        *ret_lost = more == PIT_OK && follow->change->kind == PIT_CHANGE_LOST;
    }
    return st;
}

/* Redis keeps about a thousand: what was there no more when it was read is said
 * to be lost, and nothing else is. */
static enum status
test_what_was_read_too_late_is_lost(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_follow follow PIT_FOLLOW = {0};
    bool lost;
    int n;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_follow_queues(co_public_of(co),
                              &(struct pit_follow_queues){.queue = "mail"},
                              &follow) == PIT_OK);
    STEP(s, put(co, "a") == PIT_OK); /* the reader is there */
    STEP(s, until_state(co, &follow, PIT_READY) == PIT_OK);
    write_many(s, 900);
    STEP(s, hear(co, &follow, 900, &n, &lost) == PIT_OK);
    STEP(s, n == 900 && !lost);
    write_many(s, 3000);
    STEP(s, hear(co, &follow, 3000, &n, &lost) == PIT_OK);
    STEP(s, n < 1200 && lost);
    return ST_OK;
}

/* A queue that is new is not written down before somebody knows of it. */
static enum status
test_who_begins_anew_is_told(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0}, other PIT_FOLLOW = {0};
    struct pit_follow_queues what = {.queue = "mail"};
    char behind[64];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_follow_queues(public, NULL, &other) == PIT_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_queues(public, &what, &follow) == PIT_OK);
    STEP(s, pit_follow_next(public, &other, 0) == PIT_OK);
    STEP(s, says(&other, "lost", "{\"reason\":\"away\"}"));
    STEP(s, put(co, "b") == PIT_OK);
    STEP(s, until_state(co, &follow, PIT_READY) == PIT_OK);
    STEP(s, until_state(co, &other, PIT_READY) == PIT_OK);
    str_copy_to(str_c(follow.change->sse.id), behind, sizeof behind);
    pit_follow_clear(&other);

    /* As if nobody had listened for a while. */
    redis_server_command(s->server, "HSET pit:{mail}:meta watched 1", ":0");
    pit_follow_clear(&follow);
    STEP(s, put(co, "unheard") == PIT_OK);
    struct changes *later =
        changes_new(s->loop, s->queues, redis_server_url(s->server));
    queue_public_attach_changes(s->loop, later);
    what.after = behind;
    enum pit_status st = pit_follow_queues(public, &what, &follow);
    if (st == PIT_OK)
        st = pit_follow_next(public, &follow, 0);
    bool told = st == PIT_OK && says(&follow, "lost", "{\"reason\":\"old\"}");
    queue_public_attach_changes(s->loop, s->changes);
    changes_free(later);
    STEP(s, told);
    return ST_OK;
}

static enum status
test_a_lost_connection_is_told(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0}, job PIT_FOLLOW = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s,
         pit_follow_queues(public, &(struct pit_follow_queues){.queue = "mail"},
                           &follow) == PIT_OK);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &job) == PIT_OK);
    STEP(s, until(co, &job, PIT_CHANGE_STATE) == PIT_OK);
    STEP(s, put(co, "b") == PIT_OK); /* the reader is there */
    STEP(s, until_state(co, &follow, PIT_READY) == PIT_OK);
    redis_server_command(s->server, "CLIENT KILL TYPE normal SKIPME yes", ":");
    STEP(s, until(co, &follow, PIT_CHANGE_LOST) == PIT_OK);
    STEP(s, says(&follow, "lost", "{\"reason\":\"away\"}"));
    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, until_state(co, &follow, PIT_RUNNING) == PIT_OK);
    STEP(s, until_state(co, &job, PIT_RUNNING) == PIT_OK);
    return ST_OK;
}

/* Connections that read events. */
static int
readers(struct co *co, struct scene *s)
{
    struct rds_call call = {0};
    int n = 0;

    if (rds_await(co, s->rds, &call, "CLIENT LIST") == ST_OK)
        for (const char *p = call.reply->str;
             (p = strstr(p, "name=pit-events ")); p++)
            n++;
    rds_call_clear(&call);
    return n;
}

/* None before anybody follows; then one, however many do. */
static enum status
test_one_connection_for_all(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follows[20] = {{.over = false}};
    enum pit_status st = PIT_OK;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, readers(co, s) == 0);
    for (size_t i = 0; st == PIT_OK && i < ARRAY_LEN(follows); i++)
        st = i % 2 ? pit_follow_queues(public, NULL, &follows[i])
                   : pit_follow_job(public, "mail.a", NULL, &follows[i]);
    if (st == PIT_OK)
        st = (enum pit_status)scene_work(co, s, "mail", NULL);
    for (size_t i = 0; st == PIT_OK && i < ARRAY_LEN(follows); i++)
        st = until_state(co, &follows[i], PIT_RUNNING);
    int n = readers(co, s);
    for (size_t i = 0; i < ARRAY_LEN(follows); i++)
        pit_follow_clear(&follows[i]);
    STEP(s, st == PIT_OK);
    STEP(s, n == 1);
    return ST_OK;
}

/* ---- many who come and go ---- */

enum { PEOPLE = 24, ROUNDS = 8 };

struct person {
    int number;
    int heard; /* ends of own jobs */
};

/* Puts a job, follows it or its queue, ends it, and hears of that. */
static enum pit_status
come_and_go(struct pit_co *public, struct person *person, int round)
{
    struct co *co = co_public_core(public);
    struct pit_follow follow PIT_FOLLOW = {0};
    struct pit_follow_queues what = {.queue = person->number % 3 == 1 ? "mail"
                                                                      : NULL};
    bool all = person->number % 3 > 0;
    char local[32], id[64];

    snprintf(local, sizeof local, "p%d-%d", person->number, round);
    snprintf(id, sizeof id, "mail.%s", local);
    enum pit_status st = put(co, local);
    if (st == PIT_OK)
        st = all ? pit_follow_queues(public, &what, &follow)
                 : pit_follow_job(public, id, NULL, &follow);
    if (st == PIT_OK)
        st = pit_jobs_cancel(public, id, NULL, NULL);
    do
        st = st == PIT_OK ? until_state(co, &follow, PIT_JOB_CANCELLED) : st;
    while (st == PIT_OK && strcmp(follow.change->job, id) != 0);
    person->heard += st == PIT_OK;
    return st;
}

static enum pit_status
live(struct pit_co *co, void *arg)
{
    enum pit_status st = PIT_OK;

    for (int i = 0; i < ROUNDS && st == PIT_OK; i++)
        st = come_and_go(co, arg, i);
    return st;
}

static enum status
test_many_come_and_go(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct person people[PEOPLE];
    struct pit_call calls[PEOPLE];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "first") == PIT_OK);
    for (int i = 0; i < PEOPLE; i++) {
        people[i] = (struct person){.number = i};
        calls[i] = (struct pit_call){live, &people[i]};
    }
    STEP(s, pit_await_calls(co_public_of(co), calls, PEOPLE) == PIT_OK);
    for (int i = 0; i < PEOPLE; i++)
        STEP(s, people[i].heard == ROUNDS);
    return ST_OK;
}

/* ---- refusals, and who goes away ---- */

static enum status
test_refusals(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_follow follow PIT_FOLLOW = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a") == PIT_OK);
    STEP(s, pit_follow_next(public, &follow, 0) == PIT_INVALID);
    STEP(s, pit_follow_job(public, "nodot", NULL, &follow) == PIT_INVALID);
    STEP(s, pit_follow_job(public, NULL, NULL, &follow) == PIT_INVALID);
    STEP(s, pit_follow_job(public, "mail.z", NULL, &follow) == PIT_NOT_FOUND);
    STEP(s, strstr(follow.error, "mail.z"));
    STEP(s,
         pit_follow_queues(public, &(struct pit_follow_queues){.queue = "a b"},
                           &follow) == PIT_INVALID);
    STEP(s, strstr(follow.error, "queue"));
    /* An id that is none of ours begins anew. */
    STEP(s, pit_follow_queues(
                public, &(struct pit_follow_queues){"mail", .after = "x y"},
                &follow) == PIT_OK);
    STEP(s, pit_follow_next(public, &follow, 0) == PIT_TIMEOUT);
    queue_public_attach_changes(s->loop, NULL);
    STEP(s, pit_follow_queues(public, NULL, &follow) == PIT_UNAVAILABLE);
    queue_public_attach_changes(s->loop, s->changes);
    queue_public_attach(s->loop, NULL);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &follow) == PIT_UNAVAILABLE);
    STEP(s, strstr(follow.error, "no queues"));
    queue_public_attach(s->loop, &s->catalog);
    STEP(s, pit_follow_job(public, "mail.a", NULL, &follow) == PIT_OK);
    co_deadline_ms(co, 0);
    STEP(s, pit_follow_next(public, &follow, PIT_FOR_EVER) == PIT_TIMEOUT);
    STEP(s, pit_cancelled(public) == PIT_TIMEOUT);
    STEP(s, pit_follow_queues(public, NULL, &follow) == PIT_TIMEOUT);
    return ST_OK;
}

/* One that outlives the loop may still be cleared. */
static enum pit_status
visit(struct pit_co *co, void *arg)
{
    struct pit_follow *follow = arg;
    struct pit_ticket ticket;

    enum pit_status st = pit_enqueue(co, "mail.send", NULL,
                                     &(struct pit_enqueue){.ticket = &ticket});
    if (st == PIT_OK)
        st = pit_follow_job(co, ticket.id, NULL, follow);
    return st == PIT_OK ? pit_follow_next(co, follow, 1000) : st;
}

static void
test_a_program_follows(void **state)
{
    struct pit_run run = {.redis = redis_server_url(redis_server_shared())};
    struct pit_follow follow = {0};

    (void)state;
    redis_server_command(redis_server_shared(), "FLUSHALL", "+OK");
    redis_server_command(redis_server_shared(),
                         "HSET pit:tasks mail.send '{\"queue\":\"mail\"}'",
                         ":1");
    assert_int_equal(pit_run(&run, visit, &follow), PIT_OK);
    assert_int_equal(follow.change->state, PIT_READY);
    pit_follow_clear(&follow);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_a_job_from_waiting_to_its_end),
        scene_unit_test(test_why_it_failed_is_said),
        scene_unit_test(test_a_job_that_is_deleted),
        scene_unit_test(test_queues_are_followed),
        scene_unit_test(test_what_was_missed_comes_once),
        scene_unit_test(test_what_is_not_kept_is_lost),
        scene_unit_test(test_who_is_too_slow_is_told),
        scene_unit_test(test_what_was_read_too_late_is_lost),
        scene_unit_test(test_who_begins_anew_is_told),
        scene_unit_test(test_a_lost_connection_is_told),
        scene_unit_test(test_one_connection_for_all),
        scene_unit_test(test_many_come_and_go),
        scene_unit_test(test_refusals),
        cmocka_unit_test(test_a_program_follows),
    };
    return redis_server_run_tests(tests);
}
