/* libcurl.h - libcurl, loaded when it is first needed.
 *
 * It brings thirty libraries along, which cost each process a megabyte and a
 * few milliseconds; most processes never fetch anything. So no program links
 * it: its functions are called through this table, under their names without
 * curl_. Loaded once, by whichever thread comes first, and never unloaded. */
#ifndef ASYNC_LIBCURL_H
#define ASYNC_LIBCURL_H

#include <curl/curl.h>

struct libcurl {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    CURLcode (*easy_perform)(CURL *easy);
    void (*easy_reset)(CURL *easy);
    void (*easy_cleanup)(CURL *easy);
    const char *(*easy_strerror)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int mask,
                                     int *running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    struct curl_slist *(*slist_append)(struct curl_slist *list,
                                       const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    CURLU *(*url)(void);
    CURLUcode (*url_set)(CURLU *url, CURLUPart part, const char *text,
                         unsigned flags);
    CURLUcode (*url_get)(const CURLU *url, CURLUPart part, char **ret,
                         unsigned flags);
    void (*url_cleanup)(CURLU *url);
    void (*free)(void *p);
    time_t (*getdate)(const char *text, const time_t *unused);
};

/* Never NULL: without the library the process ends with one line that says
 * what to install. Any thread. */
const struct libcurl *libcurl(void);

#endif
