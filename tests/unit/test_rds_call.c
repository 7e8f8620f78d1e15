/* Commands of a Redis connection, against a server that follows a script. */
#include "async/redis/rds.h"

#include <event2/event.h>
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

#define SHA "0123456789abcdef0123456789abcdef01234567"
static const struct rds_script script = {"probe", "return 1", SHA};

static void
begin(const struct fake_redis_step *steps)
{
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_up(&fx);
}

/* Every kind of reply, nested, each byte in a read of its own. */
static void
test_replies_byte_by_byte(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_EXPECT, "EVAL x 0", 0},
        {FAKE_DRIP,
         "*7\r\n$3\r\na\nb\r\n:-42\r\n$-1\r\n*-1\r\n*0\r\n"
         "*2\r\n+OK\r\n*1\r\n-ERR in\r\n$0\r\n\r\n",
         0},
        {FAKE_EXPECT, "INCR n", 0},
        {FAKE_DRIP, ":9223372036854775807\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen seen = {0}, next = {0};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &seen, "EVAL x 0");
    rds_fixture_send(&fx, &next, "INCR n");
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_OK);
    const redisReply *r = seen.call.reply;
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 7);
    assert_int_equal(r->element[0]->len, 3);
    assert_string_equal(r->element[0]->str, "a\nb");
    assert_int_equal(r->element[1]->integer, -42);
    assert_int_equal(r->element[2]->type, REDIS_REPLY_NIL);
    assert_int_equal(r->element[3]->type, REDIS_REPLY_NIL);
    assert_int_equal(r->element[4]->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->element[4]->elements, 0);
    const redisReply *nested = r->element[5];
    assert_int_equal(nested->element[0]->type, REDIS_REPLY_STATUS);
    assert_int_equal(nested->element[1]->element[0]->type, REDIS_REPLY_ERROR);
    assert_string_equal(nested->element[1]->element[0]->str, "ERR in");
    assert_int_equal(r->element[6]->len, 0);
    assert_int_equal(rds_fixture_wait(&fx, &next), ST_OK);
    assert_true(next.call.reply->integer == INT64_MAX);
    rds_call_clear(&seen.call);
    rds_call_clear(&next.call);
    rds_fixture_end(&fx);
}

static void
test_what_errors_mean(void **state)
{
    static const struct {
        const char *reply;
        enum status want;
    } rows[] = {
        {"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
         ST_READ_ONLY},
        {"-MISCONF Redis is configured to save RDB snapshots\r\n",
         ST_READ_ONLY},
        {"-READONLY You can't write against a read only replica.\r\n",
         ST_READ_ONLY},
        {"-NOREPLICAS Not enough good replicas to write.\r\n", ST_READ_ONLY},
        {"-LOADING Redis is loading the dataset in memory\r\n", ST_UNAVAILABLE},
        {"-BUSY Redis is busy running a script.\r\n", ST_UNAVAILABLE},
        {"-MASTERDOWN Link with MASTER is down\r\n", ST_UNAVAILABLE},
        {"-WRONGTYPE Operation against a key\r\n", ST_INVALID},
        {"-FULL the queue q has 5 jobs waiting\r\n", ST_QUEUE_FULL},
        {"-CLOSED the queue q takes no jobs\r\n", ST_QUEUE_FULL},
        {"-ERR unknown command\r\n", ST_BUG},
        {"-OOMBA\r\n", ST_BUG},
        {"-\r\n", ST_BUG},
        {"-NOSCRIPT No matching script.\r\n", ST_BUG}, /* no script call */
        {"-ERR Error running script (call to f_" SHA "): @user_script:7: "
         "@user_script: 7: -OOM command not allowed\r\n",
         ST_READ_ONLY},
        {"-ERR Error running script (call to f_" SHA "): @user_script:1: "
         "user_script:1: attempt to call nil\r\n",
         ST_BUG},
    };
    struct fake_redis_step steps[2 + 2 * ARRAY_LEN(rows)] = {
        {FAKE_UP, NULL, 0}};
    struct rds_seen seen = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        steps[1 + 2 * i] = (struct fake_redis_step){FAKE_SKIP, NULL, 1};
        steps[2 + 2 * i] =
            (struct fake_redis_step){FAKE_SEND, rows[i].reply, 0};
    }
    begin(steps);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(rds_fixture_ask(&fx, &seen, "X"), rows[i].want);
        assert_int_equal(seen.call.err.status, rows[i].want);
        assert_null(seen.call.reply);
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(rows[i].reply, "\r"),
                 rows[i].reply);
        assert_non_null(strstr(seen.call.err.msg, text + 1));
        rds_call_clear(&seen.call);
    }
    rds_fixture_end(&fx);
}

