/* pit/test.h plays the queue: flows, results, keys, limits, delays, a worker.
 * What the verbs promise is that of pit/queue.h and pit/flow.h, which
 * integration/test_queue_public holds against a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pit/flow.h"
#include "pit/test.h"

/* ---- the application ---- */

static enum pit_status
add(struct pit_job *job)
{
    json_int_t sum = 0;

    for (size_t i = 0; i < pit_job_inputs(job); i++)
        sum += json_integer_value(pit_job_input_at(job, i, NULL));
    sum += json_integer_value(json_object_get(pit_job_args(job), "n"));
    pit_job_progress(job, 1, 2, "added");
    pit_job_log(job, "sum %d", (int)sum);
    if (sum < 0)
        return pit_job_fail(job, PIT_PERMANENT, "below zero");
    if (sum > 1000 && pit_job_attempt(job) < 3)
        return pit_job_fail(job, PIT_FAILED, "too heavy");
    return pit_job_result(job, "I", sum);
}

static enum pit_status
nap(struct pit_co *co, struct pit_job *job)
{
    enum pit_status st = pit_sleep(co, 1000);

    return st == PIT_OK ? pit_job_result(job, "s", pit_job_request_id(job))
                        : st;
}

/* What the next view enqueues. */
static const char *task;
static int number;
static struct pit_enqueue options;
static struct pit_ticket ticket;

static enum pit_status
enqueue(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)req;
    options.ticket = &ticket;
    enum pit_status st =
        pit_enqueue(co, task, pit_args("{s:i}", "n", number), &options);
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", ticket.error);
    return pit_reply_text(res, ticket.existed ? 200 : 202, "%s", ticket.id);
}

static enum pit_status
wait_for(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_result result PIT_RESULT = {0};
    int64_t ms = 0;

    enum pit_status st = pit_request_query_int(req, "ms", 0, 0, 1000000, &ms);
    if (st == PIT_OK)
        st = ms > 0 ? pit_result_wait(co, pit_request_param(req, "id"), ms,
                                      &result)
                    : pit_result_get(co, pit_request_param(req, "id"), &result);
    if (st != PIT_OK && st != PIT_TIMEOUT)
        return pit_reply_problem(res, st, "%s", result.error);
    return pit_reply_json(res, 200, "{s:s, s:i, s:O?, s:s, s:s}", "state",
                          result.state_name, "attempt", result.attempt, "value",
                          result.value, "cause", result.cause, "message",
                          result.message);
}

/* 1 and 2 side by side, then a sum that has theirs. */
static enum pit_status
group(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_flow_job jobs[] = {{"add", pit_args("{s:i}", "n", number)},
                                  {"add", pit_args("{s:i}", "n", 2)}};
    const struct pit_flow_job then = {
        "add", .go_on = pit_request_query(req, "go_on") != NULL};

    enum pit_status st = pit_group(co, jobs, 2, &then, NULL, &ticket);
    return st == PIT_OK ? pit_reply_text(res, 202, "%s", ticket.id)
                        : pit_reply_problem(res, st, "%s", ticket.error);
}

static enum pit_status
cycle(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    static const char *const a[] = {"a", NULL}, *const b[] = {"b", NULL};
    const struct pit_flow_job jobs[] = {{"add", .name = "a", .after = b},
                                        {"add", .name = "b", .after = a}};

    (void)req;
    enum pit_status st = pit_flow(co, jobs, 2, NULL, &ticket);
    return pit_reply_problem(res, st, "%s", ticket.error);
}

static const struct pit_app app = {
    PIT_APP("played"),
    .views =
        (const struct pit_view[]){
            {PIT_GET, "/enqueue", enqueue},
            {PIT_GET, "/jobs/{id}", wait_for, .timeout_ms = 2000000},
            {PIT_GET, "/group", group},
            {PIT_GET, "/cycle", cycle},
            {0},
        },
    .tasks =
        (const struct pit_task[]){
            {"add", add, .backoff_ms = 4000},
            {"nap", .async = nap, .queue = "naps"},
            {0},
        },
};

