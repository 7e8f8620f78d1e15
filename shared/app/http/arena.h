/* arena.h - memory that lives exactly as long as one request.
 *
 * Bump allocation from a first chunk in the owner's storage, then from chunks
 * of the heap up to a maximum; nothing is freed alone. So a small request needs
 * no malloc at all, and a large one cannot take more than the maximum. One
 * owner, no locks. */
#ifndef APP_ARENA_H
#define APP_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct arena_chunk;
struct arena_disposer;

struct arena {
    char *next; /* the free part of the present chunk */
    char *end;
    char *first;
    size_t first_size;
    struct arena_chunk *chunks;       /* of the heap, newest first */
    struct arena_disposer *disposers; /* newest first */
    size_t used;                      /* bytes of heap chunks */
    size_t max;                       /* for those */
};

/* @first is the owner's storage and must outlive the arena; @max bounds what
 * is taken from the heap beyond it. */
void arena_init(struct arena *arena, void *first, size_t first_size,
                size_t max);
/* Gives an arena that has none, and of which nothing was taken, its first
 * chunk. */
void arena_start(struct arena *arena, void *first, size_t first_size);
/* Calls the disposers, newest first, frees the heap's chunks and starts again
 * with the first. NULL is fine. */
void arena_clear(struct arena *arena);

/* @n bytes, aligned for any object, not zeroed. NULL above the maximum or
 * without memory: sizes come from input. */
CHECK void *arena_alloc(struct arena *arena, size_t n);
/* A copy that ends in a NUL which is not counted; NULL as arena_alloc(). */
CHECK char *arena_copy(struct arena *arena, struct str s);
/* Has @fn(@object) called by arena_clear(): for what must be freed with the
 * request but cannot lie in the arena. False: no memory, @fn was not kept. */
CHECK bool arena_defer(struct arena *arena, void (*fn)(void *object),
                       void *object);

#endif
