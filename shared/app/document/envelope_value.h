/* envelope_value.h - single JSON values of an enqueue's body, read and refused
 * in words; and the strict walk over an object.
 *
 * Strings are lent from the body as they stand; only one with an escape in it
 * is decoded into the arena. @pointer is the field's (RFC 6901), for the
 * refusal. Every error is ST_INVALID. Nothing suspends. */
#ifndef APP_ENVELOPE_VALUE_H
#define APP_ENVELOPE_VALUE_H

#include "app/document/envelope.h"

/* The content of a string; false for another type, or for one too long. */
CHECK bool envelope_value_text(struct jsontext value, struct arena *arena,
                               struct str *ret);
/* "30s", or a number of seconds; 0 to JOB_DELAY_MAX_MS. */
CHECK enum status envelope_value_duration(struct jsontext value,
                                          struct arena *arena,
                                          const char *pointer, int64_t *ret_ms,
                                          struct error *err);
/* RFC 3339. */
CHECK enum status envelope_value_time(struct jsontext value,
                                      struct arena *arena, const char *pointer,
                                      int64_t *ret_ms, struct error *err);
/* The name of a task, queue or tag. */
CHECK enum status envelope_value_name(struct jsontext value,
                                      struct arena *arena, const char *pointer,
                                      struct str *ret, struct error *err);
/* An integer from 0 to @max <= INT32_MAX. */
CHECK enum status envelope_value_integer(struct jsontext value,
                                         const char *pointer, int64_t max,
                                         int32_t *ret, struct error *err);

/* A field by its name: @bit makes a second one visible without a set of keys,
 * and is set in envelope->given unless the value is null. */
struct envelope_field_reader {
    struct str name;
    uint32_t bit;
    enum status (*read)(struct jsontext value, struct arena *arena,
                        struct envelope *envelope, struct error *err);
};
/* Reads every field of @object, whose own pointer is @parent ("" for the
 * whole); one that is not in the table, or stands twice, is refused. */
CHECK enum status envelope_value_walk(struct jsontext object,
                                      const char *parent,
                                      const struct envelope_field_reader *table,
                                      size_t n, struct arena *arena,
                                      struct envelope *envelope,
                                      struct error *err);

#endif
