/* children.h - a supervisor's table of child processes and its loop.
 *
 * The supervisor forks each child, waits for their deaths, starts them again
 * with back-off and stops them with a grace time. It is one plain poll() loop
 * over a signalfd: no library's state is there to be inherited by a fork, and
 * application code never runs in it. Children are killed when the supervisor
 * dies, however it dies (PR_SET_PDEATHSIG).
 *
 * One table a process, in the owner's storage, used by its only thread. The
 * struct children and each struct child must stay where they are until
 * children_run() has returned. A fork that fails counts as a child that died at
 * once: it is logged and tried again. */
#ifndef BASE_CHILDREN_H
#define BASE_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"

enum {
    CHILDREN_WATCH_MAX = 8, /* descriptors of the owner */
    CHILDREN_HEALTHY_MS = 1000,
    CHILDREN_BACKOFF_MS = 100,
    CHILDREN_BACKOFF_CAP_MS = 5000,
    CHILDREN_CAUSE_MAX = 64, /* bytes of a death in words, with its NUL */
};

struct children;
struct child;

/* How a child ended. */
struct child_death {
    pid_t pid;
    int wait_status; /* as waitpid() gave it */
    int64_t lived_ms;
    bool asked; /* children_stop_all() or children_stop() came before */
    char cause[CHILDREN_CAUSE_MAX]; /* "signal 11 (SIGSEGV)", "exit status 3" */
};

/* One place in the table. The first part is the owner's, set before
 * children_add(); the rest is written by the table alone. */
struct child {
    const char *name; /* for the log: "pit-web"; borrowed */
    unsigned index;
    /* The child's life, called in the forked process, with the signal mask and
     * the dispositions that the supervisor had before children_init(); what it
     * returns is the exit status. */
    int (*run)(struct child *child);
    /* In the supervisor, after a fork; may be NULL. */
    void (*on_start)(struct child *child);
    /* In the supervisor, once it was reaped, before it is started again; may
     * call any function here. NULL: nothing but a line in the log. */
    void (*on_death)(struct child *child, const struct child_death *death);
    void *arg;
    /* @run begins with SIGTERM blocked and lets it in itself, once it can
     * handle it: one that comes earlier waits instead of killing it. */
    bool term_blocked;

    struct list link;
    struct children *children;
    pid_t pid;          /* 0: not running */
    uint64_t starts;    /* forks so far */
    bool held;          /* not to be started again */
    bool asked;         /* to stop */
    unsigned early;     /* deaths before CHILDREN_HEALTHY_MS in a row */
    int64_t started_ms; /* monotonic */
    int64_t start_at_ms;
    int64_t kill_at_ms; /* 0: no SIGKILL is due */
};

struct children_watch {
    int fd; /* -1: a free place */
    void (*fn)(struct children *children, int fd, void *arg);
    void *arg;
};

struct children {
    struct list list;
    int signal_fd;
    bool stopping;
    /* Called for SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN,
     * SIGTTOU. */
    void (*on_signal)(struct children *children, int signo);
    void *arg;
    struct child *burying; /* its on_death is being called */
    struct children_watch watches[CHILDREN_WATCH_MAX];
};

/* Takes the signals over: from now on they come through @on_signal. No thread
 * may have been started yet. Errors: ST_LIMIT, no descriptor left. */
CHECK enum status children_init(struct children *children,
                                void (*on_signal)(struct children *children,
                                                  int signo),
                                void *arg, struct error *err);

/* Adds a child, to be started by the loop. */
void children_add(struct children *children, struct child *child);

/* Takes a child that is not running out of the table, for good; also within
 * its own on_death. Its storage is the owner's again. */
void children_remove(struct child *child);

/* Calls @fn when @fd can be read or its other end is closed. The descriptor
 * stays the owner's; children inherit it unless it is close-on-exec and they
 * exec, so a child's run closes what is not its own. At most
 * CHILDREN_WATCH_MAX. */
void children_watch(struct children *children, int fd,
                    void (*fn)(struct children *children, int fd, void *arg),
                    void *arg);
void children_unwatch(struct children *children, int fd);

/* Starts, reaps and restarts until children_stop_all() was called and no child
 * is alive. */
void children_run(struct children *children);

/* Sends @signo to every child, SIGKILL to those that are alive after
 * @grace_ms >= 0; none is started again. A later call may only shorten. */
void children_stop_all(struct children *children, int signo, int64_t grace_ms);

/* The same for one. With @again it is started anew once it is dead, at once;
 * else it stays down until children_start(). */
void children_stop(struct child *child, int signo, int64_t grace_ms,
                   bool again);
/* Lets a child that is held down start again, once its back-off is over. */
void children_start(struct child *child);
/* Forgets early deaths: the next restart is immediate. For an owner who knows
 * better than a clock that the child was well; also within on_death(). */
void children_healthy(struct child *child);
/* False when it is not running; @signo as kill(2). Never hits another process:
 * an id is free only after the table has reaped it. */
bool children_signal(struct child *child, int signo);

/* "signal 9 (SIGKILL)", "exit status 3"; @size >= CHILDREN_CAUSE_MAX. */
void children_cause(int wait_status, char *dst, size_t size);

#endif
