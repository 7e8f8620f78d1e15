/* Switch: the first frame of a stack, and the ucontext variant.
 *
 * The assembly variants pop a frame that switch_to() pushed; switch_init()
 * makes one by hand, whose return address is switch_entry (in the .S file):
 * that calls the function in one saved register with the argument in another,
 * and ends the chain of frames, so that a debugger stops there. */
#include "async/co/switch.h"

#include <stdint.h>
#include <string.h>

#ifdef PIT_CO_UCONTEXT

/* makecontext() passes ints only, so a pointer goes in two halves. */
struct start {
    void (*entry)(void *arg);
    void *arg;
};

static void
run(unsigned high, unsigned low)
{
    uintptr_t p = (uintptr_t)((uint64_t)high << 32 | low);
    struct start start;

    memcpy(&start, (const void *)p, sizeof start);
    start.entry(start.arg);
}

void
switch_init(struct switch_context *ret, void *low, size_t size,
            void (*entry)(void *arg), void *arg)
{
    const struct start start = {entry, arg};
    size_t room = sizeof start + 64; /* at the top, kept aligned */
    char *top = (char *)low + size - room;
    uint64_t p = (uint64_t)(uintptr_t)top;

    memcpy(top, &start, sizeof start);
    getcontext(&ret->uc);
    ret->uc.uc_stack.ss_sp = low;
    ret->uc.uc_stack.ss_size = size - room;
    ret->uc.uc_link = NULL;
    makecontext(&ret->uc, (void (*)(void))run, 2, (unsigned)(p >> 32),
                (unsigned)p);
}

void
switch_to(struct switch_context *from, struct switch_context *to)
{
    swapcontext(&from->uc, &to->uc);
}

const void *
switch_depth(const struct switch_context *context)
{
    (void)context;
    return NULL;
}

#else

void switch_entry(void);

#ifdef __x86_64__
/* As switch_x86_64.S pops it, from the lowest address up. */
struct frame {
    uint32_t mxcsr;
    uint16_t x87_control;
    uint16_t unused;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t return_address;
};

static void
frame_fill(struct frame *f, void (*entry)(void *arg), void *arg)
{
    /* The ABI's state at process entry (System V AMD64 ABI, section 3.2.1). */
    f->mxcsr = 0x1f80;
    f->x87_control = 0x037f;
    f->r12 = (uint64_t)(uintptr_t)entry;
    f->r13 = (uint64_t)(uintptr_t)arg;
    f->return_address = (uint64_t)(uintptr_t)switch_entry;
}
#else
/* As switch_aarch64.S pops it, from the lowest address up. */
struct frame {
    uint64_t d[8];             /* d8..d15 */
    uint64_t x19, x20, x21[8]; /* x19..x28 */
    uint64_t x29, x30;
};

static void
frame_fill(struct frame *f, void (*entry)(void *arg), void *arg)
{
    f->x19 = (uint64_t)(uintptr_t)entry;
    f->x20 = (uint64_t)(uintptr_t)arg;
    f->x30 = (uint64_t)(uintptr_t)switch_entry;
}
#endif

void
switch_init(struct switch_context *ret, void *low, size_t size,
            void (*entry)(void *arg), void *arg)
{
    /* 16-byte alignment of the stack where switch_entry starts; 16 bytes of
     * zeros above it, for unwinders that look there. */
    uintptr_t top = ((uintptr_t)low + size - 16) & ~(uintptr_t)15;
    struct frame *f = (struct frame *)(top - sizeof *f);

    memset(f, 0, sizeof *f + 16);
    frame_fill(f, entry, arg);
    ret->sp = f;
}

const void *
switch_depth(const struct switch_context *context)
{
    return context->sp;
}

#endif
