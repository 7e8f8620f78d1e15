/* pit/queues.h, and the steps of pit/jobs.h for many jobs, against a real
 * Redis. Nothing is asserted inside a coroutine. */
#include "pit/queues.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/queue_scene.h"

/* Puts @n jobs there, with ids from @first on. */
static enum pit_status
put(struct co *co, int first, int n, const char *tags, int64_t delay_ms)
{
    enum pit_status st = PIT_OK;
    char id[16];

    for (int i = first; i < first + n && st == PIT_OK; i++) {
        snprintf(id, sizeof id, "j%d", i);
        st = pit_enqueue(co_public_of(co), "mail.send", NULL,
                         &(struct pit_enqueue){
                             .id = id, .delay_ms = delay_ms, .tags = tags});
    }
    return st;
}

static int64_t
count(struct co *co, enum pit_state state)
{
    struct pit_queues queues PIT_QUEUES = {0};

    if (pit_queues_get(co_public_of(co), "mail", &queues) != PIT_OK)
        return -1;
    return queues.queues[0].count[state];
}

/* ---- many jobs ---- */

static enum status
test_a_filter_changes_many(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_bulk bulk;
    struct pit_filter filter = {.queue = "mail",
                                .states =
                                    PIT_IN(PIT_READY) | PIT_IN(PIT_SCHEDULED),
                                .tag = "a",
                                .dry_run = true,
                                .reason = "sold out"};
    struct pit_jobs jobs PIT_JOBS = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, 0, 100, "a", 0) == PIT_OK);
    STEP(s, put(co, 100, 3, "b", 0) == PIT_OK);
    STEP(s, put(co, 200, 2, "a", 60000) == PIT_OK);
    STEP(s, pit_jobs_cancel_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.seen == 105 && bulk.matched == 102 && bulk.done == 0);
    STEP(s, count(co, PIT_READY) == 103 && count(co, PIT_SCHEDULED) == 2);
    filter.dry_run = false;
    filter.limit = 70;
    STEP(s, pit_jobs_cancel_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.matched == 70 && bulk.done == 70 && bulk.refused == 0);
    filter.limit = 0;
    STEP(s, pit_jobs_cancel_all(public, &filter, NULL) == PIT_OK);
    STEP(s, count(co, PIT_READY) == 3 && count(co, PIT_ENDED) == 102);
    STEP(s, pit_jobs_get(public, "mail.j200", &jobs) == PIT_OK);
    STEP(s, strcmp(jobs.jobs[0].message, "sold out") == 0);

    filter = (struct pit_filter){
        .queue = "mail", .states = PIT_IN(PIT_JOB_CANCELLED), .limit = 10};
    STEP(s, pit_jobs_retry_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.done == 10 && count(co, PIT_READY) == 13);
    filter = (struct pit_filter){
        .queue = "mail", .states = PIT_IN(PIT_ENDED), .older_ms = 3600000};
    STEP(s, pit_jobs_delete_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.seen == 92 && bulk.matched == 0);
    filter.older_ms = 0;
    STEP(s, pit_jobs_delete_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.done == 92 && count(co, PIT_ENDED) == 0);

    const char *const ids[] = {"mail.j100", "mail.none", NULL};
    filter = (struct pit_filter){.ids = ids};
    STEP(s, pit_jobs_delete_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.done == 1 && bulk.refused == 1);
    return ST_OK;
}

/* 130 jobs are three pages; at 640/s the third comes not before 200 ms. */
static enum status
test_a_bulk_keeps_its_rate_and_says_how_far_it_came(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_bulk bulk;
    struct pit_filter filter = {.queue = "mail",
                                .states = PIT_IN(PIT_READY),
                                .rate = 640,
                                .rate_period_ms = 1000};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, 0, 130, NULL, 0) == PIT_OK);
    int64_t started_ms = clock_mono_ms();
    STEP(s, pit_jobs_delete_all(public, &filter, &bulk) == PIT_OK);
    STEP(s, bulk.done == 130 && clock_mono_ms() - started_ms >= 190);
    STEP(s, put(co, 200, 130, NULL, 0) == PIT_OK);
    /* The coroutine's deadline ends it in between. */
    filter.rate = 1;
    filter.rate_period_ms = 60000;
    co_deadline_ms(co, 100);
    enum pit_status st = pit_jobs_delete_all(public, &filter, &bulk);
    STEP(s, st == PIT_UNCLEAR && bulk.done == 64 && bulk.error[0]);
    return ST_OK;
}

