/* Server: forks what serves.
 *
 * GENERATIONS. What one reading of the settings led to is a generation: the
 * settings themselves, the sockets, the access log. An instance is one process
 * with a generation and a place (an index, which decides about its sockets).
 * There is one serving instance a place; another one of the same place starts
 * beside it when it is to be replaced, takes connections from the same sockets,
 * and only once it says that it serves the old one is told to leave.
 *
 *   RELOAD   read settings -> check them in a child (it loads the application)
 *            -> open new addresses -> start an instance for each place
 *            -> all of them serve: the old ones leave
 *   What fails before the last step is logged, and the old generation has never
 *   stopped serving. The number of processes is changed afterwards, one by one.
 *
 * LEAVING. An instance that is told to leave still accepts for a moment, from
 * sockets that the new one accepts from as well; sockets that are given up are
 * treated as sockets.c says. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "figures.h"
#include "generation.h"
#include "notify.h"
#include "process.h"
#include "sockets.h"
#include "watch.h"

enum {
    KILL_AFTER_MS = 3000,    /* past the grace: a process that hangs */
    START_WITHIN_MS = 30000, /* a new instance during a reload */
    SETTLE_MS = 100,         /* after the last change of a watched file */
    NAMES_SIZE = 512,
};

enum instance_state {
    INSTANCE_STARTING,
    INSTANCE_SERVING,
    INSTANCE_LEAVING,
};

struct instance {
    struct child child;
    struct list link;
    struct server *server;
    struct generation *generation;
    enum instance_state state;
    bool replaced; /* its successor is starting */
};

struct server {
    const struct settings_source *source;
    struct children children;
    struct list instances;
    struct generation *current;
    struct generation *next; /* during a reload */
    struct child checker;    /* looks whether the next one would do */
    bool checking;
    bool again;      /* another reload was asked for meanwhile */
    int status_fd;   /* instances write to [1] */
    int status_read; /* and we read here */
    int timer_fd;    /* the end of a reload's patience */
    int settle_fd;   /* the end of a file's changes */
    struct watch watch;
    unsigned places;
    bool ready; /* all have served once */
    bool stopping;
};

/* ---- instances ---- */

static void reload_failed(struct server *server, const char *why);
static void scale(struct server *server);

/* In the child: a socket or a log of another generation must not live as long
 * as this process. */
static void
close_others(struct server *server, const struct generation *own)
{
    LIST_FOREACH (link, &server->instances) {
        struct generation *other =
            LIST_ENTRY(link, struct instance, link)->generation;
        if (other == own)
            continue;
        sockets_close(&other->sockets);
        if (other->access_fd >= 0)
            close(other->access_fd);
        other->access_fd = -1;
    }
}

/* In the child. */
static int
run_instance(struct child *child)
{
    struct instance *instance = child->arg;
    struct server *server = instance->server;
    struct generation *generation = instance->generation;

    close_others(server, generation);
    sockets_keep(&generation->sockets, child->index);
    close(server->status_read);
    close(server->timer_fd);
    close(server->settle_fd);
    if (server->watch.fd >= 0)
        close(server->watch.fd);
    log_init("pit-web", generation->settings.level,
             generation->settings.log_json);
    return process_run(&(struct process_options){
        .settings = &generation->settings,
        .sockets = &generation->sockets,
        .index = child->index,
        .ticket_key = generation->ticket_key,
        .access_fd = generation->access_fd,
        .status_fd = server->status_fd,
    });
}

static void
on_instance_death(struct child *child, const struct child_death *death)
{
    struct instance *instance = child->arg;
    struct server *server = instance->server;
    bool of_next = server->next && instance->generation == server->next;

    if (!death->asked)
        log_warn("%s %u (pid %ld) died: %s", child->name, child->index,
                 (long)death->pid, death->cause);
    if (instance->state != INSTANCE_LEAVING && !of_next && !server->stopping) {
        instance->state = INSTANCE_STARTING; /* it is started again */
        return;
    }
    children_remove(child);
    list_remove(&instance->link);
    generation_unref(instance->generation);
    free(instance);
    if (of_next)
        reload_failed(server, "a new process did not come up");
}

