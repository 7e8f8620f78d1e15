/* Packages: a paragraph is collected line by line and kept when it ends. */
#include "packages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static void
package_clear(struct package *package)
{
    free(package->name);
    free(package->section);
    free(package->maintainer);
    *package = (struct package){0};
}

void
packages_clear(struct packages *packages)
{
    for (size_t i = 0; i < packages->len; i++)
        package_clear(&packages->list[i]);
    free(packages->list);
    *packages = (struct packages){0};
}

void
groups_clear(struct groups *groups)
{
    free(groups->list);
    *groups = (struct groups){0};
}

const char *
package_section(const struct package *package)
{
    return package->section ? package->section : "(none)";
}

const char *
package_maintainer(const struct package *package)
{
    return package->maintainer ? package->maintainer : "(none)";
}

/* --- reading ------------------------------------------------------------- */

/* The paragraph that is being read. */
struct paragraph {
    struct package package;
    bool installed;
};

/* Digits alone, and at most so many that the sum of PACKAGES_MAX of them fits
 * into 63 bits. */
static bool
parse_kib(const char *text, int64_t *ret)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0 || n > 12 || text[n] != '\0')
        return false;
    *ret = strtoll(text, NULL, 10);
    return true;
}

/* Names end up in the job's result, which is JSON and so UTF-8. */
static bool
set_text(char **field, const char *value)
{
    json_t *utf8 = json_string(value);

    json_decref(utf8);
    free(*field);
    *field = utf8 ? strdup(value) : NULL;
    return *field != NULL;
}

/* False for a value that cannot stand there. Fields that we do not need may
 * hold anything. */
static bool
set_field(struct paragraph *to, const char *name, const char *value)
{
    if (strcasecmp(name, "Package") == 0)
        return set_text(&to->package.name, value);
    if (strcasecmp(name, "Section") == 0)
        return set_text(&to->package.section, value);
    if (strcasecmp(name, "Maintainer") == 0)
        return set_text(&to->package.maintainer, value);
    if (strcasecmp(name, "Installed-Size") == 0)
        return parse_kib(value, &to->package.kib);
    if (strcasecmp(name, "Status") == 0)
        to->installed = strcmp(value, "install ok installed") == 0;
    return true;
}

/* Keeps the package, which moves, or drops it. False when there are too many,
 * or no memory. */
static bool
end_paragraph(struct paragraph *paragraph, struct packages *to)
{
    size_t n = to->len;

    if (!paragraph->installed || !paragraph->package.name) {
        package_clear(&paragraph->package);
        paragraph->installed = false;
        return true;
    }
    if (n == PACKAGES_MAX)
        return false;
    if ((n & (n - 1)) == 0) { /* full at each power of two: double it */
        struct package *list =
            reallocarray(to->list, n ? 2 * n : 1, sizeof *list);
        if (!list)
            return false;
        to->list = list;
    }
    to->list[to->len++] = paragraph->package;
    to->kib += paragraph->package.kib;
    *paragraph = (struct paragraph){0};
    return true;
}

static bool
read_line(char *line, struct paragraph *paragraph, struct packages *to)
{
    if (line[0] == '\0')
        return end_paragraph(paragraph, to);
    if (line[0] == ' ' || line[0] == '\t')
        return true; /* goes on with a field that we do not need */

    char *colon = strchr(line, ':');
    if (!colon || colon == line)
        return false;
    *colon = '\0';
    char *value = colon + 1;
    value += strspn(value, " \t");
    return set_field(paragraph, line, value);
}

static enum pit_status
read_lines(struct pit_job *job, FILE *file, const char *path,
           struct packages *to)
{
    struct paragraph paragraph = {0};
    enum pit_status st = PIT_OK;
    char *line = NULL;
    size_t size = 0;
    size_t number = 0;
    ssize_t n;

    while (st == PIT_OK && (n = getline(&line, &size, file)) >= 0) {
        number++;
        while (n > 0 && strchr(" \t\r\n", line[n - 1]))
            line[--n] = '\0';
        if (strlen(line) != (size_t)n || !read_line(line, &paragraph, to))
            st = pit_job_fail(job, PIT_PERMANENT,
                              "%s:%zu: is not a line of a dpkg status file",
                              path, number);
        else if (number % 1000 == 0 && pit_job_cancelled(job))
            st = PIT_CANCELLED;
    }
    if (st == PIT_OK && (ferror(file) || !end_paragraph(&paragraph, to)))
        st = pit_job_fail(job, PIT_FAILED, "%s: could not be read to its end",
                          path);
    package_clear(&paragraph.package);
    free(line);
    return st;
}

/* A regular file alone: a FIFO or a device may never end. */
static FILE *
open_status(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_size > PACKAGES_FILE_MAX) {
        close(fd);
        errno = EFBIG;
        return NULL;
    }
    return fdopen(fd, "r");
}

static int
compare_packages(const void *a, const void *b)
{
    const struct package *left = a;
    const struct package *right = b;

    if (left->kib != right->kib)
        return left->kib > right->kib ? -1 : 1;
    return strcmp(left->name, right->name);
}

enum pit_status
packages_read(struct pit_job *job, const char *path, struct packages *ret)
{
    *ret = (struct packages){0};
    FILE *file = open_status(path);
    if (!file)
        return pit_job_fail(job, PIT_PERMANENT,
                            "%s: cannot be read as a status file: %m", path);

    enum pit_status st = read_lines(job, file, path, ret);
    fclose(file);
    if (st == PIT_OK && ret->len == 0)
        st = pit_job_fail(job, PIT_PERMANENT, "%s: no installed package in it",
                          path);
    if (st == PIT_OK)
        qsort(ret->list, ret->len, sizeof *ret->list, compare_packages);
    return st;
}

/* --- adding up ----------------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(((const struct group *)a)->name,
                  ((const struct group *)b)->name);
}

static int
compare_groups(const void *a, const void *b)
{
    const struct group *left = a;
    const struct group *right = b;

    if (left->kib != right->kib)
        return left->kib > right->kib ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* One group a package, sorted by name, then neighbours of one name merged. */
enum pit_status
packages_group(const struct packages *packages,
               const char *(*key)(const struct package *), struct groups *ret)
{
    *ret = (struct groups){calloc(packages->len + 1, sizeof(struct group)), 0};
    if (!ret->list)
        return PIT_LIMIT;
    for (size_t i = 0; i < packages->len; i++)
        ret->list[i] =
            (struct group){key(&packages->list[i]), 1, packages->list[i].kib};
    qsort(ret->list, packages->len, sizeof *ret->list, compare_names);

    struct group *last = NULL;
    for (size_t i = 0; i < packages->len; i++) {
        if (last && compare_names(last, &ret->list[i]) == 0) {
            last->packages++;
            last->kib += ret->list[i].kib;
        } else {
            last = &ret->list[ret->len++];
            *last = ret->list[i];
        }
    }
    qsort(ret->list, ret->len, sizeof *ret->list, compare_groups);
    return PIT_OK;
}
