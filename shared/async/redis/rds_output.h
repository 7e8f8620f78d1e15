/* rds_output.h - bytes on their way to Redis, and those that may be needed
 * again.
 *
 * Commands are encoded straight into chunks, which leave together in one
 * sendmsg(). A command lies within one chunk. Who may have to send its words
 * again (EVALSHA answered by NOSCRIPT) holds a reference to the chunk, which
 * then lives until the reply came: nothing is copied a second time.
 *
 * One owner, one thread. Limit: RDS_OUTPUT_MAX bytes allocated at a time. */
#ifndef ASYNC_RDS_OUTPUT_H
#define ASYNC_RDS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RDS_OUTPUT_MAX = 64 << 20 };

struct rds_output;

struct rds_chunk {
    struct rds_output *output;
    struct rds_chunk *next; /* in the order of sending */
    uint32_t refs;          /* one for being in the chain */
    size_t cap;
    size_t len;  /* bytes filled */
    size_t sent; /* bytes of those that left */
    char bytes[];
};

struct rds_output {
    struct rds_chunk *head; /* not wholly sent, or the one being filled */
    struct rds_chunk *tail; /* being filled */
    struct rds_chunk *spare;
    uint64_t filled; /* bytes since rds_output_init(), never goes back */
    uint64_t sent;   /* the same, of those that left */
    size_t held;     /* bytes allocated */
};

void rds_output_init(struct rds_output *output);
/* Drops everything. Every reference must have been given back. */
void rds_output_clear(struct rds_output *output);
/* Room for one command of @n bytes, all of which must be written before the
 * next call. NULL: over RDS_OUTPUT_MAX, or no memory. It is in output->tail. */
char *rds_output_room(struct rds_output *output, size_t n);

void rds_chunk_ref(struct rds_chunk *chunk);
/* NULL is fine. */
void rds_chunk_unref(struct rds_chunk *chunk);

static inline bool
rds_output_empty(const struct rds_output *output)
{
    return output->filled == output->sent;
}

/* Sends what the socket takes. Returns 0 (look at rds_output_empty()) or the
 * errno of a failure; a full socket is none. Raises no SIGPIPE. */
int rds_output_send(struct rds_output *output, int fd);

#endif
