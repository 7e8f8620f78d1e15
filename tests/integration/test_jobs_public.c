/* pit/jobs.h against a real Redis: looks, lists, logs, explain, and each step
 * with what it refuses. Nothing is asserted inside a coroutine. */
#include "pit/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/queue_scene.h"
#include "queue/queue_log.h"

/* Puts the job mail.@id there. */
static enum pit_status
put(struct co *co, const char *id, int64_t delay_ms)
{
    return pit_enqueue(
        co_public_of(co), "mail.send", pit_args("{s:i}", "n", 1),
        &(struct pit_enqueue){
            .id = id, .delay_ms = delay_ms, .keep_ms = 60000, .tags = "a,b"});
}

static enum pit_state
state_of(struct co *co, const char *id)
{
    struct pit_jobs jobs PIT_JOBS = {0};

    if (pit_jobs_get(co_public_of(co), id, &jobs) != PIT_OK)
        return 0;
    return jobs.jobs[0].state;
}

static struct finish dead = {.outcome = OUTCOME_FAILED,
                             .delay_ms = -1,
                             .message = STR("\"no such host\"")};

/* ---- looks ---- */

static enum status
test_a_job_is_shown_whole(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_jobs jobs PIT_JOBS = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, pit_jobs_get(public, "mail.a", &jobs) == PIT_OK);
    STEP(s, jobs.len == 1 && !jobs.next && !jobs.error[0]);
    const struct pit_job_info *job = &jobs.jobs[0];
    STEP(s, strcmp(job->id, "mail.a") == 0 && strcmp(job->queue, "mail") == 0);
    STEP(s, strcmp(job->task, "mail.send") == 0 && job->priority == 2);
    STEP(s, strcmp(job->tags, "a,b") == 0 && job->state == PIT_READY);
    STEP(s, json_integer_value(json_object_get(job->args, "n")) == 1);
    STEP(s, !job->value && !job->progress && !job->cause[0]);
    STEP(s, job->created_ms > 0 && job->run_at_ms == job->created_ms);
    STEP(s, job->attempt == 0 && job->attempts_len == 0 && !job->worker[0]);

    STEP(s, scene_work(co, s, "mail", &dead) == ST_OK);
    /* The id is lent by what the call is about to drop. */
    STEP(s, pit_jobs_get(public, job->id, &jobs) == PIT_OK);
    job = &jobs.jobs[0];
    STEP(s, job->state == PIT_DEAD && strcmp(job->state_name, "dead") == 0);
    STEP(s, strcmp(job->cause, "failed") == 0);
    STEP(s, strcmp(job->message, "no such host") == 0);
    STEP(s, job->attempt == 1 && job->attempts_len == 1 && job->ended_ms > 0);
    STEP(s, job->attempts[0].number == 1 &&
                strcmp(job->attempts[0].outcome, "failed") == 0 &&
                strcmp(job->attempts[0].message, "no such host") == 0 &&
                strcmp(job->attempts[0].worker, "w1") == 0 &&
                job->attempts[0].ended_ms > 0);

    STEP(s, pit_jobs_get(public, "mail.none", &jobs) == PIT_NOT_FOUND);
    STEP(s, jobs.len == 0 && strstr(jobs.error, "mail.none"));
    STEP(s, pit_jobs_get(public, "nodot", &jobs) == PIT_INVALID);
    STEP(s, pit_jobs_get(public, NULL, &jobs) == PIT_INVALID);
    queue_public_attach(s->loop, NULL);
    STEP(s, pit_jobs_get(public, "mail.a", &jobs) == PIT_UNAVAILABLE);
    STEP(s, strstr(jobs.error, "no queues"));
    queue_public_attach(s->loop, &s->catalog);
    co_deadline_ms(co, 0);
    enum pit_status st = pit_jobs_get(public, "mail.a", &jobs);
    STEP(s, st == PIT_TIMEOUT && jobs.error[0]);
    pit_jobs_clear(&jobs);
    pit_jobs_clear(&jobs);
    return ST_OK;
}

