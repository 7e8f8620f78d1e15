/* Libcurl: its table, filled by name. */
#include "async/curl/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"

#define LIBRARY "libcurl.so.4"

static struct libcurl table;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define FUNCTION(name)                                \
    {                                                 \
        "curl_" #name, offsetof(struct libcurl, name) \
    }
    FUNCTION(global_init),
    FUNCTION(easy_init),
    FUNCTION(easy_setopt),
    FUNCTION(easy_getinfo),
    FUNCTION(easy_perform),
    FUNCTION(easy_reset),
    FUNCTION(easy_cleanup),
    FUNCTION(easy_strerror),
    FUNCTION(multi_init),
    FUNCTION(multi_setopt),
    FUNCTION(multi_add_handle),
    FUNCTION(multi_remove_handle),
    FUNCTION(multi_socket_action),
    FUNCTION(multi_info_read),
    FUNCTION(multi_cleanup),
    FUNCTION(slist_append),
    FUNCTION(slist_free_all),
    FUNCTION(url),
    FUNCTION(url_set),
    FUNCTION(url_get),
    FUNCTION(url_cleanup),
    FUNCTION(free),
    FUNCTION(getdate),
};
_Static_assert(ARRAY_LEN(functions) * sizeof(void (*)(void)) == sizeof table,
               "each member has its row");

static void
load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        log_fatal("%s; install Debian's libcurl4", dlerror());
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function)
            log_fatal("%s has no %s; 7.88 or newer is needed", LIBRARY,
                      functions[i].name);
        memcpy((char *)&table + functions[i].offset, &function,
               sizeof function);
    }
    if (table.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        log_fatal("libcurl does not start");
}

const struct libcurl *
libcurl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    return &table;
}
