/* Children: fork, reap, restart.
 *
 * All signals of interest are blocked and read from a signalfd, so nothing ever
 * runs inside a signal handler. SIGCHLD carries no information that is kept:
 * one stands for any number of deaths, so each is answered by waitpid() on
 * every pid of the table, and on no other (a library's child is not ours to
 * reap).
 *
 * A child's times are absolute monotonic milliseconds; each turn of the loop
 * does what is due and then sleeps until the next of them.
 *
 * The dispositions and the mask that the supervisor was started with are what a
 * child gets back, so that it may install its own. */
#include "base/children.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"

static const int handled[] = {SIGCHLD, SIGTERM, SIGINT,  SIGHUP,
                              SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU};
static sigset_t mask_before;

enum status
children_init(struct children *children,
              void (*on_signal)(struct children *children, int signo),
              void *arg, struct error *err)
{
    sigset_t mask;

    memset(children, 0, sizeof *children);
    list_init(&children->list);
    children->on_signal = on_signal;
    children->arg = arg;
    for (size_t i = 0; i < CHILDREN_WATCH_MAX; i++)
        children->watches[i].fd = -1;
    sigemptyset(&mask);
    for (size_t i = 0; i < ARRAY_LEN(handled); i++)
        sigaddset(&mask, handled[i]);
    children->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (children->signal_fd < 0)
        return error_set_sys(err, ST_LIMIT, errno, "signalfd");
    sigprocmask(SIG_BLOCK, &mask, &mask_before);
    return ST_OK;
}

void
children_add(struct children *children, struct child *child)
{
    assert(child->name && child->run);
    child->children = children;
    child->pid = 0;
    child->starts = 0;
    child->held = children->stopping;
    child->asked = false;
    child->early = 0;
    child->start_at_ms = 0;
    child->kill_at_ms = 0;
    list_append(&children->list, &child->link);
}

void
children_remove(struct child *child)
{
    assert(child->pid == 0);
    list_remove(&child->link);
    if (child->children->burying == child)
        child->children->burying = NULL;
}

void
children_watch(struct children *children, int fd,
               void (*fn)(struct children *children, int fd, void *arg),
               void *arg)
{
    for (size_t i = 0; i < CHILDREN_WATCH_MAX; i++)
        if (children->watches[i].fd < 0) {
            children->watches[i] = (struct children_watch){fd, fn, arg};
            return;
        }
    assert(!"more descriptors than CHILDREN_WATCH_MAX");
}

void
children_unwatch(struct children *children, int fd)
{
    for (size_t i = 0; i < CHILDREN_WATCH_MAX; i++)
        if (children->watches[i].fd == fd)
            children->watches[i].fd = -1;
}

void
children_cause(int wait_status, char *dst, size_t size)
{
    if (WIFSIGNALED(wait_status)) {
        int signo = WTERMSIG(wait_status);
        const char *name = sigabbrev_np(signo);
        snprintf(dst, size, name ? "signal %d (SIG%s)" : "signal %d", signo,
                 name);
    } else
        snprintf(dst, size, "exit status %d", WEXITSTATUS(wait_status));
}

/* The first moments of a child, from which it does not return. */
__attribute__((noreturn)) static void
be_child(struct child *child, pid_t supervisor)
{
    sigset_t mask = mask_before;

    close(child->children->signal_fd);
    process_die_with_parent(supervisor);
    if (child->term_blocked)
        sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    exit(child->run(child));
}

static void
back_off(struct child *child, int64_t now_ms)
{
    int64_t delay = 0;

    if (child->early > 1) {
        delay = CHILDREN_BACKOFF_MS;
        for (unsigned i = 2; i < child->early; i++)
            if ((delay *= 2) >= CHILDREN_BACKOFF_CAP_MS)
                break;
        if (delay > CHILDREN_BACKOFF_CAP_MS)
            delay = CHILDREN_BACKOFF_CAP_MS;
    }
    child->start_at_ms = now_ms + delay;
}

static void
start(struct child *child)
{
    pid_t supervisor = getpid();
    int64_t now_ms = clock_mono_ms();

    fflush(NULL); /* what is buffered must not be written twice */
    pid_t pid = fork();
    if (pid == 0)
        be_child(child, supervisor);
    if (pid < 0) {
        log_error("%s %u cannot be started: %s", child->name, child->index,
                  strerrorname_np(errno));
        child->early++;
        back_off(child, now_ms);
        return;
    }
    child->pid = pid;
    child->starts++;
    child->asked = false;
    child->kill_at_ms = 0;
    child->started_ms = now_ms;
    if (child->on_start)
        child->on_start(child);
}

