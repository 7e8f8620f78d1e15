/* Shown: a failure is kept until the end, so that filling in reads like plain
 * assignments. */
#include "app/public/shown.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

struct shown *
shown_new(size_t n, size_t size, size_t arena_max)
{
    struct shown *shown = xcalloc(1, sizeof *shown);

    arena_init(&shown->arena, NULL, 0, arena_max);
    shown->items = xcalloc(n, size);
    return shown;
}

void
shown_free(struct shown *shown)
{
    if (!shown)
        return;
    arena_clear(&shown->arena);
    free(shown->items);
    free(shown);
}

void *
shown_alloc(struct shown *shown, size_t n)
{
    void *p = arena_alloc(&shown->arena, n);

    shown->failed |= !p;
    return p;
}

const char *
shown_text_or_null(struct shown *shown, struct str s)
{
    const char *copy = s.n > 0 ? arena_copy(&shown->arena, s) : NULL;

    shown->failed |= s.n > 0 && !copy;
    return copy;
}

const char *
shown_text(struct shown *shown, struct str s)
{
    const char *copy = shown_text_or_null(shown, s);

    return copy ? copy : "";
}

const char *
shown_member(struct shown *shown, const json_t *object, const char *name)
{
    return shown_text(shown,
                      str_c(json_string_value(json_object_get(object, name))));
}

int64_t
shown_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

int
shown_word(const char *const *names, size_t n, const char *word)
{
    for (size_t i = 1; i < n; i++)
        if (names[i] && strcmp(names[i], word) == 0)
            return (int)i;
    return 0;
}

static void
decref(void *value)
{
    json_decref(value);
}

json_t *
shown_json(struct shown *shown, json_t *value)
{
    if (!value)
        return NULL;
    if (!arena_defer(&shown->arena, decref, value)) {
        shown->failed = true;
        return NULL;
    }
    return json_incref(value);
}

int64_t
shown_time(const json_t *object, const char *name)
{
    int64_t ms = 0;

    if (!clock_parse(str_c(json_string_value(json_object_get(object, name))),
                     &ms))
        return 0;
    return ms;
}

struct shown *
shown_settle(struct shown *shown, bool wanted, enum status *st,
             const char *words, struct error *err)
{
    if (*st == ST_OK && shown && shown->failed)
        *st = error_set(err, ST_LIMIT, "%s", words);
    if (*st == ST_OK && wanted)
        return shown;
    shown_free(shown);
    return NULL;
}
