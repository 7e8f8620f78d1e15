/* schedules_private.h - what the files of schedules' verbs share. Nobody else
 * includes this. */
#ifndef QUEUE_SCHEDULES_PRIVATE_H
#define QUEUE_SCHEDULES_PRIVATE_H

#include "queue/keys.h"
#include "queue/schedule/schedules.h"
#include "queue/script.h"

enum {
    SCHEDULES_FIRE_KEYS = 19,
    SCHEDULES_WORDS_MAX = SCHEDULES_FIRE_KEYS + 8
};

extern const enum key schedules_fire_keys[SCHEDULES_FIRE_KEYS];

/* The words of a script's call; the bytes are borrowed. */
struct schedules_words {
    int n, nkeys;
    const char *p[SCHEDULES_WORDS_MAX];
    size_t len[SCHEDULES_WORDS_MAX];
};

void schedules_add(struct schedules_words *words, struct str word);
void schedules_add_keys(struct schedules_words *words, const struct keys *keys,
                        const enum key *which, size_t n);
/* Sends and awaits; the reply is an array of two or more. */
CHECK enum status schedules_call(struct co *co, struct queues *queues,
                                 struct rds_call *call,
                                 const struct rds_script *script,
                                 const struct schedules_words *words,
                                 struct error *err);
/* Empty for what is no string. */
struct str schedules_text(const redisReply *reply);
/* Removes what is left of a schedule in a queue where it is no more. */
CHECK enum status schedules_drop(struct co *co, struct queues *queues,
                                 struct str queue, struct str name,
                                 struct error *err);
/* What follows a script that stored jobs, by the flags of its answer: the
 * queue's name into the set of all queues, its outbox delivered. Returns @st
 * unless it is ST_OK. */
CHECK enum status schedules_stored(struct co *co, struct queues *queues,
                                   struct str queue, int64_t flags,
                                   enum status st, struct error *err);

#endif
