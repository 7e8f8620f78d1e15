/* What an application asks of others: upstreams, mail, Redis, jobs. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pit/test.h"

static void
test_upstreams(void **state)
{
    site_expect_problem(pit_test_get(*state, "/upstream"), 503,
                        "no pit_test_upstream() for GET");
    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.content = "Hm",
                                               .delay_ms = 2000,
                                               .headers = (const char *const[]){
                                                   "X-Mood: fine", NULL}});
    const struct pit_test_answer *a = pit_test_get(*state, "/upstream");
    site_expect(a, 200, "Hm fine");
    assert_true(a->took_ms >= 2000);
    pit_test_upstream(
        *state, "GET https://example.org/quote?a=b",
        &(struct pit_test_reply){.status = PIT_UNCLEAR, .times = 1});
    site_expect_problem(pit_test_get(*state, "/upstream"), 503,
                        "outcome-unknown");
    site_expect(pit_test_get(*state, "/upstream"), 200, "Hm fine");
    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.delay_ms = 60000});
    site_expect_problem(pit_test_get(*state, "/upstream"), 504, "timeout");
    assert_string_equal(pit_test_fetched(*state, 4)->url,
                        "https://example.org/quote?a=b");
    assert_null(pit_test_fetched(*state, 5));
}

static void
test_context_goes_along(void **state)
{
    static const char trace[] =
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.content = "Hm"});
    pit_test_send(*state, &(struct pit_test_request){
                              .target = "/upstream",
                              .headers = (const char *const[]){
                                  trace, "X-Request-Id: abc", NULL}});
    const char *sent = pit_test_fetched(*state, 0)->headers;
    assert_non_null(strstr(sent, trace));
    assert_non_null(strstr(sent, "X-Request-Id: abc\n"));
}

static void
test_mail(void **state)
{
    static const char *const bad[] = {"ada",
                                      "a%0d%0ab@example.org",
                                      "%3ca@example.org%3e",
                                      "a@example.org,b@example.org",
                                      "a%20b@example.org",
                                      "a@",
                                      "a..b@example.org",
                                      "a@b@c"};
    char target[128];

    assert_int_equal(
        pit_test_post(*state, "/mail?to=ada@example.org", NULL, NULL)->status,
        204);
    const struct pit_test_mail *mail = pit_test_mailed(*state, 0);
    assert_string_equal(mail->to, "ada@example.org");
    assert_string_equal(mail->subject, "Hello");
    assert_string_equal(mail->from, "app@example.org");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(target, sizeof target, "/mail?to=%s", bad[i]);
        site_expect_problem(pit_test_post(*state, target, NULL, NULL), 400,
                            "address");
    }
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    site_expect_problem(
        pit_test_post(*state, "/mail?to=ada@example.org", NULL, NULL), 503,
        "mail server");
    assert_null(pit_test_mailed(*state, 1));
}

static void
test_redis(void **state)
{
    site_expect_problem(pit_test_get(*state, "/redis"), 503,
                        "no pit_test_redis()");
    pit_test_redis(*state, "GET shop:token", NULL);
    site_expect(pit_test_get(*state, "/redis"), 200, "nil");
    pit_test_redis(*state, "GET shop:token", "secret");
    site_expect(pit_test_get(*state, "/redis"), 200, "secret");
    pit_test_redis_status(*state, PIT_UNCLEAR);
    site_expect_problem(pit_test_get(*state, "/redis"), 503, "outcome-unknown");
}

static void
test_jobs(void **state)
{
    const struct pit_test_answer *a =
        pit_test_post(*state, "/enqueue", NULL, NULL);

    assert_int_equal(a->status, 202);
    const struct pit_test_job *job = pit_test_enqueued(*state, 0);
    assert_string_equal(job->task, "add");
    assert_string_equal(job->args, "{\"a\":2,\"b\":3}");
    assert_int_equal(job->delay_ms, 5000);
    assert_non_null(strstr(a->body, job->id));
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_true(job->ended);
    assert_string_equal(job->result, "5");
    assert_string_equal(job->log, "attempt 1\n");
    assert_int_equal(pit_test_run_jobs(*state), 0);
    pit_test_enqueue_status(*state, PIT_QUEUE_FULL);
    assert_int_equal(pit_test_post(*state, "/enqueue", NULL, NULL)->status,
                     429);
    assert_null(pit_test_enqueued(*state, 1));
}

/* The client is told what kind it is; what exactly, the log. */
static void
test_mistakes_are_logged(void **state)
{
    static const struct {
        enum pit_method method;
        const char *target;
        int status;
        const char *logged;
    } rows[] = {
        {PIT_POST, "/enqueue/badly", 400, "pit_enqueue(): id: "},
        {PIT_POST, "/enqueue/nothing", 400, "pit_chain(): "},
        {PIT_GET, "/packs/badly", 400, "pit_reply_json(\"{s:s}\"): "},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pit_test_answer *a =
            rows[i].method == PIT_GET
                ? pit_test_get(*state, rows[i].target)
                : pit_test_post(*state, rows[i].target, NULL, NULL);
        assert_int_equal(a->status, rows[i].status);
        if (!strstr(pit_test_logged(*state), rows[i].logged))
            fail_msg("%s is not in %s", rows[i].logged,
                     pit_test_logged(*state));
    }
}

static void
test_tasks(void **state)
{
    const struct pit_test_job *job = pit_test_run(*state, "add", "{\"a\": []}");

    assert_int_equal(job->status, PIT_PERMANENT);
    assert_string_equal(job->error, "a is no number");
    assert_true(job->ended);
    job = pit_test_run(*state, "receipt", NULL);
    assert_int_equal(job->status, PIT_OK);
    assert_string_equal(pit_test_mailed(*state, 0)->message_id, job->id);
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    job = pit_test_run(*state, "receipt", NULL);
    assert_int_equal(job->status, PIT_UNAVAILABLE);
    assert_non_null(strstr(job->error, "mail server"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_upstreams),
        SITE_TEST(test_context_goes_along),
        SITE_TEST(test_mail),
        SITE_TEST(test_redis),
        SITE_TEST(test_jobs),
        SITE_TEST(test_tasks),
        SITE_TEST(test_mistakes_are_logged),
    };

    return cmocka_run_group_tests(tests, site_set_up_all, site_tear_down_all);
}