static enum status
test_lists_go_page_by_page(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_jobs page PIT_JOBS = {0};
    struct pit_list list = {.queue = "mail", .state = PIT_READY, .limit = 2};
    char id[16];
    int seen = 0, pages = 0;

    STEP(s, scene_up(co, s) == ST_OK);
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "j%d", i);
        STEP(s, put(co, id, 0) == PIT_OK);
    }
    do { /* the cursor is lent by the page that is dropped */
        STEP(s, pit_jobs_list(public, &list, &page) == PIT_OK);
        STEP(s, page.len <= 2);
        for (size_t i = 0; i < page.len; i++) {
            snprintf(id, sizeof id, "j%d", 4 - seen++);
            STEP(s, strcmp(page.jobs[i].id + 5, id) == 0);
            STEP(s, page.jobs[i].state == PIT_READY);
        }
        list.cursor = page.next;
        STEP(s, ++pages < 10);
    } while (list.cursor);
    STEP(s, seen == 5);
    list = (struct pit_list){.queue = "mail", .state = PIT_DEAD};
    STEP(s, pit_jobs_list(public, &list, &page) == PIT_OK);
    STEP(s, page.len == 0 && !page.next);
    struct finish done = {.outcome = OUTCOME_SUCCEEDED, .result = STR("7")};
    STEP(s, scene_work(co, s, "mail", &done) == ST_OK);
    list.state = PIT_ENDED;
    STEP(s, pit_jobs_list(public, &list, &page) == PIT_OK);
    STEP(s, page.len == 1 && page.jobs[0].state == PIT_SUCCEEDED);
    STEP(s, json_integer_value(page.jobs[0].value) == 7);

    const struct {
        struct pit_list list;
        const char *says;
    } refused[] = {
        {{.state = PIT_READY}, "queue"},
        {{.queue = "not a queue", .state = PIT_READY}, "queue"},
        {{.queue = "mail"}, "state"},
        {{.queue = "mail", .state = (enum pit_state)99}, "state"},
        {{.queue = "mail", .state = PIT_READY, .limit = 1001}, "limit"},
        {{.queue = "mail", .state = PIT_READY, .limit = -1}, "limit"},
        {{.queue = "mail", .state = PIT_READY, .cursor = "xyz"}, "cursor"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        STEP(s, pit_jobs_list(public, &refused[i].list, &page) == PIT_INVALID);
        STEP(s, strstr(page.error, refused[i].says));
    }
    return ST_OK;
}

/* Five jobs of 600 KiB do not fit a page of 2 MiB. */
static enum status
test_a_page_is_bounded_in_bytes(struct co *co, void *arg)
{
    enum { LARGE = 600 * 1024 };
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_jobs page PIT_JOBS = {0};
    struct pit_list list = {.queue = "mail", .state = PIT_READY};
    char *text = malloc(LARGE + 1);
    size_t first;

    STEP(s, text);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    STEP(s, scene_up(co, s) == ST_OK);
    for (int i = 0; i < 5; i++)
        STEP(s, pit_enqueue(public, "mail.send", json_string(text), NULL) ==
                    PIT_OK);
    free(text);
    STEP(s, pit_jobs_list(public, &list, &page) == PIT_OK);
    first = page.len;
    STEP(s, first < 5 && page.next);
    list.cursor = page.next;
    STEP(s, pit_jobs_list(public, &list, &page) == PIT_OK);
    STEP(s, first + page.len == 5 && !page.next);
    return ST_OK;
}