static void
test_cut_reply_is_unclear(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_SKIP, NULL, 2},
        {FAKE_SEND, "*2\r\n$5\r\nhel", 0},
        {FAKE_CLOSE, NULL, 0},
        {FAKE_UP, NULL, 0},
        {FAKE_EXPECT, "GET c", 0},
        {FAKE_SEND, "+ok\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen a = {0}, b = {0};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &a, "GET a");
    rds_fixture_send(&fx, &b, "GET b");
    assert_int_equal(rds_fixture_wait(&fx, &a), ST_UNCLEAR);
    assert_int_equal(rds_fixture_wait(&fx, &b), ST_UNCLEAR);
    assert_null(a.call.reply);
    rds_call_clear(&a.call);
    rds_fixture_wait_up(&fx);
    assert_int_equal(rds_fixture_ask(&fx, &a, "GET c"), ST_OK);
    rds_call_clear(&a.call);
    rds_call_clear(&b.call);
    rds_fixture_end(&fx);
}

static void
test_reset_is_unclear(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0}, {FAKE_SKIP, NULL, 1}, {FAKE_RESET, NULL, 0},
        {FAKE_UP, NULL, 0}, {FAKE_END, NULL, 0},
    };
    struct rds_seen seen = {0};

    (void)state;
    rds_fixture_begin_tcp(&fx, steps);
    rds_fixture_wait_up(&fx);
    assert_int_equal(rds_fixture_ask(&fx, &seen, "GET a"), ST_UNCLEAR);
    rds_call_clear(&seen.call);
    rds_fixture_wait_up(&fx);
    rds_fixture_end(&fx);
}

/* The short deadline of the second takes the first along, and nobody waits
 * longer. */
static void
test_deadline_replaces_the_connection(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0}, {FAKE_SKIP, NULL, 2}, {FAKE_EOF, NULL, 0},
        {FAKE_UP, NULL, 0}, {FAKE_END, NULL, 0},
    };
    struct rds_seen a = {0}, b = {.call.timeout_ms = 150};
    int64_t start_ms;

    (void)state;
    begin(steps);
    start_ms = clock_mono_ms();
    rds_fixture_send(&fx, &a, "GET a");
    rds_fixture_send(&fx, &b, "GET b");
    assert_int_equal(rds_fixture_wait(&fx, &b), ST_UNCLEAR);
    assert_in_range(clock_mono_ms() - start_ms, 140, 1500);
    assert_int_equal(rds_fixture_wait(&fx, &a), ST_UNCLEAR);
    assert_non_null(strstr(a.call.err.msg, "deadline"));
    rds_call_clear(&a.call);
    rds_call_clear(&b.call);
    rds_fixture_wait_up(&fx);
    rds_fixture_end(&fx);
}

/* Deadlines of commands that were answered mean nothing, and those behind
 * them still hold. */
