/* Redis for applications: values, refusals, failures, ends before their time;
 * against a Redis that follows a script. */
#include "pit/redis.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "harness/rds_fixture.h"

struct ask {
    const char *words[4];
    size_t n;
    const size_t *lens;
    int64_t deadline_ms;
    struct pit_redis reply;
    enum pit_status status;
    struct co *co;
    bool ended;
};

static enum status
run_ask(struct co *core, void *arg)
{
    struct ask *a = arg;
    struct pit_co *co = co_public_of(core);

    a->co = core;
    if (a->deadline_ms)
        pit_deadline(co, a->deadline_ms);
    a->status = pit_redis_words(co, &a->reply, a->n, a->words, a->lens);
    a->ended = true;
    return ST_OK;
}

static void
begin(struct rds_fixture *f, struct outside *outside,
      const struct fake_redis_step *steps)
{
    rds_fixture_begin(f, steps, NULL);
    rds_fixture_wait_up(f);
    *outside = (struct outside){.rds = f->rds};
    outside_attach(f->loop, outside);
}

static enum pit_status
ask(struct rds_fixture *f, struct ask *a)
{
    assert_int_equal(co_run(f->loop, "test", run_ask, a), ST_OK);
    return a->status;
}

static void
test_values(void **state)
{
    static const struct fake_redis_step steps[] = {
        {.kind = FAKE_UP},
        {FAKE_EXPECT, "GET a", 0},
        {FAKE_SEND, "$2\r\nhi\r\n", 0},
        {FAKE_EXPECT, "GET b", 0},
        {FAKE_SEND, "$-1\r\n", 0},
        {FAKE_EXPECT, "INCR c", 0},
        {FAKE_SEND, ":-7\r\n", 0},
        {FAKE_EXPECT, "LRANGE d 0", 0},
        {FAKE_SEND, "*3\r\n+OK\r\n*1\r\n:5\r\n$-1\r\n", 0},
        {FAKE_EXPECT, "GET e", 0},
        {FAKE_SEND, "-ERR nothing doing\r\n", 0},
        {FAKE_EXPECT, "GET f", 0},
        {FAKE_SEND, "-WRONGTYPE not this\r\n", 0},
        {.kind = FAKE_END}};
    struct rds_fixture f;
    struct outside outside;
    struct ask a = {.words = {"GET", "a"}, .n = 2};

    (void)state;
    begin(&f, &outside, steps);
    assert_int_equal(ask(&f, &a), PIT_OK);
    assert_int_equal(a.reply.value.type, PIT_REDIS_TEXT);
    assert_string_equal(a.reply.value.text, "hi");
    assert_string_equal(a.reply.error, "");
    a.words[1] = "b"; /* the former reply is dropped */
    assert_int_equal(ask(&f, &a), PIT_OK);
    assert_int_equal(a.reply.value.type, PIT_REDIS_NIL);
    assert_string_equal(a.reply.value.text, "");
    a.words[0] = "INCR";
    a.words[1] = "c";
    assert_int_equal(ask(&f, &a), PIT_OK);
    assert_int_equal(a.reply.value.integer, -7);
    a = (struct ask){.words = {"LRANGE", "d", "0"}, .n = 3, .reply = a.reply};
    assert_int_equal(ask(&f, &a), PIT_OK);
    const struct pit_redis_value *items = a.reply.value.items;
    assert_int_equal(a.reply.value.items_len, 3);
    assert_string_equal(items[0].text, "OK");
    assert_int_equal(items[1].items[0].integer, 5);
    assert_int_equal(items[2].type, PIT_REDIS_NIL);
    a = (struct ask){.words = {"GET", "e"}, .n = 2, .reply = a.reply};
    assert_int_equal(ask(&f, &a), PIT_FAILED);
    assert_non_null(strstr(a.reply.error, "nothing doing"));
    a.words[1] = "f";
    assert_int_equal(ask(&f, &a), PIT_INVALID);
    pit_redis_clear(&a.reply);
    pit_redis_clear(&a.reply);
    rds_fixture_end(&f);
}

