/* switch.h - the primitive below coroutines: one stack goes, another comes.
 *
 * For x86-64 and aarch64 in assembly, which saves what the platform's ABI asks
 * a function to save and makes no system call; elsewhere, and with the build
 * option PIT_CO_UCONTEXT, by ucontext, which makes two. */
#ifndef ASYNC_SWITCH_H
#define ASYNC_SWITCH_H

#include <stddef.h>

#if !defined(PIT_CO_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define PIT_CO_UCONTEXT 1
#endif

#ifdef PIT_CO_UCONTEXT
#include <ucontext.h>
struct switch_context {
    ucontext_t uc;
};
#else
struct switch_context {
    void *sp; /* everything else lies on the stack */
};
#endif

/* Prepares @ret so that the first switch to it calls @entry(@arg) on the stack
 * [@low, @low + @size). @entry must not return. */
void switch_init(struct switch_context *ret, void *low, size_t size,
                 void (*entry)(void *arg), void *arg);
/* Saves the present state in @from and continues @to; returns when somebody
 * switches back to @from. */
void switch_to(struct switch_context *from, struct switch_context *to);
/* The lowest address in use of a stack that was switched away from; NULL where
 * the platform does not tell. */
const void *switch_depth(const struct switch_context *context);

#endif