static void
test_answered_deadlines_are_forgotten(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},   {FAKE_REPEAT, "+1\r\n", 3},
        {FAKE_WAIT, NULL, 0}, {FAKE_REPEAT, "+2\r\n", 1},
        {FAKE_SKIP, NULL, 1}, {FAKE_EOF, NULL, 0},
        {FAKE_END, NULL, 0},
    };
    static const int64_t timeouts_ms[] = {100, 60, 80};
    struct rds_seen seen = {0}, last = {.call.timeout_ms = 100};

    (void)state;
    begin(steps);
    for (size_t i = 0; i < ARRAY_LEN(timeouts_ms); i++) {
        seen.call.timeout_ms = timeouts_ms[i];
        assert_int_equal(rds_fixture_ask(&fx, &seen, "GET a"), ST_OK);
        rds_call_clear(&seen.call);
    }
    seen.call.timeout_ms = 5000;
    rds_fixture_send(&fx, &seen, "GET long");
    for (int64_t end = clock_mono_ms() + 200; clock_mono_ms() < end;)
        loop_turn(fx.loop, 5);
    assert_true(rds_up(fx.rds));
    fake_redis_go(fx.fake);
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_OK);
    assert_int_equal(rds_fixture_ask(&fx, &last, "GET b"), ST_UNCLEAR);
    rds_call_clear(&seen.call);
    rds_call_clear(&last.call);
    rds_fixture_end(&fx);
}

static void
hold_up_cb(evutil_socket_t fd, short what, void *arg)
{
    int64_t end_ms = clock_mono_ms() + 100;

    (void)fd, (void)what, (void)arg;
    fake_redis_go(fx.fake);
    while (clock_mono_ms() < end_ms || !fake_redis_done(fx.fake))
        continue;
}

/* A callback held the loop up for longer than the deadline; the reply came
 * meanwhile, after this turn had asked which sockets are readable. */
static void
test_our_own_stall_is_not_held_against_redis(void **state)
{
    static const struct fake_redis_step steps[] = {{FAKE_UP, NULL, 0},
                                                   {FAKE_WAIT, NULL, 0},
                                                   {FAKE_REPEAT, "+1\r\n", 1},
                                                   {FAKE_END, NULL, 0}};
    struct rds_seen seen = {.call.timeout_ms = 30};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &seen, "GET a");
    loop_turn(fx.loop, 0); /* it leaves */
    assert_int_equal(event_base_once(loop_base(fx.loop), -1, EV_TIMEOUT,
                                     hold_up_cb, NULL, NULL),
                     0);
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_OK);
    rds_call_clear(&seen.call);
    rds_fixture_end(&fx);
}

static void
test_unknown_script_is_sent_in_full_once(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_EXPECT, "EVALSHA " SHA " 1 key a b", 0},
        {FAKE_EXPECT, "EVALSHA " SHA " 0 c", 0},
        {FAKE_SEND, "-NOSCRIPT No matching script.\r\n-NOSCRIPT\r\n", 0},
        {FAKE_EXPECT, "EVAL return 1 1 key a b", 0},
        {FAKE_EXPECT, "EVAL return 1 0 c", 0},
        {FAKE_SEND, ":1\r\n-NOSCRIPT again\r\n", 0},
        {FAKE_EXPECT, "EVALSHA " SHA " 0 d", 0},
        {FAKE_SEND, ":2\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen a = {0}, b = {0};

    (void)state;
    begin(steps);
    rds_fixture_send_script(&fx, &a, &script, 1, "key a b");
    rds_fixture_send_script(&fx, &b, &script, 0, "c");
    assert_int_equal(rds_fixture_wait(&fx, &a), ST_OK);
    assert_int_equal(a.call.reply->integer, 1);
    assert_int_equal(rds_fixture_wait(&fx, &b), ST_BUG);
    rds_call_clear(&a.call);
    rds_call_clear(&b.call);
    rds_fixture_send_script(&fx, &a, &script, 0, "d");
    assert_int_equal(rds_fixture_wait(&fx, &a), ST_OK);
    assert_int_equal(a.call.reply->integer, 2);
    rds_call_clear(&a.call);
    rds_fixture_end(&fx);
}