static void
add_instance(struct server *server, struct generation *generation,
             unsigned index)
{
    struct instance *instance = xcalloc(1, sizeof *instance);

    generation->refs++;
    instance->server = server;
    instance->generation = generation;
    instance->child = (struct child){
        .name = "pit-web",
        .index = index,
        .run = run_instance,
        .on_death = on_instance_death,
        .arg = instance,
        .term_blocked = true,
    };
    list_append(&server->instances, &instance->link);
    children_add(&server->children, &instance->child);
}

static void
let_leave(struct instance *instance)
{
    if (instance->state == INSTANCE_LEAVING)
        return;
    instance->state = INSTANCE_LEAVING;
    children_stop(&instance->child, SIGTERM,
                  instance->generation->settings.grace + KILL_AFTER_MS, false);
}

/* One that is not running has nobody who would notice its death. */
static void
forget_if_down(struct instance *instance)
{
    if (instance->child.pid != 0)
        return;
    children_remove(&instance->child);
    list_remove(&instance->link);
    generation_unref(instance->generation);
    free(instance);
}

/* Not within an on_death: the table is walked there. */
static void
sweep(struct server *server)
{
    LIST_FOREACH_SAFE (link, following, &server->instances) {
        struct instance *instance = LIST_ENTRY(link, struct instance, link);
        if (instance->state == INSTANCE_LEAVING)
            forget_if_down(instance);
    }
}

static void
dismiss(struct instance *instance)
{
    let_leave(instance);
    forget_if_down(instance);
}

/* ---- reload ---- */

static void
set_timer(int fd, int64_t ms)
{
    struct itimerspec spec = {.it_value = {ms / 1000, ms % 1000 * 1000000}};

    (void)timerfd_settime(fd, 0, &spec, NULL);
}

static void
watch_files(struct server *server)
{
    if (server->watch.fd < 0)
        return;
    watch_reset(&server->watch);
    watch_add(&server->watch, server->current->settings.app);
    watch_add(&server->watch, settings_file(server->source));
}

static void begin_reload(struct server *server);

static void
end_reload(struct server *server)
{
    set_timer(server->timer_fd, 0);
    notify_send("READY=1");
    if (server->again) {
        server->again = false;
        begin_reload(server);
    }
}

static void
reload_failed(struct server *server, const char *why)
{
    struct generation *next = server->next;

    if (!next)
        return;
    server->next = NULL;
    log_error("reload refused: %s; the old processes go on", why);
    LIST_FOREACH (link, &server->instances) {
        struct instance *instance = LIST_ENTRY(link, struct instance, link);
        if (instance->generation == next)
            let_leave(instance);
    }
    generation_unref(next);
    end_reload(server);
}

/* Every place has an instance of the next generation that serves. */
static void
commit_reload(struct server *server)
{
    struct generation *before = server->current;
    struct sockets *kept = &server->next->sockets;
    char names[NAMES_SIZE];

    server->current = server->next;
    server->next = NULL;
    sockets_refuse(&before->sockets, kept);
    LIST_FOREACH_SAFE (link, following, &server->instances) {
        struct instance *instance = LIST_ENTRY(link, struct instance, link);
        if (instance->generation != server->current)
            dismiss(instance);
    }
    /* What the old ones have not accepted yet waits in their own copies. */
    sockets_close(&before->sockets);
    generation_unref(before);
    log_init("pit-web", server->current->settings.level,
             server->current->settings.log_json);
    sockets_names(&server->current->sockets, names, sizeof names);
    log_info("reloaded: listening on %s", names);
    server->places = (unsigned)server->current->settings.processes;
    scale(server);
    watch_files(server);
    end_reload(server);
}

static unsigned
count_instances(const struct server *server, const struct generation *of,
                enum instance_state state)
{
    unsigned n = 0;

