/* pit/schedules.h against a real Redis. Nothing is asserted inside a coroutine.
 */
#include "pit/schedules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/queue_scene.h"
#include "pit/jobs.h"
#include "pit/queues.h"
#include "queue/schedule/schedules.h"

static enum status
test_a_schedule_is_put_shown_and_put_again(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_schedules got PIT_SCHEDULES = {0};
    const struct pit_enqueue job = {
        .priority = PIT_PRIORITY(9),
        .retries = PIT_NO_RETRY,
        .backoff_jitter = 0.5,
        .tags = "a,b",
        .unique = {.key = "k", .until = PIT_UNIQUE_WAITING},
        .limit = {.key = "l", .rate = 5, .rate_period_ms = 1000},
        .callback = "http://127.0.0.1/x",
        .callback_on = PIT_CALLBACK_DEAD};
    struct pit_plan plan = {.cron = "0 3 * * *",
                            .timezone = "Europe/Berlin",
                            .misfire = PIT_MISFIRE_ONCE,
                            .overlap = PIT_OVERLAP_BUFFER,
                            .jitter_ms = 500,
                            .note = "nightly",
                            .job = &job};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s,
         pit_schedules_put(public, "n", "mail.send", pit_args("{s:i}", "n", 1),
                           &plan, &got) == PIT_OK);
    STEP(s, got.len == 1 && !got.error[0]);
    const struct pit_schedule_info *is = got.schedules;
    STEP(s, strcmp(is->name, "n") == 0 && strcmp(is->task, "mail.send") == 0 &&
                strcmp(is->queue, "mail") == 0);
    STEP(s, json_integer_value(json_object_get(is->args, "n")) == 1);
    STEP(s, strcmp(is->plan.cron, "0 3 * * *") == 0 &&
                strcmp(is->plan.timezone, "Europe/Berlin") == 0 &&
                is->plan.misfire == PIT_MISFIRE_ONCE &&
                is->plan.overlap == PIT_OVERLAP_BUFFER &&
                is->plan.jitter_ms == 500 &&
                strcmp(is->plan.note, "nightly") == 0);
    STEP(s, is->next_len == 5 && is->next_ms[0] > clock_wall_ms() &&
                is->next_ms[1] > is->next_ms[0]);
    STEP(s, is->version > 0 && is->created_ms > 0 && !is->app[0] &&
                is->fires_len == 0);
    /* All of the job's options come back. */
    const struct pit_enqueue *had = is->plan.job;
    STEP(s, had->priority == job.priority && had->retries == PIT_NO_RETRY &&
                had->backoff_jitter == 0.5 && strcmp(had->tags, "a,b") == 0);
    STEP(s, had->timeout_ms == 5000 && had->backoff_ms == 1000); /* task's */
    STEP(s, strcmp(had->unique.key, "k") == 0 &&
                had->unique.until == PIT_UNIQUE_WAITING);
    STEP(s, strcmp(had->limit.key, "l") == 0 && had->limit.rate == 5);
    STEP(s, strcmp(had->callback, job.callback) == 0 &&
                had->callback_on == PIT_CALLBACK_DEAD);

    /* One thing is changed, all else stays. */
    plan = is->plan;
    plan.cron = "0 4 * * *";
    plan.seen = is;
    int64_t version = is->version;
    STEP(s, pit_schedules_put(public, is->name, is->task, json_incref(is->args),
                              &plan, &got) == PIT_OK);
    is = got.schedules;
    STEP(s, is->version != version && strcmp(is->plan.cron, "0 4 * * *") == 0);
    STEP(s, is->plan.job->priority == PIT_PRIORITY(9) &&
                is->plan.job->backoff_jitter == 0.5 &&
                is->plan.job->callback_on == PIT_CALLBACK_DEAD &&
                json_integer_value(json_object_get(is->args, "n")) == 1);
    /* It has changed since it was seen. */
    struct pit_schedules later PIT_SCHEDULES = {0};
    STEP(s, pit_schedules_pause(public, "n", "wait", NULL) == PIT_OK);
    plan = is->plan;
    plan.seen = is;
    STEP(s, pit_schedules_put(public, "n", "mail.send", NULL, &plan, &later) ==
                PIT_CONFLICT);
    STEP(s, later.len == 0 && strstr(later.error, "as it was seen"));
    plan.seen = NULL;
    plan.only_new = true;
    STEP(s, pit_schedules_put(public, "n", "mail.send", NULL, &plan, &later) ==
                PIT_CONFLICT);
    STEP(s, strstr(later.error, "already"));
    STEP(s, pit_schedules_put(public, "o", "mail.send", NULL, &plan, &later) ==
                PIT_OK);
    return ST_OK;
}

