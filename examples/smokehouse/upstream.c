/* Upstream: where it is, and what is said about its answers. */
#include "upstream.h"

#include <stdlib.h>

#include <pit/log.h>

const char *
upstream_url(void)
{
    const char *own = getenv("SMOKEHOUSE_UPSTREAM");

    return own && *own ? own : "https://httpbin.org/";
}

enum pit_status
upstream_log(const struct pit_fetch *answer, enum pit_status st)
{
    if (st != PIT_OK)
        pit_log_warn("upstream: %s", answer->error);
    else
        pit_log_info("<Response [%d%s]>", answer->code,
                     answer->code == 200 ? " OK" : "");
    return st;
}
