/* Stack: one mapping for guard and stack. NORESERVE, since a stack's end is
 * rarely touched; the kernel hands out pages as they are. */
#include "async/co/stack.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "async/co/annotate.h"

void
stack_pool_init(struct stack_pool *pool, size_t size)
{
    assert(size >= 16 * 1024 && size % (size_t)sysconf(_SC_PAGESIZE) == 0);
    pool->size = size;
    pool->kept = 0;
}

static void
unmap(const struct stack *stack)
{
    annotate_fresh_memory(stack->low, stack->size);
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    munmap(stack->low - STACK_GUARD, STACK_GUARD + stack->size);
}

void
stack_pool_clear(struct stack_pool *pool)
{
    while (pool->kept > 0)
        unmap(&pool->free[--pool->kept]);
}

/* An mprotect() that fails leaves a stack without a guard, and it does fail
 * first: each stack is two mappings of the 65,530 that a process may have. */
static bool
map(size_t size, struct stack *ret)
{
    char *low =
        mmap(NULL, STACK_GUARD + size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

    if (low == MAP_FAILED)
        return false;
    if (mprotect(low, STACK_GUARD, PROT_NONE) != 0) {
        munmap(low, STACK_GUARD + size);
        return false;
    }
    ret->low = low + STACK_GUARD;
    ret->size = size;
    ret->valgrind_id = VALGRIND_STACK_REGISTER(ret->low, ret->low + size);
    return true;
}

bool
stack_take(struct stack_pool *pool, struct stack *ret)
{
    if (pool->kept > 0)
        *ret = pool->free[--pool->kept];
    else if (!map(pool->size, ret))
        return false;
    annotate_fresh_memory(ret->low, ret->size);
    return true;
}

void
stack_give(struct stack_pool *pool, const struct stack *stack)
{
    if (pool->kept < STACK_POOL_KEEP)
        pool->free[pool->kept++] = *stack;
    else
        unmap(stack);
}

bool
stack_guards(const struct stack *stack, const void *address)
{
    const char *p = address;

    return p < stack->low && p >= stack->low - STACK_GUARD;
}

/* Looks for the deepest byte that is not zero within a page. Reads frames that
 * belong to others or to nobody, which sanitizers are told not to mind. */
NO_SANITIZE static size_t
untouched_bytes(const char *page, size_t size)
{
    size_t n = 0;

    while (n < size && page[n] == 0)
        n++;
    return n;
}

size_t
stack_deepest(const struct stack *stack)
{
    enum { PAGES_MAX = 1024 };
    unsigned char resident[PAGES_MAX];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = stack->size / page;

    if (pages > PAGES_MAX || mincore(stack->low, stack->size, resident) != 0)
        return 0;
    size_t i = 0, untouched = 0;
    while (i < pages && !(resident[i] & 1))
        i++;
    VALGRIND_DISABLE_ERROR_REPORTING;
    if (i < pages)
        untouched = untouched_bytes(stack->low + i * page, page);
    VALGRIND_ENABLE_ERROR_REPORTING;
    (void)VALGRIND_MAKE_MEM_DEFINED(&untouched, sizeof untouched);
    return stack->size - i * page - untouched;
}
