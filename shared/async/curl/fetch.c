/* Fetch: one request, its options and its answer; fetch_pool.c moves it.
 *
 * Header fields of the answer are kept as text, one after the other; few are
 * ever looked up. An interim answer (1xx) comes first on some requests: each
 * status line starts the fields anew. */
#include "async/curl/fetch.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "async/curl/fetch_pool.h"
#include "base/log.h"

/* What lives while it is under way. */
struct under_way {
    struct fetch *fetch;
    struct fetch_pool *pool; /* NULL: none, it blocks */
    CURL *easy;
    struct curl_slist *headers;
    bool too_large;
    const struct address_rules *guard;
    char refused[ADDRESS_TEXT_SIZE]; /* the last address, or "" */
    char message[CURL_ERROR_SIZE];
};

/* ---- the answer ---- */

static size_t
body_cb(char *data, size_t size, size_t n, void *arg)
{
    struct under_way *u = arg;
    struct buf *body = &u->fetch->body;

    buf_add(body, data, size * n);
    u->too_large |= body->failed || body->len == body->max;
    return u->too_large ? 0 : size * n;
}

static size_t
field_cb(char *data, size_t size, size_t n, void *arg)
{
    struct under_way *u = arg;
    struct buf *fields = &u->fetch->fields;
    struct str line = str_trim(str_from(data, size * n));

    if (str_starts(line, STR("HTTP/")))
        buf_reset(fields);
    if (line.n > 0) {
        buf_add_str(fields, line);
        buf_add_char(fields, '\0');
    }
    u->too_large |= fields->failed;
    return u->too_large ? 0 : size * n;
}

struct str
fetch_field(const struct fetch *fetch, struct str name)
{
    struct str rest = buf_str(&fetch->fields);

    while (rest.n > 0) {
        struct str value, line = str_cut(rest, '\0', &rest);
        struct str field = str_cut(line, ':', &value);
        if (value.p && str_eq_nocase(field, name))
            return str_trim(value);
    }
    return STR_NULL;
}

int64_t
fetch_retry_after_ms(const struct fetch *fetch, int64_t now_ms)
{
    struct str text = fetch_field(fetch, STR("Retry-After"));
    char date[64];
    int64_t seconds;

    if (text.n == 0 || text.n >= sizeof date)
        return -1;
    if (str_to_i64(text, &seconds))
        return seconds > INT32_MAX ? INT32_MAX * INT64_C(1000) : seconds * 1000;
    str_copy_to(text, date, sizeof date);
    time_t when = libcurl()->getdate(date, NULL);
    if (when < 0)
        return -1;
    return (int64_t)when * 1000 > now_ms ? (int64_t)when * 1000 - now_ms : 0;
}

/* ---- the end ---- */

static void
under_way_free(struct under_way *u)
{
    u->fetch->private = NULL;
    if (u->easy && u->pool)
        fetch_pool_give(u->pool, u->easy);
    else if (u->easy)
        libcurl()->easy_cleanup(u->easy);
    libcurl()->slist_free_all(u->headers);
    free(u);
}

static enum status
status_of(const struct under_way *u, CURLcode code)
{
    long connected = 0;

    if (u->too_large)
        return ST_TOO_LARGE;
    if (code == CURLE_COULDNT_CONNECT && u->refused[0])
        return ST_FORBIDDEN;
    switch (code) {
    case CURLE_OK:
        return ST_OK;
    case CURLE_FILESIZE_EXCEEDED:
        return ST_TOO_LARGE;
    case CURLE_OPERATION_TIMEDOUT:
        return ST_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED: /* a user in the URL */
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return ST_INVALID;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return ST_UNCLEAR;
    default:
        libcurl()->easy_getinfo(u->easy, CURLINFO_REQUEST_SIZE, &connected);
        return connected > 0 ? ST_UNCLEAR : ST_UNAVAILABLE;
    }
}

/* Takes what came out of the handle, and frees what was under way. */
static enum status
conclude(struct under_way *u, CURLcode code)
{
    struct fetch *fetch = u->fetch;
    enum status status = status_of(u, code);
    long http_code = 0;

    libcurl()->easy_getinfo(u->easy, CURLINFO_RESPONSE_CODE, &http_code);
    fetch->code = (int)http_code;
    /* The NUL behind the body, which is within what the buffer may hold. */
    if (status == ST_OK && buf_room(&fetch->body, 1))
        fetch->body.p[fetch->body.len] = '\0';
    if (status == ST_FORBIDDEN)
        (void)error_set(&fetch->err, status,
                        "fetch: %s is no public address, and not allowed",
                        u->refused);
    else if (status != ST_OK)
        (void)error_set(&fetch->err, status, "fetch: %s",
                        status == ST_TOO_LARGE ? "the answer is too large"
                        : u->message[0]        ? u->message
                                        : libcurl()->easy_strerror(code));
    under_way_free(u);
    return status;
}

