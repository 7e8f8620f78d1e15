/* Upstream: the same GET twice, awaited and blocking. */
#include "upstream.h"

#include <curl/curl.h>
#include <stdlib.h>

#include <pit/fetch.h>
#include <pit/log.h>

static const char *
url(void)
{
    const char *own = getenv("SMOKEHOUSE_UPSTREAM");

    return own && *own ? own : "https://httpbin.org/";
}

static void
log_code(int code)
{
    pit_log_info("<Response [%d%s]>", code, code == 200 ? " OK" : "");
}

static enum pit_status
get(struct pit_co *co, int *ret_code)
{
    struct pit_fetch answer PIT_FETCH = {.url = url()};
    enum pit_status st = pit_fetch(co, &answer);

    if (st == PIT_OK)
        *ret_code = answer.code;
    else
        pit_log_warn("upstream: %s", answer.error);
    return st;
}

enum pit_status
upstream_get_quietly(struct pit_co *co)
{
    int code;

    return get(co, &code);
}

enum pit_status
upstream_get(struct pit_co *co)
{
    int code;
    enum pit_status st = get(co, &code);

    if (st == PIT_OK)
        log_code(code);
    return st;
}

static size_t
drop(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * n;
}

enum pit_status
upstream_get_blocking(void)
{
    long code = 0;
    CURL *curl = curl_easy_init();

    if (!curl)
        return PIT_LIMIT;
    curl_easy_setopt(curl, CURLOPT_URL, url());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    CURLcode how = curl_easy_perform(curl);
    if (how == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    else
        pit_log_warn("upstream: %s", curl_easy_strerror(how));
    curl_easy_cleanup(curl);
    if (how != CURLE_OK)
        return PIT_UNAVAILABLE;
    log_code((int)code);
    return PIT_OK;
}