static enum status
test_a_wrong_filter_is_refused(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    static const char *const none[] = {NULL};
    static const char *const ids[] = {"nodot", NULL};
    const unsigned ready = PIT_IN(PIT_READY);
    const struct {
        struct pit_filter filter;
        const char *says;
    } refused[] = {
        {{.states = ready}, "queue"},
        {{.queue = "mail"}, "states"},
        {{.queue = "mail", .states = PIT_IN(PIT_RUNNING)}, "running"},
        {{.queue = "mail", .states = 1u << 30}, "states"},
        {{.queue = "mail", .states = ready, .limit = -1}, "limit"},
        {{.queue = "mail", .states = ready, .rate = 1}, "rate"},
        {{.queue = "mail", .states = ready, .reason = "x"}, "cancel_all"},
        {{.ids = none}, "ids"},
        {{.ids = ids}, "ids[0]"},
        {{.ids = ids, .queue = "mail"}, "leave out"},
    };
    struct pit_bulk bulk;

    STEP(s, scene_up(co, s) == ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        STEP(s, pit_jobs_delete_all(public, &refused[i].filter, &bulk) ==
                    PIT_INVALID);
        STEP(s, strstr(bulk.error, refused[i].says));
    }
    STEP(s, pit_queues_purge(public, "mail", PIT_IN(PIT_RUNNING), &bulk) ==
                PIT_INVALID);
    STEP(s, pit_queues_purge(public, "no queue", 0, &bulk) == PIT_INVALID);
    return ST_OK;
}

/* ---- queues ---- */

static enum status
test_queues_are_shown(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_queues queues PIT_QUEUES = {0};
    struct finish dead = {.outcome = OUTCOME_FAILED, .delay_ms = -1};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_queues_list(public, &queues) == PIT_OK && queues.len == 0);
    STEP(s, pit_queues_get(public, "mail", &queues) == PIT_NOT_FOUND);
    STEP(s, queues.len == 0 && strstr(queues.error, "mail"));
    STEP(s, pit_queues_get(public, "no queue", &queues) == PIT_INVALID);
    STEP(s, put(co, 0, 3, NULL, 0) == PIT_OK);
    STEP(s, put(co, 3, 1, NULL, 60000) == PIT_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL,
                        &(struct pit_enqueue){.queue = "aside"}) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", &dead) == ST_OK);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, pit_queues_list(public, &queues) == PIT_OK && queues.len == 2);
    STEP(s, strcmp(queues.queues[0].name, "aside") == 0);
    const struct pit_queue_info *mail = &queues.queues[1];
    STEP(s, strcmp(mail->name, "mail") == 0 && !mail->paused && !mail->closed);
    STEP(s, mail->count[PIT_READY] == 1 && mail->count[PIT_SCHEDULED] == 1 &&
                mail->count[PIT_RUNNING] == 1 && mail->count[PIT_DEAD] == 1);
    STEP(s, mail->total.enqueued == 4 && mail->total.dead == 1);
    STEP(s, mail->oldest_ready_ms >= 0);
    STEP(s, mail->settings.len_max == PIT_NO_LIMIT &&
                mail->settings.rate == PIT_NO_LIMIT);
    STEP(s, mail->settings.ended_max == 100000 && !mail->settings.note[0]);
    STEP(s, pit_queues_get(public, mail->name, &queues) == PIT_OK);
    STEP(s, queues.len == 1);

    struct pit_scale scale;
    STEP(s, pit_queues_scale(public, "mail", 0, &scale) == PIT_OK);
    STEP(s, scale.waiting == 1 && scale.running == 1 && scale.wanted == 1 &&
                scale.workers == 0);
    STEP(s, pit_queues_scale(public, "mail", 999, &scale) == PIT_INVALID);
    STEP(s, strstr(scale.error, "target_ms"));
    return ST_OK;
}

