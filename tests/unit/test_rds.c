/* A Redis connection's life, against a server that follows a script. */
#include "async/redis/rds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/rds_fixture.h"

static struct rds_fixture fx;

static void
test_greeting_in_one_go(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "AUTH me p@ss", 0},
        {FAKE_EXPECT, "SELECT 3", 0},
        {FAKE_EXPECT, "CLIENT SETNAME pit-web", 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_SEND, "+OK\r\n+OK\r\n-NOPERM no CLIENT for you\r\n", 0},
        {FAKE_WAIT, NULL, 0},
        {FAKE_SEND, "+PONG\r\n", 0},
        {FAKE_EXPECT, "GET k", 0},
        {FAKE_SEND, "$2\r\nhi\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen seen = {0};
    struct rds_options options = {.client_name = "pit-web"};

    (void)state;
    fx = (struct rds_fixture){.fake = fake_redis_start(steps, false)};
    snprintf(fx.url, sizeof fx.url, "unix://me:p%%40ss@%s?db=3",
             fake_redis_path(fx.fake));
    rds_fixture_connect(&fx, fx.url, &options);
    for (int i = 0; i < 10; i++)
        loop_turn(fx.loop, 5);
    assert_false(rds_up(fx.rds)); /* PING is not answered yet */
    assert_int_equal(fx.came_up, 0);
    fake_redis_go(fx.fake);
    rds_fixture_wait_up(&fx);
    assert_string_equal(rds_last_error(fx.rds), "");
    assert_int_equal(rds_fixture_ask(&fx, &seen, "GET k"), ST_OK);
    assert_int_equal(fx.came_up, 1);
    assert_string_equal(seen.call.reply->str, "hi");
    rds_call_clear(&seen.call);
    assert_null(seen.call.reply);
    rds_fixture_end(&fx);
}

static void
test_wrong_password_is_said_and_tried_again(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_SKIP, NULL, 2},
        {FAKE_SEND, "-WRONGPASS invalid password\r\n-NOAUTH x\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "AUTH secret", 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_WAIT, NULL, 0},
        {FAKE_SEND, "+OK\r\n+PONG\r\n", 0},
        {FAKE_END, NULL, 0},
    };

    (void)state;
    fx = (struct rds_fixture){.fake = fake_redis_start(steps, false)};
    snprintf(fx.url, sizeof fx.url, "unix://:secret@%s",
             fake_redis_path(fx.fake));
    rds_fixture_connect(&fx, fx.url, NULL);
    rds_fixture_wait_error(&fx, "WRONGPASS");
    assert_null(strstr(rds_last_error(fx.rds), "secret"));
    fake_redis_go(fx.fake);
    rds_fixture_wait_up(&fx);
    assert_int_equal(fx.went_down, 1); /* said once, though it never was up */
    rds_fixture_end(&fx);
}

static void
test_loading_is_not_up_but_a_full_disk_is(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_SEND, "-LOADING Redis is loading the dataset in memory\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_SEND, "-MISCONF Errors writing to the AOF file\r\n", 0},
        {FAKE_END, NULL, 0},
    };

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_error(&fx, "LOADING");
    assert_false(rds_up(fx.rds));
    rds_fixture_wait_up(&fx);
    rds_fixture_end(&fx);
}

static void
test_commands_while_it_is_away_fail_at_once(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0}, {FAKE_WAIT, NULL, 0}, {FAKE_END, NULL, 0}};
    struct rds_seen seen = {0};
    int64_t start_ms = clock_mono_ms();

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rds_fixture_ask(&fx, &seen, "GET k"), ST_UNAVAILABLE);
        assert_null(seen.call.reply);
        assert_non_null(strstr(seen.call.err.msg, "not connected"));
        rds_call_clear(&seen.call);
    }
    assert_true(clock_mono_ms() - start_ms < 1000);
    fake_redis_go(fx.fake);
    rds_fixture_end(&fx);
}

/* Down, up, down: each is reported once, and the backoff starts short. */
static void
test_reconnects_after_each_loss(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},    {FAKE_CLOSE, NULL, 0}, {FAKE_UP, NULL, 0},
        {FAKE_CLOSE, NULL, 0}, {FAKE_UP, NULL, 0},    {FAKE_END, NULL, 0}};

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_script(&fx);
    rds_fixture_wait_up(&fx);
    loop_turn(fx.loop, 0);
    assert_int_equal(fx.came_up, 3);
    assert_int_equal(fx.went_down, 2);
    rds_fixture_end(&fx);
}

