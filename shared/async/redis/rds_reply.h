/* rds_reply.h - replies in one piece, built by hiredis' reader.
 *
 * hiredis makes two heap objects of each element of a reply. Here a reply with
 * all its elements lives in one arena, most often a single allocation, which
 * is what makes replies of hundreds of elements cheap. The objects are plain
 * redisReply structures. A reply has one owner and may outlive the
 * connection. */
#ifndef ASYNC_RDS_REPLY_H
#define ASYNC_RDS_REPLY_H

#include <hiredis/hiredis.h>

enum {
    RDS_REPLY_MAX = 64 << 20,         /* bytes of one reply in memory */
    RDS_REPLY_ELEMENTS_MAX = 1 << 20, /* of one array */
};

/* What the reader is made with; a reply over a maximum makes it report
 * REDIS_ERR_OOM. */
extern redisReplyObjectFunctions rds_reply_functions;

/* Only for a whole reply, never for an element; never hiredis' own
 * freeReplyObject(). NULL is fine. */
void rds_reply_free(redisReply *reply);

#endif
