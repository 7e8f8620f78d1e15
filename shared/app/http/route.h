/* route.h - which handler a path belongs to.
 *
 * A table is built once, at start, and then only read. Patterns are segments
 * between slashes: a literal ("jobs", "jobs:batch"), "{name}" for any segment
 * that is not empty, "{name:int}" for 1..18 digits, "{name:uuid}" for the 36
 * characters of RFC 9562 section 4, "{name:slug}" for 1..64 of A-Z a-z 0-9 - _
 * . without a dot in front, "{name}:verb" for the API's actions, and as the
 * last one "{name:path}" for all that is left, slashes included. A final slash
 * counts. Where several patterns fit, each segment decides for the more exact
 * one: literal, then action, int, uuid, slug, any, path; only a pattern that
 * has the request's method is taken. Segments are compared after
 * percent-decoding, so an escaped slash never splits one.
 *
 * Matching allocates nothing from the heap; parameters go to the request's
 * arena. */
#ifndef APP_ROUTE_H
#define APP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/http/request.h"
#include "base/error.h"

enum { ROUTE_SEGMENTS_MAX = 16 };

struct route_table;

struct route_table *route_table_new(void);
/* NULL is fine. */
void route_table_free(struct route_table *table);

/* "int", "uuid", "slug" or "path": what a parameter may be of. */
bool route_type_known(struct str type);

/* Adds a route; @pattern and @target are borrowed for the table's life. HEAD
 * and OPTIONS come by themselves, unless a route has them.
 * Errors: ST_INVALID for a bad pattern, ST_CONFLICT when the same method has a
 * pattern that fits exactly the same paths; both name the pattern. */
CHECK enum status route_add(struct route_table *table, enum pit_method method,
                            const char *pattern, const void *target,
                            struct error *err);

enum route_result {
    ROUTE_FOUND,     /* target is set, the request has its parameters */
    ROUTE_NOT_FOUND, /* 404 */
    ROUTE_METHOD_NOT_ALLOWED, /* 405: allow is set */
    ROUTE_OPTIONS,            /* answer OPTIONS: allow is set */
    ROUTE_BAD,                /* 400: a broken escape, or too many segments */
};

struct route_match {
    const void *target;
    const char *pattern; /* as it was added, for logs and metrics */
    uint32_t allow;      /* bit (1 << method) for each method of the path */
};

enum route_result route_match(const struct route_table *table,
                              struct pit_request *req, struct route_match *ret);
/* "GET, HEAD, POST", for the Allow field. */
enum { ROUTE_ALLOW_SIZE = 64 };
void route_allow(uint32_t allow, char dst[ROUTE_ALLOW_SIZE]);

/* Calls @fn for each route in the order of adding. */
void route_each(const struct route_table *table,
                void (*fn)(enum pit_method method, const char *pattern,
                           const void *target, void *arg),
                void *arg);

#endif
