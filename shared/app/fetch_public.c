/* Public fetch: pit/fetch.h on top of async/fetch. The answer belongs to a
 * struct fetch on the heap, since the public struct's size is fixed. */
#include <stdlib.h>

#include "app/co_public.h"
#include "async/fetch.h"
#include "base/log.h"
#include "pit/fetch.h"

enum pit_status
pit_fetch(struct pit_co *co, struct pit_fetch *public)
{
    pit_fetch_clear(public);
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    static const struct address_rules nobody;
    const struct fetch_options options = {
        .url = public->url ? public->url : "",
        .method = public->method,
        .headers = public->headers,
        .body = public->body,
        .body_len = public->body_len,
        .timeout_ms = public->timeout_ms,
        .body_max = public->content_max,
        .guard = public->public_only ? &nobody : NULL,
    };

    public->private_ = fetch;
    enum status status = fetch_await(co_public_core(co), fetch, &options);
    public->code = fetch->code;
    public->error = fetch->err.msg;
    if (status == ST_OK) {
        public->content = fetch->body.p;
        public->content_len = fetch->body.len;
    }
    return (enum pit_status)status;
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