    LIST_FOREACH (link, &server->instances) {
        const struct instance *instance =
            LIST_ENTRY(link, struct instance, link);
        /* Those that were freed are unlinked. */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        n += instance->generation == of && instance->state == state;
    }
    return n;
}

static unsigned
places_of(const struct server *server, const struct generation *of)
{
    unsigned n = 0;

    LIST_FOREACH (link, &server->instances) {
        const struct instance *instance =
            LIST_ENTRY(link, struct instance, link);
        if (instance->generation == of && instance->state != INSTANCE_LEAVING &&
            instance->child.index >= n)
            n = instance->child.index + 1;
    }
    return n;
}

/* The next generation would do: its sockets, then its processes. */
static void
start_next(struct server *server)
{
    struct generation *next = server->next;
    unsigned places = places_of(server, server->current);
    struct error err;

    if (sockets_open(next->settings.listen, places, &server->current->sockets,
                     &next->sockets, &err) != ST_OK) {
        reload_failed(server, err.msg);
        return;
    }
    for (unsigned i = 0; i < places; i++)
        add_instance(server, next, i);
    set_timer(server->timer_fd, START_WITHIN_MS);
}

static int
run_checker(struct child *child)
{
    struct server *server = child->arg;
    struct error err;

    enum status st = process_check(&server->next->settings, &err);
    if (st != ST_OK)
        log_error("%s", err.msg);
    return st == ST_OK ? 0 : 1;
}

static void
on_checker_death(struct child *child, const struct child_death *death)
{
    struct server *server = child->arg;
    char why[128];

    children_remove(child);
    server->checking = false;
    if (!server->next || server->stopping)
        return;
    if (WIFEXITED(death->wait_status) && WEXITSTATUS(death->wait_status) == 0) {
        start_next(server);
        return;
    }
    if (WIFEXITED(death->wait_status))
        str_copy_to(STR("see the line above"), why, sizeof why);
    else
        snprintf(why, sizeof why, "loading the application ended with %s",
                 death->cause);
    reload_failed(server, why);
}

static void
begin_reload(struct server *server)
{
    struct error err;

    if (server->next || server->checking) {
        server->again = true;
        return;
    }
    log_info("reloading");
    notify_send("RELOADING=1");
    if (generation_new(server->source, &server->next, &err) != ST_OK) {
        log_error("reload refused: %s; the old processes go on", err.msg);
        end_reload(server);
        return;
    }
    server->checker = (struct child){.name = "pit-web",
                                     .run = run_checker,
                                     .on_death = on_checker_death,
                                     .arg = server};
    server->checking = true;
    children_add(&server->children, &server->checker);
    set_timer(server->timer_fd, START_WITHIN_MS);
}

static void
on_timer(struct children *children, int fd, void *arg)
{
    struct server *server = arg;
    uint64_t times;

    (void)children;
    sweep(server);
    if (read(fd, &times, sizeof times) != sizeof times)
        return;
    if (server->checking) /* its death ends the reload */
        children_signal(&server->checker, SIGKILL);
    else
        reload_failed(server, "the new processes do not serve in time");
}

/* ---- what instances tell ---- */

static struct instance *
find_instance(struct server *server, pid_t pid)
{
    LIST_FOREACH (link, &server->instances) {
        struct instance *instance = LIST_ENTRY(link, struct instance, link);
        if (instance->child.pid == pid)
            return instance;
    }
    return NULL;
}

/* @instance serves: the one whose place it takes may go. */
static void
on_serving(struct server *server, struct instance *instance)
{
    if (instance->state != INSTANCE_STARTING)
        return;
    instance->state = INSTANCE_SERVING;
    if (server->next && instance->generation == server->next) {
        if (count_instances(server, server->next, INSTANCE_STARTING) == 0)
            commit_reload(server);
        return;
    }
    LIST_FOREACH_SAFE (link, following, &server->instances) {
        struct instance *other = LIST_ENTRY(link, struct instance, link);
        if (other != instance && other->replaced &&
            other->generation == instance->generation &&
            other->child.index == instance->child.index)
            dismiss(other);
    }
    if (!server->ready &&
        count_instances(server, server->current, INSTANCE_STARTING) == 0) {
        server->ready = true;
        notify_send("READY=1");
    }
}