static void
test_refusals(void **state)
{
    static const struct fake_redis_step steps[] = {{.kind = FAKE_UP},
                                                   {.kind = FAKE_END}};
    static const char *const refused[][3] = {
        {"select", "1"}, {"MULTI"},          {"BLPOP", "a", "0"},
        {"Subscribe"},   {"FLUSHALL"},       {"SHUTDOWN"},
        {"AUTH", "x"},   {"XREAD", "block"}, {"CLIENT", "KILL"},
        {"WAIT", "1"}};
    struct rds_fixture f;
    struct outside outside;
    struct ask a = {.n = 0};

    (void)state;
    begin(&f, &outside, steps);
    assert_int_equal(ask(&f, &a), PIT_INVALID);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        a.n = 0;
        while (a.n < 3 && refused[i][a.n]) {
            a.words[a.n] = refused[i][a.n];
            a.n++;
        }
        assert_int_equal(ask(&f, &a), PIT_INVALID);
        assert_non_null(strstr(a.reply.error, "shared"));
    }
    pit_redis_clear(&a.reply);
    rds_fixture_end(&f);
}

static void
test_deep_replies(void **state)
{
    static const struct fake_redis_step steps[] = {
        {.kind = FAKE_UP},
        {FAKE_EXPECT, "EVAL x", 0},
        {FAKE_SEND,
         "*2\r\n:1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
         0},
        {.kind = FAKE_END}};
    struct rds_fixture f;
    struct outside outside;
    struct ask a = {.words = {"EVAL", "x"}, .n = 2};

    (void)state;
    begin(&f, &outside, steps);
    enum pit_status st = ask(&f, &a); /* hiredis itself may refuse it */
    assert_true(st == PIT_INVALID || st == PIT_UNCLEAR);
    pit_redis_clear(&a.reply);
    rds_fixture_end(&f);
}

static void
test_nobody_there(void **state)
{
    struct ask a = {.words = {"GET", "a"}, .n = 2};
    struct loop *loop = loop_new(NULL);

    (void)state;
    assert_int_equal(co_run(loop, "test", run_ask, &a), ST_OK);
    assert_int_equal(a.status, PIT_UNAVAILABLE);
    assert_non_null(strstr(a.reply.error, "no Redis"));
    pit_redis_clear(&a.reply);
    loop_free(loop);
}

static void
test_ends_before_its_time(void **state)
{
    static const struct fake_redis_step steps[] = {
        {.kind = FAKE_UP},
        {FAKE_EXPECT, "GET a", 0},
        {FAKE_EXPECT, "GET a", 0},
        {.kind = FAKE_WAIT},
        {FAKE_SEND, "+x\r\n+y\r\n", 0},
        {FAKE_EXPECT, "GET a", 0},
        {FAKE_SEND, "+z\r\n", 0},
        {.kind = FAKE_END}};
    struct rds_fixture f;
    struct outside outside;
    struct ask late = {.words = {"GET", "a"}, .n = 2, .deadline_ms = 20};
    struct ask given_up = {.words = {"GET", "a"}, .n = 2};
    struct ask again = {.words = {"GET", "a"}, .n = 2};

    (void)state;
    begin(&f, &outside, steps);
    assert_int_equal(ask(&f, &late), PIT_TIMEOUT);
    assert_int_equal(co_spawn(f.loop, "test", run_ask, &given_up, NULL), ST_OK);
    co_cancel(given_up.co, ST_CANCELLED);
    while (!given_up.ended)
        loop_turn(f.loop, 100);
    assert_int_equal(given_up.status, PIT_CANCELLED);
    fake_redis_go(f.fake);
    /* Their replies are nobody's, and not the next command's. */
    assert_int_equal(ask(&f, &again), PIT_OK);
    assert_string_equal(again.reply.value.text, "z");
    pit_redis_clear(&late.reply);
    pit_redis_clear(&given_up.reply);
    pit_redis_clear(&again.reply);
    rds_fixture_end(&f);
}

static void
test_bytes(void **state)
{
    static const struct fake_redis_step steps[] = {{.kind = FAKE_UP},
                                                   {FAKE_SKIP, NULL, 1},
                                                   {FAKE_SEND, "+OK\r\n", 0},
                                                   {.kind = FAKE_END}};
    static const size_t lens[] = {3, 1, 3};
    struct rds_fixture f;
    struct outside outside;
    struct ask a = {.words = {"SET", "k", "a\0b"}, .n = 3, .lens = lens};

    (void)state;
    begin(&f, &outside, steps);
    assert_int_equal(ask(&f, &a), PIT_OK);
    pit_redis_clear(&a.reply);
    rds_fixture_end(&f);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as every program that uses the runtime */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_deep_replies),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_ends_before_its_time),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