static enum status
test_limits_hold_and_are_taken_back(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_queues queues PIT_QUEUES = {0};
    char words[502];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_queues_set(public, "mail",
                           &(struct pit_queue_settings){.len_max = 2,
                                                        .concurrency = 5,
                                                        .rate = 100,
                                                        .rate_period_ms = 1000,
                                                        .ended_max = 7,
                                                        .dead_ms = 60000,
                                                        .quarantined_ms = 7000,
                                                        .note = "shared"},
                           &queues) == PIT_OK);
    const struct pit_queue_settings *has = &queues.queues[0].settings;
    STEP(s, has->len_max == 2 && has->concurrency == 5 && has->rate == 100 &&
                has->rate_period_ms == 1000 && has->ended_max == 7 &&
                has->dead_ms == 60000 && has->quarantined_ms == 7000 &&
                has->quarantined_max == 10000 &&
                has->bytes_max == PIT_NO_LIMIT);
    STEP(s, strcmp(has->note, "shared") == 0);
    STEP(s, put(co, 0, 2, NULL, 0) == PIT_OK);
    STEP(s, put(co, 2, 1, NULL, 0) == PIT_QUEUE_FULL);
    STEP(s, pit_queues_set(public, "mail",
                           &(struct pit_queue_settings){.len_max = PIT_NO_LIMIT,
                                                        .note = ""},
                           NULL) == PIT_OK);
    STEP(s, put(co, 2, 1, NULL, 0) == PIT_OK);
    STEP(s, pit_queues_get(public, "mail", &queues) == PIT_OK);
    has = &queues.queues[0].settings;
    STEP(s, has->len_max == PIT_NO_LIMIT && has->rate == 100 && !has->note[0]);

    STEP(s, has->retries == 0 && has->backoff == 0);
    STEP(s, pit_queues_set(
                public, "mail",
                &(struct pit_queue_settings){.retries = PIT_NO_RETRY,
                                             .backoff = PIT_BACKOFF_FIXED,
                                             .backoff_ms = 100,
                                             .backoff_cap_ms = 500,
                                             .backoff_jitter = 0.25},
                &queues) == PIT_OK);
    has = &queues.queues[0].settings;
    STEP(s, has->retries == PIT_NO_RETRY && has->backoff == PIT_BACKOFF_FIXED &&
                has->backoff_ms == 100 && has->backoff_cap_ms == 500 &&
                has->backoff_jitter == 0.25 && has->rate == 100);
    STEP(s, pit_queues_set(public, "mail",
                           &(struct pit_queue_settings){
                               .retries = PIT_STANDARD,
                               .backoff = (enum pit_backoff)PIT_STANDARD,
                               .backoff_ms = PIT_STANDARD,
                               .backoff_jitter = PIT_NO_JITTER},
                           &queues) == PIT_OK);
    has = &queues.queues[0].settings;
    STEP(s, has->retries == 0 && has->backoff == 0 && has->backoff_ms == 0 &&
                has->backoff_cap_ms == 500 &&
                has->backoff_jitter == PIT_NO_JITTER);

    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    const struct {
        struct pit_queue_settings settings;
        const char *says;
    } refused[] = {
        {{0}, "nothing to change"},
        {{.len_max = -3}, "len_max"},
        {{.concurrency = 100001}, "concurrency"},
        {{.rate = 5}, "rate_period_ms"},
        {{.dead_ms = 999}, "dead_ms"},
        {{.quarantined_ms = 999}, "quarantined_ms"},
        {{.retries = 1001}, "retries"},
        {{.backoff = (enum pit_backoff)3}, "backoff"},
        {{.backoff_ms = 500, .backoff_cap_ms = 400}, "backoff_cap_ms"},
        {{.backoff_jitter = 1.5}, "backoff_jitter"},
        {{.note = words}, "note"},
        {{.note = "a\nb"}, "control"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        STEP(s, pit_queues_set(public, "mail", &refused[i].settings, &queues) ==
                    PIT_INVALID);
        STEP(s, strstr(queues.error, refused[i].says) && queues.len == 0);
    }
    return ST_OK;
}

static enum status
test_pause_resume_purge(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_queues queues PIT_QUEUES = {0};
    struct pit_bulk bulk;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, put(co, 0, 1, NULL, 0) == PIT_OK);
    STEP(s, pit_queues_pause(public, "mail",
                             &(struct pit_pause){.note = "provider is down"},
                             &queues) == PIT_OK);
    STEP(s, queues.queues[0].paused && !queues.queues[0].closed);
    STEP(s, strcmp(queues.queues[0].settings.note, "provider is down") == 0);
    STEP(s, put(co, 1, 1, NULL, 0) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_BUG); /* nothing to claim */
    STEP(s,
         pit_queues_pause(public, "mail", &(struct pit_pause){.intake = true},
                          &queues) == PIT_OK);
    STEP(s, queues.queues[0].paused && queues.queues[0].closed);
    STEP(s, queues.queues[0].settings.note[0]);
    STEP(s, put(co, 2, 1, NULL, 0) == PIT_QUEUE_FULL);
    STEP(s, pit_queues_resume(public, "mail", NULL, &queues) == PIT_OK);
    STEP(s, !queues.queues[0].paused && !queues.queues[0].closed);
    STEP(s, !queues.queues[0].settings.note[0]);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);

    STEP(s, put(co, 3, 300, NULL, 0) == PIT_OK);
    STEP(s, put(co, 400, 2, NULL, 60000) == PIT_OK);
    STEP(s, pit_queues_purge(public, "mail", PIT_IN(PIT_SCHEDULED), &bulk) ==
                PIT_OK);
    STEP(s, bulk.done == 2 && count(co, PIT_READY) == 301);
    STEP(s, pit_queues_purge(public, "mail", 0, &bulk) == PIT_OK);
    STEP(s, bulk.done == 301 && count(co, PIT_READY) == 0);
    STEP(s, count(co, PIT_RUNNING) == 1);
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_a_filter_changes_many),
        scene_unit_test(test_a_bulk_keeps_its_rate_and_says_how_far_it_came),
        scene_unit_test(test_a_wrong_filter_is_refused),
        scene_unit_test(test_queues_are_shown),
        scene_unit_test(test_limits_hold_and_are_taken_back),
        scene_unit_test(test_pause_resume_purge),
    };
    return redis_server_run_tests(tests);
}
