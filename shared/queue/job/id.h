/* id.h - the names of jobs, queues and tasks.
 *
 * A job id is "<queue>.<local>", split at its last dot, so that an id alone
 * says where the job lives. Queue and task names are [A-Za-z0-9_.:-]{1,64},
 * local ids [A-Za-z0-9_:-]{1,64}: no user text outside of that ever becomes
 * part of a Redis key. Local ids that we make are ULIDs (github.com/ulid/spec):
 * 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's base
 * 32, which sort by time. Pure functions but for id_make(). */
#ifndef QUEUE_ID_H
#define QUEUE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    ID_ULID_LEN = 26,
    ID_LOCAL_MAX = 64,
    ID_QUEUE_MAX = 64,
    ID_TASK_MAX = 64,
    ID_JOB_MAX = ID_QUEUE_MAX + 1 + ID_LOCAL_MAX,
};

/* A job id in its two parts; lends the bytes it was split from. */
struct job_id {
    struct str queue;
    struct str local;
};

/* A new ULID for this moment, with a final NUL. Within one process and one
 * millisecond they ascend. */
void id_make(char dst[ID_ULID_LEN + 1]);
/* The ULID that follows from @seed (16 bytes) and @index: the ids of a batch
 * that must be the same in a repeated request. */
void id_derive(const unsigned char seed[16], uint32_t index,
               char dst[ID_ULID_LEN + 1]);
/* The ULID of the moment @at_ms (wall clock) whose random part follows from
 * @seed: for what is listed in the order of its ids. */
void id_derive_at(const unsigned char seed[16], int64_t at_ms,
                  char dst[ID_ULID_LEN + 1]);

bool id_queue_valid(struct str name);
bool id_task_valid(struct str name);
bool id_local_valid(struct str local);
/* Errors: ST_INVALID, in words. */
CHECK enum status id_split(struct str id, struct job_id *ret,
                           struct error *err);

#endif
