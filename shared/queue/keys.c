/* Keys: rendered once per queue and process, then only lent. */
#include "queue/keys.h"

#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "queue/id.h"

static const char *const names[] = {
    "jobs", "state", "results",     "progress", "due",  "leased", "dead",
    "done", "gone",  "quarantined", "stats",    "wake", "waits",  "meta",
};
_Static_assert(ARRAY_LEN(names) == KEY_READY, "a name for each key");

void
keys_of_queue(const char *prefix, struct str queue, struct keys *ret)
{
    size_t used = 0;

    assert(strlen(prefix) <= KEYS_PREFIX_MAX && queue.n <= ID_QUEUE_MAX);
    for (int k = 0; k < KEYS_OF_QUEUE; k++) {
        char *dst = ret->bytes + used;
        size_t room = sizeof ret->bytes - used;
        bool ready = k >= KEY_READY && k < KEY_RETRYING;
        int n =
            ready ? snprintf(dst, room, "%s:{%.*s}:ready:%d", prefix,
                             STR_ARG(queue), 9 - (k - KEY_READY))
                  : snprintf(dst, room, "%s:{%.*s}:%s", prefix, STR_ARG(queue),
                             k == KEY_RETRYING ? "retrying" : names[k]);

        assert(n > 0 && (size_t)n < room);
        ret->p[k] = dst;
        ret->n[k] = (size_t)n;
        used += (size_t)n + 1;
    }
}

void
keys_global(const char *prefix, const char *what, char dst[KEYS_MAX_LEN])
{
    int n = snprintf(dst, KEYS_MAX_LEN, "%s:%s", prefix, what);

    assert(n > 0 && n < KEYS_MAX_LEN);
}