static enum status
test_trigger_pause_fires_delete(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_schedules got PIT_SCHEDULES = {0};
    struct pit_ticket ticket;
    struct pit_jobs jobs PIT_JOBS = {0};
    const struct pit_plan every = {.every_ms = 1000};
    int64_t next_ms = 0;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_schedules_put(public, "e", "mail.send", NULL, &every, NULL) ==
                PIT_OK);
    STEP(s, pit_schedules_trigger(public, "e", &ticket) == PIT_OK);
    STEP(s, pit_jobs_get(public, ticket.id, &jobs) == PIT_OK);
    STEP(s, jobs.jobs[0].state == PIT_READY);
    int64_t until_ms = clock_mono_ms() + 10000;
    do { /* its first time comes */
        STEP(s, schedules_tick(co, s->queues, STR("mail"), &next_ms, &s->err) ==
                    ST_OK);
        STEP(s, pit_schedules_get(public, "e", &got) == PIT_OK);
        STEP(s, clock_mono_ms() < until_ms && co_sleep(co, 50) == ST_OK);
    } while (got.schedules[0].fires_len < 2);
    const struct pit_fire *fires = got.schedules[0].fires;
    STEP(s, strcmp(fires[0].outcome, "enqueued") == 0 && fires[0].job[0] &&
                fires[0].fired_ms >= fires[0].nominal_ms);
    STEP(s, strcmp(fires[1].outcome, "triggered") == 0 &&
                strcmp(fires[1].job, ticket.id) == 0);

    STEP(s, pit_schedules_pause(public, "e", "not now", &got) == PIT_OK);
    STEP(s, got.schedules[0].plan.paused && got.schedules[0].next_len == 0);
    STEP(s, strcmp(got.schedules[0].plan.note, "not now") == 0);
    STEP(s, pit_schedules_resume(public, "e", &got) == PIT_OK);
    STEP(s, !got.schedules[0].plan.paused && got.schedules[0].next_len == 5);
    STEP(s, pit_schedules_pause(public, "e", "a\nb", &got) == PIT_INVALID);
    STEP(s, strstr(got.error, "note"));

    const struct pit_enqueue unique = {.unique = {.key = "k"}};
    const struct pit_plan alone = {.every_ms = 3600000, .job = &unique};
    struct pit_ticket refused;
    STEP(s, pit_schedules_put(public, "u", "mail.send", NULL, &alone, NULL) ==
                PIT_OK);
    STEP(s, pit_schedules_trigger(public, "u", &ticket) == PIT_OK);
    STEP(s, pit_schedules_trigger(public, "u", &refused) == PIT_CONFLICT);
    STEP(s, strcmp(refused.id, ticket.id) == 0 && strstr(refused.error, "key"));

    STEP(s,
         pit_queues_pause(public, "mail", &(struct pit_pause){.intake = true},
                          NULL) == PIT_OK);
    STEP(s, pit_schedules_trigger(public, "e", &ticket) == PIT_QUEUE_FULL);
    STEP(s, strstr(ticket.error, "closed"));
    STEP(s, pit_schedules_delete(public, "e", &got) == PIT_OK && got.len == 0);
    STEP(s, pit_schedules_delete(public, "e", &got) == PIT_NOT_FOUND);
    STEP(s, pit_schedules_get(public, "e", &got) == PIT_NOT_FOUND);
    STEP(s, strstr(got.error, "schedule e"));
    STEP(s, pit_schedules_pause(public, "e", NULL, NULL) == PIT_NOT_FOUND);
    STEP(s, pit_schedules_resume(public, "e", NULL) == PIT_NOT_FOUND);
    STEP(s, pit_schedules_trigger(public, "e", NULL) == PIT_NOT_FOUND);
    return ST_OK;
}

static enum status
test_schedules_are_listed(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_schedules page PIT_SCHEDULES = {0};
    const struct pit_plan plan = {.cron = "@daily"};
    char name[16];
    int seen = 0;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_schedules_list(public, NULL, 0, &page) == PIT_OK);
    STEP(s, page.len == 0 && !page.next);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "s%d", i);
        STEP(s, pit_schedules_put(public, name, "mail.send", NULL, &plan,
                                  NULL) == PIT_OK);
    }
    do {
        STEP(s, pit_schedules_list(public, page.next, 2, &page) == PIT_OK);
        for (size_t i = 0; i < page.len; i++) {
            snprintf(name, sizeof name, "s%d", seen++);
            STEP(s, strcmp(page.schedules[i].name, name) == 0);
        }
        STEP(s, seen <= 5);
    } while (page.next);
    STEP(s, seen == 5);
    STEP(s, pit_schedules_list(public, "not a name", 2, &page) == PIT_INVALID);
    STEP(s, pit_schedules_list(public, NULL, 1001, &page) == PIT_INVALID);
    return ST_OK;
}

