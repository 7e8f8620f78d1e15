/* The few names of cmocka that unit/test_switch.c uses, for a processor whose
 * cmocka is not installed here. */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <stdio.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(test) \
    {                          \
#test, test            \
    }
#define cmocka_run_group_tests(tests, setup, teardown) \
    run_all(tests, sizeof(tests) / sizeof(tests)[0])
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_true(what)                                                      \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static inline int
run_all(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tests[i].run(NULL);
        printf("%s: passed\n", tests[i].name);
    }
    return n == 0;
}

#endif
