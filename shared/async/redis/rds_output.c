/* Chunks: filled at the tail, sent from the head, freed by the last reference.
 *
 * The chain holds one reference to each chunk in it; a chunk leaves the chain
 * when it is sent and something newer is being filled. A chunk that is sent
 * and that nobody else holds is filled again from its start, so that a quiet
 * connection lives on one chunk. One more is kept as a spare. */
#include "async/redis/rds_output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    CHUNK_SIZE = 32 << 10,
    SEND_CHUNKS_MAX = 16, /* in one sendmsg() */
};

void
rds_output_init(struct rds_output *output)
{
    *output = (struct rds_output){0};
}

static void
chunk_free(struct rds_chunk *chunk)
{
    struct rds_output *output = chunk->output;

    if (!output->spare && chunk->cap == CHUNK_SIZE) {
        output->spare = chunk;
        return;
    }
    output->held -= chunk->cap;
    free(chunk);
}

void
rds_chunk_ref(struct rds_chunk *chunk)
{
    chunk->refs++;
}

void
rds_chunk_unref(struct rds_chunk *chunk)
{
    if (!chunk)
        return;
    assert(chunk->refs > 0);
    if (--chunk->refs == 0)
        chunk_free(chunk);
}

void
rds_output_clear(struct rds_output *output)
{
    while (output->head) {
        struct rds_chunk *chunk = output->head;
        output->head = chunk->next;
        rds_chunk_unref(chunk);
    }
    if (output->spare) {
        output->held -= output->spare->cap;
        free(output->spare);
    }
    assert(output->held == 0);
    rds_output_init(output);
}

static struct rds_chunk *
chunk_new(struct rds_output *output, size_t n)
{
    size_t cap = n > CHUNK_SIZE ? n : CHUNK_SIZE;
    struct rds_chunk *chunk = output->spare;

    if (chunk && cap == CHUNK_SIZE) {
        output->spare = NULL;
    } else {
        if (n > RDS_OUTPUT_MAX || cap > RDS_OUTPUT_MAX - output->held)
            return NULL;
        chunk = malloc(sizeof *chunk + cap);
        if (!chunk)
            return NULL;
        output->held += cap;
    }
    chunk->output = output;
    chunk->next = NULL;
    chunk->refs = 1;
    chunk->cap = cap;
    chunk->len = chunk->sent = 0;
    return chunk;
}

/* Takes sent chunks off the chain, but for the one that is being filled. */
static void
drop_sent(struct rds_output *output)
{
    while (output->head && output->head != output->tail &&
           output->head->sent == output->head->len) {
        struct rds_chunk *chunk = output->head;
        output->head = chunk->next;
        rds_chunk_unref(chunk);
    }
}

char *
rds_output_room(struct rds_output *output, size_t n)
{
    struct rds_chunk *chunk = output->tail;

    if (chunk && chunk->sent == chunk->len && chunk->refs == 1)
        chunk->len = chunk->sent = 0;
    if (!chunk || n > chunk->cap - chunk->len) {
        chunk = chunk_new(output, n);
        if (!chunk)
            return NULL;
        if (output->tail)
            output->tail->next = chunk;
        else
            output->head = chunk;
        output->tail = chunk;
        drop_sent(output);
    }

    char *p = chunk->bytes + chunk->len;
    chunk->len += n;
    output->filled += n;
    return p;
}

static void
mark_sent(struct rds_output *output, size_t n)
{
    output->sent += n;
    for (struct rds_chunk *c = output->head; n > 0; c = c->next) {
        assert(c); /* no more can leave than was filled */
        size_t left = c->len - c->sent;
        size_t part = n < left ? n : left;
        c->sent += part;
        n -= part;
    }
    drop_sent(output);
}

int
rds_output_send(struct rds_output *output, int fd)
{
    while (!rds_output_empty(output)) {
        struct iovec parts[SEND_CHUNKS_MAX];
        struct msghdr message = {.msg_iov = parts};
        size_t n = 0;

        for (struct rds_chunk *c = output->head; c && n < SEND_CHUNKS_MAX;
             c = c->next)
            if (c->len > c->sent)
                parts[n++] =
                    (struct iovec){c->bytes + c->sent, c->len - c->sent};
        message.msg_iovlen = n;

        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno;
        mark_sent(output, (size_t)sent);
    }
    return 0;
}
