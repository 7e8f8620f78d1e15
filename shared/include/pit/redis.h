/* pit/redis.h - a Redis command on the process' own connection, awaited.
 *
 *     struct pit_redis reply PIT_REDIS = {0};
 *     enum pit_status st = pit_redis(co, &reply, "HGET", "shop:tokens", token);
 *     if (st == PIT_OK && reply.value.type == PIT_REDIS_NIL)
 *         return pit_reply_problem(res, PIT_FORBIDDEN, "unknown token");
 *
 * The connection is shared with the queue: choose keys that do not begin with
 * its prefix ("pit:"), and keep commands short. Commands that would change the
 * connection or block it (SELECT, AUTH, MULTI, SUBSCRIBE, BLPOP, MONITOR, ...)
 * are refused. Commands of one turn of the loop leave together. */
#ifndef PIT_REDIS_H
#define PIT_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include "pit/co.h"
#include "pit/status.h"

enum pit_redis_type {
    PIT_REDIS_NIL,
    PIT_REDIS_TEXT, /* a string, or a status such as OK */
    PIT_REDIS_INTEGER,
    PIT_REDIS_ARRAY,
};

struct pit_redis_value {
    enum pit_redis_type type;
    int64_t integer;
    const char *text; /* never NULL; a NUL follows that is not counted */
    size_t len;       /* bytes of text */
    const struct pit_redis_value *items; /* of an array */
    size_t items_len;
};

/* Zero it. The value lives until pit_redis_clear(). */
struct pit_redis {
    struct pit_redis_value value;
    const char *error; /* what went wrong, for people; "" */
    void *private_;
};

/* pit_redis(co, &reply, "SET", key, value): the words end in NUL. Suspends.
 * PIT_OK with any reply that is not an error. Errors: PIT_INVALID a command
 * that is refused, a wrong type, or a reply that nests deeper than 8;
 * PIT_UNAVAILABLE not sent, or the server is not ready; PIT_LIMIT; PIT_UNCLEAR
 * sent, but no reply came: it may have happened; PIT_READ_ONLY; PIT_FAILED any
 * other error that Redis answers; PIT_CANCELLED, PIT_TIMEOUT. A further call
 * with the same struct drops the former reply. */
#define pit_redis(co, ret, ...)                                  \
    pit_redis_words((co), (ret),                                 \
                    sizeof((const char *const[]){__VA_ARGS__}) / \
                        sizeof(const char *),                    \
                    (const char *const[]){__VA_ARGS__}, NULL)
/* The same for @n words (1..4,096); with @lens they may hold any bytes. */
enum pit_status pit_redis_words(struct pit_co *co, struct pit_redis *ret,
                                size_t n, const char *const *words,
                                const size_t *lens);
/* Harmless on a zeroed one, and twice. */
void pit_redis_clear(struct pit_redis *reply);
/* Clears it at the end of the block. */
#define PIT_REDIS __attribute__((cleanup(pit_redis_clear)))

#endif
