/* How views run and what they send: blocking, asleep, many at once, given up,
 * in pieces. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pit/test.h"

static void
test_sync_views_leave_others_alone(void **state)
{
    const struct pit_test_answer *sync =
        pit_test_start(*state, &(struct pit_test_request){.target = "/sync/"});

    site_expect(pit_test_get(*state, "/query"), 200, "1 -");
    assert_int_equal(sync->status, 0);
    pit_test_wait(*state, sync);
    site_expect(sync, 200, "blocked /sync/");
}

static void
test_time_jumps(void **state)
{
    time_t began = time(NULL);
    const struct pit_test_answer *a = pit_test_get(*state, "/hour");

    site_expect(a, 200, "an hour");
    assert_true(a->took_ms >= 3599 * 1000 && a->took_ms < 3600 * 1000);
    assert_true(time(NULL) - began < 30);
    a = pit_test_get(*state, "/late");
    site_expect_problem(a, 504, "timeout");
    assert_int_equal(site_seen, PIT_TIMEOUT);
    assert_true(a->took_ms >= 30000 && a->took_ms < 31000);
}

static void
test_many_at_once(void **state)
{
    const struct pit_test_answer *answers[100];
    int64_t began_ms = pit_test_now_ms(*state);

    for (int i = 0; i < 100; i++)
        answers[i] = pit_test_start(
            *state, &(struct pit_test_request){.target = "/two"});
    for (int i = 0; i < 100; i++) {
        pit_test_wait(*state, answers[i]);
        site_expect(answers[i], 200, "two seconds");
    }
    assert_true(pit_test_now_ms(*state) - began_ms < 2500);
}

static void
test_a_hang_up_cancels(void **state)
{
    const struct pit_test_answer *a =
        pit_test_start(*state, &(struct pit_test_request){.target = "/hour"});

    pit_test_hang_up(*state, a);
    assert_int_equal(site_seen, PIT_CANCELLED);
    assert_int_equal(a->status, 0);
    pit_test_hang_up(*state, a);
}

static void
test_head_is_get_without_a_body(void **state)
{
    const struct pit_test_answer *a =
        pit_test_send(*state, &(struct pit_test_request){.method = PIT_HEAD,
                                                         .target = "/query"});

    site_expect(a, 200, "");
}

static void
test_redirects_streams_events(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/moved");

    site_expect(a, 303, "");
    assert_string_equal(pit_test_header(a, "Location"), "/hello");
    a = pit_test_get(*state, "/stream");
    site_expect(a, 200, "1\n2\n3\n");
    assert_true(a->took_ms >= 3000);
    a = pit_test_get(*state, "/events");
    site_expect(a, 200, "id: 7\nevent: tick\ndata: none\ndata: two\n\n");
    assert_string_equal(a->content_type, "text/event-stream; charset=utf-8");
}

static void
test_detached_work(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/detach");

    site_expect(a, 200, "at once");
    assert_true(a->took_ms < 1000);
    assert_null(strstr(pit_test_logged(*state), "done"));
    assert_false(pit_test_drain(*state, 1000));
    pit_test_advance(*state, 4500);
    assert_non_null(strstr(pit_test_logged(*state), "done 0"));
    assert_true(pit_test_drain(*state, 0));
}

static void
test_any(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/any");

    site_expect(a, 200, "1");
    assert_true(a->took_ms >= 1000 && a->took_ms < 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_sync_views_leave_others_alone),
        SITE_TEST(test_time_jumps),
        SITE_TEST(test_many_at_once),
        SITE_TEST(test_a_hang_up_cancels),
        SITE_TEST(test_head_is_get_without_a_body),
        SITE_TEST(test_redirects_streams_events),
        SITE_TEST(test_detached_work),
        SITE_TEST(test_any),
    };

    return cmocka_run_group_tests(tests, site_set_up_all, site_tear_down_all);
}
