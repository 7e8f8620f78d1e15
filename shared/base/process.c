/* Process: the command line that ps shows is the memory into which exec() put
 * the arguments, one after the other; a title is written over it. The
 * environment that follows is left alone, so a title is cut to the arguments'
 * length: enough for "pit-slot", and nothing needs moving. */
#include "base/process.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

/* The arguments' memory, with the last one's NUL. */
static struct {
    char *p;
    size_t n;
} title;

void
process_title_init(int argc, char **argv)
{
    if (argc < 1 || !argv[0])
        return;
    char *end = argv[0];
    /* Whoever moved a word elsewhere ends what is known to be ours. */
    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(end) + 1;
    title.p = argv[0];
    title.n = (size_t)(end - argv[0]);
}

void
process_set_name(const char *name)
{
    if (prctl(PR_SET_NAME, name, 0, 0, 0) != 0)
        log_warn("cannot name the process %s: %m", name);
    if (!title.p)
        return;
    size_t len = strnlen(name, title.n - 1);
    memcpy(title.p, name, len);
    /* ps shows the rest as nothing only if all of it is NUL. */
    memset(title.p + len, '\0', title.n - len);
}

void
process_die_with_parent(pid_t parent)
{
    /* In this order: a parent that dies after prctl() sends the signal, one
     * that died before it has left us with another. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        log_fatal("prctl(PR_SET_PDEATHSIG): %m");
    if (getppid() != parent)
        raise(SIGKILL);
}

int64_t
process_rss_bytes(pid_t pid)
{
    char path[40], text[128];
    int64_t pages;
    struct str rest;

    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n <= 0)
        return -1;
    /* proc(5): total size, resident, ..., all in pages. */
    str_cut(str_from(text, (size_t)n), ' ', &rest);
    if (!str_to_i64(str_cut(rest, ' ', &rest), &pages))
        return -1;
    return pages * sysconf(_SC_PAGESIZE);
}

int64_t
process_family_rss_bytes(pid_t pid)
{
    char path[64], text[8192];
    int64_t sum = process_rss_bytes(pid), child;

    if (sum < 0)
        return 0;
    /* proc(5): ids with a space behind each; needs CONFIG_PROC_CHILDREN. */
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid,
             (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sum;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    struct str rest = str_from(text, n > 0 ? (size_t)n : 0);
    while (rest.n > 0)
        if (str_to_i64(str_cut(rest, ' ', &rest), &child)) {
            int64_t rss = process_rss_bytes((pid_t)child);
            sum += rss > 0 ? rss : 0;
        }
    return sum;
}
