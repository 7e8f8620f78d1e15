/* body.h - small JSON bodies: an object whose fields a table names.
 *
 * Strict, like the enqueue's envelope: a field that is not in the table, stands
 * twice, has another type or lies out of range is refused with a pointer to it.
 * What is read lives as long as the body. */
#ifndef WEB_API_BODY_H
#define WEB_API_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "async/co/co.h"
#include "base/error.h"
#include "http/exchange.h"

enum body_kind {
    BODY_BOOL,     /* number: 0 or 1 */
    BODY_INTEGER,  /* number, min..max */
    BODY_DURATION, /* number: ms, min..max; "30s", or seconds */
    BODY_TIME,     /* number: ms since the epoch; RFC 3339 */
    BODY_TEXT,     /* text of min..max bytes, without control characters */
    BODY_PERCENT,  /* number: 0..100; a number from 0 to 1 */
    BODY_RATE,     /* "100/m": number jobs in period_ms */
    BODY_JSON,     /* json as it came */
};

struct body_field {
    const char *name;
    enum body_kind kind;
    int64_t min, max; /* both 0: as the kind has it */
};

struct body_value {
    bool given; /* also when it is null */
    bool null;
    int64_t number;
    int64_t period_ms;
    struct str text;
    json_t *json; /* lent */
};

enum { BODY_FIELDS_MAX = 16, BODY_BYTES_MAX = 256 * 1024 };

struct body {
    json_t *root; /* NULL for an empty body */
    struct body_value values[BODY_FIELDS_MAX];
};

/* Reads the request's body, which may be empty: then no field is given. Its
 * Content-Type was looked at before (api.c). Clear in every case.
 * Errors: ST_INVALID with the pointer, as exchange_read_all(). */
CHECK enum status body_read(struct co *co, struct http_exchange *exchange,
                            const struct body_field *fields, size_t n,
                            struct body *ret, struct error *err);
/* The same for a body of up to @max bytes in place of BODY_BYTES_MAX. */
CHECK enum status body_read_max(struct co *co, struct http_exchange *exchange,
                                int64_t max, const struct body_field *fields,
                                size_t n, struct body *ret, struct error *err);
/* The same for an object within another; @at is the pointer to it. */
CHECK enum status body_fields(json_t *object, const char *at,
                              const struct body_field *fields, size_t n,
                              struct body_value *ret, struct error *err);
void body_clear(struct body *body);

#endif
