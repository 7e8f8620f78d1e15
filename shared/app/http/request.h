/* request.h - the struct behind the public pit_request.
 *
 * The front fills it from the parsed head, the router adds the path's
 * parameters, the exchange the body. Whoever handles the request reads it, here
 * or through pit/http.h. It belongs to its exchange; everything it lends lives
 * until the handler has returned. Loop thread only. */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "app/http/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "pit/http.h"

enum {
    REQUEST_PARAMS_MAX = 8, /* of a route */
    REQUEST_QUERY_MAX = 64, /* parameters of a query */
    REQUEST_ID_MAX = 64,    /* bytes of X-Request-Id */
    REQUEST_PEER_MAX = 64,  /* an address as text, without the port */
};

/* A header field, or a query parameter after decoding. Every value is followed
 * by a NUL that is not counted. */
struct request_field {
    struct str name;
    struct str value;
};

struct request_param {
    struct str name; /* of the route's text, lives as long as the route */
    const char *value;
};

struct site_host;
struct request_form;
struct request_notes;

struct pit_request {
    struct arena *arena; /* for whatever must live as long as the request */
    struct error *err;   /* words for the client, should the handler fail; of
                            the exchange; NULL: nobody wants them */
    const struct site_host *site_host; /* site.h; NULL: none */
    int64_t body_max;                  /* of the view; 0: none is known */
    const char *route;           /* the pattern that led here; NULL: none */
    json_t *json;                /* the body, once it was parsed */
    struct request_form *form;   /* the same for a form */
    struct request_notes *notes; /* pit_request_set(); NULL: none */
    enum pit_method method;
    int version_minor;    /* HTTP/1.<minor>: 0 or 1 */
    struct str raw_path;  /* as it came, percent-encoded; starts with '/' */
    struct str raw_query; /* without the '?'; p is NULL when there was none */
    const char *path;     /* decoded; before, NULL, or raw_path.p where it is
                             known that nothing is escaped */
    const struct request_field *fields;
    size_t fields_len;
    const struct request_field *query; /* in order, decoded */
    size_t query_len;
    struct request_param params[REQUEST_PARAMS_MAX];
    size_t params_len;
    int64_t deadline_us; /* site.c: of the application's work; 0: none */
    const char *body;    /* NULL until the body was read as a whole */
    size_t body_len;
    struct str traceparent; /* the field as it came; p is NULL without one */
    size_t id_len;
    char id[REQUEST_ID_MAX + 1]; /* X-Request-Id, the client's or ours */
    bool id_sent;                /* it is the client's */
    /* Of the client, whatever trusted proxies are between: its address, or
     * "unix" for a local socket; "http" or "https"; the Host that it asked
     * for, "" without one (HTTP/1.0). */
    const char *peer;
    const char *scheme;
    const char *host;
};

/* Empty; not the tables, whose lengths are zero. */
void request_init(struct pit_request *req, struct arena *arena);

/* Decodes raw_path and raw_query into the arena; called once, by the front.
 * Errors: ST_INVALID for a broken percent-escape, an escaped NUL, or more
 * than REQUEST_QUERY_MAX parameters; ST_TOO_LARGE when the arena is full. */
CHECK enum status request_decode(struct pit_request *req, struct error *err);

/* The value of a field by its name in any case, with its NUL; p is NULL when
 * absent. The first one when it stands several times. */
struct str request_field(const struct pit_request *req, struct str name);
/* The first query parameter of that name; p is NULL when absent. */
struct str request_query(const struct pit_request *req, struct str name);

/* Adds a path parameter. @name must outlive the request, @value is percent-
 * decoded already and copied. Errors: ST_TOO_LARGE when the arena is full. */
CHECK enum status request_param_add(struct pit_request *req, struct str name,
                                    struct str value);

/* Percent-decodes @s (RFC 3986 section 2.1) into the arena, with a final NUL;
 * @plus turns '+' into a space (forms only). Without an escape in it the bytes
 * are still copied. Errors: as request_decode(). */
CHECK enum status request_percent_decode(struct arena *arena, struct str s,
                                         bool plus, struct str *ret,
                                         struct error *err);

/* "GET"; "" for a value out of range. */
const char *request_method_name(enum pit_method method);

#endif
