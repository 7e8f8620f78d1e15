/* redis_server.h - a real, private redis-server for tests in C.
 *
 * It listens on a unix socket in a directory of its own under /tmp, dies with
 * the test (PR_SET_PDEATHSIG) and is ended by its id. Every wait has a
 * deadline; what goes wrong here fails the cmocka test, or skips it when there
 * is no redis-server. One thread. */
#ifndef HARNESS_REDIS_SERVER_H
#define HARNESS_REDIS_SERVER_H

#include <stdbool.h>

struct redis_server;

/* @options: more arguments, as {"--requirepass", "x", NULL}; may be NULL.
 * Returns when it answers PING. */
struct redis_server *redis_server_start(const char *const *options);
/* Ends it (kill -9), removes its directory. NULL is fine. */
void redis_server_free(struct redis_server *server);
/* "/tmp/.../redis.sock" */
const char *redis_server_path(const struct redis_server *server);
/* "unix:///tmp/.../redis.sock" */
const char *redis_server_url(const struct redis_server *server);

/* kill -9, and waits for the end. */
void redis_server_kill(struct redis_server *server);
/* Starts it again, with the same data, after redis_server_kill(). */
void redis_server_restart(struct redis_server *server);
/* SIGSTOP, returns when it stands still; and SIGCONT. */
void redis_server_stop(struct redis_server *server);
void redis_server_continue(struct redis_server *server);
/* Sends one command line ("SCRIPT FLUSH") on a connection of its own and
 * expects an answer that begins with @want ("+OK"). */
void redis_server_command(struct redis_server *server, const char *line,
                          const char *want);

/* main()'s last line, return redis_server_run_tests(tests): runs the array
 * @tests of cmocka with one server for all of them. */
#define redis_server_run_tests(tests)                        \
    cmocka_run_group_tests(tests, redis_server_begin_shared, \
                           redis_server_end_shared)
/* That server, for as long as they run. */
struct redis_server *redis_server_shared(void);
/* Fixtures of cmocka, for the macro. */
int redis_server_begin_shared(void **state);
int redis_server_end_shared(void **state);

#endif
