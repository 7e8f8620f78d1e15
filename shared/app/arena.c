/* Arena: a pointer that moves forward.
 *
 * A request that does not fit the rest of the present chunk opens a new one of
 * at least CHUNK_SIZE bytes; the rest of the old chunk is given up. Heap chunks
 * carry their header in front, so that the list needs no memory of its own. */
#include "app/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_SIZE = 16 * 1024, ALIGNMENT = _Alignof(max_align_t) };

struct arena_chunk {
    struct arena_chunk *older;
    _Alignas(max_align_t) char bytes[];
};

struct arena_disposer {
    struct arena_disposer *older;
    void (*fn)(void *object);
    void *object;
};

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
arena_clear(struct arena *arena)
{
    if (!arena)
        return;
    for (; arena->disposers; arena->disposers = arena->disposers->older)
        arena->disposers->fn(arena->disposers->object);
    while (arena->chunks) {
        struct arena_chunk *older = arena->chunks->older;
        free(arena->chunks);
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
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
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
    char *p = arena_alloc(arena, s.n + 1);

    if (!p)
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
