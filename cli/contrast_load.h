/* contrast_load.h - clients of a web front on a unix socket: many at once that
 * make it work, and one that only wants to be answered.
 *
 * Blocks the thread that calls it; `pit bench contrast` has nothing else to do.
 */
#ifndef CLI_CONTRAST_LOAD_H
#define CLI_CONTRAST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONTRAST_REQUESTS_MAX = 20000,
    CONTRAST_CLIENTS_MAX = 1000,
    CONTRAST_INPUT_MAX = 4096, /* bytes of an answer */
};

/* One connection with at most one request under way. */
struct contrast_peer {
    int fd; /* -1: none */
    bool waiting;
    uint32_t id;
    int64_t asked_us;
    size_t len;
    char input[CONTRAST_INPUT_MAX];
};

bool contrast_peer_open(struct contrast_peer *peer, const char *socket);
void contrast_peer_close(struct contrast_peer *peer);

/* What became of the request of an id. */
enum contrast_fate {
    CONTRAST_UNSENT,
    CONTRAST_ANSWERED,
    CONTRAST_REFUSED,
    CONTRAST_CUT /* no answer: the connection ended */
};

/* @n requests for PATH?id=@first.. by @clients at once. Zero what is behind
 * the blank line; contrast_load_clear() frees it. */
struct contrast_load {
    const char *socket;
    const char *path;
    uint32_t first;
    uint32_t n;
    uint32_t clients;
    int64_t limit_ms;
    /* Called at least each millisecond; true: give up what is under way. May
     * be NULL. */
    bool (*stop)(void *arg);
    void *arg;

    uint32_t answered, refused, cut;
    int64_t *took_us; /* of those that were answered, in their order */
    uint8_t *fate;    /* enum contrast_fate by id - first */
};

/* Returns when each request has its fate, at @limit_ms, when @stop says so, or
 * when a signal came. Requests that never left stay CONTRAST_UNSENT. */
void contrast_load_run(struct contrast_load *load);
void contrast_load_clear(struct contrast_load *load);

/* One GET on a connection of its own; the status, or 0 without an answer. */
int contrast_load_ask(const char *socket, const char *path);

/* A bystander: GET /ping every 2 ms, on a thread of its own. */
struct contrast_ping;
/* NULL when there is no thread to be had. */
struct contrast_ping *contrast_ping_start(const char *socket);
/* Ends it, once all that were due are answered. *ret_len times in us, to be
 * freed by the caller. */
int64_t *contrast_ping_stop(struct contrast_ping *ping, size_t *ret_len);

/* The @percent-th of @n times in ms, sorting them in place; 0 for none. */
double contrast_percentile(int64_t *times_us, size_t n, int percent);

#endif
