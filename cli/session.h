/* session.h - one short visit to Redis: connect, do something, leave.
 *
 * A loop, a connection and the queues, around one coroutine that does the work
 * of a command. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "command.h"
#include "queue/queue.h"

/* The options that all commands with Redis have in common. */
struct session_options {
    const char *redis;
    int64_t timeout_ms; /* to connect, and for each command */
    bool json;
};

/* Their rows, for a command whose options struct has a member `session`. */
#define SESSION_OPTIONS(type)                                               \
    {.name = "redis",                                                       \
     .value_name = "URL",                                                   \
     .kind = CONFIG_STRING,                                                 \
     .offset = offsetof(type, session.redis),                               \
     .standard = "redis://127.0.0.1:6379",                                  \
     .secret = true,                                                        \
     .help = "redis://[user[:password]@]host[:port][/db] or unix:///path"}, \
        {.name = "timeout",                                                 \
         .value_name = "TIME",                                              \
         .kind = CONFIG_DURATION,                                           \
         .offset = offsetof(type, session.timeout_ms),                      \
         .standard = "2s",                                                  \
         .min = 1,                                                          \
         .max = 3600000,                                                    \
         .help = "how long to wait for Redis"},                             \
    {                                                                       \
        .name = "json", .kind = CONFIG_BOOL,                                \
        .offset = offsetof(type, session.json), .help = "print JSON"        \
    }

struct session {
    const struct command *command;
    const struct session_options *options;
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
    struct error err; /* what run() says when it does not return ST_OK */
    void *arg;
    int exit; /* what run() wants the program to end with */
};

/* Connects and calls run() in a coroutine. Returns the exit status: session->
 * exit when it returned ST_OK, else COMMAND_USAGE for ST_INVALID and
 * COMMAND_FAILED for all others, after one line on standard error. */
int session_run(const struct command *command,
                const struct session_options *options,
                enum status (*run)(struct co *co, struct session *session),
                void *arg);

#endif
