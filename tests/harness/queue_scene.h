/* queue_scene.h - one coroutine with queues on a real Redis, as a view finds
 * them: for tests of the queue's verbs and of the public queue headers.
 *
 * A test is a coroutine (co_fn) whose argument is its scene; the program's
 * main() lists it as scene_unit_test(fn) and hands the list to
 * redis_server_run_tests(). Nothing is asserted inside a coroutine: STEP()
 * leaves it, and the test fails with the line that was reached. */
#ifndef HARNESS_QUEUE_SCENE_H
#define HARNESS_QUEUE_SCENE_H

#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "harness/redis_server.h"

struct scene {
    struct redis_server *server; /* redis_server_shared(), emptied */
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
    struct task_catalog catalog;
    struct durability *durability;
    struct changes *changes;
    uint64_t tokens; /* how many were given to claims */
    struct error err;
    int step; /* the last line that was reached */
};

/* A test of cmocka that runs the coroutine @fn on a scene of its own.
 * The tasks are mail.send (queue mail, 7 retries, priority 2, timeout 5 s,
 * kept 1 s once it succeeded) and mail.quiet (the same queue, and nothing else
 * is set). */
#define scene_unit_test(fn)                                                \
    (struct CMUnitTest)                                                    \
    {                                                                      \
        .name = #fn, .test_func = scene_test, .initial_state = (co_fn *[]) \
        {                                                                  \
            fn                                                             \
        }                                                                  \
    }
/* For the macro; *state points at the coroutine's function. */
void scene_test(void **state);

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
