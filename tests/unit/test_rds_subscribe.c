/* Channels of a Redis connection, against a server that follows a script. */
#include "async/redis/rds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rds_fixture.h"

static struct rds_fixture fx;

#define CONFIRM(channel, len) "*3\r\n$9\r\nsubscribe\r\n$" len "\r\n" channel
#define MESSAGE(channel, payload) \
    "*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"

/* What came, as "a:1 b:2 ". */
struct inbox {
    char text[256];
    bool free_on_message;
};

static void
add(struct inbox *inbox, const char *name, struct str payload)
{
    size_t used = strlen(inbox->text);

    snprintf(inbox->text + used, sizeof inbox->text - used, "%s:%.*s ", name,
             STR_ARG(payload));
}

static void
on_a(struct rds *rds, struct str payload, void *arg)
{
    struct inbox *inbox = arg;

    add(inbox, "a", payload);
    if (inbox->free_on_message) {
        rds_free(rds);
        fx.rds = NULL;
    }
}

static void
on_b(struct rds *rds, struct str payload, void *arg)
{
    (void)rds;
    add(arg, "b", payload);
}

static void
wait_text(const struct inbox *inbox, const char *want)
{
    for (int i = 0; i < 2000 && strcmp(inbox->text, want) != 0; i++)
        loop_turn(fx.loop, 5);
    assert_string_equal(inbox->text, want);
}

/* Up only when all are confirmed; renewed after a loss. */
static void
test_renewed_after_a_loss(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_EXPECT, "SUBSCRIBE a", 0},
        {FAKE_EXPECT, "SUBSCRIBE b", 0},
        {FAKE_SEND, "+PONG\r\n" CONFIRM("a", "1") "\r\n:1\r\n", 0},
        {FAKE_SEND, MESSAGE("a", "1"), 0}, /* between two confirmations */
        {FAKE_WAIT, NULL, 0},
        {FAKE_DRIP, CONFIRM("b", "1") "\r\n:2\r\n", 0},
        {FAKE_SEND, MESSAGE("b", "2") MESSAGE("a", "3") MESSAGE("c", "x"), 0},
        {FAKE_WAIT, NULL, 0},
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_EXPECT, "PING", 0},
        {FAKE_EXPECT, "SUBSCRIBE a", 0},
        {FAKE_EXPECT, "SUBSCRIBE b", 0},
        {FAKE_SEND,
         "+PONG\r\n" CONFIRM("a", "1") "\r\n:1\r\n" CONFIRM("b", "1") "\r\n:2"
                                                                      "\r\n",
         0},
        {FAKE_SEND, MESSAGE("a", "4"), 0},
        {FAKE_END, NULL, 0},
    };
    struct inbox inbox = {0};

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_subscribe(fx.rds, "a", on_a, &inbox);
    rds_subscribe(fx.rds, "b", on_b, &inbox);
    wait_text(&inbox, "a:1 ");
    assert_false(rds_up(fx.rds));
    fake_redis_go(fx.fake);
    rds_fixture_wait_up(&fx);
    wait_text(&inbox, "a:1 b:2 a:3 ");
    fake_redis_go(fx.fake);
    wait_text(&inbox, "a:1 b:2 a:3 a:4 ");
    assert_int_equal(fx.came_up, 2);
    rds_fixture_end(&fx);
}

static void
test_subscribes_while_up(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_UP, NULL, 0},
        {FAKE_EXPECT, "SUBSCRIBE a", 0},
        {FAKE_SEND, CONFIRM("a", "1") "\r\n:1\r\n" MESSAGE("a", "1"), 0},
        {FAKE_EXPECT, "GET k", 0},
        {FAKE_SEND, MESSAGE("a", "2"), 0},
        {FAKE_SEND, "-ERR Can't execute 'get' in this context\r\n", 0},
        {FAKE_END, NULL, 0},
    };
    struct inbox inbox = {0};
    struct rds_seen seen = {0};

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_fixture_wait_up(&fx);
    rds_subscribe(fx.rds, "a", on_a, &inbox);
    wait_text(&inbox, "a:1 ");
    assert_int_equal(rds_fixture_ask(&fx, &seen, "GET k"), ST_BUG);
    wait_text(&inbox, "a:1 a:2 ");
    rds_call_clear(&seen.call);
    rds_fixture_end(&fx);
}

static void
test_refused_subscription_is_said(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_SKIP, NULL, 2},
        {FAKE_SEND, "+PONG\r\n-NOPERM no channel for you\r\n", 0},
        {FAKE_EOF, NULL, 0},
        {FAKE_END, NULL, 0},
    };
    struct inbox inbox = {0};

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_subscribe(fx.rds, "a", on_a, &inbox);
    rds_fixture_wait_error(&fx, "NOPERM");
    assert_int_equal(fx.came_up, 0);
    rds_fixture_end(&fx);
}

static void
test_free_inside_a_message(void **state)
{
    static const struct fake_redis_step steps[] = {
        {FAKE_ACCEPT, NULL, 0},
        {FAKE_SKIP, NULL, 2},
        {FAKE_SEND,
         "+PONG\r\n" CONFIRM("a", "1") "\r\n:1\r\n" MESSAGE("a", "1")
             MESSAGE("a", "2"),
         0},
        {FAKE_END, NULL, 0},
    };
    struct inbox inbox = {.free_on_message = true};

    (void)state;
    rds_fixture_begin(&fx, steps, NULL);
    rds_subscribe(fx.rds, "a", on_a, &inbox);
    wait_text(&inbox, "a:1 ");
    assert_null(fx.rds);
    rds_fixture_end(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renewed_after_a_loss),
        cmocka_unit_test(test_subscribes_while_up),
        cmocka_unit_test(test_refused_subscription_is_said),
        cmocka_unit_test(test_free_inside_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
