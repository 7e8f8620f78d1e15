/* Keys: rendered once per queue and process, then only lent. */
#include "queue/keys.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "queue/job/id.h"

static const char *const names[KEYS_OF_QUEUE] = {
    [KEY_JOBS] = "jobs",         [KEY_STATE] = "state",
    [KEY_RESULTS] = "results",   [KEY_PROGRESS] = "progress",
    [KEY_DUE] = "due",           [KEY_LEASED] = "leased",
    [KEY_DEAD] = "dead",         [KEY_DONE] = "done",
    [KEY_GONE] = "gone",         [KEY_QUARANTINED] = "quarantined",
    [KEY_STATS] = "stats",       [KEY_WAKE] = "wake",
    [KEY_WAITS] = "waits",       [KEY_META] = "meta",
    [KEY_READY] = "ready:9",     [KEY_READY + 1] = "ready:8",
    [KEY_READY + 2] = "ready:7", [KEY_READY + 3] = "ready:6",
    [KEY_READY + 4] = "ready:5", [KEY_READY + 5] = "ready:4",
    [KEY_READY + 6] = "ready:3", [KEY_READY + 7] = "ready:2",
    [KEY_READY + 8] = "ready:1", [KEY_READY + 9] = "ready:0",
    [KEY_RETRYING] = "retrying", [KEY_UNIQUE] = "unique",
    [KEY_UNLOCKS] = "unlocks",   [KEY_RUNNING] = "running",
    [KEY_RATES] = "rates",       [KEY_TURNS] = "turns",
    [KEY_BLOCKED] = "blocked",   [KEY_CHILDREN] = "children",
    [KEY_OUTBOX] = "outbox",     [KEY_CANCELS] = "cancels",
    [KEY_EVENTS] = "events",     [KEY_STALE] = "stale",
    [KEY_SAMPLES] = "samples",   [KEY_LOGGED] = "logged",
    [KEY_FLOWS] = "flows",       [KEY_SCHEDULES] = "schedules",
    [KEY_FIRES] = "fires",       [KEY_FIRED] = "fired",
};

void
keys_of_queue(const char *prefix, struct str queue, struct keys *ret)
{
    char stem[KEYS_MAX_LEN];
    char *dst = ret->bytes;
    int n = snprintf(stem, sizeof stem, "%s:{%.*s}:", prefix, STR_ARG(queue));

    assert(strlen(prefix) <= KEYS_PREFIX_MAX && queue.n <= ID_QUEUE_MAX);
    for (int k = 0; k < KEYS_OF_QUEUE; k++) {
        size_t name_n = strlen(names[k]);

        ret->p[k] = dst;
        ret->n[k] = (size_t)n + name_n;
        assert(dst + ret->n[k] < ret->bytes + sizeof ret->bytes);
        memcpy(dst, stem, (size_t)n);
        memcpy(dst + n, names[k], name_n + 1);
        dst += ret->n[k] + 1;
    }
}

void
keys_global(const char *prefix, const char *what, char dst[KEYS_MAX_LEN])
{
    int n = snprintf(dst, KEYS_MAX_LEN, "%s:%s", prefix, what);

    assert(n > 0 && n < KEYS_MAX_LEN);
}
