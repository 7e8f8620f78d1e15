/* queue_scene.h - one coroutine with queues on a real Redis, as a view finds
 * them: for tests of the public queue headers.
 *
 * Redis is emptied first. Nothing is asserted inside a coroutine: STEP() leaves
 * it, and scene_run() fails the test with the line that was reached. */
#ifndef HARNESS_QUEUE_SCENE_H
#define HARNESS_QUEUE_SCENE_H

#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "harness/redis_server.h"

struct scene {
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
    struct task_catalog catalog;
    struct error err;
    int step; /* the last line that was reached */
};

/* The tasks are mail.send (queue mail, 7 retries, priority 2, timeout 5 s,
 * kept 1 s once it succeeded) and mail.quiet (the same queue, and nothing else
 * is set). */
void scene_run(struct redis_server *server, co_fn *fn, struct scene *s);

#define STEP(s, condition)                                         \
    do {                                                           \
        (s)->step = __LINE__;                                      \
        if (!(condition))                                          \
            return error_set(&(s)->err, ST_BUG, "%s", #condition); \
    } while (0)

/* Suspends until Redis is there. */
CHECK enum status scene_up(struct co *co, struct scene *s);
/* Claims one job of @queue and ends it as @finish says; @finish NULL leaves it
 * running. */
CHECK enum status scene_work(struct co *co, struct scene *s, const char *queue,
                             struct finish *finish);

#endif
