/* Timers: each node has its first child, its next sibling, and `prev`: the
 * sibling before it, or the parent when it is the first child. The root has no
 * prev, and neither has a timer that is in no heap.
 *
 * Removal joins the orphaned children in two passes: in pairs from left to
 * right, then all the pairs into one from right to left. It is this order that
 * keeps the trees flat. */
#include "async/timers.h"

#include <assert.h>

static bool
sooner(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

/* Makes the later root the first child of the sooner one. */
static struct loop_timer *
join(struct loop_timer *a, struct loop_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (sooner(b, a)) {
        struct loop_timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    b->prev = a;
    a->child = b;
    return a;
}

/* Joins a row of siblings into one tree; its root has no prev and no next. */
static struct loop_timer *
join_row(struct loop_timer *row)
{
    struct loop_timer *pairs = NULL, *root = NULL;

    while (row) {
        struct loop_timer *a = row, *b = row->next;
        row = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        struct loop_timer *pair = join(a, b);
        pair->next = pairs; /* a stack: the second pass goes backwards */
        pairs = pair;
    }
    while (pairs) {
        struct loop_timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = join(root, pair);
    }
    return root;
}

void
timers_add(struct timers *timers, struct loop_timer *timer)
{
    assert(!timers_has(timers, timer));
    timer->child = timer->next = timer->prev = NULL;
    timer->order = timers->started++;
    timers->root = join(timers->root, timer);
}

void
timers_remove(struct timers *timers, struct loop_timer *timer)
{
    assert(timers_has(timers, timer));
    struct loop_timer *children = join_row(timer->child);

    if (timer == timers->root) {
        timers->root = children;
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next)
            timer->next->prev = timer->prev;
        timers->root = join(timers->root, children);
    }
    timer->child = timer->next = timer->prev = NULL;
}

bool
timers_has(const struct timers *timers, const struct loop_timer *timer)
{
    return timer->prev || timers->root == timer;
}