static enum status
test_log_lines_are_followed(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_log_lines lines PIT_LOG_LINES = {0};
    struct rds_call call = {0};
    struct job_view view;
    struct job_id id = {STR("mail"), STR("a")};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, pit_jobs_logs(public, "mail.a", NULL, 0, &lines) == PIT_OK);
    STEP(s, lines.len == 0 && !lines.next && lines.total == 0);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    const struct lease lease = {id.local, view.history.token, 2};
    const struct str said[] = {STR("one"), STR("two"), STR("three")};
    queue_log(s->queues, &call, id.queue, &lease, said, 3, NULL, NULL);
    enum status st = co_await(co, &call.op);
    rds_call_clear(&call);
    queue_view_clear(&view);
    STEP(s, st == ST_OK);
    STEP(s, pit_jobs_logs(public, "mail.a", NULL, 2, &lines) == PIT_OK);
    STEP(s, lines.len == 2 && lines.more && lines.total == 3);
    STEP(s, strcmp(lines.lines[0].text, "one") == 0 &&
                lines.lines[1].text_len == 3 && lines.lines[1].attempt == 1 &&
                lines.lines[1].at_ms > 0);
    STEP(s, pit_jobs_logs(public, "mail.a", lines.next, 2, &lines) == PIT_OK);
    STEP(s, lines.len == 1 && !lines.more && lines.next);
    STEP(s, strcmp(lines.lines[0].text, "three") == 0);
    STEP(s, pit_jobs_logs(public, "mail.a", lines.next, 2, &lines) == PIT_OK);
    STEP(s, lines.len == 0 && lines.next); /* goes on from there */
    STEP(s, pit_jobs_logs(public, "mail.a", "x", 2, &lines) == PIT_INVALID);
    STEP(s, strstr(lines.error, "cursor"));
    STEP(s, pit_jobs_logs(public, "mail.a", NULL, 1001, &lines) == PIT_INVALID);
    STEP(s, pit_jobs_logs(public, "mail.z", NULL, 0, &lines) == PIT_NOT_FOUND);
    STEP(s, strstr(lines.error, "mail.z") && lines.len == 0);
    return ST_OK;
}

static enum status
test_why_it_does_not_run(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_explanation why;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, pit_jobs_explain(public, "mail.a", &why) == PIT_OK);
    STEP(s, why.state == PIT_READY && strcmp(why.state_name, "ready") == 0);
    STEP(s, why.position == 0 && !why.position_at_least && why.len >= 1);
    STEP(s, strcmp(why.reasons[0].code, "no-worker") == 0);
    STEP(s, strstr(why.reasons[0].text, "worker"));
    STEP(s, put(co, "later", 60000) == PIT_OK);
    STEP(s, pit_jobs_explain(public, "mail.later", &why) == PIT_OK);
    bool found = false;
    for (size_t i = 0; i < why.len; i++)
        found |= strcmp(why.reasons[i].code, "scheduled") == 0 &&
                 why.reasons[i].until_ms > clock_wall_ms();
    STEP(s, found && why.position == -1);
    STEP(s, pit_jobs_explain(public, "mail.z", &why) == PIT_NOT_FOUND);
    STEP(s, why.len == 0 && why.error[0]);
    return ST_OK;
}

/* ---- changes ---- */

