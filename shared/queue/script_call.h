/* script_call.h - the words of one script call, gathered and sent.
 *
 * For the verbs that are not in a hurry: keys and arguments are lent until it
 * is sent, numbers are kept inside. Lives on the caller's stack. Inside of
 * queue/ only. */
#ifndef QUEUE_SCRIPT_CALL_H
#define QUEUE_SCRIPT_CALL_H

#include "queue/keys.h"
#include "queue/queue_private.h"
#include "queue/script.h"

enum { SCRIPT_CALL_WORDS_MAX = 128, SCRIPT_CALL_NUMBERS_MAX = 8 };

struct script_call {
    struct keys keys;
    int nkeys;
    int n;
    int numbers;
    const char *p[SCRIPT_CALL_WORDS_MAX];
    size_t len[SCRIPT_CALL_WORDS_MAX];
    char number[SCRIPT_CALL_NUMBERS_MAX][24];
};

/* KEYS are those of @queue that @which names. */
void script_call_init(struct script_call *call, const struct queues *queues,
                      struct str queue, const enum key *which, int nkeys);
/* KEYS are the @nkeys words that are added first: those of no queue. */
void script_call_init_global(struct script_call *call, int nkeys);
void script_call_add(struct script_call *call, struct str word);
void script_call_add_number(struct script_call *call, int64_t number);
/* As rds_send_script(). */
void script_call_send(const struct script_call *call, struct queues *queues,
                      const struct rds_script *script, struct rds_call *rds,
                      void (*on_settled)(struct op *), void *arg);
/* Sends and awaits; on ST_OK rds->reply is set. */
CHECK enum status script_call_await(struct co *co,
                                    const struct script_call *call,
                                    struct queues *queues,
                                    const struct rds_script *script,
                                    struct rds_call *rds, struct error *err);

/* A word of a reply; the empty slice for what is no text. */
static inline struct str
script_call_text(const redisReply *word)
{
    return word && word->type == REDIS_REPLY_STRING
               ? str_from(word->str, word->len)
               : STR_NULL;
}
/* Reads 'gone' or nil: the job is not there. ST_OK for every other reply. */
CHECK enum status script_call_found(const redisReply *reply, struct job_id id,
                                    struct error *err);

#endif
