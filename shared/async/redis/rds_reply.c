/* Replies in one piece.
 *
 *   struct rds_reply: | root redisReply | arena | bytes ........ |
 *                                           |
 *                                           v
 *                                        block -> block -> NULL
 *
 * The reader creates the root first and its elements in order, each knowing
 * its parent; so the arena of an element is found by going up (at most 9 deep
 * in hiredis 0.14), and no state beside the reader is needed. The first block
 * is part of the root's allocation. It is sized for the elements that the
 * array's header announces, but to a limit: the header is only a claim. */
#include "async/redis/rds_reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 8,
    ELEMENT_GUESS = 48,   /* bytes of an element's text, before we know */
    FIRST_MAX = 16 << 10, /* bytes of the first block of an array */
    BLOCK_SIZE = 16 << 10,
};

struct block {
    struct block *next;
    uint64_t bytes[]; /* aligned for a redisReply */
};

struct rds_reply {
    redisReply root; /* first: a redisReply * to it is a pointer to us */
    struct block *blocks;
    char *free;
    size_t free_len;
    size_t size; /* of all blocks */
};

#if HIREDIS_MAJOR >= 1
typedef size_t element_count; /* the type that the reader passes */
#else
typedef int element_count;
#endif

static struct rds_reply *
reply_new(size_t room)
{
    room = (room + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (room > RDS_REPLY_MAX)
        return NULL;

    struct rds_reply *reply = malloc(sizeof *reply + room);
    if (!reply)
        return NULL;
    *reply = (struct rds_reply){
        .free = (char *)(reply + 1), .free_len = room, .size = room};
    return reply;
}

/* Starts a block that has @n bytes free. What was left of the last one is
 * lost, unless @n is so large that the block is its own. */
static char *
take_block(struct rds_reply *reply, size_t n)
{
    size_t size = n > BLOCK_SIZE / 4 ? n : BLOCK_SIZE;
    if (size > RDS_REPLY_MAX - reply->size)
        return NULL;

    struct block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->next = reply->blocks;
    reply->blocks = block;
    reply->size += size;
    if (size == BLOCK_SIZE) {
        reply->free = (char *)block->bytes + n;
        reply->free_len = size - n;
    }
    return (char *)block->bytes;
}

static void *
take(struct rds_reply *reply, size_t n)
{
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n > reply->free_len)
        return take_block(reply, n);

    char *p = reply->free;
    reply->free += n;
    reply->free_len -= n;
    return p;
}

static struct rds_reply *
reply_of(const redisReadTask *task)
{
    while (task->parent)
        task = task->parent;
    return task->obj;
}

/* A zeroed object with @extra bytes behind it, hung into its parent. */
static redisReply *
object_new(const redisReadTask *task, size_t extra)
{
    redisReply *object;

    if (!task->parent) {
        struct rds_reply *reply = reply_new(extra);
        if (!reply)
            return NULL;
        object = &reply->root;
        object->type = task->type;
        return object;
    }
    object = take(reply_of(task), sizeof *object + extra);
    if (!object)
        return NULL;
    *object = (redisReply){.type = task->type};
    ((redisReply *)task->parent->obj)->element[task->idx] = object;
    return object;
}

static void *
create_string(const redisReadTask *task, char *bytes, size_t len)
{
    if (len > RDS_REPLY_MAX)
        return NULL;

    redisReply *object = object_new(task, len + 1);
    if (!object)
        return NULL;
    /* The root's text is at the start of its arena, an element's behind it. */
    object->str = task->parent ? (char *)(object + 1)
                               : ((struct rds_reply *)object)->free;
    object->len = len;
    memcpy(object->str, bytes, len);
    object->str[len] = '\0';
    return object;
}

static void *
create_array(const redisReadTask *task, element_count count)
{
    size_t n = (size_t)count;
    size_t pointers = n * sizeof(redisReply *);
    size_t guess = n * (sizeof(redisReply) + ELEMENT_GUESS);

    if (n > RDS_REPLY_ELEMENTS_MAX)
        return NULL;
    if (task->parent)
        guess = 0;
    else if (pointers + guess > FIRST_MAX)
        guess = pointers > FIRST_MAX ? 0 : FIRST_MAX - pointers;

    redisReply *object = object_new(task, pointers + guess);
    if (!object)
        return NULL;
    if (task->parent)
        object->element = (redisReply **)(object + 1);
    else
        object->element = take((struct rds_reply *)object, pointers);
    memset(object->element, 0, pointers);
    object->elements = n;
    return object;
}

static void *
create_integer(const redisReadTask *task, long long value)
{
    redisReply *object = object_new(task, 0);

    if (object) {
        object->type = REDIS_REPLY_INTEGER;
        object->integer = value;
    }
    return object;
}

static void *
create_nil(const redisReadTask *task)
{
    redisReply *object = object_new(task, 0);

    /* "$-1" and "*-1" come with the type of what they are not. */
    if (object)
        object->type = REDIS_REPLY_NIL;
    return object;
}

#if HIREDIS_MAJOR >= 1
/* RESP3 only, which we never ask for: refused as "out of memory". */
static void *
create_double(const redisReadTask *task, double value, char *bytes, size_t len)
{
    (void)task, (void)value, (void)bytes, (void)len;
    return NULL;
}

static void *
create_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#endif

static void
free_object(void *object)
{
    rds_reply_free(object);
}

redisReplyObjectFunctions rds_reply_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = free_object,
};

void
rds_reply_free(redisReply *reply)
{
    struct rds_reply *whole = (struct rds_reply *)reply;

    if (!whole)
        return;
    while (whole->blocks) {
        struct block *block = whole->blocks;
        whole->blocks = block->next;
        free(block);
    }
    free(whole);
}
