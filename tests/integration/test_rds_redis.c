/* A Redis connection and a real redis-server that is killed, stopped and
 * started again. */
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
#include "harness/redis_server.h"

static struct rds_fixture fx;
static struct redis_server *server;

/* SHA-1 of the text, as `printf ... | sha1sum` says. */
static const struct rds_script push_pop = {
    "push_pop",
    "redis.call('RPUSH', KEYS[1], unpack(ARGV)) "
    "return redis.call('LRANGE', KEYS[1], 0, -1)",
    "b9df72ee50f33422619425c7b3a49722603685e0"};

static int
setup(void **state)
{
    (void)state;
    fx = (struct rds_fixture){0};
    server = redis_server_start(NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    redis_server_free(server);
    server = NULL;
    return 0;
}

static void
connect_up(const struct rds_options *options)
{
    rds_fixture_connect(&fx, redis_server_url(server), options);
    rds_fixture_wait_up(&fx);
}

static void
test_killed_and_restarted(void **state)
{
    struct rds_seen seen = {0};

    (void)state;
    connect_up(NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(rds_fixture_ask(&fx, &seen, "INCR n"), ST_OK);
        assert_int_equal(seen.call.reply->integer, i);
        rds_call_clear(&seen.call);
        redis_server_kill(server);
        enum status st = rds_fixture_ask(&fx, &seen, "INCR lost");
        assert_true(st == ST_UNCLEAR || st == ST_UNAVAILABLE);
        rds_call_clear(&seen.call);
        rds_fixture_wait_down(&fx);
        redis_server_restart(server);
        int64_t start_ms = clock_mono_ms();
        rds_fixture_wait_up(&fx);
        assert_true(clock_mono_ms() - start_ms < 2500);
    }
    rds_fixture_end(&fx);
}

static void
test_stopped(void **state)
{
    struct rds_options options = {.connect_timeout_ms = 200,
                                  .command_timeout_ms = 200};
    struct rds_seen seen[10] = {0};

    (void)state;
    connect_up(&options);
    redis_server_stop(server);
    int64_t start_ms = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        rds_fixture_send(&fx, &seen[i], "INCR n");
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        assert_int_equal(rds_fixture_wait(&fx, &seen[i]), ST_UNCLEAR);
        rds_call_clear(&seen[i].call);
    }
    assert_in_range(clock_mono_ms() - start_ms, 190, 1500);
    rds_fixture_wait_error(&fx, "no answer within 200 ms");
    assert_false(rds_up(fx.rds));
    redis_server_continue(server);
    rds_fixture_wait_up(&fx);
    assert_int_equal(rds_fixture_ask(&fx, &seen[0], "PING"), ST_OK);
    rds_call_clear(&seen[0].call);
    rds_fixture_end(&fx);
}

static void
test_scripts_survive_a_flush(void **state)
{
    struct rds_seen seen = {0};

    (void)state;
    connect_up(NULL);
    for (size_t round = 1; round <= 3; round++) {
        rds_fixture_send_script(&fx, &seen, &push_pop, 1, "list a b");
        assert_int_equal(rds_fixture_wait(&fx, &seen), ST_OK);
        assert_int_equal(seen.call.reply->elements, 2 * round);
        assert_string_equal(seen.call.reply->element[1]->str, "b");
        rds_call_clear(&seen.call);
        if (round == 2)
            redis_server_command(server, "SCRIPT FLUSH", "+OK");
    }
    rds_fixture_end(&fx);
}

static void
test_select_and_name(void **state)
{
    struct rds_options options = {.client_name = "pit-test"};
    struct rds_seen seen = {0};
    char url[160];

    (void)state;
    snprintf(url, sizeof url, "%s?db=5", redis_server_url(server));
    rds_fixture_connect(&fx, url, &options);
    rds_fixture_wait_up(&fx);
    assert_int_equal(rds_fixture_ask(&fx, &seen, "CLIENT LIST"), ST_OK);
    assert_non_null(strstr(seen.call.reply->str, " name=pit-test "));
    assert_non_null(strstr(seen.call.reply->str, " db=5 "));
    rds_call_clear(&seen.call);
    rds_fixture_end(&fx);
}

