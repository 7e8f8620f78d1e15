/* reach.h - what an async task's awaits reach: Redis, the queues, the mail
 * server.
 *
 * The async child has a connection of its own, so that pit_redis() and
 * pit_enqueue() work there as in a view; jobs are claimed and finished by the
 * dispatcher alone, on its own. Belongs to the child's loop. */
#ifndef WORKER_REACH_H
#define WORKER_REACH_H

#include "app/outside.h"
#include "app/task/task_catalog.h"
#include "async/curl/mail.h"
#include "options.h"

enum { REACH_WAIT_MS = 1000 };

struct reach {
    struct rds *rds;
    struct queues *queues;
    struct durability *durability;
    struct changes *changes;
    struct task_catalog catalog;
    struct mail_server mail;
    struct outside outside;
};

/* Attaches all of it to @loop and waits until Redis answers, at most
 * REACH_WAIT_MS: without it tasks find out by themselves. Errors: ST_INVALID a
 * bad URL. */
CHECK enum status reach_init(struct reach *reach, struct loop *loop,
                             const struct options *options,
                             const struct app *app, struct error *err);
void reach_clear(struct reach *reach);

#endif