static void
test_waits_for_a_server_that_is_not_there_yet(void **state)
{
    static const struct fake_redis_step steps[] = {{FAKE_REFUSE, NULL, 0},
                                                   {FAKE_WAIT, NULL, 0},
                                                   {FAKE_UP, NULL, 0},
                                                   {FAKE_END, NULL, 0}};

    (void)state;
    rds_fixture_begin_tcp(&fx, steps);
    rds_fixture_wait_error(&fx, "onnection refused");
    assert_non_null(strstr(rds_last_error(fx.rds), "localhost:"));
    fake_redis_go(fx.fake);
    rds_fixture_wait_up(&fx);
    rds_fixture_end(&fx);
}

/* Accepts, and says nothing: a stopped server. */
static void
test_greeting_has_a_deadline(void **state)
{
    static const struct fake_redis_step steps[] = {{FAKE_ACCEPT, NULL, 0},
                                                   {FAKE_EOF, NULL, 0},
                                                   {FAKE_UP, NULL, 0},
                                                   {FAKE_END, NULL, 0}};
    struct rds_options options = {.connect_timeout_ms = 100};

    (void)state;
    rds_fixture_begin(&fx, steps, &options);
    rds_fixture_wait_error(&fx, "no answer within 100 ms");
    rds_fixture_wait_up(&fx);
    rds_fixture_end(&fx);
}

static void
test_unknown_host_is_said(void **state)
{
    struct rds_options options = {.connect_timeout_ms = 5000};

    (void)state;
    fx = (struct rds_fixture){0};
    rds_fixture_connect(&fx, "redis://no-such-host.invalid", &options);
    rds_fixture_wait_error(&fx, "no-such-host.invalid");
    assert_false(rds_up(fx.rds));
    rds_fixture_end(&fx);
}

/* Given up at once: the look-up ends by itself, after the loop. */
static void
test_free_while_looking_up(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        fx = (struct rds_fixture){0};
        rds_fixture_connect(&fx, "redis://no-such-host.invalid", NULL);
        loop_turn(fx.loop, 0);
        rds_fixture_end(&fx);
    }
}

static void
test_an_answer_nobody_asked_for(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_SEND, "+surprise\r\n+surprise\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_SEND, "-ERR max number of clients reached\r\n", 0},
        {FAKE_CLOSE, NULL, 0},
        {FAKE_WAIT, NULL, 0},
        {FAKE_UP, NULL, 0},
        {FAKE_SEND, "?\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_END, NULL, 0},
    };

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_error(&fx, "nobody asked for");
    rds_fixture_wait_error(&fx, "max number of clients");
    fake_redis_go(fx.fake);
    rds_fixture_wait_error(&fx, "Protocol error");
    rds_fixture_end(&fx);
}

static void
test_refuses_bad_options(void **state)
{
    static const struct rds_options rows[] = {
        {.url = "http://x"},
        {.url = "redis://x", .client_name = "no spaces"},
        {.url = "redis://x",
         .client_name = "00000000001111111111222222222233333333334444444444"
                        "555555555566666"},
    };
    struct loop *loop = loop_new(NULL);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rds *rds = NULL;
        struct error err = {0};
        assert_int_equal(rds_new(loop, &rows[i], &rds, &err), ST_INVALID);
        assert_null(rds);
        assert_true(err.msg[0] != '\0');
    }
    rds_free(NULL);
    loop_free(loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting_in_one_go),
        cmocka_unit_test(test_wrong_password_is_said_and_tried_again),
        cmocka_unit_test(test_loading_is_not_up_but_a_full_disk_is),
        cmocka_unit_test(test_commands_while_it_is_away_fail_at_once),
        cmocka_unit_test(test_reconnects_after_each_loss),
        cmocka_unit_test(test_waits_for_a_server_that_is_not_there_yet),
        cmocka_unit_test(test_greeting_has_a_deadline),
        cmocka_unit_test(test_unknown_host_is_said),
        cmocka_unit_test(test_free_while_looking_up),
        cmocka_unit_test(test_an_answer_nobody_asked_for),
        cmocka_unit_test(test_refuses_bad_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