static void
done(void *arg, CURLcode code)
{
    struct under_way *u = arg;
    struct fetch *fetch = u->fetch;

    op_settle(&fetch->op, conclude(u, code));
}

static void
cancel(struct op *op)
{
    struct fetch *fetch = LIST_ENTRY(op, struct fetch, op);

    if (fetch->private)
        under_way_free(fetch->private);
}

static const struct op_class fetch_class = {"fetch", cancel};

/* ---- the request ---- */

/* libcurl sends header lines as they are, line breaks included. */
static enum status
check_line(const char *text, const char *what, struct error *err)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return error_set(err, ST_INVALID,
                             "fetch: control character in the %s", what);
    return ST_OK;
}

static enum status
add_header(struct under_way *u, const char *line)
{
    struct curl_slist *list = libcurl()->slist_append(u->headers, line);

    if (!list)
        return ST_LIMIT;
    u->headers = list;
    return ST_OK;
}

static enum status
set_headers(struct under_way *u, const struct fetch_options *o,
            struct error *err)
{
    enum status status = ST_OK;
    bool typed = false;

    for (size_t i = 0; o->headers && o->headers[i] && status == ST_OK; i++) {
        const char *line = o->headers[i], *colon = strchr(line, ':');
        if (!colon || colon == line)
            return error_set(err, ST_INVALID,
                             "fetch: a header is not \"Name: value\"");
        status = check_line(line, "header", err);
        if (status == ST_OK)
            status = add_header(u, line);
        typed |= strncasecmp(line, "Content-Type:", 13) == 0;
    }
    /* An empty value takes out what libcurl would send by itself. */
    if (status == ST_OK)
        status = add_header(u, "Expect:");
    if (status == ST_OK && !typed)
        status = add_header(u, "Content-Type:");
    libcurl()->easy_setopt(u->easy, CURLOPT_HTTPHEADER, u->headers);
    return status;
}

static enum status
set_request(struct under_way *u, const struct fetch_options *o,
            struct error *err)
{
    const char *method = o->method ? o->method : o->body ? "POST" : "GET";

    for (const char *c = method; *c; c++)
        if (*c < 'A' || *c > 'Z')
            return error_set(err, ST_INVALID,
                             "fetch: a method is capital letters");
    enum status status = check_line(o->url, "URL", err);
    if (status != ST_OK)
        return status;
    /* Without one libcurl would guess. */
    if (strncasecmp(o->url, "http://", 7) != 0 &&
        strncasecmp(o->url, "https://", 8) != 0)
        return error_set(err, ST_INVALID,
                         "fetch: a URL begins with http:// or https://");
    libcurl()->easy_setopt(u->easy, CURLOPT_URL, o->url);
    if (o->body) {
        libcurl()->easy_setopt(u->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)o->body_len);
        libcurl()->easy_setopt(u->easy, CURLOPT_POSTFIELDS, o->body);
    }
    if (strcmp(method, "HEAD") == 0)
        libcurl()->easy_setopt(u->easy, CURLOPT_NOBODY, 1L);
    else
        libcurl()->easy_setopt(u->easy, CURLOPT_CUSTOMREQUEST, method);
    return set_headers(u, o, err);
}

