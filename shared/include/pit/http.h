/* pit/http.h - a request and its response, as a view sees them.
 *
 * Both belong to the front and live until the view returns; everything lent
 * here lives as long. Nothing here suspends but what takes a struct pit_co.
 *
 * A view may end with the status of a failed call: the client gets it as
 * problem+json, with the words that the call left. So
 *
 *     const json_t *order;
 *     enum pit_status st = pit_request_json(req, &order);
 *     if (st != PIT_OK)
 *         return st;
 *
 * says what is wrong with the body, and where. */
#ifndef PIT_HTTP_H
#define PIT_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pit/status.h"

struct pit_co;
struct pit_next;
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
/* The value of a parameter of type int; 0 when the route has none of that
 * name. */
int64_t pit_request_param_int(const struct pit_request *req, const char *name);
/* The first query parameter of that name, percent-decoded; NULL if absent. */
const char *pit_request_query(const struct pit_request *req, const char *name);
/* The @n-th of that name, from 0; NULL when there are fewer. */
const char *pit_request_query_nth(const struct pit_request *req,
                                  const char *name, size_t n);
/* A query parameter that is a whole number within @min..@max. Absent:
 * @standard. Errors: PIT_INVALID, in words that name it; *ret is untouched. */
enum pit_status pit_request_query_int(struct pit_request *req, const char *name,
                                      int64_t standard, int64_t min,
                                      int64_t max, int64_t *ret);
/* A header's value; the name in any case; NULL if absent. */
const char *pit_request_header(const struct pit_request *req, const char *name);
/* The first cookie of that name (RFC 6265 section 4.2), without quotes around
 * it; NULL if absent. Client-controlled, like everything else here. */
const char *pit_request_cookie(struct pit_request *req, const char *name);
/* X-Request-Id, the client's or one of ours; never NULL. */
const char *pit_request_id(const struct pit_request *req);
/* The route that led here, as the table has it ("/orders/{id:int}"); "" where
 * none did (static files, 404). */
const char *pit_request_route(const struct pit_request *req);

/* ---- the body ---- */

/* The whole body; *ret_len its bytes. Followed by a NUL that is not counted. */
const char *pit_request_body(const struct pit_request *req, size_t *ret_len);
/* For middleware: reads the body now, which is otherwise read when the request
 * has passed all middleware. Suspends. Errors: as a view would answer them
 * (PIT_TOO_LARGE, PIT_INVALID, PIT_TIMEOUT). Where no view takes the request
 * there is none, and this is PIT_OK. */
enum pit_status pit_request_read(struct pit_co *co, struct pit_request *req);
/* The body as JSON, parsed at the first call. Borrowed: do not decref. Errors,
 * in words: PIT_INVALID for another Content-Type than JSON, for what is not
 * strict JSON (RFC 8259, UTF-8), for nesting deeper than 64, and for a key that
 * stands twice in the top object. */
enum pit_status pit_request_json(struct pit_request *req, const json_t **ret);
/* pit_request_json() and then jansson's json_unpack() of it, with its
 * validation ("{s:s, s?:i !}"). What is unpacked lives as long as the request.
 * Errors: also PIT_INVALID when the body does not fit @fmt, in words. */
enum pit_status pit_request_unpack(struct pit_request *req, const char *fmt,
                                   ...);

/* One part of a form. Text lives as long as the request. */
struct pit_part {
    const char *name;
    const char *filename;     /* NULL: a plain field. Made by the client: never
                                 a path to write to */
    const char *content_type; /* "text/plain" when it says none */
    const char *data;         /* a NUL follows that is not counted */
    size_t len;
};
enum { PIT_PARTS_MAX = 256 };
/* Parses the body as a form, urlencoded or multipart (RFC 7578), at the first
 * call. Errors, in words: PIT_INVALID for another Content-Type and for a broken
 * body, PIT_TOO_LARGE for more than PIT_PARTS_MAX parts. */
enum pit_status pit_request_form_parse(struct pit_request *req);
/* A form's first field of that name; NULL if absent, or if the body is no
 * form. The value of a file is its content, up to its first NUL. */
const char *pit_request_form(struct pit_request *req, const char *name);
/* The @n-th part of that name, from 0; with @name NULL the @n-th of all. NULL
 * when there are fewer. */
const struct pit_part *pit_request_part(struct pit_request *req,
                                        const char *name, size_t n);

/* Says why a view, or a function that it calls, cannot go on, and returns
 * @status, so that `return pit_request_fail(req, PIT_INVALID, "/pounds", "order
 * 1 to %d pounds", 100);` is complete wherever the request is at hand: the
 * status travels up, and the client gets problem+json with these words.
 * @pointer is the place in its body (RFC 6901); NULL: none. Copied, cut at 239
 * and 95 bytes. */
__attribute__((format(printf, 4, 5))) enum pit_status
pit_request_fail(struct pit_request *req, enum pit_status status,
                 const char *pointer, const char *fmt, ...);

/* ---- what middleware leaves for views ---- */

/* @len bytes that live as long as the request, for any type, not zeroed; NULL
 * when the request takes too much memory. */
void *pit_request_alloc(struct pit_request *req, size_t len);
/* Keeps @value under @name, replacing one of that name; both are borrowed for
 * the request's life. PIT_LIMIT above 16 names. */
enum pit_status pit_request_set(struct pit_request *req, const char *name,
                                void *value);
/* NULL when nothing was set. */
void *pit_request_get(const struct pit_request *req, const char *name);

/* ---- the answer's head ---- */

/* Sets a header, replacing one of that name. PIT_INVALID when @name is not a
 * token or @value holds a control character (RFC 9110 section 5.5). */
enum pit_status pit_response_header(struct pit_response *res, const char *name,
                                    const char *value);