static void
bury(struct child *child, int wait_status)
{
    int64_t now_ms = clock_mono_ms();
    struct child_death death = {
        .pid = child->pid,
        .wait_status = wait_status,
        .lived_ms = now_ms - child->started_ms,
        .asked = child->asked,
    };

    children_cause(wait_status, death.cause, sizeof death.cause);
    child->pid = 0;
    child->kill_at_ms = 0;
    if (death.asked || death.lived_ms >= CHILDREN_HEALTHY_MS)
        child->early = 0;
    else
        child->early++;
    struct children *children = child->children;
    children->burying = child;
    if (child->on_death)
        child->on_death(child, &death);
    else if (!death.asked)
        log_warn("%s %u (pid %ld) died: %s", child->name, child->index,
                 (long)death.pid, death.cause);
    if (children->burying == child && child->pid == 0)
        back_off(child, now_ms);
    children->burying = NULL;
}

static void
reap(struct children *children)
{
    LIST_FOREACH_SAFE (link, following, &children->list) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        int status;
        pid_t pid = child->pid ? waitpid(child->pid, &status, WNOHANG) : 0;
        if (pid > 0 && (WIFEXITED(status) || WIFSIGNALED(status)))
            bury(child, status);
    }
}

static void
read_signals(struct children *children)
{
    struct signalfd_siginfo info;
    bool died = false;

    while (read(children->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            died = true;
        else if (children->on_signal)
            children->on_signal(children, (int)info.ssi_signo);
    }
    if (died)
        reap(children);
}

static void
earlier(int64_t *at_ms, int64_t other_ms)
{
    if (*at_ms < 0 || other_ms < *at_ms)
        *at_ms = other_ms;
}

/* Does what is due. Returns when something falls due next, or -1. */
static int64_t
tick(struct children *children, int64_t now_ms, bool *ret_alive)
{
    int64_t next_ms = -1;

    *ret_alive = false;
    LIST_FOREACH_SAFE (link, following, &children->list) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        if (child->kill_at_ms && now_ms >= child->kill_at_ms) {
            child->kill_at_ms = 0;
            children_signal(child, SIGKILL);
        }
        if (child->kill_at_ms)
            earlier(&next_ms, child->kill_at_ms);
        if (child->pid == 0 && !child->held) {
            if (now_ms >= child->start_at_ms)
                start(child);
            if (child->pid == 0)
                earlier(&next_ms, child->start_at_ms);
        }
        *ret_alive |= child->pid != 0;
    }
    return next_ms;
}

static void
wait_for_news(struct children *children, int timeout_ms)
{
    struct pollfd fds[1 + CHILDREN_WATCH_MAX];
    size_t place[1 + CHILDREN_WATCH_MAX];
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = children->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < CHILDREN_WATCH_MAX; i++)
        if (children->watches[i].fd >= 0) {
            place[n] = i;
            fds[n++] = (struct pollfd){.fd = children->watches[i].fd,
                                       .events = POLLIN};
        }
    if (poll(fds, n, timeout_ms) <= 0)
        return;
    /* Owner's messages first: a death may be what they are about. */
    for (nfds_t i = 1; i < n; i++) {
        struct children_watch watch = children->watches[place[i]];
        if (fds[i].revents && watch.fd == fds[i].fd)
            watch.fn(children, watch.fd, watch.arg);
    }
    if (fds[0].revents)
        read_signals(children);
}

void
children_run(struct children *children)
{
    for (;;) {
        bool alive;
        int64_t now_ms = clock_mono_ms();
        int64_t next_ms = tick(children, now_ms, &alive);
        if (children->stopping && !alive)
            break;
        int64_t wait_ms = next_ms < 0         ? -1
                          : next_ms <= now_ms ? 0
                                              : next_ms - now_ms;
        wait_for_news(children, wait_ms > 60000 ? 60000 : (int)wait_ms);
    }
    close(children->signal_fd);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

void
children_stop(struct child *child, int signo, int64_t grace_ms, bool again)
{
    int64_t kill_at_ms = clock_mono_ms() + grace_ms;

    assert(grace_ms >= 0);
    child->held = !again || child->children->stopping;
    if (child->pid == 0)
        return;
    if (!child->kill_at_ms || kill_at_ms < child->kill_at_ms)
        child->kill_at_ms = kill_at_ms;
    child->asked = true;
    children_signal(child, signo);
}

void
children_stop_all(struct children *children, int signo, int64_t grace_ms)
{
    children->stopping = true;
    LIST_FOREACH (link, &children->list) {
        children_stop(LIST_ENTRY(link, struct child, link), signo, grace_ms,
                      false);
    }
}

void
children_start(struct child *child)
{
    child->held = child->children->stopping;
}

void
children_healthy(struct child *child)
{
    child->early = 0;
}

bool
children_signal(struct child *child, int signo)
{
    return child->pid > 0 && kill(child->pid, signo) == 0;
}