static int
begin(void **state)
{
    task = "add";
    number = 1;
    options = (struct pit_enqueue){0};
    *state = pit_test_new(&app);
    return 0;
}

static int
end(void **state)
{
    pit_test_free(*state);
    return 0;
}

static void
expect(struct pit_test *test, const char *target, int status, const char *word)
{
    const struct pit_test_answer *answer = pit_test_get(test, target);

    if (answer->status != status || !strstr(answer->body, word))
        fail_msg("%s: %d %s", target, answer->status, answer->body);
}

static const struct pit_test_job *
enqueued(struct pit_test *test)
{
    expect(test, "/enqueue", 202, "");
    return pit_test_find_job(test, ticket.id);
}

/* ---- results ---- */

static void
test_a_result_is_looked_at(void **state)
{
    const struct pit_test_job *job = enqueued(*state);
    char path[200];

    snprintf(path, sizeof path, "/jobs/%s", job->id);
    assert_int_equal(job->state, PIT_READY);
    expect(*state, path, 200,
           "\"state\":\"ready\",\"attempt\":0,\"value\":null");
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(job->state, PIT_SUCCEEDED);
    assert_string_equal(job->progress,
                        "{\"done\":1,\"total\":2,\"message\":\"added\"}");
    assert_string_equal(job->log, "sum 1\n");
    expect(*state, path, 200, "\"succeeded\",\"attempt\":1,\"value\":1,");
    expect(*state, "/jobs/default.nobody", 404, "default.nobody");
    expect(*state, "/jobs/nonsense", 400, "");
}

static void
test_a_view_waits_for_the_worker(void **state)
{
    task = "nap";
    const struct pit_test_job *job = enqueued(*state);
    char path[200];

    snprintf(path, sizeof path, "/jobs/%s?ms=5000", job->id);
    const struct pit_test_answer *late = pit_test_get(*state, path);
    assert_non_null(strstr(late->body, "\"ready\""));
    assert_true(late->took_ms >= 5000);
    pit_test_worker(*state, true);
    const struct pit_test_answer *answer = pit_test_get(*state, path);
    assert_non_null(strstr(answer->body, "\"succeeded\""));
    assert_true(answer->took_ms >= 1000 && answer->took_ms < 5000);
    assert_int_equal(job->state, PIT_SUCCEEDED);
}

static void
test_a_test_says_how_a_job_ends(void **state)
{
    task = "others.task";
    const struct pit_test_job *job = enqueued(*state);
    char path[200];

    snprintf(path, sizeof path, "/jobs/%s", job->id);
    assert_int_equal(pit_test_run_jobs(*state), 0); /* nobody here knows it */
    pit_test_end_job(*state, job->id, PIT_OK, "[7]");
    expect(*state, path, 200, "\"succeeded\",\"attempt\":0,\"value\":[7]");
    job = enqueued(*state);
    snprintf(path, sizeof path, "/jobs/%s", job->id);
    pit_test_end_job(*state, job->id, PIT_FAILED, "no wood");
    expect(*state, path, 200, "\"dead\"");
    expect(*state, path, 200, "\"failed\",\"message\":\"no wood\"");
    assert_string_equal(job->error, "no wood");
}

static void
test_the_request_goes_along(void **state)
{
    static const char *const named[] = {"X-Request-Id: order:7", NULL};

    task = "nap";
    (void)pit_test_send(*state, &(struct pit_test_request){.target = "/enqueue",
                                                           .headers = named});
    (void)enqueued(*state);
    assert_int_equal(pit_test_run_jobs(*state), 2);
    assert_string_equal(pit_test_enqueued(*state, 0)->result, "\"order:7\"");
    assert_string_equal(pit_test_enqueued(*state, 1)->result, "\"\"");
}

/* ---- time ---- */

