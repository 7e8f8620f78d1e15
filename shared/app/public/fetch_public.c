/* Public fetch: pit/fetch.h on top of async/curl/fetch.h. The answer belongs to
 * a struct fetch on the heap, since the public struct's size is fixed. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "app/outside.h"
#include "app/public/co_public.h"
#include "async/curl/fetch.h"
#include "base/log.h"
#include "pit/fetch.h"

enum { HEADERS_MAX = 64, LINE_SIZE = 160 };

/* What the request, or the job, came with goes along: its trace, and its id. */
struct headers {
    const char *lines[HEADERS_MAX + 3];
    char trace[LINE_SIZE];
    char id[LINE_SIZE];
};

static bool
has_header(const char *const *lines, size_t n, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (strncasecmp(lines[i], name, len) == 0 && lines[i][len] == ':')
            return true;
    return false;
}

static enum status
add_context(struct co *co, const struct pit_fetch *public, struct headers *ret,
            struct error *err)
{
    struct str trace = co_trace(co), id = co_request(co);
    size_t n = 0;

    while (public->headers && public->headers[n]) {
        if (n == HEADERS_MAX)
            return error_set(err, ST_INVALID,
                             "fetch: more than %d header lines", HEADERS_MAX);
        ret->lines[n] = public->headers[n];
        n++;
    }
    size_t own = n;
    if (id.n == 0)
        id = co_job(co);
    if (trace.n > 0 && !has_header(ret->lines, own, "traceparent")) {
        snprintf(ret->trace, sizeof ret->trace, "traceparent: %.*s",
                 STR_ARG(trace));
        ret->lines[n++] = ret->trace;
    }
    if (id.n > 0 && !has_header(ret->lines, own, "X-Request-Id")) {
        snprintf(ret->id, sizeof ret->id, "X-Request-Id: %.*s", STR_ARG(id));
        ret->lines[n++] = ret->id;
    }
    ret->lines[n] = NULL;
    return ST_OK;
}

/* An empty fetch for a call with the public one. */
static struct fetch *
begin(struct pit_fetch *public, struct fetch_options *ret)
{
    static const struct address_rules nobody;

    pit_fetch_clear(public);
    *ret = (struct fetch_options){
        .url = public->url ? public->url : "",
        .method = public->method,
        .headers = public->headers,
        .body = public->body,
        .body_len = public->body_len,
        .timeout_ms = public->timeout_ms,
        .body_max = public->content_max,
        .guard = public->public_only ? &nobody : NULL,
    };
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    public->private_ = fetch;
    return fetch;
}

static enum pit_status
end(struct pit_fetch *public, const struct fetch *fetch, enum status status)
{
    public->code = fetch->code;
    public->error = fetch->err.msg;
    if (status == ST_OK) {
        public->content = fetch->body.p;
        public->content_len = fetch->body.len;
    }
    return (enum pit_status)status;
}

enum pit_status
pit_fetch_blocking(struct pit_fetch *public)
{
    const struct outside_script *script = outside_thread_script();
    struct fetch_options options;
    struct fetch *fetch = begin(public, &options);

    enum status status =
        script ? (enum status)script->fetch_blocking(fetch, &options)
               : fetch_block(fetch, &options);
    return end(public, fetch, status);
}

enum pit_status
pit_fetch(struct pit_co *public_co, struct pit_fetch *public)
{
    struct co *co = co_public_core(public_co);
    struct fetch_options options;
    struct headers headers;
    struct fetch *fetch = begin(public, &options);

    /* An address that a user chose is told nothing of ours. */
    if (!public->public_only)
        options.headers = headers.lines;
    enum status status = add_context(co, public, &headers, &fetch->err);
    if (status == ST_OK)
        status =
            outside_script(co)
                ? (enum status)outside_script(co)->fetch(co, fetch, &options)
                : fetch_await(co, fetch, &options);
    return end(public, fetch, status);
}

const char *
pit_fetch_header(const struct pit_fetch *public, const char *name)
{
    return public->private_ ? fetch_field(public->private_, str_c(name)).p
                            : NULL;
}

void
pit_fetch_clear(struct pit_fetch *public)
{
    struct fetch *fetch = public->private_;

    if (fetch)
        fetch_clear(fetch);
    free(fetch);
    public->private_ = NULL;
    public->code = 0;
    public->content = public->error = "";
    public->content_len = 0;
}
