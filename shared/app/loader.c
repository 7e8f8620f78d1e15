/* Loading an application.
 *
 * The checks of owner and mode come before dlopen(), which already runs code of
 * the object. Between check and load nobody but root and this user can exchange
 * the file: that is what is checked of its directory. RTLD_LOCAL keeps the
 * application's symbols out of the program's way, RTLD_NOW turns a missing
 * function into an error at start instead of a crash at night. */
#include "app/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* root and the user that runs this may write anyhow; everyone else must not.
 * In a directory with the sticky bit (/tmp) nobody can exchange the files of
 * another owner. */
static enum status
check_writers(const char *path, const struct stat *info, struct error *err)
{
    bool sticky = S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX);

    if (info->st_uid != 0 && info->st_uid != geteuid())
        return error_set(err, ST_FORBIDDEN,
                         "%.150s belongs to user %u, not to root or this "
                         "user: chown it",
                         path, info->st_uid);
    if ((info->st_mode & (S_IWGRP | S_IWOTH)) && !sticky)
        return error_set(err, ST_FORBIDDEN,
                         "%.150s can be written by others: chmod go-w it",
                         path);
    return ST_OK;
}

static enum status
check_place(const char *path, struct error *err)
{
    struct stat info;
    enum status st;

    if (stat(path, &info) != 0)
        return error_set_sys(err, ST_NOT_FOUND, errno, "%.150s", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ST_INVALID, "%.150s: is not a file", path);
    st = check_writers(path, &info, err);
    if (st != ST_OK)
        return st;

    /* @path is absolute and without links, so it has a slash. */
    char *dir = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    if (!dir)
        return error_set(err, ST_LIMIT, "out of memory");
    if (stat(dir, &info) != 0)
        st = error_set_sys(err, ST_NOT_FOUND, errno, "%.150s", dir);
    else
        st = check_writers(dir, &info, err);
    free(dir);
    return st;
}

enum status
loader_open(const char *path, struct loader *ret, struct error *err)
{
    struct loader loader = {0};
    struct error why;
    enum status st;

    /* dlopen() would search a bare name in the system's folders. */
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return error_set_sys(err, ST_NOT_FOUND, errno, "--app %.150s", path);

    st = check_place(absolute, &why);
    if (st != ST_OK) {
        error_set(err, st, "--app %s", why.msg);
        goto out;
    }
    loader.handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
    if (!loader.handle) {
        const char *said = dlerror();
        st =
            error_set(err, ST_INVALID, "--app cannot be loaded: %.180s%s", said,
                      strstr(said, "undefined symbol: pit_")
                          ? "; it was made for a newer Pitmaster"
                          : "");
        goto out;
    }
    const struct pit_app *table = dlsym(loader.handle, "pit_app");
    if (!table) {
        st = error_set(err, ST_INVALID,
                       "--app %.100s: has no pit_app; an application has "
                       "PIT_EXPORT const struct pit_app pit_app = {...}",
                       path);
        goto out;
    }
    st = app_init(&loader.app, table, &why);
    if (st != ST_OK) {
        error_set(err, st, "--app %.80s: %.150s", path, why.msg);
        goto out;
    }
    *ret = loader;
    loader = (struct loader){0};
out:
    loader_close(&loader);
    free(absolute);
    return st;
}

void
loader_close(struct loader *loader)
{
    if (!loader)
        return;
    app_clear(&loader->app);
    if (loader->handle)
        dlclose(loader->handle);
    *loader = (struct loader){0};
}
