/* process.h - one web process: a loop, Redis, the application, the front.
 *
 * Runs in a child of the supervisor (server.h) or in a short-lived child that
 * only looks whether it could. SIGTERM drains it: /readyz turns 503, whoever
 * waits for a job is answered, every answer closes its connection, what is
 * under way gets --grace, and the process ends with 0. SIGINT is ignored: a
 * terminal sends it to the whole group, and the supervisor makes a SIGTERM of
 * it. */
#ifndef WEB_PROCESS_H
#define WEB_PROCESS_H

#include <sys/types.h>

#include "base/error.h"
#include "settings.h"
#include "sockets.h"

struct process_options {
    const struct settings *settings;
    const struct sockets *sockets;   /* what to listen on; taken over */
    unsigned index;                  /* of this process among them */
    const unsigned char *ticket_key; /* of tls.h */
    int access_fd;                   /* -1: no access log; borrowed */
    int status_fd; /* for messages to the supervisor; non-blocking */
};

/* What a process tells its supervisor, in one write(). */
enum process_kind {
    PROCESS_SERVES,   /* it accepts connections from now on */
    PROCESS_IS_TIRED, /* --recycle-after has come: another one should start */
};
struct process_message {
    pid_t pid;
    enum process_kind kind;
};

/* Serves until it was told to stop. Returns the exit status: 0, or 1 with a
 * line in the log. */
int process_run(const struct process_options *options);

/* Loads the application and builds the route table, and gives both up again.
 * Errors: as loader_open(), views_route() and rds_new(). Runs application code
 * (constructors): call it in a process of its own. */
CHECK enum status process_check(const struct settings *settings,
                                struct error *err);

#endif
