/* What explain says for each set of facts, the gravest reason first. */
#include "queue/queue_explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct explain_facts
ready(void)
{
    return (struct explain_facts){
        .now_ms = 1000,
        .task = STR("noop"),
        .concurrency = -1,
        .rate_wait_ms = -1,
        .key_concurrency = -1,
        .key_rate_wait_ms = -1,
        .parents = -1,
        .workers = 1,
        .task_known = true,
    };
}

static void
assert_code(const struct explanation *e, size_t i, const char *code)
{
    assert_true(i < e->len);
    assert_string_equal(e->reasons[i].code, code);
    assert_true(e->reasons[i].text[0] != '\0');
}

static void
test_nothing_holds_it_up(void **state)
{
    struct explain_facts facts = ready();
    struct explanation e;

    (void)state;
    queue_explain_judge(&facts, &e);
    assert_int_equal(e.state, JOB_READY);
    assert_int_equal(e.position, 0);
    assert_int_equal(e.len, 1);
    assert_code(&e, 0, "next");
}

static void
test_all_at_once_in_order(void **state)
{
    struct explain_facts facts = ready();
    struct explanation e;
    static const char *const codes[] = {
        "paused",     "no-worker",       "unknown-task", "queue-concurrency",
        "queue-rate", "key-concurrency", "key-rate",     "behind-key",
        "behind"};

    (void)state;
    facts.paused = true;
    facts.workers = 0;
    facts.task_known = false;
    facts.concurrency = facts.running = 3;
    facts.rate_wait_ms = 50;
    facts.key = STR("tenant:7");
    facts.key_concurrency = facts.key_running = 1;
    facts.key_rate_wait_ms = 70;
    facts.key_position = 2;
    facts.position = 10000;
    facts.far = true;
    queue_explain_judge(&facts, &e);
    assert_int_equal(e.len, ARRAY_LEN(codes));
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        assert_code(&e, i, codes[i]);
    assert_int_equal(e.reasons[4].until_ms, 1050);
    assert_int_equal(e.reasons[6].until_ms, 1070);
    assert_true(e.position_least);
    assert_non_null(strstr(e.reasons[8].text, "more than 10000"));
}

static void
test_a_limit_that_is_not_reached_is_no_reason(void **state)
{
    struct explain_facts facts = ready();
    struct explanation e;

    (void)state;
    facts.concurrency = 3;
    facts.running = 2;
    facts.rate_wait_ms = 0;
    facts.key = STR("k");
    facts.key_concurrency = 2;
    facts.key_running = 1;
    queue_explain_judge(&facts, &e);
    assert_int_equal(e.len, 1);
    assert_code(&e, 0, "next");
}

static void
test_each_state_has_a_reason(void **state)
{
    static const struct {
        int code;
        enum job_state state;
        const char *reason;
    } cases[] = {
        {'S', JOB_SUCCEEDED, "succeeded"},     {'D', JOB_DEAD, "dead"},
        {'C', JOB_CANCELLED, "cancelled"},     {'X', JOB_EXPIRED, "expired"},
        {'R', JOB_RUNNING, "running"},         {'r', JOB_RUNNING, "running"},
        {'Q', JOB_QUARANTINED, "quarantined"},
    };
    struct explanation e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explain_facts facts = ready();
        facts.history.code = cases[i].code;
        queue_explain_judge(&facts, &e);
        assert_int_equal(e.state, cases[i].state);
        assert_int_equal(e.position, -1);
        assert_code(&e, 0, cases[i].reason);
    }
}

static void
test_due_and_blocked(void **state)
{
    struct explain_facts facts = ready();
    struct explanation e;

    (void)state;
    facts.due_ms = 5000;
    queue_explain_judge(&facts, &e);
    assert_code(&e, 0, "scheduled");
    assert_int_equal(e.reasons[0].until_ms, 5000);
    assert_non_null(strstr(e.reasons[0].text, "in 4s"));
    facts.history.code = 'W';
    queue_explain_judge(&facts, &e);
    assert_code(&e, 0, "retrying");
    assert_non_null(strstr(e.reasons[0].text, "due in 4s"));
    facts.parents = 3;
    facts.arrived = 1;
    queue_explain_judge(&facts, &e);
    assert_code(&e, 0, "blocked");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_holds_it_up),
        cmocka_unit_test(test_all_at_once_in_order),
        cmocka_unit_test(test_a_limit_that_is_not_reached_is_no_reason),
        cmocka_unit_test(test_each_state_has_a_reason),
        cmocka_unit_test(test_due_and_blocked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
