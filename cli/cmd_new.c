/* pit new - writes an application to start from.
 *
 * Into a folder that is not there yet: nothing of anybody's can be overwritten.
 * What fails half way is left for the user to look at, with one line that says
 * what failed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "async/file.h"
#include "base/buf.h"
#include "command.h"
#include "new_file.h"

enum { NAME_LEN_MAX = 32, FILE_LEN_MAX = 64 * 1024, PATH_LEN_MAX = 1024 };

struct new_options {
    const char *dir;
};

static const struct config_option option_table[] = {
    {"dir", "FOLDER", CONFIG_STRING, offsetof(struct new_options, dir), ".",
     .help = "where the new folder goes"},
    {0},
};

static const struct config_program program = {
    .name = "pit new",
    .synopsis = "pit new NAME [--dir FOLDER]",
    .about = "Writes an application to start from into the new folder NAME: "
             "views, a middleware, tasks, a schedule, their tests, and what "
             "builds them.",
    .options = option_table,
};

static int
fail(const char *what, const char *path)
{
    struct error err;

    (void)error_set_sys(&err, ST_FAILED, errno, "%s %s", what, path);
    return command_fail(&cmd_new, COMMAND_FAILED, "%s", err.msg);
}

/* It becomes a file's name, a CMake target and the first part of tasks' names.
 */
static bool
is_name(const char *name)
{
    size_t n = strlen(name);

    return name[0] >= 'a' && name[0] <= 'z' && n <= NAME_LEN_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* Targets of CMake's own, and what tasks of ours begin with. */
static bool
is_taken(const char *name)
{
    static const char *const taken[] = {
        "all",  "clean",         "depend",  "edit_cache",
        "help", "install",       "package", "package_source",
        "pit",  "rebuild_cache", "test",
    };

    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (strcmp(name, taken[i]) == 0)
            return true;
    return false;
}

static void
fill_in(struct buf *dst, const char *text, const char *name)
{
    static const char mark[] = "@NAME@";
    const char *at;

    while ((at = strstr(text, mark)) != NULL) {
        buf_add(dst, text, (size_t)(at - text));
        buf_add_c(dst, name);
        text = at + sizeof mark - 1;
    }
    buf_add_c(dst, text);
}

static int
write_file(const char *path, const char *text, const char *name)
{
    struct buf content;
    int exit = COMMAND_OK;

    buf_init(&content, FILE_LEN_MAX);
    fill_in(&content, text, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || content.failed || !file_write_all(fd, content.p, content.len))
        exit = fail("cannot write", path);
    if (fd >= 0 && close(fd) != 0 && exit == COMMAND_OK)
        exit = fail("cannot write", path);
    buf_clear(&content);
    return exit;
}

static int
write_files(const char *root, const char *name)
{
    char path[PATH_LEN_MAX];

    for (const struct embedded *file = new_files; file->name; file++) {
        int stem = (int)(strlen(file->name) - strlen(".in"));
        int n = snprintf(path, sizeof path, "%s/%.*s", root, stem, file->name);
        if (n < 0 || n >= (int)sizeof path)
            return command_fail(&cmd_new, COMMAND_FAILED,
                                "the folder's path is too long");
        int exit = write_file(path, file->bytes, name);
        if (exit != COMMAND_OK)
            return exit;
    }
    return COMMAND_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct new_options *options = values;
    char root[PATH_LEN_MAX];

    if (words_len != 1)
        return command_fail(&cmd_new, COMMAND_USAGE,
                            "takes the application's name: pit new NAME");
    const char *name = words[0];
    if (!is_name(name))
        return command_fail(&cmd_new, COMMAND_USAGE,
                            "\"%.60s\" is no name: a lower-case letter, then "
                            "at most %d of a-z, 0-9 and _",
                            name, NAME_LEN_MAX - 1);
    if (is_taken(name))
        return command_fail(&cmd_new, COMMAND_USAGE,
                            "\"%s\" means something to CMake or to Pitmaster "
                            "itself: choose another name",
                            name);
    int n = snprintf(root, sizeof root, "%s/%s", options->dir, name);
    if (n < 0 || n >= (int)sizeof root)
        return command_fail(&cmd_new, COMMAND_USAGE, "--dir is too long");
    if (mkdir(root, 0777) != 0)
        return errno == EEXIST
                   ? command_fail(&cmd_new, COMMAND_FAILED,
                                  "%s is there already: choose another name, "
                                  "or --dir",
                                  root)
                   : fail("cannot make the folder", root);
    int exit = write_files(root, name);
    if (exit == COMMAND_OK)
        printf("%s is there. Go on with\n\n"
               "    cd %s\n"
               "    cmake -B build && cmake --build build\n"
               "    ctest --test-dir build --output-on-failure\n\n"
               "README.md says how to run it.\n",
               root, root);
    return exit;
}

const struct command cmd_new = {
    .name = "new",
    .about = "write an application to start from",
    .program = &program,
    .options_size = sizeof(struct new_options),
    .run = run,
};