static void
test_delays_and_back_off_by_the_clock(void **state)
{
    options.delay_ms = 60000;
    number = 2000; /* fails twice */
    const struct pit_test_job *job = enqueued(*state);

    pit_test_worker(*state, true);
    assert_int_equal(job->state, PIT_SCHEDULED);
    pit_test_advance(*state, 59000);
    assert_int_equal(job->attempt, 0);
    pit_test_advance(*state, 2000);
    assert_int_equal(job->attempt, 1);
    assert_int_equal(job->state, PIT_RETRYING);
    assert_string_equal(job->error, "too heavy");
    pit_test_advance(*state, 4000);
    assert_int_equal(job->attempt, 2);
    pit_test_advance(*state, 4000); /* 8 s the second time */
    assert_int_equal(job->attempt, 2);
    pit_test_advance(*state, 4000);
    assert_int_equal(job->attempt, 3);
    assert_int_equal(job->state, PIT_SUCCEEDED);
    assert_string_equal(job->error, "");
}

static void
test_what_is_too_old_is_not_started(void **state)
{
    const struct pit_test_job *job;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    options.expires_at_ms = ((int64_t)now.tv_sec + 100000000) * 1000;
    job = enqueued(*state);
    pit_test_advance(*state, INT64_C(200000000) * 1000);
    assert_int_equal(pit_test_run_jobs(*state), 0);
    assert_int_equal(job->state, PIT_EXPIRED);
    assert_int_equal(job->attempt, 0);
}

/* ---- what limits it ---- */

static void
test_unique_keys(void **state)
{
    options.unique.key = "one";
    const struct pit_test_job *first = enqueued(*state);

    expect(*state, "/enqueue", 409, "holds the unique key");
    assert_string_equal(ticket.id, first->id);
    options.unique.on_conflict = PIT_UNIQUE_RETURN;
    expect(*state, "/enqueue", 200, first->id);
    options.unique.on_conflict = PIT_UNIQUE_REPLACE;
    const struct pit_test_job *second = enqueued(*state);
    assert_int_equal(first->state, PIT_JOB_CANCELLED);
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(second->state, PIT_SUCCEEDED);
    options.unique = (struct pit_unique){
        .key = "one", .until = PIT_UNIQUE_ENDED, .ttl_ms = 10000};
    (void)enqueued(*state);
    assert_int_equal(pit_test_run_jobs(*state), 1);
    expect(*state, "/enqueue", 409, "");
    pit_test_advance(*state, 11000);
    expect(*state, "/enqueue", 202, "");
}

static void
test_a_key_until_the_first_start(void **state)
{
    options.unique =
        (struct pit_unique){.key = "one", .until = PIT_UNIQUE_WAITING};
    number = 2000; /* fails once, and waits for its retry */
    const struct pit_test_job *first = enqueued(*state);
    expect(*state, "/enqueue", 409, "");
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(first->state, PIT_RETRYING);
    expect(*state, "/enqueue", 202, "");
}

static void
test_own_ids(void **state)
{
    options.id = "seven";
    (void)enqueued(*state);
    expect(*state, "/enqueue", 200, "default.seven");
    number = 8;
    expect(*state, "/enqueue", 409, "other content");
    options.id = "not one!";
    expect(*state, "/enqueue", 400, "id");
}

static void
test_a_full_queue(void **state)
{
    pit_test_queue_max(*state, "default", 1);
    (void)enqueued(*state);
    expect(*state, "/enqueue", 429, "as many jobs waiting as it may");
    assert_int_equal(pit_test_run_jobs(*state), 1);
    (void)enqueued(*state);
    pit_test_enqueue_status(*state, PIT_UNCLEAR);
    expect(*state, "/enqueue", 503, "outcome-unknown");
}