/* Called by libcurl for each address that it wants to connect to. */
static curl_socket_t
open_cb(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct under_way *u = arg;

    (void)purpose;
    if (!address_allowed(&address->addr, address->addrlen, u->guard)) {
        address_text(&address->addr, address->addrlen, u->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

/* A connection that was made without the guard must not serve a request with
 * it: so those have their own. */
static void
set_guard(struct under_way *u, const struct address_rules *guard)
{
    if (!guard)
        return;
    u->guard = guard;
    libcurl()->easy_setopt(u->easy, CURLOPT_OPENSOCKETFUNCTION, open_cb);
    libcurl()->easy_setopt(u->easy, CURLOPT_OPENSOCKETDATA, u);
    libcurl()->easy_setopt(u->easy, CURLOPT_FRESH_CONNECT, 1L);
    libcurl()->easy_setopt(u->easy, CURLOPT_FORBID_REUSE, 1L);
}

static void
set_limits(struct under_way *u, const struct fetch_options *o)
{
    int64_t timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : FETCH_TIMEOUT_MS;

    if (timeout_ms > INT32_MAX)
        timeout_ms = INT32_MAX;
    libcurl()->easy_setopt(u->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    libcurl()->easy_setopt(u->easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)FETCH_CONNECT_TIMEOUT_MS);
    libcurl()->easy_setopt(u->easy, CURLOPT_MAXFILESIZE_LARGE,
                           (curl_off_t)(u->fetch->body.max - 1));
    libcurl()->easy_setopt(u->easy, CURLOPT_NOSIGNAL, 1L);
    libcurl()->easy_setopt(u->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl()->easy_setopt(u->easy, CURLOPT_FOLLOWLOCATION, 0L);
    libcurl()->easy_setopt(u->easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    /* Otherwise http_proxy and its like decide where a request goes. */
    libcurl()->easy_setopt(u->easy, CURLOPT_PROXY, "");
    libcurl()->easy_setopt(u->easy, CURLOPT_USERAGENT, "pitmaster");
    libcurl()->easy_setopt(u->easy, CURLOPT_ERRORBUFFER, u->message);
    libcurl()->easy_setopt(u->easy, CURLOPT_WRITEFUNCTION, body_cb);
    libcurl()->easy_setopt(u->easy, CURLOPT_WRITEDATA, u);
    libcurl()->easy_setopt(u->easy, CURLOPT_HEADERFUNCTION, field_cb);
    libcurl()->easy_setopt(u->easy, CURLOPT_HEADERDATA, u);
}

/* Makes the fetch empty. */
static struct under_way *
begin(struct fetch *fetch, const struct fetch_options *o)
{
    struct under_way *u = xcalloc(1, sizeof *u);

    buf_clear(&fetch->body);
    buf_clear(&fetch->fields);
    /* One more than an answer may have, for the NUL. */
    buf_init(&fetch->body, (o->body_max ? o->body_max : FETCH_BODY_MAX) + 1);
    buf_init(&fetch->fields, FETCH_HEADERS_MAX);
    fetch->code = 0;
    fetch->err = (struct error){0};
    fetch->private = u;
    u->fetch = fetch;
    return u;
}

static enum status
set_up(struct under_way *u, const struct fetch_options *o)
{
    enum status status = set_request(u, o, &u->fetch->err);

    if (status == ST_OK) {
        set_limits(u, o);
        set_guard(u, o->guard);
    }
    return status;
}

enum status
fetch_block(struct fetch *fetch, const struct fetch_options *o)
{
    struct under_way *u = begin(fetch, o);
    enum status status = ST_OK;

    u->easy = libcurl()->easy_init();
    status = u->easy ? set_up(u, o)
                     : error_set(&fetch->err, ST_LIMIT, "fetch: out of memory");
    if (status == ST_OK)
        return conclude(u, libcurl()->easy_perform(u->easy));
    under_way_free(u);
    return status;
}

void
fetch_start(struct loop *loop, struct fetch *fetch,
            const struct fetch_options *o, void (*on_settled)(struct op *),
            void *arg)
{
    struct under_way *u = begin(fetch, o);

    op_init(&fetch->op, loop, &fetch_class, on_settled, arg);
    u->pool = fetch_pool_of(loop);
    enum status status = fetch_pool_take(u->pool, &u->easy);
    if (status == ST_OK)
        status = set_up(u, o);
    if (status == ST_OK)
        status = fetch_pool_start(u->pool, u->easy, done, u);
    if (status == ST_OK)
        return;
    if (status == ST_LIMIT)
        (void)error_set(&fetch->err, ST_LIMIT,
                        "fetch: too many under way, try again later");
    under_way_free(u);
    op_settle(&fetch->op, status);
}

enum status
fetch_await(struct co *co, struct fetch *fetch,
            const struct fetch_options *options)
{
    enum status status = co_cancelled(co);

    if (status != ST_OK) {
        fetch_clear(fetch);
        return error_set(&fetch->err, status, "fetch: not begun");
    }
    fetch_start(co_loop(co), fetch, options, NULL, NULL);
    return co_await(co, &fetch->op);
}

void
fetch_clear(struct fetch *fetch)
{
    if (fetch->op.class)
        op_cancel(&fetch->op);
    buf_clear(&fetch->body);
    buf_clear(&fetch->fields);
    fetch->code = 0;
}