static enum status
test_what_is_wrong_is_said(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_schedules got PIT_SCHEDULES = {0};
    const struct pit_enqueue named = {.id = "x"}, late = {.delay_ms = 1000},
                             replace = {
                                 .unique = {.key = "k",
                                            .on_conflict = PIT_UNIQUE_REPLACE}};
    const struct {
        struct pit_plan plan;
        const char *says;
    } refused[] = {
        {{0}, "exactly one"},
        {{.cron = "@daily", .every_ms = 1000}, "exactly one"},
        {{.cron = "0 25 * * *"}, "cron"},
        {{.cron = "@daily", .timezone = "Mars/Olympus"}, "timezone"},
        {{.every_ms = 999}, "every"},
        {{.every_ms = 5000, .timezone = "Europe/Berlin"}, "timezone"},
        {{.at_ms = 1000}, "at: that time has passed"},
        {{.every_ms = 5000, .misfire = (enum pit_misfire)7}, "misfire"},
        {{.every_ms = 5000, .overlap = (enum pit_overlap) - 1}, "overlap"},
        {{.every_ms = 5000, .jitter_ms = 5001}, "jitter"},
        {{.every_ms = 5000, .note = "a\nb"}, "note"},
        {{.every_ms = 5000, .job = &named}, "id"},
        {{.every_ms = 5000, .job = &late}, "delay"},
        {{.every_ms = 5000, .job = &replace}, "on_conflict"},
    };
    const struct pit_plan good = {.every_ms = 5000};

    STEP(s, scene_up(co, s) == ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        enum pit_status st = pit_schedules_put(
            public, "e", "mail.send", pit_args("[]"), &refused[i].plan, &got);
        STEP(s, st == PIT_INVALID);
        STEP(s, strstr(got.error, refused[i].says));
    }
    STEP(s, pit_schedules_put(public, "e", "no.such", NULL, &good, &got) ==
                PIT_UNKNOWN_TASK);
    STEP(s, pit_schedules_put(public, "a name", "mail.send", NULL, &good,
                              &got) == PIT_INVALID);
    STEP(s, pit_schedules_put(public, "e", "mail.send", pit_args("{s:", "x"),
                              &good, &got) == PIT_INVALID);
    char *large = calloc(1, SCHEDULE_ARGS_MAX + 2);
    STEP(s, large);
    memset(large, 'x', SCHEDULE_ARGS_MAX + 1);
    enum pit_status st = pit_schedules_put(public, "e", "mail.send",
                                           json_string(large), &good, &got);
    free(large);
    STEP(s, st == PIT_TOO_LARGE);
    STEP(s, pit_schedules_get(public, "e", &got) == PIT_NOT_FOUND);
    queue_public_attach(s->loop, NULL);
    STEP(s, pit_schedules_put(public, "e", "mail.send", pit_args("[]"), &good,
                              &got) == PIT_UNAVAILABLE);
    queue_public_attach(s->loop, &s->catalog);
    return ST_OK;
}

/* One that an application declared would come back. */
static enum status
test_an_applications_own_is_not_deleted(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_schedules got PIT_SCHEDULES = {0};
    struct schedule table;
    struct buf json;

    STEP(s, scene_up(co, s) == ST_OK);
    schedule_init(&table);
    table.name = STR("d");
    table.app = STR("shop");
    table.when = SCHEDULE_EVERY;
    table.every_ms = 60000;
    table.spec.task = STR("mail.send");
    table.spec.queue = STR("mail");
    buf_init(&json, 65536);
    schedule_declare(&table, &json);
    buf_add_char(&json, '\0');
    const struct schedules_declared declared = {"d", json.p};
    enum status st =
        schedules_apply(co, s->queues, STR("shop"), &declared, 1, &s->err);
    buf_clear(&json);
    STEP(s, st == ST_OK);
    STEP(s, pit_schedules_delete(public, "d", &got) == PIT_FORBIDDEN);
    STEP(s, strstr(got.error, "shop") && strstr(got.error, "pause it"));
    const struct pit_plan plan = {.every_ms = 30000};
    STEP(s, pit_schedules_put(public, "d", "mail.send", NULL, &plan, &got) ==
                PIT_OK);
    STEP(s, strcmp(got.schedules[0].app, "shop") == 0 &&
                got.schedules[0].modified);
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_a_schedule_is_put_shown_and_put_again),
        scene_unit_test(test_trigger_pause_fires_delete),
        scene_unit_test(test_schedules_are_listed),
        scene_unit_test(test_what_is_wrong_is_said),
        scene_unit_test(test_an_applications_own_is_not_deleted),
    };
    return redis_server_run_tests(tests);
}