static enum status
test_cancel_ends_or_asks(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_jobs jobs PIT_JOBS = {0};
    struct pit_changed did;
    const struct pit_control why = {.reason = "not needed", .grace_ms = 500};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, pit_jobs_cancel(public, "mail.a", &why, &did) == PIT_OK);
    STEP(s, did.before == PIT_READY && !did.asked && !did.same);
    STEP(s, pit_jobs_get(public, "mail.a", &jobs) == PIT_OK);
    STEP(s, jobs.jobs[0].state == PIT_JOB_CANCELLED);
    STEP(s, strcmp(jobs.jobs[0].cause, "cancelled") == 0);
    STEP(s, strcmp(jobs.jobs[0].message, "not needed") == 0);
    STEP(s, pit_jobs_cancel(public, "mail.a", NULL, &did) == PIT_OK);
    STEP(s, did.same && did.before == PIT_JOB_CANCELLED);

    STEP(s, put(co, "b", 0) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, pit_jobs_cancel(public, "mail.b", NULL, &did) == PIT_OK);
    STEP(s, did.asked && did.before == PIT_RUNNING);
    STEP(s, pit_jobs_cancel(public, "mail.b", NULL, NULL) == PIT_OK);
    STEP(s, pit_jobs_get(public, "mail.b", &jobs) == PIT_OK);
    STEP(s,
         jobs.jobs[0].state == PIT_RUNNING && jobs.jobs[0].cancel_asked_ms > 0);
    STEP(s, pit_jobs_delete(public, "mail.b", NULL, &did) == PIT_CONFLICT);
    STEP(s, strstr(did.error, "running") && strstr(did.error, "cancel it"));

    const struct pit_control none = {.grace_ms = PIT_NO_GRACE};
    STEP(s, put(co, "c", 0) == PIT_OK);
    STEP(s, pit_jobs_cancel(public, "mail.c", &none, NULL) == PIT_OK);
    const struct pit_control long_grace = {.grace_ms = 3600001};
    STEP(s,
         pit_jobs_cancel(public, "mail.c", &long_grace, &did) == PIT_INVALID);
    STEP(s, strstr(did.error, "grace_ms"));
    char words[502];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    const struct pit_control long_reason = {.reason = words};
    STEP(s,
         pit_jobs_cancel(public, "mail.c", &long_reason, &did) == PIT_INVALID);
    STEP(s, strstr(did.error, "reason"));
    STEP(s, pit_jobs_cancel(public, "mail.z", NULL, &did) == PIT_NOT_FOUND);
    STEP(s, pit_jobs_cancel(public, "z", NULL, &did) == PIT_INVALID);
    return ST_OK;
}

static enum status
test_what_ended_runs_again(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_changed did;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, put(co, "later", 60000) == PIT_OK);
    STEP(s, pit_jobs_retry(public, "mail.later", NULL, &did) == PIT_CONFLICT);
    STEP(s, did.before == PIT_SCHEDULED && strstr(did.error, "scheduled"));
    STEP(s, scene_work(co, s, "mail", &dead) == ST_OK);
    STEP(s, pit_jobs_retry(public, "mail.a", NULL, &did) == PIT_OK);
    STEP(s, did.before == PIT_DEAD && state_of(co, "mail.a") == PIT_READY);
    STEP(s, pit_jobs_delete(public, "mail.a", NULL, &did) == PIT_OK);
    STEP(s, state_of(co, "mail.a") == 0);
    STEP(s, pit_jobs_delete(public, "mail.a", NULL, &did) == PIT_OK);
    STEP(s, did.same);
    STEP(s, pit_jobs_retry(public, "mail.a", NULL, &did) == PIT_GONE);

    STEP(s, pit_jobs_promote(public, "mail.later", NULL, &did) == PIT_OK);
    STEP(s, did.before == PIT_SCHEDULED &&
                state_of(co, "mail.later") == PIT_READY);
    STEP(s, pit_jobs_promote(public, "mail.later", NULL, &did) == PIT_OK);
    STEP(s, did.same);
    STEP(s, pit_jobs_release(public, "mail.later", NULL, &did) == PIT_CONFLICT);
    STEP(s, strstr(did.error, "quarantined"));
    struct finish crashed = {.outcome = OUTCOME_CRASHED};
    for (int i = 0; i < JOB_CRASHES_MAX; i++)
        STEP(s, scene_work(co, s, "mail", &crashed) == ST_OK);
    STEP(s, state_of(co, "mail.later") == PIT_QUARANTINED);
    STEP(s, pit_jobs_release(public, "mail.later", NULL, NULL) == PIT_OK);
    STEP(s, state_of(co, "mail.later") == PIT_READY);
    return ST_OK;
}