static void
test_limits_hold_the_worker_back(void **state)
{
    task = "nap";
    options.limit = (struct pit_limit){.key = "bed", .concurrency = 2};
    for (int i = 0; i < 4; i++)
        (void)enqueued(*state);
    pit_test_worker(*state, true);
    pit_test_advance(*state, 500);
    assert_int_equal(pit_test_enqueued(*state, 1)->state, PIT_RUNNING);
    assert_int_equal(pit_test_enqueued(*state, 2)->state, PIT_READY);
    pit_test_advance(*state, 1000);
    assert_int_equal(pit_test_enqueued(*state, 1)->state, PIT_SUCCEEDED);
    assert_int_equal(pit_test_enqueued(*state, 3)->state, PIT_RUNNING);
    options.limit =
        (struct pit_limit){.key = "door", .rate = 1, .rate_period_ms = 60000};
    const struct pit_test_job *one = enqueued(*state), *two = enqueued(*state);
    pit_test_advance(*state, 30000);
    assert_int_equal(one->state, PIT_SUCCEEDED);
    assert_int_equal(two->attempt, 0);
    pit_test_advance(*state, 40000);
    assert_int_equal(two->attempt, 1);
}

/* ---- flows ---- */

static void
test_a_group(void **state)
{
    expect(*state, "/group", 202, "default.");
    const struct pit_test_job *then = pit_test_enqueued(*state, 2);
    assert_int_equal(then->state, PIT_BLOCKED);
    assert_string_equal(then->flow, ticket.id);
    assert_int_equal(pit_test_run_jobs(*state), 3);
    assert_string_equal(then->result, "3");
}

static void
test_a_group_of_which_one_fails(void **state)
{
    number = -1;
    expect(*state, "/group", 202, "");
    expect(*state, "/group?go_on", 202, "");
    assert_int_equal(pit_test_run_jobs(*state), 5);
    const struct pit_test_job *stopped = pit_test_enqueued(*state, 2);
    assert_int_equal(stopped->state, PIT_JOB_CANCELLED);
    assert_int_equal(stopped->attempt, 0);
    const struct pit_test_job *went_on = pit_test_enqueued(*state, 5);
    assert_string_equal(went_on->result, "2");
}

static void
test_a_group_by_the_worker(void **state)
{
    pit_test_worker(*state, true);
    expect(*state, "/group", 202, "");
    pit_test_advance(*state, 1000);
    assert_string_equal(pit_test_enqueued(*state, 2)->result, "3");
}

static void
test_no_flow_in_a_circle(void **state)
{
    expect(*state, "/cycle", 400, "");
    assert_null(pit_test_enqueued(*state, 0));
}

static void
test_after(void **state)
{
    const struct pit_test_job *first = enqueued(*state);
    const char *const after[] = {first->id, NULL};

    options.after = after;
    number = 4;
    const struct pit_test_job *second = enqueued(*state);
    assert_int_equal(second->state, PIT_BLOCKED);
    assert_int_equal(pit_test_run_jobs(*state), 2);
    assert_string_equal(second->result, "5");
    options.after = (const char *const[]){"default.nobody", NULL};
    expect(*state, "/enqueue", 400, "default.nobody");
}

static void
test_an_end_with_work_under_way(void **state)
{
    task = "nap";
    (void)enqueued(*state);
    pit_test_worker(*state, true);
    pit_test_advance(*state, 10);
    assert_int_equal(pit_test_enqueued(*state, 0)->state, PIT_RUNNING);
    pit_test_free(*state); /* cancels it */
    *state = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_result_is_looked_at),
        TEST(test_a_view_waits_for_the_worker),
        TEST(test_a_test_says_how_a_job_ends),
        TEST(test_the_request_goes_along),
        TEST(test_delays_and_back_off_by_the_clock),
        TEST(test_what_is_too_old_is_not_started),
        TEST(test_unique_keys),
        TEST(test_a_key_until_the_first_start),
        TEST(test_own_ids),
        TEST(test_a_full_queue),
        TEST(test_limits_hold_the_worker_back),
        TEST(test_a_group),
        TEST(test_a_group_of_which_one_fails),
        TEST(test_a_group_by_the_worker),
        TEST(test_no_flow_in_a_circle),
        TEST(test_after),
        TEST(test_an_end_with_work_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
