/* slowness.h - how much longer things may take in this run of the tests.
 *
 * $PIT_TEST_SLOWNESS, which ctest sets: 1 as a rule, more under a sanitizer or
 * Valgrind. Multiply upper bounds of time by it, divide numbers of rounds. */
#ifndef SLOWNESS_H
#define SLOWNESS_H

#include <stdint.h>
#include <stdlib.h>

/* 1 .. 100. */
static inline int64_t
slowness(void)
{
    const char *text = getenv("PIT_TEST_SLOWNESS");
    long n = text ? strtol(text, NULL, 10) : 1;

    return n < 1 ? 1 : n > 100 ? 100 : n;
}

#endif
