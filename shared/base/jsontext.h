/* jsontext.h - JSON as text: validates it and walks it without building a tree.
 *
 * The enqueue path reads a job's envelope and keeps `args` as the bytes that
 * came; building a tree for that costs ten times as much (jansson: 43,000
 * instructions for 190 bytes). Everywhere else jansson is used, after
 * jsontext_check() has bounded the nesting.
 *
 * Strict RFC 8259: UTF-8 without surrogates and without overlong forms, no lone
 * surrogate escapes, no NUL escape (\u0000 would cut C strings), no leading
 * zeros, no trailing commas or text. Keys that stand twice are found by
 * jsontext_unique_keys() alone. Numbers must be finite as a double
 * (1e999 is refused). No recursion: depth costs no stack. */
#ifndef BASE_JSONTEXT_H
#define BASE_JSONTEXT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { JSONTEXT_DEPTH_MAX = 64, JSONTEXT_KEYS_MAX = 1024 };

enum jsontext_type {
    JSONTEXT_NULL,
    JSONTEXT_FALSE,
    JSONTEXT_TRUE,
    JSONTEXT_NUMBER,
    JSONTEXT_STRING,
    JSONTEXT_ARRAY,
    JSONTEXT_OBJECT,
};

/* A value inside a checked text; lives as long as that text. */
struct jsontext {
    enum jsontext_type type;
    struct str raw; /* the value's bytes, a string's with its quotes */
};

/* Checks the whole of @text: one value with white space around it, nesting
 * <= JSONTEXT_DEPTH_MAX (RFC 8259 section 9 lets a parser set such limits).
 * Errors: ST_INVALID with the byte offset in the message. */
CHECK enum status jsontext_check(struct str text, struct jsontext *ret,
                                 struct error *err);

/* Walks the members of a checked object, or the elements of a checked array.
 *   struct jsontext_walk w = jsontext_walk(value);
 *   while (jsontext_next(&w, &key, &member)) ...
 * For an array key is the empty slice. @ret_key is the raw key without quotes;
 * a key that holds an escape is lent as it stands (no field of ours has one).
 */
struct jsontext_walk {
    const char *p;
    const char *end;
    bool object;
};
struct jsontext_walk jsontext_walk(struct jsontext value);
bool jsontext_next(struct jsontext_walk *w, struct str *ret_key,
                   struct jsontext *ret);

/* ST_INVALID, naming the key in err->pointer, when a key stands twice in
 * @object, also when it is spelled with escapes once. Quadratic up to 32
 * members, a hash set above; at most JSONTEXT_KEYS_MAX members, more are
 * ST_INVALID. ST_LIMIT: out of memory, which only keys with escapes or more
 * than 32 members need. Members of members are not looked at. */
CHECK enum status jsontext_unique_keys(struct jsontext object,
                                       struct error *err);

/* The decoded content of a JSON string, appended to @dst and lent from there
 * until it changes. Lends the raw bytes without copying when there is no escape
 * in it. When @dst is full: the empty slice, and dst->failed. */
struct str jsontext_string(struct jsontext string, struct buf *dst);
/* False when it is not an integer within int64. "1.0" and "1e2" are integers.
 * Both are false for what is no number. */
bool jsontext_i64(struct jsontext number, int64_t *ret);
bool jsontext_double(struct jsontext number, double *ret);

#endif
