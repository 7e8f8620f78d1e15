/* The graph of a flow: names, links, cycles; no Redis. */
#include "queue/flow/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct job_spec
plain(void)
{
    struct job_spec spec;

    job_spec_init(&spec);
    spec.task = STR("noop");
    spec.queue = STR("q");
    return spec;
}

static uint32_t
add(struct flow *flow, const char *name)
{
    struct job_spec spec = plain();
    struct error err = {.msg = ""};
    uint32_t job = 0;

    if (flow_add(flow, str_c(name), &spec, false, &job, &err) != ST_OK)
        fail_msg("%s: %s", name, err.msg);
    return job;
}

static void
link_jobs(struct flow *flow, uint32_t from, uint32_t to)
{
    assert_int_equal(flow_link(flow, from, to, NULL), ST_OK);
}

static void
test_a_diamond_counts_parents_and_children(void **state)
{
    struct flow flow;

    (void)state;
    flow_init(&flow, NULL);
    uint32_t a = add(&flow, "a"), b = add(&flow, "b"), c = add(&flow, "c"),
             d = add(&flow, "d");
    link_jobs(&flow, a, b);
    link_jobs(&flow, a, c);
    link_jobs(&flow, b, d);
    link_jobs(&flow, c, d);
    link_jobs(&flow, c, d); /* twice is once */
    assert_int_equal(flow_close(&flow, NULL, NULL), ST_OK);
    assert_int_equal(flow.jobs[a].parents, 0);
    assert_int_equal(flow.jobs[a].children, 2);
    assert_int_equal(flow.jobs[d].parents, 2);
    assert_int_equal(flow.jobs[d].children, 0);
    assert_non_null(strstr(flow.jobs[a].local, ":a"));
    flow_clear(&flow);
    flow_clear(&flow);
}

static void
test_the_seed_decides_the_ids(void **state)
{
    static const unsigned char seed[16] = {1, 2, 3};
    struct flow one, two;

    (void)state;
    flow_init(&one, seed);
    flow_init(&two, seed);
    assert_string_equal(one.local, two.local);
    flow_init(&two, NULL);
    assert_string_not_equal(one.local, two.local);
}

static void
test_a_cycle_names_a_job_on_it(void **state)
{
    struct error err = {.msg = ""};
    struct flow flow;
    uint32_t job = 99;

    (void)state;
    flow_init(&flow, NULL);
    uint32_t a = add(&flow, "a"), b = add(&flow, "b"), c = add(&flow, "c"),
             d = add(&flow, "d");
    link_jobs(&flow, a, b);
    link_jobs(&flow, b, c);
    link_jobs(&flow, c, b);
    link_jobs(&flow, c, d); /* behind the cycle, not on it */
    assert_int_equal(flow_close(&flow, &job, &err), ST_INVALID);
    assert_true(job == b || job == c);
    assert_non_null(strstr(err.msg, "waits for itself"));
    flow_clear(&flow);
}

static void
test_nothing_is_no_flow(void **state)
{
    struct flow flow;

    (void)state;
    flow_init(&flow, NULL);
    assert_int_equal(flow_close(&flow, NULL, NULL), ST_INVALID);
    flow_clear(&flow);
}

static void
test_names_are_checked(void **state)
{
    struct job_spec spec = plain();
    struct error err = {.msg = ""};
    struct flow flow;
    uint32_t job = 0;

    (void)state;
    flow_init(&flow, NULL);
    add(&flow, "");
    assert_string_equal(flow.jobs[0].name, "1");
    assert_true(flow_find(&flow, STR("1"), &job) && job == 0);
    assert_false(flow_find(&flow, STR("2"), &job));
    assert_int_equal(flow_add(&flow, STR("1"), &spec, false, &job, &err),
                     ST_CONFLICT);
    assert_int_equal(flow_add(&flow, STR("a.b"), &spec, false, &job, &err),
                     ST_INVALID);
    assert_string_equal(err.pointer, "/name");
    spec.unique.hold = UNIQUE_RUNNING;
    spec.unique.key = STR("k");
    assert_int_equal(flow_add(&flow, STR("u"), &spec, false, &job, &err),
                     ST_INVALID);
    assert_string_equal(err.pointer, "/unique");
    flow_clear(&flow);
}

static void
test_limits_hold(void **state)
{
    struct job_spec spec = plain();
    struct flow flow;
    uint32_t job = 0;

    (void)state;
    flow_init(&flow, NULL);
    for (int i = 0; i < FLOW_JOBS_MAX; i++)
        add(&flow, "");
    assert_int_equal(flow_add(&flow, STR_NULL, &spec, false, &job, NULL),
                     ST_TOO_LARGE);
    for (int i = 0; i < FLOW_LINKS_MAX; i++)
        link_jobs(&flow, (uint32_t)(i % 1000), 1000 + (uint32_t)(i % 997));
    assert_int_equal(flow_link(&flow, 0, 1, NULL), ST_TOO_LARGE);
    assert_int_equal(flow_close(&flow, NULL, NULL), ST_OK);
    flow_clear(&flow);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_diamond_counts_parents_and_children),
        cmocka_unit_test(test_the_seed_decides_the_ids),
        cmocka_unit_test(test_a_cycle_names_a_job_on_it),
        cmocka_unit_test(test_nothing_is_no_flow),
        cmocka_unit_test(test_names_are_checked),
        cmocka_unit_test(test_limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