static enum status
test_edit_while_it_waits(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_jobs jobs PIT_JOBS = {0};
    struct pit_changed did;
    struct pit_control edit = {.priority = PIT_PRIORITY(0),
                               .run_at_ms = clock_wall_ms() + 60000};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    STEP(s, pit_jobs_edit(public, "mail.a", &edit, &did) == PIT_OK);
    STEP(s, pit_jobs_get(public, "mail.a", &jobs) == PIT_OK);
    STEP(s, jobs.jobs[0].priority == 0 && jobs.jobs[0].state == PIT_SCHEDULED &&
                jobs.jobs[0].run_at_ms == edit.run_at_ms);
    /* Only as it was seen. */
    edit = (struct pit_control){.seen = &jobs.jobs[0], .run_at_ms = PIT_NOW};
    STEP(s, pit_jobs_edit(public, "mail.a", &edit, &did) == PIT_OK);
    STEP(s, state_of(co, "mail.a") == PIT_READY);
    STEP(s, pit_jobs_edit(public, "mail.a", &edit, &did) == PIT_CONFLICT);
    STEP(s, strstr(did.error, "as it was seen"));

    const struct {
        struct pit_control control;
        const char *says;
    } refused[] = {
        {{0}, "nothing to change"},
        {{.priority = PIT_PRIORITY(10)}, "priority"},
        {{.priority = -3}, "priority"},
        {{.run_at_ms = -2}, "run_at_ms"},
        {{.reason = "x", .priority = PIT_PRIORITY(1)}, "pit_jobs_cancel"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        STEP(s, pit_jobs_edit(public, "mail.a", &refused[i].control, &did) ==
                    PIT_INVALID);
        STEP(s, strstr(did.error, refused[i].says));
    }
    STEP(s, pit_jobs_edit(public, "mail.a", NULL, &did) == PIT_INVALID);
    edit = (struct pit_control){.priority = PIT_PRIORITY(1)};
    STEP(s, pit_jobs_retry(public, "mail.a", &edit, &did) == PIT_INVALID);
    STEP(s, strstr(did.error, "pit_jobs_edit"));
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, pit_jobs_edit(public, "mail.a", &edit, &did) == PIT_CONFLICT);
    return ST_OK;
}

/* Its unique key is another's; it would expire at once. */
static enum status
test_a_held_key_is_said(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_changed did;
    struct pit_enqueue options = {.id = "a", .unique = {.key = "k"}};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", &dead) == ST_OK);
    options.id = "b";
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, pit_jobs_retry(public, "mail.a", NULL, &did) == PIT_CONFLICT);
    STEP(s, strcmp(did.holder, "mail.b") == 0 && did.before == 0);
    STEP(s, strstr(did.error, "mail.b"));
    return ST_OK;
}

/* Redis stops in the middle: nobody knows. */
static enum status
test_an_unclear_outcome_is_said(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_changed did;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, "a", 0) == PIT_OK);
    redis_server_stop(s->server);
    co_deadline_ms(co, 50);
    enum pit_status st = pit_jobs_cancel(public, "mail.a", NULL, &did);
    enum pit_status after = pit_jobs_cancel(public, "mail.a", NULL, NULL);
    redis_server_continue(s->server);
    STEP(s, st == PIT_UNCLEAR && strstr(did.error, "may have happened"));
    STEP(s, after == PIT_TIMEOUT); /* nothing was sent any more */
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_a_job_is_shown_whole),
        scene_unit_test(test_lists_go_page_by_page),
        scene_unit_test(test_a_page_is_bounded_in_bytes),
        scene_unit_test(test_log_lines_are_followed),
        scene_unit_test(test_why_it_does_not_run),
        scene_unit_test(test_cancel_ends_or_asks),
        scene_unit_test(test_what_ended_runs_again),
        scene_unit_test(test_edit_while_it_waits),
        scene_unit_test(test_a_held_key_is_said),
        scene_unit_test(test_an_unclear_outcome_is_said),
    };
    return redis_server_run_tests(tests);
}