static void
test_password(void **state)
{
    static const char *const options[] = {"--requirepass", "s3/cret", NULL};
    struct redis_server *locked = redis_server_start(options);
    char url[160];

    (void)state;
    snprintf(url, sizeof url, "unix://:s3%%2Fcret@%s",
             redis_server_path(locked));
    rds_fixture_connect(&fx, url, NULL);
    rds_fixture_wait_up(&fx);
    rds_free(fx.rds);
    snprintf(url, sizeof url, "unix://:wrong@%s", redis_server_path(locked));
    rds_fixture_connect(&fx, url, NULL);
    rds_fixture_wait_error(&fx, "WRONGPASS");
    rds_free(fx.rds);
    rds_fixture_connect(&fx, redis_server_url(locked), NULL);
    rds_fixture_wait_error(&fx, "NOAUTH");
    assert_false(rds_up(fx.rds));
    rds_fixture_end(&fx);
    redis_server_free(locked);
}

static void
test_maxmemory_and_wrong_type(void **state)
{
    struct rds_seen seen = {0};

    (void)state;
    connect_up(NULL);
    assert_int_equal(rds_fixture_ask(&fx, &seen, "SET s v"), ST_OK);
    rds_call_clear(&seen.call);
    rds_fixture_send_script(&fx, &seen, &push_pop, 1, "s a");
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_INVALID);
    rds_call_clear(&seen.call);
    redis_server_command(server, "CONFIG SET maxmemory 1", "+OK");
    assert_int_equal(rds_fixture_ask(&fx, &seen, "SET s v"), ST_READ_ONLY);
    rds_call_clear(&seen.call);
    rds_fixture_send_script(&fx, &seen, &push_pop, 1, "list a");
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_READ_ONLY);
    rds_call_clear(&seen.call);
    rds_fixture_end(&fx);
}

static void
count_message(struct rds *rds, struct str payload, void *arg)
{
    (void)rds, (void)payload;
    ++*(int *)arg;
}

static void
test_channel(void **state)
{
    int messages = 0;

    (void)state;
    rds_fixture_connect(&fx, redis_server_url(server), NULL);
    rds_subscribe(fx.rds, "news", count_message, &messages);
    rds_fixture_wait_up(&fx);
    redis_server_command(server, "PUBLISH news 1", ":1");
    redis_server_command(server, "CLIENT KILL TYPE pubsub", ":1");
    rds_fixture_wait_down(&fx);
    rds_fixture_wait_up(&fx);
    redis_server_command(server, "PUBLISH news 2", ":1");
    for (int i = 0; i < 1000 && messages < 2; i++)
        loop_turn(fx.loop, 5);
    assert_int_equal(messages, 2);
    rds_fixture_end(&fx);
}

/* Suspends in wait_up and await; statuses are looked at outside. */
struct script_run {
    struct rds *rds;
    enum status early, up, late;
    long long counter;
};

static enum status
coroutine(struct co *co, void *arg)
{
    struct script_run *run = arg;
    struct rds_call call = {0};
    enum status st;

    run->early = rds_await(co, run->rds, &call, "INCR %s", "n");
    rds_call_clear(&call);
    run->up = rds_wait_up(co, run->rds, 5000);
    for (int i = 0; i < 3; i++) {
        st = rds_await(co, run->rds, &call, "INCR %b", "n", (size_t)1);
        run->counter = st == ST_OK ? call.reply->integer : -1;
        rds_call_clear(&call);
    }
    co_deadline_ms(co, 50);
    run->late = rds_await(co, run->rds, &call, "BLPOP nothing 5");
    rds_call_clear(&call);
    return ST_OK;
}

static void
test_in_a_coroutine(void **state)
{
    struct script_run run = {0};

    (void)state;
    rds_fixture_connect(&fx, redis_server_url(server), NULL);
    run.rds = fx.rds;
    assert_int_equal(co_run(fx.loop, "test", coroutine, &run), ST_OK);
    assert_int_equal(run.early, ST_UNAVAILABLE);
    assert_int_equal(run.up, ST_OK);
    assert_int_equal(run.counter, 3);
    assert_int_equal(run.late, ST_TIMEOUT);
    rds_fixture_end(&fx);
}

static enum status
wait_coroutine(struct co *co, void *arg)
{
    return rds_wait_up(co, arg, 50);
}

static void
test_wait_up_has_a_deadline(void **state)
{
    (void)state;
    redis_server_kill(server);
    rds_fixture_connect(&fx, redis_server_url(server), NULL);
    assert_int_equal(co_run(fx.loop, "test", wait_coroutine, fx.rds),
                     ST_TIMEOUT);
    rds_fixture_end(&fx);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_killed_and_restarted),
        TEST(test_stopped),
        TEST(test_scripts_survive_a_flush),
        TEST(test_select_and_name),
        TEST(test_password),
        TEST(test_maxmemory_and_wrong_type),
        TEST(test_channel),
        TEST(test_in_a_coroutine),
        TEST(test_wait_up_has_a_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
