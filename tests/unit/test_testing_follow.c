/* pit/test.h plays what pit/follow.h promises: a view that relays a job to a
 * browser, one that follows queues. integration/test_follow_public holds the
 * same against a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pit/follow.h"
#include "pit/job.h"
#include "pit/test.h"

/* ---- the application ---- */

/* Says something every five seconds. */
static enum pit_status
bake(struct pit_co *co, struct pit_job *job)
{
    enum pit_status st = PIT_OK;

    for (int i = 1; i <= 3 && st == PIT_OK; i++) {
        st = pit_sleep(co, 4500);
        pit_job_progress(job, i, 3, "turned");
        if (st == PIT_OK)
            st = pit_sleep(co, 500);
        pit_job_log(job, "turn %d", i);
    }
    return st == PIT_OK ? pit_job_result(job, "s", "bread") : st;
}

static enum pit_status
press(struct pit_job *job)
{
    pit_job_progress(job, 1, 1, "pressed");
    pit_job_log(job, "one");
    pit_job_log(job, "two");
    return pit_job_fail(job, PIT_PERMANENT, "no grapes");
}

static enum pit_status
relay(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_follow follow PIT_FOLLOW = {0};

    enum pit_status st = pit_follow_job(co, pit_request_param(req, "id"),
                                        pit_sse_last_id(req), &follow);
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", follow.error);
    if (follow.over)
        return pit_reply_empty(res, 204);
    while (st == PIT_OK && !follow.over) {
        st = pit_follow_next(co, &follow, PIT_FOR_EVER);
        if (st == PIT_OK)
            st = pit_sse_send(co, res, &follow.change->sse);
    }
    return st;
}

/* Until nothing happens for a while. */
static enum pit_status
queues(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_follow follow PIT_FOLLOW = {0};
    const struct pit_follow_queues what = {
        .queue = pit_request_query(req, "queue"),
        .after = pit_sse_last_id(req),
        .counters = pit_request_query(req, "counters") != NULL,
    };

    enum pit_status st = pit_follow_queues(co, &what, &follow);
    while (st == PIT_OK) {
        st = pit_follow_next(co, &follow, 20000);
        if (st == PIT_OK)
            st = pit_sse_send(co, res, &follow.change->sse);
    }
    return st == PIT_TIMEOUT && pit_cancelled(co) == PIT_OK ? PIT_OK : st;
}

static const struct pit_app app = {
    PIT_APP("followed"),
    .views =
        (const struct pit_view[]){
            {PIT_GET, "/jobs/{id}", relay, .timeout_ms = 60000},
            {PIT_GET, "/queues", queues, .timeout_ms = 60000},
            {0},
        },
    .tasks =
        (const struct pit_task[]){
            {"bake", .async = bake, .queue = "oven"},
            {"press", press, .queue = "cellar"},
            {0},
        },
};

static int
begin(void **state)
{
    *state = pit_test_new(&app);
    return 0;
}

static int
end(void **state)
{
    pit_test_free(*state);
    return 0;
}

static const struct pit_test_answer *
get_behind(struct pit_test *test, const char *target, const char *id)
{
    char header[128];

    snprintf(header, sizeof header, "Last-Event-ID: %s", id);
    return pit_test_send(
        test,
        &(struct pit_test_request){
            .target = target, .headers = (const char *const[]){header, NULL}});
}

static const char *
target_of(const struct pit_test_job *job)
{
    static char target[200];

    snprintf(target, sizeof target, "/jobs/%s", job->id);
    return target;
}

/* The @words stand in @text in that order. */
static void
expect_in_order(const char *text, const char *const *words)
{
    const char *p = text;

    for (; *words; words++) {
        const char *found = strstr(p, *words);
        if (!found)
            fail_msg("no %s behind %.*s in:\n%s", *words, (int)(p - text), text,
                     text);
        p = found + strlen(*words);
    }
}

static int
count(const char *text, const char *word)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

/* The id of the event whose data has @word; copied. */
static void
id_before(const char *text, const char *word, char id[64])
{
    const char *at = strstr(text, word), *found = NULL;

    for (const char *p = text; at && (p = strstr(p, "id: ")) && p < at; p++)
        found = p;
    if (!found)
        fail_msg("no id before %s in:\n%s", word, text);
    snprintf(id, 64, "%.*s", (int)strcspn(found + 4, "\n"), found + 4);
}

/* ---- one job ---- */