static void
test_script_errors_name_the_script(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_SKIP, NULL, 1},
        {FAKE_SEND, "-WRONGTYPE key. script: f, on @user_script:3.\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen seen = {0};

    (void)state;
    begin(steps);
    rds_fixture_send_script(&fx, &seen, &script, 0, "x");
    assert_int_equal(rds_fixture_wait(&fx, &seen), ST_INVALID);
    assert_non_null(strstr(seen.call.err.msg, "script probe: WRONGTYPE"));
    rds_call_clear(&seen.call);
    rds_fixture_end(&fx);
}

/* The reply of a command that was given up is dropped, not taken by the next.
 */
static void
test_given_up_commands(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_SKIP, NULL, 3},
        {FAKE_SEND, "+a\r\n-NOSCRIPT\r\n+c\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen a = {0}, b = {0}, c = {0};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &a, "GET a");
    rds_fixture_send_script(&fx, &b, &script, 0, "b");
    rds_fixture_send(&fx, &c, "GET c");
    rds_call_clear(&a.call);
    op_cancel(&b.call.op);
    op_cancel(&b.call.op); /* harmless */
    assert_int_equal(b.call.op.status, ST_CANCELLED);
    rds_call_clear(&b.call);
    assert_int_equal(rds_fixture_wait(&fx, &c), ST_OK);
    assert_string_equal(c.call.reply->str, "c");
    assert_int_equal(a.settled + b.settled, 0);
    rds_call_clear(&c.call);
    rds_fixture_end(&fx);
}

/* Settled, but cleared before its callback ran: it must not run. */
static void
test_cleared_before_the_callback(void **state)
{
    static const struct fake_redis_step steps[] = {{FAKE_END, NULL, 0}};
    struct rds_seen *seen = calloc(1, sizeof *seen);

    (void)state;
    assert_non_null(seen);
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_send(&fx, seen, "GET a"); /* not up: settled */
    rds_call_clear(&seen->call);
    free(seen);
    loop_turn(fx.loop, 0);
    rds_fixture_end(&fx);
}

static void
test_free_settles_what_is_under_way(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0}, {FAKE_SKIP, NULL, 1}, {FAKE_END, NULL, 0}};
    struct rds_seen a = {0}, b = {0};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &a, "GET a");
    rds_fixture_wait_script(&fx);
    rds_fixture_send(&fx, &b, "GET b"); /* has not left */
    rds_free(fx.rds);
    fx.rds = NULL;
    loop_turn(fx.loop, 0);
    assert_int_equal(a.settled, 1);
    assert_int_equal(a.status, ST_CANCELLED);
    assert_int_equal(b.status, ST_CANCELLED);
    rds_call_clear(&a.call);
    rds_call_clear(&b.call);
    rds_fixture_end(&fx);
}

/* Many commands in one turn; each gets its own reply. */
static void
test_pipeline_keeps_the_order(void **state)
{
    enum { N = 2000 };
    static char replies[N * 8];
    static struct rds_seen seen[N];
    struct fake_redis_step steps[] = {{FAKE_UP, NULL, 0},
                                      {FAKE_SKIP, NULL, N},
                                      {FAKE_SEND, replies, 0},
                                      {FAKE_END, NULL, 0}};
    size_t used = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        used += (size_t)snprintf(replies + used, sizeof replies - used,
                                 ":%d\r\n", i);
    begin(steps);
    for (int i = 0; i < N; i++)
        rds_fixture_send(&fx, &seen[i], "INCR some-key-of-medium-length");
    for (int i = 0; i < N; i++) {
        assert_int_equal(rds_fixture_wait(&fx, &seen[i]), ST_OK);
        assert_int_equal(seen[i].call.reply->integer, i);
        rds_call_clear(&seen[i].call);
    }
    rds_fixture_end(&fx);
}

static void
send_large(struct rds_seen *seen, size_t size)
{
    char *bytes = calloc(1, size);
    const char *argv[] = {"SET", "k", bytes};
    const size_t argv_len[] = {3, 1, size};

    assert_non_null(bytes);
    rds_send(fx.rds, &seen->call, 3, argv, argv_len, NULL, NULL);
    free(bytes);
}

