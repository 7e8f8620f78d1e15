/* weights.h - which queue is asked next: smooth weighted round robin.
 *
 * Each turn, every eligible entry gains its weight, the richest is chosen and
 * pays what all gained. So weights 3 and 1 give a a b a, never a a a b in long
 * runs, and no entry with a weight starves. The algorithm is nginx's (commit
 * 52327e0627f4, "smooth weighted round-robin balancing", 2012). Pure. */
#ifndef WORKER_WEIGHTS_H
#define WORKER_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weight {
    int32_t weight; /* > 0 */
    int64_t credit; /* starts at 0 */
    bool eligible;  /* set before each turn */
};

/* The index of the chosen one, or @n when none is eligible. An entry that is
 * not eligible keeps its credit. */
size_t weights_next(struct weight *weights, size_t n);

#endif
