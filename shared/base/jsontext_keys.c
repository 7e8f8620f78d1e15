/* Keys of jsontext: finds one that stands twice.
 *
 * Nearly every object has a handful of keys: up to FEW are compared each with
 * each, on the stack. More go to an open hash table, half full at most. The
 * hash is no secret, but 1,024 keys that all collide cost half a million
 * comparisons and no more. Keys are compared decoded: "a" and "\u0061" are the
 * same key to every reader. */
#include "base/jsontext.h"

#include <stdio.h>
#include <stdlib.h>

enum { FEW = 32, SLOTS = 2 * JSONTEXT_KEYS_MAX };

struct seen {
    struct str few[FEW];
    struct str *table; /* SLOTS of them; p == NULL: free */
    size_t count;
    struct buf decoded; /* what the slices of keys with escapes lend from */
};

/* Puts @key into the table; false when it is there. */
static bool
add_to_table(struct str *table, struct str key)
{
    size_t at = str_hash(key) % SLOTS;

    for (; table[at].p; at = (at + 1) % SLOTS)
        if (str_eq(table[at], key))
            return false;
    table[at] = key;
    return true;
}

static bool
add_to_few(struct seen *seen, struct str key)
{
    for (size_t i = 0; i < seen->count; i++)
        if (str_eq(seen->few[i], key))
            return false;
    seen->few[seen->count] = key;
    return true;
}

static enum status
refuse(struct str key, struct error *err)
{
    char pointer[sizeof err->pointer];
    size_t n = 0;

    /* RFC 6901 section 3: ~ is ~0 and / is ~1. */
    pointer[n++] = '/';
    for (size_t i = 0; i < key.n && n < sizeof pointer - 2; i++) {
        char c = key.p[i];
        if (c == '~' || c == '/')
            pointer[n++] = '~';
        pointer[n++] = c == '~' ? '0' : c == '/' ? '1' : c;
    }
    pointer[n] = '\0';
    return error_set_at(err, pointer,
                        "the key \"%.*s\" stands twice in one object",
                        key.n < 100 ? (int)key.n : 100, key.p);
}

/* The key as it reads. Errors: ST_LIMIT, out of memory. */
static enum status
decode_key(struct seen *seen, struct jsontext object, struct str *key,
           struct error *err)
{
    if (key->n == 0 || !memchr(key->p, '\\', key->n))
        return ST_OK;
    /* Room for all there can be, at once: growing would move what is lent. */
    if (!seen->decoded.p && !buf_room(&seen->decoded, object.raw.n))
        return error_set(err, ST_LIMIT, "out of memory for an object's keys");
    struct jsontext string = {JSONTEXT_STRING,
                              str_from(key->p - 1, key->n + 2)};
    *key = jsontext_string(string, &seen->decoded);
    return ST_OK;
}

static enum status
add_key(struct seen *seen, struct str key, struct error *err)
{
    bool fresh;

    if (seen->count == JSONTEXT_KEYS_MAX)
        return error_set(err, ST_INVALID,
                         "an object has more than %d members here",
                         JSONTEXT_KEYS_MAX);
    if (seen->count == FEW) {
        seen->table = calloc(SLOTS, sizeof *seen->table);
        if (!seen->table)
            return error_set(err, ST_LIMIT,
                             "out of memory for an object's keys");
        for (size_t i = 0; i < FEW; i++)
            add_to_table(seen->table, seen->few[i]);
    }
    fresh =
        seen->table ? add_to_table(seen->table, key) : add_to_few(seen, key);
    if (!fresh)
        return refuse(key, err);
    seen->count++;
    return ST_OK;
}

enum status
jsontext_unique_keys(struct jsontext object, struct error *err)
{
    struct jsontext_walk walk = jsontext_walk(object);
    struct jsontext member;
    struct str key;
    struct seen seen;
    enum status status = ST_OK;

    seen.table = NULL;
    seen.count = 0;
    buf_init(&seen.decoded, object.raw.n);
    while (status == ST_OK && jsontext_next(&walk, &key, &member)) {
        status = decode_key(&seen, object, &key, err);
        if (status == ST_OK)
            status = add_key(&seen, key, err);
    }
    free(seen.table);
    buf_clear(&seen.decoded);
    return status;
}
