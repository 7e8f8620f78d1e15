/* rds_fixture.h - a loop, a fake Redis and a connection between them.
 *
 * Every wait has a deadline (FIXTURE_DEADLINE_MS) and fails the cmocka test
 * when that passes. */
#ifndef HARNESS_RDS_FIXTURE_H
#define HARNESS_RDS_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "async/loop.h"
#include "async/redis/rds.h"
#include "harness/fake_redis.h"

enum { FIXTURE_DEADLINE_MS = 10000 };

struct rds_fixture {
    struct loop *loop;
    struct fake_redis *fake;
    struct rds *rds;
    char url[160];
    int came_up; /* calls of on_state(true) */
    int went_down;
};

/* A call whose end is counted. */
struct rds_seen {
    struct rds_call call;
    int settled;
    enum status status;
};

/* Starts the fake with @steps and connects to it. @options may be NULL; its
 * url, on_state and arg are not used. */
void rds_fixture_begin(struct rds_fixture *fixture,
                       const struct fake_redis_step *steps,
                       const struct rds_options *options);
/* The same, over TCP, by the name "localhost". */
void rds_fixture_begin_tcp(struct rds_fixture *fixture,
                           const struct fake_redis_step *steps);
/* Connects to @url (of a real Redis). */
void rds_fixture_connect(struct rds_fixture *fixture, const char *url,
                         const struct rds_options *options);
/* Frees all, and fails the test when the script did not run to its end. */
void rds_fixture_end(struct rds_fixture *fixture);

/* Runs the loop until it is (not) up. */
void rds_fixture_wait_up(struct rds_fixture *fixture);
void rds_fixture_wait_down(struct rds_fixture *fixture);
/* Runs the loop until rds_last_error() holds @words. */
void rds_fixture_wait_error(struct rds_fixture *fixture, const char *words);
/* Runs the loop until the fake's script is through. */
void rds_fixture_wait_script(struct rds_fixture *fixture);
/* Sends words, separated by single spaces; rds_fixture_wait() for the end. */
void rds_fixture_send(struct rds_fixture *fixture, struct rds_seen *seen,
                      const char *words);
void rds_fixture_send_script(struct rds_fixture *fixture, struct rds_seen *seen,
                             const struct rds_script *script, int nkeys,
                             const char *words);
enum status rds_fixture_wait(struct rds_fixture *fixture,
                             struct rds_seen *seen);
/* Send, wait. */
enum status rds_fixture_ask(struct rds_fixture *fixture, struct rds_seen *seen,
                            const char *words);

#endif
