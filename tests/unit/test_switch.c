/* The switch alone: every register that a function must preserve keeps its
 * value while another stack runs. */
#include "async/co/switch.h"

#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "async/co/annotate.h"

static struct switch_context here, there;

enum { STEPS = 40 };

/* More numbers than there are such registers, all needed after each switch. It
 * calls switch_to() itself: a function in between would save some of them. */
static inline __attribute__((always_inline)) uint64_t
mix(uint64_t seed, struct switch_context *from, struct switch_context *to)
{
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11,
             f = seed * 13, g = seed * 17;

    for (uint64_t i = 0; i < STEPS; i++) {
        if (from)
            switch_to(from, to);
        a = a * 31 + b;
        b ^= c + i;
        c = c * 17 + d;
        d ^= e << 1;
        e += f * 3;
        f ^= a + g;
        g = g * 29 + e;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g;
}

/* As many floating-point numbers (aarch64 preserves eight). */
static inline __attribute__((always_inline)) double
blend(double seed, struct switch_context *from, struct switch_context *to)
{
    double a = seed, b = seed / 3, c = seed / 5, d = seed / 7, e = seed / 11;

    for (int i = 0; i < STEPS; i++) {
        if (from)
            switch_to(from, to);
        a = a * 0.5 + b;
        b = b * 0.25 + c;
        c = c * 0.75 - d;
        d = d * 0.5 + e;
        e = e * 0.5 + a;
    }
    return a + b + c + d + e;
}

struct other {
    uint64_t mixed;
    double blended;
};

static void
other_main(void *arg)
{
    struct other *other = arg;

    other->mixed = mix(2, &there, &here);
    other->blended = blend(2.5, &there, &here);
    for (;;)
        switch_to(&there, &here);
}

static void
test_registers_keep_their_values(void **state)
{
    enum { SIZE = 256 * 1024 };
    char *stack = aligned_alloc(64, SIZE);
    unsigned id = VALGRIND_STACK_REGISTER(stack, stack + SIZE);
    struct other other = {0};

    (void)state;
    assert_non_null(stack);
    switch_init(&there, stack, SIZE, other_main, &other);
    switch_to(&here, &there); /* one step ahead, so that both interleave */
    uint64_t mixed = mix(1, &here, &there);
    double blended = blend(1.5, &here, &there);
    for (int i = 0; i < 2; i++)
        switch_to(&here, &there);
    assert_true(mixed == mix(1, NULL, NULL));
    assert_true(other.mixed == mix(2, NULL, NULL));
    assert_true(blended == blend(1.5, NULL, NULL));
    assert_true(other.blended == blend(2.5, NULL, NULL));
    VALGRIND_STACK_DEREGISTER(id);
    free(stack);
}

#ifdef __x86_64__
static void
up_main(void *arg)
{
    (void)arg;
    fesetround(FE_UPWARD);
    for (;;)
        switch_to(&there, &here);
}

/* The control bits belong to a stack, as the ABI's "callee saves" says. On
 * aarch64 the rounding mode is the thread's. */
static void
test_rounding_stays_with_its_stack(void **state)
{
    enum { SIZE = 64 * 1024 };
    char *stack = aligned_alloc(64, SIZE);
    volatile double one = 1, three = 3, third = one / three;

    (void)state;
    assert_non_null(stack);
    switch_init(&there, stack, SIZE, up_main, NULL);
    for (int i = 0; i < 2; i++)
        switch_to(&here, &there);
    assert_int_equal(fegetround(), FE_TONEAREST); /* of the x87 */
    assert_true(one / three == third);            /* and of SSE */
    free(stack);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_keep_their_values),
#ifdef __x86_64__
        cmocka_unit_test(test_rounding_stays_with_its_stack),
#endif
    };

/* Their hooks are called by co.c, not here. */
#if defined(ANNOTATE_ASAN) || defined(ANNOTATE_TSAN)
    (void)tests;
    return 0;
#else
    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
