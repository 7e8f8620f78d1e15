/* Arena: a pointer that moves forward.
 *
 * A request that does not fit the rest of the present chunk opens a new one of
 * at least CHUNK_SIZE bytes; the rest of the old chunk is given up. Heap chunks
 * carry their header in front, so that the list needs no memory of its own. */
#include "app/http/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* Chunks kept for the next request, so that one that needs more than its first
 * takes nothing from the heap either; sanitizers want to see each end. */
#ifdef __SANITIZE_ADDRESS__
static const unsigned spare_max = 0;
#else
static const unsigned spare_max = 8;
#endif

enum { CHUNK_SIZE = 16 * 1024, ALIGNMENT = _Alignof(max_align_t) };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

static _Thread_local struct {
    struct arena_chunk *newest;
    unsigned len;
} spare;

struct arena_disposer {
    struct arena_disposer *older;
    void (*fn)(void *object);
    void *object;
};

static struct arena_chunk *
take_chunk(size_t size)
{
    struct arena_chunk *chunk = spare.newest;

    if (size != CHUNK_SIZE || !chunk)
        return malloc(sizeof *chunk + size);
    spare.newest = chunk->older;
    spare.len--;
    return chunk;
}

static void
give_chunk(struct arena_chunk *chunk)
{
    if (chunk->size != CHUNK_SIZE || !(spare.len < spare_max)) {
        free(chunk);
        return;
    }
    chunk->older = spare.newest;
    spare.newest = chunk;
    spare.len++;
}

void
arena_init(struct arena *arena, void *first, size_t first_size, size_t max)
{
    *arena = (struct arena){
        .next = first,
        .end = (char *)first + first_size,
        .first = first,
        .first_size = first_size,
        .max = max,
    };
}

void
arena_start(struct arena *arena, void *first, size_t first_size)
{
    assert(arena->first_size == 0 && !arena->chunks);
    arena->first = arena->next = first;
    arena->first_size = first_size;
    arena->end = arena->first + first_size;
}

void
arena_clear(struct arena *arena)
{
    if (!arena)
        return;
    for (; arena->disposers; arena->disposers = arena->disposers->older)
        arena->disposers->fn(arena->disposers->object);
    while (arena->chunks) {
        struct arena_chunk *older = arena->chunks->older;
        give_chunk(arena->chunks);
        arena->chunks = older;
    }
    arena->used = 0;
    arena->next = arena->first;
    arena->end = arena->first + arena->first_size;
}

static void *
alloc_from_new_chunk(struct arena *arena, size_t n)
{
    size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;

    if (arena->used + n > arena->max)
        return NULL;
    if (arena->used + size > arena->max)
        size = n;
    struct arena_chunk *chunk = take_chunk(size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->used += size;
    arena->next = chunk->bytes + n;
    arena->end = chunk->bytes + size;
    return chunk->bytes;
}

void *
arena_alloc(struct arena *arena, size_t n)
{
    /* Aligned at the start of each allocation: the first chunk may lie
     * anywhere. */
    size_t pad = -(uintptr_t)arena->next % ALIGNMENT;

    if (n > arena->max + arena->first_size)
        return NULL;
    if (pad + n > (size_t)(arena->end - arena->next))
        return alloc_from_new_chunk(arena, n);
    char *p = arena->next + pad;
    arena->next = p + n;
    return p;
}

char *
arena_copy(struct arena *arena, struct str s)
{
    char *p = arena->next;

    if (s.n < (size_t)(arena->end - p)) /* text needs no alignment */
        arena->next = p + s.n + 1;
    else if (!(p = arena_alloc(arena, s.n + 1)))
        return NULL;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

bool
arena_defer(struct arena *arena, void (*fn)(void *object), void *object)
{
    struct arena_disposer *disposer = arena_alloc(arena, sizeof *disposer);

    if (!disposer)
        return false;
    *disposer = (struct arena_disposer){arena->disposers, fn, object};
    arena->disposers = disposer;
    return true;
}
