/* response.h - the struct behind the public pit_response.
 *
 * Plain data that a handler fills and the front serialises: status, fields,
 * one body. Names and values are checked when they are set, so that no answer
 * can be split (RFC 9110 section 5.5). Content-Length, Transfer-Encoding,
 * Connection, Date and X-Request-Id belong to the front and cannot be set.
 * Owned by its exchange. Loop thread only. */
#ifndef APP_RESPONSE_H
#define APP_RESPONSE_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/http/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "pit/http.h"

enum {
    RESPONSE_FIELDS_MAX = 32,
    RESPONSE_BODY_MAX = 16 * 1024 * 1024, /* bytes, unless it is streamed */
    RESPONSE_FIELD_MAX = 8192,            /* bytes of one value */
};

struct site_host;

struct response_field {
    struct str name;
    struct str value;
};

struct pit_response {
    struct arena *arena;
    int status;                    /* 0: not set yet; else 100..599 */
    struct str content_type;       /* empty: no body, or unset */
    struct response_field *fields; /* in the arena, made with the first one */
    size_t fields_len;
    size_t fields_room;
    struct str body; /* in the arena, in `owned`, or borrowed */
    struct buf owned;
    int64_t content_len;  /* of a stream, or of an answer to HEAD: bytes that
                             its body has; -1: as many as come */
    const char *instance; /* the request's path, still percent-encoded, for
                             problem documents; lent by it; NULL: none */
    bool sealed;          /* the head has left: nothing can be set any more */
    enum status failure;  /* what the answer was made of, if it is a problem
                             document that site.c made; else ST_OK */
    const struct site_host *site_host; /* site.h: how to stream; NULL: not */
};

void response_init(struct pit_response *res, struct arena *arena);
/* Frees what it owns. */
void response_clear(struct pit_response *res);
/* Forgets everything that was set, for an error in place of a half-made
 * answer. Must not be sealed. */
void response_reset(struct pit_response *res);

/* Drops body, status and all fields but the first @fields_len. Must not be
 * sealed. */
void response_truncate(struct pit_response *res, size_t fields_len);

/* As pit_response_header(), for slices; both are copied. ST_INVALID also for
 * the front's own fields, and when sealed; ST_TOO_LARGE above
 * RESPONSE_FIELDS_MAX or RESPONSE_FIELD_MAX. "Content-Type" sets content_type.
 */
CHECK enum status response_set(struct pit_response *res, struct str name,
                               struct str value);
/* Adds a field beside those of the same name. */
CHECK enum status response_add(struct pit_response *res, struct str name,
                               struct str value);
/* response_set() with a formatted value. */
PRINTF(3, 4)
CHECK enum status response_setf(struct pit_response *res, const char *name,
                                const char *fmt, ...);

/* Formats into @arena. Errors: ST_TOO_LARGE, ST_INVALID for a bad format. */
PRINTF(2, 0)
CHECK enum status response_format(struct arena *arena, const char *fmt,
                                  va_list ap, struct str *ret);

/* Status and body; @content_type is a literal, or lives as long as the request
 * and was checked by response_value_valid().
 * Each returns ST_OK so that a handler ends in `return response_...(...)`;
 * ST_TOO_LARGE above RESPONSE_BODY_MAX, ST_INVALID for a status out of range or
 * when sealed. */
/* The body is lent: it must live until the exchange has ended (a literal, the
 * arena). */
enum status response_lend(struct pit_response *res, int status,
                          const char *content_type, struct str body);
/* The body moves out of @body, which is empty afterwards whatever happens. A
 * buffer that failed is ST_TOO_LARGE. */
enum status response_take(struct pit_response *res, int status,
                          const char *content_type, struct buf *body);
/* application/json of @json, compact; steals the reference. NULL is ST_BUG. */
enum status response_json_take(struct pit_response *res, int status,
                               json_t *json);
/* No body. */
enum status response_empty(struct pit_response *res, int status);

/* True for an RFC 9110 token / a field value without control characters. */
bool response_name_valid(struct str name);
bool response_value_valid(struct str value);
/* The reason phrase of RFC 9110 section 15; "Unknown" where it has none. */
const char *response_reason(int status);

#endif
