/* Files: one record a call, on the heap and counted by its two holders, the
 * coroutine and the thread. Both let go of it on the loop's thread, so the
 * count needs no lock; a coroutine that is cancelled leaves the thread alone
 * with it.
 *
 * REPLACING. The new content is written to a name of its own in the same
 * folder, synced, renamed over the old one, and the folder synced: whoever
 * reads, and whoever comes after a crash, finds the old or the new file whole.
 */
#include "async/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async/threads.h"
#include "base/log.h"
#include "base/random.h"

enum { NEW_MODE = 0640, COMPONENT_MAX = 255 };

enum status
file_status(int sys)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
    case EXDEV:
    case ELOOP:
        return ST_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EISDIR:
    case ENXIO: /* a pipe or a socket */
        return ST_FORBIDDEN;
    case EINVAL:
    case ENAMETOOLONG:
        return ST_INVALID;
    case EFBIG:
    case EOVERFLOW:
        return ST_TOO_LARGE;
    case ENOSPC:
    case EDQUOT:
    case EROFS:
        return ST_READ_ONLY;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ST_LIMIT;
    default:
        return ST_UNAVAILABLE;
    }
}

/* ---- opening ---- */

/* One component after the other, following no link: for kernels and sandboxes
 * without openat2(). */
static int
open_by_components(int dir, const char *name, int flags, unsigned mode)
{
    char part[COMPONENT_MAX + 1];
    int at = dir, fd = -1;

    for (;;) {
        size_t n = strcspn(name, "/");
        bool last = name[n] == '\0';
        int saved;

        errno = n > COMPONENT_MAX ? ENAMETOOLONG : EXDEV;
        if (n == 0 || n > COMPONENT_MAX)
            break;
        memcpy(part, name, n);
        part[n] = '\0';
        if (strcmp(part, "..") == 0)
            break;
        fd = openat(at, part,
                    (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW |
                        O_CLOEXEC,
                    mode);
        saved = errno;
        if (at != dir)
            close(at);
        errno = saved;
        if (fd < 0 || last)
            return fd;
        at = fd;
        name += n + 1;
    }
    if (at != dir) {
        int saved = errno;
        close(at);
        errno = saved;
    }
    return -1;
}

int
file_open(int dir, const char *name, int flags, unsigned mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    if (dir < 0)
        return open(name, flags | O_CLOEXEC, mode);
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
    return open_by_components(dir, name, flags, mode);
}

int
file_open_folder(const char *folder)
{
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* O_NONBLOCK: a pipe without a writer must not hold the thread. */
int
file_open_regular(int dir, const char *name, size_t *ret_size)
{
    struct stat stat;
    int fd = file_open(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0)
        return -1;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        close(fd);
        errno = EISDIR;
        return -1;
    }
    *ret_size = (size_t)stat.st_size;
    return fd;
}

long
file_read_at(int fd, char *dst, size_t n, size_t offset)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(fd, dst + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (long)done;
}

/* ---- calls ---- */

struct call {
    int holders;
    int (*fn)(struct call *call, int dir); /* 0, or an errno */
    char *folder;                          /* NULL: none */
    char *name;
    size_t max;
    char *data; /* what is written, or was read */
    size_t len;
};

static void
let_go(void *arg)
{
    struct call *call = arg;

    if (--call->holders > 0)
        return;
    free(call->folder);
    free(call->name);
    free(call->data);
    free(call);
}

static enum status
run_call(void *arg)
{
    struct call *call = arg;
    int dir = -1;

    if (call->folder) {
        dir = file_open_folder(call->folder);
        if (dir < 0)
            return file_status(errno);
    }
    int sys = call->fn(call, dir);
    if (dir >= 0)
        close(dir);
    return sys == 0 ? ST_OK : file_status(sys);
}

static struct call *
call_new(int (*fn)(struct call *, int), const char *folder, const char *name)
{
    struct call *call = xcalloc(1, sizeof *call);

    call->holders = 2;
    call->fn = fn;
    call->folder = folder ? xstrdup(folder) : NULL;
    call->name = xstrdup(name);
    return call;
}

static enum status
check_name(const char *name)
{
    if (!name || !*name || strnlen(name, FILE_NAME_MAX) == FILE_NAME_MAX)
        return ST_INVALID;
    return ST_OK;
}

/* ---- reading ---- */

/* A file may grow meanwhile: what is above its size then is left out. */
static int
read_on_thread(struct call *call, int dir)
{
    size_t size = 0;
    int sys = 0, fd = file_open_regular(dir, call->name, &size);

    if (fd < 0)
        return errno;
    if (size > call->max) {
        sys = EFBIG;
        goto out;
    }
    call->data = malloc(size + 1);
    if (!call->data) {
        sys = ENOMEM;
        goto out;
    }
    long n = file_read_at(fd, call->data, size, 0);
    if (n < 0) {
        sys = errno;
        goto out;
    }
    call->len = (size_t)n;
    call->data[call->len] = '\0';
out:
    close(fd);
    return sys;
}

enum status
file_read(struct co *co, const char *folder, const char *name, size_t max,
          char **ret, size_t *ret_len)
{
    enum status st = check_name(name);

    if (st != ST_OK)
        return st;
    struct call *call = call_new(read_on_thread, folder, name);
    call->max = max;
    st = co_thread(co, "file read", run_call, call, let_go);
    if (st == ST_OK) {
        *ret = call->data;
        *ret_len = call->len;
        call->data = NULL;
    }
    let_go(call);
    return st;
}

/* ---- writing ---- */

bool
file_write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* The folder that holds @name, and the name in it. */
static int
open_parent(int dir, const char *name, const char **ret_base)
{
    const char *slash = strrchr(name, '/');
    char parent[FILE_NAME_MAX];
    int flags = O_RDONLY | O_DIRECTORY;

    *ret_base = slash ? slash + 1 : name;
    if (!**ret_base || strcmp(*ret_base, ".") == 0 ||
        strcmp(*ret_base, "..") == 0) {
        errno = EISDIR;
        return -1;
    }
    if (!slash)
        return dir >= 0 ? file_open(dir, ".", flags, 0)
                        : open(".", flags | O_CLOEXEC);
    size_t n = slash == name ? 1 : (size_t)(slash - name);
    memcpy(parent, name, n);
    parent[n] = '\0';
    return file_open(dir, parent, flags, 0);
}

static int
replace(int parent, const char *base, const struct call *call)
{
    char temporary[32];
    struct stat old;
    uint64_t tag;
    int sys = 0;

    random_bytes(&tag, sizeof tag);
    snprintf(temporary, sizeof temporary, ".pit-%016llx",
             (unsigned long long)tag);
    bool there = fstatat(parent, base, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISREG(old.st_mode))
        return EISDIR;
    int fd =
        openat(parent, temporary,
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, NEW_MODE);
    if (fd < 0)
        return errno;
    if (there && fchmod(fd, old.st_mode & 07777) != 0)
        sys = errno;
    if (sys == 0 && !file_write_all(fd, call->data, call->len))
        sys = errno;
    if (sys == 0 && fsync(fd) != 0)
        sys = errno;
    if (close(fd) != 0 && sys == 0)
        sys = errno;
    if (sys == 0 && renameat(parent, temporary, parent, base) != 0)
        sys = errno;
    if (sys != 0)
        unlinkat(parent, temporary, 0);
    else if (fsync(parent) != 0)
        sys = errno;
    return sys;
}

static int
write_on_thread(struct call *call, int dir)
{
    const char *base;
    int parent = open_parent(dir, call->name, &base);

    if (parent < 0)
        return errno;
    int sys = replace(parent, base, call);
    close(parent);
    return sys;
}

static int
append_on_thread(struct call *call, int dir)
{
    struct stat stat;
    int sys = 0;
    int fd = file_open(dir, call->name,
                       O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY,
                       NEW_MODE);

    if (fd < 0)
        return errno;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
        sys = EISDIR;
    if (sys == 0 && !file_write_all(fd, call->data, call->len))
        sys = errno;
    if (sys == 0 && fsync(fd) != 0)
        sys = errno;
    close(fd);
    return sys;
}

static enum status
write_with(struct co *co, int (*fn)(struct call *, int), const char *folder,
           const char *name, struct str data)
{
    enum status st = check_name(name);

    if (st != ST_OK)
        return st;
    struct call *call = call_new(fn, folder, name);
    call->len = data.n;
    call->data = malloc(data.n + 1);
    if (call->data) {
        if (data.n > 0)
            memcpy(call->data, data.p, data.n);
        st = co_thread(co, "file write", run_call, call, let_go);
    } else {
        call->holders--; /* no thread ever had it */
        st = ST_LIMIT;
    }
    let_go(call);
    return st;
}

enum status
file_write(struct co *co, const char *folder, const char *name, struct str data)
{
    return write_with(co, write_on_thread, folder, name, data);
}

enum status
file_append(struct co *co, const char *folder, const char *name,
            struct str data)
{
    return write_with(co, append_on_thread, folder, name, data);
}

static int
remove_on_thread(struct call *call, int dir)
{
    const char *base;
    int sys = 0, parent = open_parent(dir, call->name, &base);

    if (parent < 0)
        return errno;
    if (unlinkat(parent, base, 0) != 0)
        sys = errno;
    close(parent);
    return sys;
}

enum status
file_remove(struct co *co, const char *folder, const char *name)
{
    enum status st = check_name(name);

    if (st != ST_OK)
        return st;
    struct call *call = call_new(remove_on_thread, folder, name);
    st = co_thread(co, "file remove", run_call, call, let_go);
    let_go(call);
    return st;
}
