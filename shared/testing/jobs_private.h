/* jobs_private.h - a test's jobs: what Redis would know of them.
 *
 *   jobs.c        enqueue, unique keys, flows, ends, looking and waiting
 *   jobs_run.c    attempts: one by one, or by the test's worker
 *   jobs_follow.c changes as they happen, and logs line by line */
#ifndef TESTING_JOBS_PRIVATE_H
#define TESTING_JOBS_PRIVATE_H

#include "client_private.h"
#include "queue/queue.h"

/* What pit_job_log() said. */
struct job_line {
    struct list link;
    int64_t at_ms; /* since the epoch */
    int64_t number;
    int attempt;
    struct str text; /* the test's */
};

struct job {
    struct pit_test_job public; /* first: what the test sees */
    struct list link;           /* in test->jobs, as they were enqueued */
    struct pit_test *test;
    const struct app_task *task; /* NULL: another application's */
    struct job_spec spec;        /* its texts are the test's */
    json_t *args;
    enum job_state state;
    bool running;
    bool holds_key;
    int64_t key_until_ms;                     /* monotonic, once it has ended */
    int64_t due_ms;                           /* monotonic */
    int64_t created_ms, started_ms, ended_ms; /* since the epoch; 0: not yet */
    int64_t began_ms;                         /* monotonic: the last start */
    int retries;                              /* used */
    struct job **parents;
    size_t parents_len;
    bool go_on;
    struct list waiters; /* jobs.c's */
    struct buf log;
    struct list lines; /* struct job_line: of the same */
    int64_t lines_len;
    bool told; /* jobs_follow_state() was called, with these two */
    enum job_state told_state;
    int told_attempt;
    struct loop_timer timer; /* the worker's */
    struct co *co;           /* of its attempt; NULL: none */
};

/* Waits that end when the job does; a key that is held no more; children that
 * are blocked no more. @state is one that jobs end in; @why: "" for none. */
void jobs_end(struct job *job, enum job_state state, const char *why);
/* It waits: for its parents, for its time, or for nobody. */
void jobs_wait(struct job *job);
void jobs_publish(struct job *job);
struct job *jobs_find(const struct pit_test *test, const char *id);
struct job *jobs_find_parts(const struct pit_test *test, struct str queue,
                            struct str local);
/* One of the application's with the task's own policy, for pit_test_run(). */
struct job *jobs_add(struct pit_test *test, const struct app_task *task,
                     struct str args);
/* For who follows: the state, if it is another than was told last; what an
 * attempt says. */
void jobs_follow_state(struct job *job);
void jobs_follow_progress(struct job *job, struct str progress);
void jobs_follow_line(struct job *job, struct str text);
/* Something changed: the worker, if there is one, looks at the job again, or at
 * all of them. */
void jobs_run_look(struct job *job);
void jobs_run_look_all(struct pit_test *test);

#endif