/* The same with a value that is made: "/orders/%d". */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_response_headerf(struct pit_response *res, const char *name,
                     const char *fmt, ...);
/* Adds one more of that name (Link, Vary), else as above. */
enum pit_status pit_response_add(struct pit_response *res, const char *name,
                                 const char *value);
/* What was set; NULL if nothing. */
const char *pit_response_get(const struct pit_response *res, const char *name);
/* The answer's status, 0 as long as there is none. */
int pit_response_status(const struct pit_response *res);
/* Sets the status of an answer without a body, or of a stream. PIT_INVALID when
 * it is not within 200..599, or the head has left. */
enum pit_status pit_response_set_status(struct pit_response *res, int status);

enum pit_same_site {
    PIT_SAME_SITE_LAX,
    PIT_SAME_SITE_STRICT,
    PIT_SAME_SITE_NONE
};
/* A cookie to set; zero what is not said. The defaults are the careful ones. */
struct pit_cookie {
    const char *name;   /* a token */
    const char *value;  /* RFC 6265 cookie octets: no space, quote, comma,
                           semicolon or backslash */
    const char *path;   /* NULL: "/" */
    const char *domain; /* NULL: this host alone */
    int64_t max_age_s;  /* 0: until the browser closes; PIT_COOKIE_DELETE */
    enum pit_same_site same_site;
    bool secure;     /* over TLS only; SameSite=None and the prefixes __Host-
                        and __Secure- need it */
    bool for_script; /* scripts may read it (no HttpOnly) */
};
enum { PIT_COOKIE_DELETE = -1 };
/* PIT_INVALID for a name, value, path or domain that cannot be sent as it is,
 * and for attributes that browsers refuse together. */
enum pit_status pit_response_cookie(struct pit_response *res,
                                    const struct pit_cookie *cookie);

/* ---- the answer as a whole ---- */

/* Each sets status (100..599) and body, and returns PIT_OK, so that a view ends
 * in `return pit_reply_text(...)`; a view that returns PIT_OK without any of
 * them answers 204. PIT_TOO_LARGE above 16 MiB. */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_reply_text(struct pit_response *res, int status, const char *fmt, ...);
enum pit_status pit_reply_bytes(struct pit_response *res, int status,
                                const char *content_type, const void *body,
                                size_t len);
/* @fmt as jansson's json_pack(). PIT_INVALID, and a line of the log that says
 * why, for a format that does not fit its values and for text that is not
 * UTF-8. */
enum pit_status pit_reply_json(struct pit_response *res, int status,
                               const char *fmt, ...);
/* application/problem+json (RFC 9457) with the status' own HTTP status code. */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_reply_problem(struct pit_response *res, enum pit_status status,
                  const char *fmt, ...);
/* The same with the fields that a client can act on: problem+json 400 with
 * `pointer`, the place in its body (RFC 6901: "/items/0/amount"). */
__attribute__((format(printf, 3, 4))) enum pit_status
pit_reply_invalid(struct pit_response *res, const char *pointer,
                  const char *fmt, ...);
/* No body. */
enum pit_status pit_reply_empty(struct pit_response *res, int status);
/* 301, 302, 303, 307 or 308 to @location, a URL or a path of this server. When
 * it comes from the client check it first: "//evil.example" is another host. */
enum pit_status pit_reply_redirect(struct pit_response *res, int status,
                                   const char *location);
/* A file's bytes, read on a thread: Content-Type by its name, ETag, answers to
 * If-None-Match and Range as for a static folder. @name is looked for below
 * @folder and never outside of it. Suspends. Errors: PIT_NOT_FOUND;
 * PIT_TOO_LARGE above 2^53 bytes; PIT_UNAVAILABLE when reading fails. */
enum pit_status pit_reply_file(struct pit_co *co, struct pit_request *req,
                               struct pit_response *res, const char *folder,
                               const char *name);

/* ---- an answer as it comes ---- */

/* Appends to the body. The first call sends the head as it was set (status 200
 * if none), nothing in it can be changed then. The bytes are copied and leave
 * in this turn; suspends while the client has too much unread. Return the
 * status of a failed write: a stream that ends with anything but PIT_OK is cut
 * off visibly. Errors: PIT_CANCELLED, PIT_TIMEOUT; PIT_INVALID in a sync view.
 */
enum pit_status pit_stream_write(struct pit_co *co, struct pit_response *res,
                                 const void *bytes, size_t len);
__attribute__((format(printf, 3, 4))) enum pit_status
pit_stream_printf(struct pit_co *co, struct pit_response *res, const char *fmt,
                  ...);

/* A server-sent event (HTML standard, section 9.2); NULL what is not sent. */
struct pit_event {
    const char *id;
    const char *event; /* its name; NULL: "message" */
    const char *data;  /* any lines */
    int64_t retry_ms;  /* how long clients wait to reconnect; 0: not said */
};
/* Sends one; the first call starts the stream of events. The front keeps it
 * alive by comments. Suspends as pit_stream_write(). Errors: also PIT_INVALID
 * for a line break in id or event, or when the answer began as another. */
enum pit_status pit_sse_send(struct pit_co *co, struct pit_response *res,
                             const struct pit_event *event);
/* The id that a client which comes back saw last (Last-Event-ID); NULL for a
 * new one. */
const char *pit_sse_last_id(const struct pit_request *req);

/* ---- middleware ---- */

/* Has the request answered by what is inside: further middleware, then the
 * view. Suspends. Returns how that ended; by then @res holds the answer even
 * for a failure, as problem+json, so a middleware can look at it, add headers,
 * and return what it got. Once a request: a second call is PIT_BUG. */
enum pit_status pit_next(struct pit_co *co, struct pit_next *next,
                         struct pit_request *req, struct pit_response *res);

#endif