static void
on_tired(struct server *server, struct instance *instance)
{
    /* During a reload it is replaced anyhow. */
    if (instance->state != INSTANCE_SERVING || instance->replaced ||
        server->next)
        return;
    log_info("pit-web %u (pid %ld) has served its requests and is replaced",
             instance->child.index, (long)instance->child.pid);
    instance->replaced = true;
    add_instance(server, instance->generation, instance->child.index);
}

static void
on_status(struct children *children, int fd, void *arg)
{
    struct server *server = arg;
    struct process_message message;

    (void)children;
    sweep(server);
    while (read(fd, &message, sizeof message) == sizeof message) {
        struct instance *instance = find_instance(server, message.pid);
        if (!instance || server->stopping)
            continue;
        if (message.kind == PROCESS_SERVES)
            on_serving(server, instance);
        else if (message.kind == PROCESS_IS_TIRED)
            on_tired(server, instance);
    }
}

/* ---- more and fewer ---- */

static void
one_more(struct server *server, unsigned index)
{
    struct error err;

    if (sockets_grow(&server->current->sockets, &err) != ST_OK) {
        log_error("no further process: %s", err.msg);
        server->places = index;
        return;
    }
    add_instance(server, server->current, index);
}

static void
one_less(struct server *server, unsigned index)
{
    sockets_steer_off_last(&server->current->sockets);
    LIST_FOREACH_SAFE (link, following, &server->instances) {
        struct instance *instance = LIST_ENTRY(link, struct instance, link);
        if (instance->generation == server->current &&
            instance->child.index == index)
            dismiss(instance);
    }
    sockets_shrink(&server->current->sockets);
}

/* Makes the number of places what it should be. */
static void
scale(struct server *server)
{
    unsigned have = places_of(server, server->current);

    if (server->next) /* afterwards */
        return;
    while (have < server->places)
        one_more(server, have++);
    while (have > server->places)
        one_less(server, --have);
}

static void
scale_by(struct server *server, int step)
{
    int64_t wanted = (int64_t)server->places + step;

    if (wanted < 1 || wanted > SETTINGS_PROCESSES_MAX) {
        log_warn("the number of processes stays %u: it may be 1 to %d",
                 server->places, SETTINGS_PROCESSES_MAX);
        return;
    }
    if (server->next || server->checking) {
        log_warn("the number of processes stays %u: a reload is under way",
                 server->places);
        return;
    }
    server->places = (unsigned)wanted;
    scale(server);
    log_info("%u process%s", server->places, server->places == 1 ? "" : "es");
}

/* ---- signals ---- */

static void
stop(struct server *server)
{
    struct children *children = &server->children;
    int64_t grace = server->current->settings.grace;
    char words[CLOCK_WORDS_SIZE];

    if (server->stopping) {
        log_warn("stopping at once");
        children_stop_all(children, SIGKILL, 0);
        return;
    }
    server->stopping = true;
    log_info("stopping: requests under way have %s", clock_words(grace, words));
    notify_send("STOPPING=1");
    sockets_refuse(&server->current->sockets, NULL);
    children_stop_all(children, SIGTERM, grace + KILL_AFTER_MS);
    sockets_close(&server->current->sockets);
    if (server->next)
        sockets_close(&server->next->sockets);
}

static void
on_signal(struct children *children, int signo)
{
    struct server *server = children->arg;

    if (signo == SIGTERM || signo == SIGINT)
        stop(server);
    if (server->stopping)
        return;
    if (signo == SIGHUP)
        begin_reload(server);
    if (signo == SIGTTIN || signo == SIGTTOU)
        scale_by(server, signo == SIGTTIN ? 1 : -1);
    if (signo == SIGUSR1)
        LIST_FOREACH (link, &server->instances) {
            children_signal(&LIST_ENTRY(link, struct instance, link)->child,
                            SIGUSR1);
        }
}

