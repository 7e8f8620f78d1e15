/* annotate.h - what sanitizers and Valgrind are told about stacks that switch.
 *
 * Empty in a plain build, except for Valgrind's requests, which are a few
 * instructions that do nothing outside of it. */
#ifndef ASYNC_ANNOTATE_H
#define ASYNC_ANNOTATE_H

#include <stddef.h>

/* gcc says __SANITIZE_x__, clang __has_feature(); neither knows the other's. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ANNOTATE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define ANNOTATE_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ANNOTATE_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define ANNOTATE_TSAN 1
#endif

#ifdef ANNOTATE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define NO_SANITIZE __attribute__((no_sanitize_address, noinline))
#elif defined(ANNOTATE_TSAN)
#include <sanitizer/tsan_interface.h>
#define NO_SANITIZE __attribute__((no_sanitize("thread"), noinline))
#else
#define NO_SANITIZE
#endif

#if defined(__has_include) && __has_include(<valgrind/valgrind.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define VALGRIND_MAKE_MEM_DEFINED(p, n) 0
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#endif

/* Nobody's frames are in [@p, @p + @n) any more. */
static inline void
annotate_fresh_memory(void *p, size_t n)
{
#ifdef ANNOTATE_ASAN
    __asan_unpoison_memory_region(p, n);
#else
    (void)p;
    (void)n;
#endif
}

#endif