/* A socket that is full does not hold up the loop, and empties later. */
static void
test_full_socket(void **state)
{
    enum { SIZE = 8 << 20 };
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_WAIT, NULL, 0},
        /* *3 $3 SET $1 k $8388608 */
        {FAKE_SINK, NULL, SIZE + 4 + 9 + 7 + 10 + 2},
        {FAKE_SEND, "+OK\r\n", 0},
        {FAKE_REPEAT, "+next\r\n", 1},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen large = {0}, next = {0};

    (void)state;
    begin(steps);
    send_large(&large, SIZE);
    for (int i = 0; i < 10; i++)
        loop_turn(fx.loop, 1);
    assert_false(large.call.op.settled);
    rds_fixture_send(&fx, &next, "GET a");
    fake_redis_go(fx.fake);
    assert_int_equal(rds_fixture_wait(&fx, &next), ST_OK);
    assert_string_equal(next.call.reply->str, "next");
    assert_int_equal(large.call.op.status, ST_OK);
    rds_call_clear(&large.call);
    rds_call_clear(&next.call);
    rds_fixture_end(&fx);
}

/* What had not wholly left when the connection went did not happen. */
static void
test_unsent_is_unavailable_not_unclear(void **state)
{
    static const struct fake_redis_step steps[] = {{FAKE_UP, NULL, 0},
                                                   {FAKE_SKIP, NULL, 1},
                                                   {FAKE_WAIT, NULL, 0},
                                                   {FAKE_CLOSE, NULL, 0},
                                                   {FAKE_END, NULL, 0}};
    struct rds_seen first = {0}, large = {0}, last = {0};

    (void)state;
    begin(steps);
    rds_fixture_send(&fx, &first, "GET a");
    send_large(&large, 8 << 20);
    rds_fixture_send(&fx, &last, "GET b");
    for (int i = 0; i < 10; i++)
        loop_turn(fx.loop, 1);
    fake_redis_go(fx.fake);
    assert_int_equal(rds_fixture_wait(&fx, &last), ST_UNAVAILABLE);
    assert_int_equal(rds_fixture_wait(&fx, &first), ST_UNCLEAR);
    assert_int_equal(large.call.op.status, ST_UNAVAILABLE);
    rds_call_clear(&first.call);
    rds_call_clear(&large.call);
    rds_call_clear(&last.call);
    rds_fixture_end(&fx);
}

static void
test_limits(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_WAIT, NULL, 0},
        {FAKE_SEND, "*1048577\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_END, NULL, 0},
    };
    struct rds_seen fits = {0}, over = {0}, huge = {0};

    (void)state;
    begin(steps);
    send_large(&fits, 40 << 20);
    send_large(&over, 40 << 20);
    send_large(&huge, 65 << 20);
    assert_int_equal(over.call.op.status, ST_LIMIT);
    assert_int_equal(huge.call.op.status, ST_LIMIT);
    fake_redis_go(fx.fake);
    rds_fixture_wait_error(&fx, "too large");
    assert_int_equal(fits.call.op.status, ST_UNAVAILABLE);
    rds_call_clear(&fits.call);
    rds_call_clear(&over.call);
    rds_call_clear(&huge.call);
    rds_fixture_end(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_byte_by_byte),
        cmocka_unit_test(test_what_errors_mean),
        cmocka_unit_test(test_cut_reply_is_unclear),
        cmocka_unit_test(test_reset_is_unclear),
        cmocka_unit_test(test_deadline_replaces_the_connection),
        cmocka_unit_test(test_answered_deadlines_are_forgotten),
        cmocka_unit_test(test_our_own_stall_is_not_held_against_redis),
        cmocka_unit_test(test_unknown_script_is_sent_in_full_once),
        cmocka_unit_test(test_script_errors_name_the_script),
        cmocka_unit_test(test_given_up_commands),
        cmocka_unit_test(test_cleared_before_the_callback),
        cmocka_unit_test(test_free_settles_what_is_under_way),
        cmocka_unit_test(test_pipeline_keeps_the_order),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_unsent_is_unavailable_not_unclear),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
