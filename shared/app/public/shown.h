/* shown.h - what a call of the public headers shows: structs in a row, and all
 * that they lend in one arena.
 *
 * Owner: the public struct, as its private_, until its pit_..._clear(). */
#ifndef APP_PUBLIC_SHOWN_H
#define APP_PUBLIC_SHOWN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/http/arena.h"
#include "base/error.h"
#include "base/str.h"

struct shown {
    struct arena arena;
    void *items;
    size_t len;       /* the caller's to count */
    const char *next; /* where the next page begins, in the arena; or NULL */
    bool failed;      /* out of memory: what was made is not whole */
};

/* Room for @n items of @size bytes, all zero, with at most @arena_max bytes
 * behind them. Never fails. */
struct shown *shown_new(size_t n, size_t size, size_t arena_max);
/* NULL is fine. */
void shown_free(struct shown *shown);

/* @n bytes; NULL: it has failed. */
void *shown_alloc(struct shown *shown, size_t n);
/* A copy that ends in a NUL; "" for the empty text. */
const char *shown_text(struct shown *shown, struct str s);
/* The same, but NULL for the empty text: as if it had not been set. */
const char *shown_text_or_null(struct shown *shown, struct str s);

/* The text of an @object's member @name, copied; "" when it is none. */
const char *shown_member(struct shown *shown, const json_t *object,
                         const char *name);
/* Its number; 0 when it is none. */
int64_t shown_number(const json_t *object, const char *name);
/* The place of @word among @names (NULL: not one of them), from 1; else 0. */
int shown_word(const char *const *names, size_t n, const char *word);
/* A copy of the reference @value (may be NULL) that lives as long. */
json_t *shown_json(struct shown *shown, json_t *value);
/* A member that is a time as the API writes it, in ms since the epoch; 0 for
 * what is none. */
int64_t shown_time(const json_t *object, const char *name);

/* What ends a call that came to @st: returns @shown if it is @wanted and whole,
 * else NULL, and it is freed. @shown may be NULL. One that has failed turns
 * ST_OK into ST_LIMIT, with @words for people. */
struct shown *shown_settle(struct shown *shown, bool wanted, enum status *st,
                           const char *words, struct error *err);

#endif
