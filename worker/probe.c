/* Probe: the child writes one line a task to a pipe, "name kind queue json",
 * one a schedule, "@ name queue json", and "= name" for the application; or one
 * line
 * "! status message". Names hold no spaces and JSON no newlines. */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/loader.h"
#include "app/task/task_entry.h"
#include "async/file.h"
#include "base/buf.h"
#include "base/children.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"

enum {
    TEXT_MAX = 4 * 1024 * 1024, /* APP_TASKS_MAX lines of what app.h allows */
    TIME_MAX_MS = 30 * 1000,
};

static void
write_task(const struct app_task *task, struct buf *text)
{
    buf_addf(text, "%s %c %s ", task->name, task->async ? 'a' : 's',
             task->queue);
    task_entry_write(task, text);
    buf_add_char(text, '\n');
}

static void
write_schedule(const struct schedule *s, struct buf *text)
{
    buf_addf(text, "@ %.*s %.*s ", STR_ARG(s->name), STR_ARG(s->spec.queue));
    schedule_declare(s, text);
    buf_add_char(text, '\n');
}

static void
write_app(const struct app *app, struct buf *text)
{
    buf_addf(text, "= %s  \n", app->name);
    for (size_t i = 0; i < app->tasks_len; i++)
        write_task(&app->tasks[i], text);
    for (size_t i = 0; i < app->schedules_len; i++)
        write_schedule(&app->schedules[i], text);
}

__attribute__((noreturn)) static void
be_child(const char *path, int fd)
{
    struct loader loader;
    struct error err;
    struct buf text;

    buf_init(&text, TEXT_MAX);
    if (loader_open(path, &loader, &err) != ST_OK)
        buf_addf(&text, "! %d %s\n", (int)err.status, err.msg);
    else
        write_app(&loader.app, &text);
    _exit(!file_write_all(fd, text.p, text.len) || text.failed);
}

/* Reads to the end of the pipe. */
static enum status
read_all(int fd, struct buf *text, struct error *err)
{
    int64_t end_ms = clock_mono_ms() + TIME_MAX_MS;

    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        int64_t left_ms = end_ms - clock_mono_ms();
        if (left_ms <= 0)
            return error_set(err, ST_TIMEOUT,
                             "loading the application took longer than %d s",
                             TIME_MAX_MS / 1000);
        if (poll(&pollfd, 1, (int)left_ms) <= 0)
            continue;
        char *room = buf_room(text, 4096);
        if (!room)
            return error_set(err, ST_TOO_LARGE, "too many tasks");
        ssize_t n = read(fd, room, 4096);
        if (n == 0)
            return ST_OK;
        if (n > 0)
            buf_grew(text, (size_t)n);
        else if (errno != EINTR)
            return error_set_sys(err, ST_FAILED, errno, "pipe");
    }
}

static enum status
add_task(struct probe *probe, struct probe_task task, struct error *err)
{
    if (probe->tasks_len == APP_TASKS_MAX)
        return error_set(err, ST_TOO_LARGE, "too many tasks");
    probe->tasks[probe->tasks_len++] = task;
    return ST_OK;
}

static enum status
add_schedule(struct probe *probe, struct probe_schedule schedule,
             struct error *err)
{
    if (probe->schedules_len == APP_SCHEDULES_MAX)
        return error_set(err, ST_TOO_LARGE, "too many schedules");
    probe->schedules[probe->schedules_len++] = schedule;
    return ST_OK;
}

/* Takes the lines apart in place. */
static enum status
read_lines(struct probe *probe, char *text, struct error *err)
{
    char *line, *rest = text;

    while ((line = strsep(&rest, "\n")) && *line) {
        char *name = strsep(&line, " ");
        char *kind = strsep(&line, " ");
        if (*name == '!' && kind && line)
            return error_set(err, (enum status)strtol(kind, NULL, 10), "%s",
                             line);
        char *queue = strsep(&line, " ");
        if (!kind || !queue || !line)
            return error_set(err, ST_FAILED,
                             "loading the application: it wrote '%.40s'", name);
        enum status st = ST_OK;
        if (*name == '=')
            probe->app = kind;
        else if (*name == '@')
            st = add_schedule(probe,
                              (struct probe_schedule){
                                  .name = kind, .queue = queue, .json = line},
                              err);
        else
            st = add_task(probe,
                          (struct probe_task){.name = name,
                                              .queue = queue,
                                              .async = *kind == 'a',
                                              .json = line},
                          err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status
probe_app(const char *path, struct probe *ret, struct error *err)
{
    struct probe probe = {0};
    char cause[CHILDREN_CAUSE_MAX];
    struct buf text;
    int fds[2], wait_status;
    enum status st;

    buf_init(&text, TEXT_MAX);
    if (pipe(fds) < 0)
        return error_set_sys(err, ST_LIMIT, errno, "pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        process_die_with_parent(parent);
        close(fds[0]);
        be_child(path, fds[1]);
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return error_set_sys(err, ST_LIMIT, errno, "fork");
    }
    st = read_all(fds[0], &text, err);
    close(fds[0]);
    if (st != ST_OK)
        kill(pid, SIGKILL);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (st != ST_OK)
        goto out;
    if (wait_status != 0) {
        children_cause(wait_status, cause, sizeof cause);
        st = error_set(err, ST_FAILED, "loading %s: %s", path, cause);
        goto out;
    }
    buf_add_char(&text, '\0');
    if (text.failed) {
        st = error_set(err, ST_TOO_LARGE, "too many tasks");
        goto out;
    }
    probe.tasks = xcalloc(APP_TASKS_MAX, sizeof *probe.tasks);
    probe.schedules = xcalloc(APP_SCHEDULES_MAX, sizeof *probe.schedules);
    st = read_lines(&probe, text.p, err);
    if (st == ST_OK) {
        probe.text = text.p;
        *ret = probe;
        return ST_OK;
    }
    free(probe.tasks);
    free(probe.schedules);
out:
    buf_clear(&text);
    return st;
}

void
probe_clear(struct probe *probe)
{
    free(probe->tasks);
    free(probe->schedules);
    free(probe->text);
    *probe = (struct probe){0};
}

static int
compare_name(const void *key, const void *element)
{
    const struct str *name = key;
    const char *other = ((const struct probe_task *)element)->name;
    int order = strncmp(name->p, other, name->n);

    /* Equal so far: the shorter one comes first, as strcmp() has it. */
    return order == 0 && other[name->n] != '\0' ? -1 : order;
}

const struct probe_task *
probe_find(const struct probe *probe, struct str name)
{
    if (probe->tasks_len == 0 || name.n == 0)
        return NULL;
    return bsearch(&name, probe->tasks, probe->tasks_len, sizeof *probe->tasks,
                   compare_name);
}
