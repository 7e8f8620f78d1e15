/* stack.h - stacks for coroutines: mapped with a guard, kept in a pool.
 *
 *   low                                                            high
 *   | guard, no access | usable, grows down <-----------------------|
 *
 * Running over the end of one hits the guard: the process dies there, instead
 * of writing into a neighbour. Last in first out, so that the pages in use stay
 * few and warm. A pool belongs to its loop. */
#ifndef ASYNC_STACK_H
#define ASYNC_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Frames of libraries are not probed page by page, so one page could be
     * jumped over; address space costs nothing. */
    STACK_GUARD = 64 * 1024,
    STACK_POOL_KEEP = 1024, /* free stacks that stay mapped */
};

struct stack {
    char *low;   /* of the usable part; the guard is below */
    size_t size; /* of the usable part, in bytes */
    unsigned valgrind_id;
};

struct stack_pool {
    size_t size;
    size_t kept;
    struct stack free[STACK_POOL_KEEP];
};

/* @size: bytes that can be used, a multiple of the page. */
void stack_pool_init(struct stack_pool *pool, size_t size);
/* Unmaps what is kept. */
void stack_pool_clear(struct stack_pool *pool);
/* False when the system gives no more mappings or memory. */
bool stack_take(struct stack_pool *pool, struct stack *ret);
void stack_give(struct stack_pool *pool, const struct stack *stack);
/* How many bytes from the top were ever used, since it was mapped: rounded up
 * to a page but for the deepest one. Asks the kernel; for dumps. */
size_t stack_deepest(const struct stack *stack);
/* True when @address lies in its guard. */
bool stack_guards(const struct stack *stack, const void *address);

#endif
