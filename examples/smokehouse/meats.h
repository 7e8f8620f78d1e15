/* meats.h - one coroutine function for both lanes: a view awaits it, a task is
 * made of it. */
#ifndef MEATS_H
#define MEATS_H

#include <pit/app.h>

struct smoked {
    int count;
    const char *flavor; /* static */
};

/* Gets meats and sauce at the same time, then smokes. Suspends; *ret is filled
 * with PIT_OK only. Fails as the call of the third party does. */
enum pit_status meats_smoke(struct pit_co *co, struct smoked *ret);

/* The task of it. */
pit_async_task_fn meats_task;

#endif