/* A linker writes a file several times: the reload waits for the last one. */
static void
on_files(struct children *children, int fd, void *arg)
{
    struct server *server = arg;

    (void)children;
    (void)fd;
    if (watch_read(&server->watch))
        set_timer(server->settle_fd, SETTLE_MS);
}

static void
on_settled(struct children *children, int fd, void *arg)
{
    struct server *server = arg;
    uint64_t times;

    (void)children;
    if (read(fd, &times, sizeof times) != sizeof times || server->stopping)
        return;
    log_info("--reload: a file has changed");
    begin_reload(server);
}

/* ---- the beginning ---- */

/* Loading runs the application's constructors: in a process that ends. */
static bool
check_in_child(const struct settings *settings)
{
    struct error err;
    int wait_status = 0;
    pid_t pid = fork();

    if (pid < 0) {
        log_error("cannot fork: errno %d", errno);
        return false;
    }
    if (pid == 0) {
        enum status st = process_check(settings, &err);
        if (st != ST_OK)
            log_error("%s", err.msg);
        _exit(st == ST_OK ? 0 : 1);
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(wait_status))
        return WEXITSTATUS(wait_status) == 0;
    char cause[CHILDREN_CAUSE_MAX];
    children_cause(wait_status, cause, sizeof cause);
    log_error("--app %s: loading it ended with %s",
              settings->app ? settings->app : "(none)", cause);
    return false;
}

static enum status
open_descriptors(struct server *server, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_set_sys(err, ST_LIMIT, errno, "no descriptor");
    server->status_read = ends[0];
    server->status_fd = ends[1];
    server->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    server->settle_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (server->timer_fd < 0 || server->settle_fd < 0)
        return error_set_sys(err, ST_LIMIT, errno, "no descriptor");
    children_watch(&server->children, server->status_read, on_status, server);
    children_watch(&server->children, server->timer_fd, on_timer, server);
    children_watch(&server->children, server->settle_fd, on_settled, server);
    return ST_OK;
}

static void
serve(struct server *server)
{
    char names[NAMES_SIZE];

    if (server->current->settings.reload && watch_init(&server->watch)) {
        children_watch(&server->children, server->watch.fd, on_files, server);
        watch_files(server);
    }
    for (unsigned i = 0; i < server->places; i++)
        add_instance(server, server->current, i);
    sockets_names(&server->current->sockets, names, sizeof names);
    log_info("listening on %s, %u process%s", names, server->places,
             server->places == 1 ? "" : "es");
    children_run(&server->children);
    log_info("stopped");
}

int
server_run(const struct settings_source *source)
{
    struct server server = {.source = source};
    struct error err;
    int exit_status = SERVER_EXIT_USAGE;

    list_init(&server.instances);
    server.watch.fd = server.status_read = server.status_fd = -1;
    server.timer_fd = server.settle_fd = -1;
    notify_init();
    enum status st = sockets_take_handed(&err);
    if (st == ST_OK)
        st = generation_new(source, &server.current, &err);
    if (st != ST_OK) {
        log_error("%s", err.msg);
        return exit_status;
    }
    const struct settings *settings = &server.current->settings;
    log_init("pit-web", settings->level, settings->log_json);
    server.places = (unsigned)settings->processes;
    st = sockets_open(settings->listen, server.places, NULL,
                      &server.current->sockets, &err);
    figures_share();
    if (st == ST_OK && !check_in_child(settings))
        goto out;
    if (st == ST_OK)
        st = children_init(&server.children, on_signal, &server, &err);
    if (st == ST_OK)
        st = open_descriptors(&server, &err);
    if (st != ST_OK) {
        log_error("%s", err.msg);
        goto out;
    }
    serve(&server);
    exit_status = SERVER_EXIT_OK;
out:
    generation_unref(server.next);
    generation_unref(server.current);
    return exit_status;
}
