/* packages.h - what dpkg has installed, read from its status file and added up.
 *
 * The file is one paragraph a package, `Field: value` a line, as in
 * deb-control(5); only packages with "Status: install ok installed" count, so
 * that the totals agree with dpkg-query. */
#ifndef PACKAGES_H
#define PACKAGES_H

#include <stddef.h>
#include <stdint.h>

#include <pit/job.h>

/* Nothing that is larger is read: a status file has a few MiB. */
enum {
    PACKAGES_MAX = 500000,
    PACKAGES_FILE_MAX = 256 * 1024 * 1024, /* bytes */
};

struct package {
    char *name;
    char *section;
    char *maintainer;
    int64_t kib; /* Installed-Size */
};

struct packages {
    struct package *list; /* largest first, once read */
    size_t len;
    int64_t kib;
};

/* The packages of one section, or of one maintainer. */
struct group {
    const char *name; /* lent by the packages */
    size_t packages;
    int64_t kib;
};

struct groups {
    struct group *list; /* largest first */
    size_t len;
};

/* PIT_OK, PIT_CANCELLED, or PIT_PERMANENT for a file that cannot be read or is
 * no status file. Clear in every case. */
enum pit_status packages_read(struct pit_job *job, const char *path,
                              struct packages *ret);
void packages_clear(struct packages *packages);

const char *package_section(const struct package *package);
const char *package_maintainer(const struct package *package);
/* Adds up by what @key says of a package. PIT_OK or PIT_LIMIT (no memory). */
enum pit_status packages_group(const struct packages *packages,
                               const char *(*key)(const struct package *),
                               struct groups *ret);
void groups_clear(struct groups *groups);

#endif