static void
test_a_job_is_relayed(void **state)
{
    struct pit_test *test = *state;
    const struct pit_test_job *job = pit_test_enqueue(test, "bake", NULL);
    char id[64];

    const struct pit_test_answer *a = pit_test_start(
        test, &(struct pit_test_request){.target = target_of(job)});
    expect_in_order(a->body, (const char *const[]){"\"ready\"", NULL});
    pit_test_worker(test, true);
    pit_test_advance(test, 4750); /* it is heard at once */
    expect_in_order(a->body, (const char *const[]){"\"done\":1", NULL});
    assert_null(strstr(a->body, "turn 1"));
    pit_test_advance(test, 2750); /* in the middle of it */
    expect_in_order(a->body,
                    (const char *const[]){"\"running\"", "event: progress",
                                          "\"done\":1", "turn 1", NULL});
    assert_null(strstr(a->body, "turn 2"));
    pit_test_wait(test, a);
    assert_int_equal(a->status, 200);
    expect_in_order(a->body,
                    (const char *const[]){"\"done\":3", "turn 3", "event: end",
                                          "\"result\":\"bread\"", NULL});
    assert_int_equal(count(a->body, "event: progress"), 3);
    assert_int_equal(count(a->body, "event: log"), 3);
    assert_int_equal(count(a->body, "event: state"), 3);
    assert_true(a->took_ms >= 15000 && a->took_ms < 20000);

    /* Who comes back has the rest, and nothing behind the end. */
    id_before(a->body, "turn 2", id);
    a = get_behind(test, target_of(job), id);
    assert_null(strstr(a->body, "turn 2"));
    expect_in_order(a->body,
                    (const char *const[]){"turn 3", "event: end", NULL});
    id_before(a->body, "bread", id);
    assert_int_equal(get_behind(test, target_of(job), id)->status, 204);
    assert_int_equal(pit_test_get(test, "/jobs/oven.none")->status, 404);
}

static void
test_a_task_on_a_thread(void **state)
{
    struct pit_test *test = *state;
    const struct pit_test_job *job = pit_test_enqueue(test, "press", NULL);
    const struct pit_test_answer *a = pit_test_start(
        test, &(struct pit_test_request){.target = target_of(job)});

    assert_int_equal(pit_test_run_jobs(test), 1);
    pit_test_wait(test, a);
    expect_in_order(a->body,
                    (const char *const[]){"\"ready\"", "\"dead\"", "\"done\":1",
                                          "\"one\"", "\"two\"", "event: end",
                                          "\"message\":\"no grapes\"", NULL});
}

static void
test_a_client_that_hangs_up(void **state)
{
    struct pit_test *test = *state;
    const struct pit_test_job *job = pit_test_enqueue(test, "bake", NULL);
    const struct pit_test_answer *a = pit_test_start(
        test, &(struct pit_test_request){.target = target_of(job)});

    pit_test_hang_up(test, a);
    assert_int_equal(a->status, 0);
    (void)pit_test_start(test,
                         &(struct pit_test_request){.target = target_of(job)});
    pit_test_free(test); /* with one that follows */
    *state = NULL;
}

/* ---- queues ---- */

static void
test_queues_are_followed(void **state)
{
    struct pit_test *test = *state;
    char id[64];

    (void)pit_test_enqueue(test, "press", NULL);
    const struct pit_test_answer *a = pit_test_start(
        test, &(struct pit_test_request){.target = "/queues?counters"});
    expect_in_order(a->body, (const char *const[]){"event: counters",
                                                   "\"queue\":\"cellar\"",
                                                   "\"ready\":1,", NULL});
    (void)pit_test_enqueue(test, "bake", NULL);
    pit_test_worker(test, true);
    pit_test_wait(test, a);
    expect_in_order(a->body, (const char *const[]){
                                 "\"queue\":\"oven\",\"id\":\"oven.test-2\","
                                 "\"state\":\"ready\",\"attempt\":0",
                                 "\"oven.test-2\",\"state\":\"running\"",
                                 "\"oven.test-2\",\"state\":\"succeeded\"",
                                 "event: counters", "\"queue\":\"oven\"",
                                 "\"succeeded\":1,\"failed\":0}", NULL});
    expect_in_order(
        a->body, (const char *const[]){"\"cellar.test-1\",\"state\":\"dead\"",
                                       "\"queue\":\"cellar\",\"paused\"",
                                       "\"dead\":1", "\"failed\":1}", NULL});

    id_before(a->body, "\"oven.test-2\",\"state\":\"running\"", id);
    a = get_behind(test, "/queues?queue=oven", id);
    assert_string_equal(strstr(a->body, "data: ") + 6,
                        "{\"queue\":\"oven\",\"id\":\"oven.test-2\",\"state\":"
                        "\"succeeded\",\"attempt\":1}\n\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_job_is_relayed),
        TEST(test_a_task_on_a_thread),
        TEST(test_a_client_that_hangs_up),
        TEST(test_queues_are_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
