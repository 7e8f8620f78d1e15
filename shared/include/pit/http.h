/* pit/http.h - a request and its response, as a view sees them.
 *
 * Both belong to the front and live until the view returns; everything lent
 * here lives as long. Nothing here suspends. */
#ifndef PIT_HTTP_H
#define PIT_HTTP_H

#include <stddef.h>

#include "pit/status.h"

struct pit_request;
struct pit_response;

enum pit_method {
    PIT_GET = 1,
    PIT_HEAD,
    PIT_POST,
    PIT_PUT,
    PIT_PATCH,
    PIT_DELETE,
    PIT_OPTIONS,
};

enum pit_method pit_request_method(const struct pit_request *req);
/* The path without the query, percent-decoded, ends in NUL. */
const char *pit_request_path(const struct pit_request *req);
/* The client's address without the port, "unix" for a local socket. Behind a
 * proxy that pit-web was told to trust (--trusted-proxy) it is the one that the
 * proxy names; so are the next two. */
const char *pit_request_peer(const struct pit_request *req);
/* "http" or "https". */
const char *pit_request_scheme(const struct pit_request *req);
/* The Host field, "example.org:8443"; "" for an HTTP/1.0 client without one. */
const char *pit_request_host(const struct pit_request *req);
/* A path parameter by its name in the route ("{id:int}" is "id"); NULL when the
 * route has none of that name. */
const char *pit_request_param(const struct pit_request *req, const char *name);
/* The first query parameter of that name, percent-decoded; NULL if absent. */
const char *pit_request_query(const struct pit_request *req, const char *name);
/* A header's value; the name in any case; NULL if absent. */
const char *pit_request_header(const struct pit_request *req, const char *name);
/* The whole body; *ret_len its bytes. Followed by a NUL that is not counted. */
const char *pit_request_body(const struct pit_request *req, size_t *ret_len);

/* Sets a header, replacing one of that name. PIT_INVALID when @name is not a
 * token or @value holds a control character (RFC 9110 section 5.5). */
enum pit_status pit_response_header(struct pit_response *res, const char *name,
                                    const char *value);
/* Each sets status (100..599) and body, and returns PIT_OK, so that a view ends
 * in `return pit_reply_text(...)`. PIT_TOO_LARGE above 16 MiB. */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_reply_text(struct pit_response *res, int status, const char *fmt, ...);
enum pit_status pit_reply_bytes(struct pit_response *res, int status,
                                const char *content_type, const void *body,
                                size_t len);
/* @fmt as jansson's json_pack(). */
enum pit_status pit_reply_json(struct pit_response *res, int status,
                               const char *fmt, ...);
/* application/problem+json (RFC 9457) with the status' own HTTP status code. */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_reply_problem(struct pit_response *res, enum pit_status status,
                  const char *fmt, ...);

#endif
