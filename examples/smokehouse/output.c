/* Output: mkdir, mkostemp, fsync, rename. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
output_folder(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof part) {
        errno = n ? ENAMETOOLONG : ENOENT;
        return false;
    }
    memcpy(part, path, n + 1);
    for (char *slash = strchr(part + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return mkdir(part, 0755) == 0 || errno == EEXIST;
}

bool
output_open(struct output *output, const char *folder, const char *name)
{
    int n = snprintf(output->path, sizeof output->path, "%s/%s", folder, name);
    int m = snprintf(output->temporary, sizeof output->temporary,
                     "%s/.%s.XXXXXX", folder, name);

    output->file = NULL;
    if (n < 0 || m < 0 || (size_t)m >= sizeof output->temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = mkostemp(output->temporary, O_CLOEXEC);
    if (fd < 0)
        return false;
    output->file = fdopen(fd, "w");
    if (!output->file) {
        close(fd);
        unlink(output->temporary);
        return false;
    }
    fchmod(fd, 0644); /* mkostemp() lets nobody else read it */
    return true;
}

bool
output_done(struct output *output)
{
    /* On the disk before it gets its name: a rename may survive a power cut
     * that the content did not. */
    bool ok = fflush(output->file) == 0 && fsync(fileno(output->file)) == 0 &&
              rename(output->temporary, output->path) == 0;

    if (ok) {
        fclose(output->file);
        output->file = NULL;
    }
    return ok;
}

void
output_clear(struct output *output)
{
    if (!output->file)
        return;
    fclose(output->file);
    unlink(output->temporary);
    output->file = NULL;
}
