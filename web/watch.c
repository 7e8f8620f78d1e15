/* Watch: inotify on the folders. Only what is complete counts: closed after
 * writing, or moved into place. */
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

bool
watch_init(struct watch *watch)
{
    *watch = (struct watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    if (watch->fd < 0)
        log_error("--reload: cannot watch files: %m");
    return watch->fd >= 0;
}

void
watch_add(struct watch *watch, const char *path)
{
    char folder[PATH_MAX];

    if (!path || watch->len == WATCH_FILES_MAX)
        return;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    struct str before =
        slash ? str_from(path, (size_t)(slash - path) + 1) : STR("./");
    if (before.n >= sizeof folder ||
        strlen(name) >= sizeof watch->files[0].name)
        return;
    str_copy_to(before, folder, sizeof folder);
    int number =
        inotify_add_watch(watch->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO);
    if (number < 0) {
        log_warn("--reload: cannot watch %s: %m", path);
        return;
    }
    watch->files[watch->len].folder = number;
    str_copy_to(str_c(name), watch->files[watch->len].name,
                sizeof watch->files[0].name);
    watch->len++;
}

void
watch_reset(struct watch *watch)
{
    for (int i = 0; i < watch->len; i++) /* the same one twice does no harm */
        (void)inotify_rm_watch(watch->fd, watch->files[i].folder);
    watch->len = 0;
}

static bool
is_ours(const struct watch *watch, const struct inotify_event *event)
{
    for (int i = 0; i < watch->len; i++)
        if (event->len > 0 && event->wd == watch->files[i].folder &&
            strcmp(event->name, watch->files[i].name) == 0)
            return true;
    return false;
}

bool
watch_read(struct watch *watch)
{
    _Alignas(struct inotify_event) char events[4096];
    bool ours = false;
    ssize_t n;

    while ((n = read(watch->fd, events, sizeof events)) > 0)
        for (char *p = events; p < events + n;) {
            const struct inotify_event *event = (void *)p;
            ours |= is_ours(watch, event);
            p += sizeof *event + event->len;
        }
    return ours;
}
