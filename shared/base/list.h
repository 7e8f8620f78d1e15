/* list.h - an intrusive doubly linked list; the link lives in the element.
 *
 * A list head is a struct list that points at itself when empty. No
 * allocation, no ownership: whoever owns the element unlinks it first. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

/* A type or a variable's name cannot stand in parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_ENTRY(link, type, member) \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))
#define LIST_FOREACH(link, head) \
    for (struct list *link = (head)->next; link != (head); link = link->next)
/* The body may unlink the current element. */
#define LIST_FOREACH_SAFE(link, following, head)                    \
    for (struct list *link = (head)->next, *following = link->next; \
         link != (head); link = following, following = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void
list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool
list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void
list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void
list_prepend(struct list *head, struct list *link)
{
    list_append(head->next, link);
}

/* Leaves the link empty, so that unlinking twice is harmless. */
static inline void
list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* NULL when empty. */
static inline struct list *
list_shift(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *first = head->next;
    list_remove(first);
    /* An element that was linked twice would stay at the head. */
    assert(head->next != first);
    return first;
}

/* Moves every element of @from to the end of @to; @from is empty then. */
static inline void
list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
