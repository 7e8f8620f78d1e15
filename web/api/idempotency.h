/* idempotency.h - Idempotency-Key: the same request again makes nothing new.
 *
 * Redis holds for each key, for IDEMPOTENCY_KEEP_MS,
 *
 *   <prefix>:{idem}:<SHA-256 of the key, hex>
 *     -> "<phase> <fingerprint, hex> <seed, hex> <created ms>[ <accepted,
 * hex>]"
 *
 * The ids of what the request makes (jobs, a flow, an operation) are derived
 * from the seed (queue/job/id.h), so that whatever happens between its steps, a
 * repeat names the same and cannot make a second one. Phases: `p` under way;
 * `f` failed, may be taken over at once; `d` done, answered from the entry
 * alone. One under way for longer than IDEMPOTENCY_STALE_MS belongs to a
 * process that is gone, and is taken over. `accepted` has a bit for each job of
 * a batch, most significant bit first.
 *
 * Functions that take a coroutine suspend for Redis. */
#ifndef WEB_API_IDEMPOTENCY_H
#define WEB_API_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "app/http/request.h"
#include "async/redis/rds.h"
#include "base/error.h"
#include "base/str.h"
#include "queue/keys.h"
#include "queue/queue.h"

#define IDEMPOTENCY_KEEP_MS INT64_C(86400000)
#define IDEMPOTENCY_STALE_MS INT64_C(10000)
enum {
    IDEMPOTENCY_KEY_MAX = 255,    /* visible ASCII characters */
    IDEMPOTENCY_JOBS_MAX = 10000, /* of a batch that has a key */
    IDEMPOTENCY_BITS_MAX = IDEMPOTENCY_JOBS_MAX / 8,
    IDEMPOTENCY_SEED_LEN = 16,
    IDEMPOTENCY_HASH_LEN = 32,
};

/* An entry, read. */
struct idempotency_entry {
    char phase; /* p, f, d */
    unsigned char fingerprint[IDEMPOTENCY_HASH_LEN];
    unsigned char seed[IDEMPOTENCY_SEED_LEN];
    int64_t created_ms; /* wall clock of the first request */
    size_t accepted_len;
    unsigned char accepted[IDEMPOTENCY_BITS_MAX];
};

/* False for a text that is none; *ret is undefined then. */
CHECK bool idempotency_parse(struct str text, struct idempotency_entry *ret);
void idempotency_write(const struct idempotency_entry *entry, struct buf *dst);

/* The request's key; p is NULL without one.
 * Errors: ST_INVALID for one that is empty, too long, not visible ASCII, or
 * one of two. */
CHECK enum status idempotency_key(const struct pit_request *req,
                                  struct str *ret, struct error *err);

/* What the request is to do. */
enum idempotency_verdict {
    IDEMPOTENCY_RUN, /* make it under ids of entry.seed; then finish or fail */
    IDEMPOTENCY_REPLAY, /* was done: answer from the entry */
    IDEMPOTENCY_REUSED, /* the key belongs to other content: 422 */
    IDEMPOTENCY_BUSY,   /* the first one is under way: 409 */
};

struct idempotency {
    struct rds *rds;
    char redis_key[KEYS_MAX_LEN];
    struct idempotency_entry entry;
};

/* Looks the key up, or takes it. The body must have been read.
 * Errors: Redis' statuses; ST_UNAVAILABLE also means that nothing was done. */
CHECK enum status
idempotency_begin(struct co *co, struct queues *queues, struct str key,
                  const struct pit_request *req, struct idempotency *ret,
                  enum idempotency_verdict *ret_verdict, struct error *err);
/* Everything was stored; entry.accepted says which. When this cannot be written
 * the next repeat enqueues again under the same ids, so it only logs. */
void idempotency_finish(struct co *co, struct idempotency *idempotency);
/* Not everything could be stored: a repeat may try at once. */
void idempotency_fail(struct co *co, struct idempotency *idempotency);

#endif
