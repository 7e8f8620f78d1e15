/* --queues, and what is served without it. */
#include "dispatcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct probe_task tasks[] = {
    {"noop", "default", "{}"},
    {"reports.packages", "reports", "{}"},
    {"reports.other", "reports", "{}"},
};
static const struct probe probe = {.tasks = tasks, .tasks_len = 3};

static void
test_reads_names_and_weights(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *names[3];
        int weights[3];
    } rows[] = {
        {"a", 1, {"a"}, {1}},
        {"a:3,b:1", 2, {"a", "b"}, {3, 1}},
        {" a:1000 , b ", 2, {"a", "b"}, {1000, 1}},
        {"mail:out", 1, {"mail:out"}, {1}},
        {"mail:out:7,mail.2", 2, {"mail:out", "mail.2"}, {7, 1}},
        {NULL, 2, {"default", "reports"}, {1, 1}},
        {"", 2, {"default", "reports"}, {1, 1}},
    };
    struct dispatcher_queue queues[OPTIONS_QUEUES_MAX];
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct options options = {.queues = rows[i].text};
        size_t n = 0;
        assert_int_equal(dispatcher_queues(&options, &probe, queues, &n, &err),
                         ST_OK);
        assert_int_equal(n, rows[i].n);
        for (size_t k = 0; k < n; k++) {
            assert_string_equal(queues[k].name, rows[i].names[k]);
            assert_int_equal(queues[k].weight, rows[i].weights[k]);
        }
    }
}

static void
test_refuses_what_it_could_not_honour(void **state)
{
    static const char *const bad[] = {
        "a,",  ",a",    "a:0", "a:1001", "a b",
        "a,a", "a:2,a", ":3",  "a/b",    "a:99999999999999999999",
    };
    struct dispatcher_queue queues[OPTIONS_QUEUES_MAX];
    struct error err;
    size_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct options options = {.queues = bad[i]};
        assert_int_equal(dispatcher_queues(&options, &probe, queues, &n, &err),
                         ST_INVALID);
        assert_non_null(strstr(err.msg, "--queues"));
    }
}

static void
test_has_a_limit(void **state)
{
    char text[(OPTIONS_QUEUES_MAX + 1) * 8] = "";
    struct dispatcher_queue queues[OPTIONS_QUEUES_MAX];
    struct options options = {.queues = text};
    struct error err;
    size_t len = 0, n = 0;

    (void)state;
    for (int i = 0; i < OPTIONS_QUEUES_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sq%d",
                                i ? "," : "", i);
    assert_int_equal(dispatcher_queues(&options, &probe, queues, &n, &err),
                     ST_OK);
    assert_int_equal(n, OPTIONS_QUEUES_MAX);
    snprintf(text + len, sizeof text - len, ",more");
    assert_int_equal(dispatcher_queues(&options, &probe, queues, &n, &err),
                     ST_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_names_and_weights),
        cmocka_unit_test(test_refuses_what_it_could_not_honour),
        cmocka_unit_test(test_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
