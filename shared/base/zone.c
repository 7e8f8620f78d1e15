/* Zone: a table of changes, and a rule for the time after its last one.
 *
 * A TZif file holds everything twice: first in 32 bits, for readers from before
 * 2005, which is skipped, then in 64 bits, followed by the rule between two
 * newlines (RFC 8536 section 3). */
#include "base/zone.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/zone_rule.h"

enum {
    HEADER_LEN = 44,
    FILE_MAX = 256 * 1024, /* the largest has 4 KiB */
    CHANGES_MAX = 10000,
    OFFSET_MAX_S = 26 * 3600, /* RFC 8536: -25 h to 26 h */
};

struct zone {
    char name[ZONE_NAME_MAX + 1];
    size_t changes;
    int64_t *at_s;         /* owned; ascending */
    int32_t *offset_s;     /* owned; from at_s[i] on */
    int32_t first_s;       /* before the first change */
    bool ruled;            /* else the last offset holds for ever */
    struct zone_rule rule; /* after the last change */
};

/* ---- asking ---- */

/* How many changes were up to @at_s. */
static size_t
changes_until(const struct zone *zone, int64_t at_s)
{
    size_t low = 0, high = zone->changes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t
zone_offset(const struct zone *zone, int64_t at_s)
{
    size_t n = changes_until(zone, at_s);

    if (n == zone->changes && zone->ruled)
        return zone_rule_offset(&zone->rule, at_s);
    return n == 0 ? zone->first_s : zone->offset_s[n - 1];
}

int64_t
zone_next(const struct zone *zone, int64_t at_s)
{
    size_t n = changes_until(zone, at_s);

    if (n < zone->changes)
        return zone->at_s[n];
    return zone->ruled ? zone_rule_next(&zone->rule, at_s) : INT64_MAX;
}

/* A clock that is set back shows times again that it has shown within the last
 * two days, or never. */
int64_t
zone_reached(const struct zone *zone, int64_t at_s)
{
    int64_t from_s = at_s - 2 * OFFSET_MAX_S;
    int64_t reached = at_s + zone_offset(zone, at_s);
    int32_t before = zone_offset(zone, from_s);

    for (int64_t change = zone_next(zone, from_s); change <= at_s;
         change = zone_next(zone, change)) {
        /* The moment of the change itself shows the new time already. */
        if (change - 1 + before > reached)
            reached = change - 1 + before;
        before = zone_offset(zone, change);
    }
    return reached;
}

/* Goes through the stretches of equal offset around the time, in order: the
 * first that shows it is the answer; one that begins later than it has just
 * skipped it. */
int64_t
zone_instant(const struct zone *zone, int64_t local_s)
{
    int64_t start = local_s - 2 * OFFSET_MAX_S;

    for (;;) {
        int64_t end = zone_next(zone, start);
        int64_t instant = local_s - zone_offset(zone, start);
        if (instant < start)
            return start;
        if (instant < end)
            return instant;
        start = end;
    }
}

const char *
zone_name(const struct zone *zone)
{
    return zone->name;
}

/* ---- reading ---- */

static int64_t
read_be(const char *p, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)p[i];
    if (bytes == 4)
        return (int32_t)(uint32_t)value;
    return (int64_t)value;
}

/* The counts of a block's header, and the length of what follows it. */
struct block {
    int64_t isutc, isstd, leap, time, type, chars;
};

static bool
read_header(struct str bytes, struct block *ret)
{
    if (bytes.n < HEADER_LEN || memcmp(bytes.p, "TZif", 4) != 0)
        return false;
    const char *p = bytes.p + 20;
    *ret = (struct block){
        .isutc = read_be(p, 4),
        .isstd = read_be(p + 4, 4),
        .leap = read_be(p + 8, 4),
        .time = read_be(p + 12, 4),
        .type = read_be(p + 16, 4),
        .chars = read_be(p + 20, 4),
    };
    const int64_t counts[] = {ret->isutc, ret->isstd, ret->leap,
                              ret->time,  ret->type,  ret->chars};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (counts[i] < 0 || counts[i] > CHANGES_MAX)
            return false;
    return true;
}

static size_t
block_len(const struct block *block, int width)
{
    return (size_t)(block->time * (width + 1) + block->type * 6 + block->chars +
                    block->leap * (width + 4) + block->isstd + block->isutc);
}

/* The 64-bit block's tables into @zone. */
static bool
read_tables(struct zone *zone, const struct block *block, const char *p)
{
    assert(p);
    const char *indexes = p + block->time * 8;
    const char *types = indexes + block->time;

    zone->changes = (size_t)block->time;
    zone->at_s = xcalloc(zone->changes + 1, sizeof *zone->at_s);
    zone->offset_s = xcalloc(zone->changes + 1, sizeof *zone->offset_s);
    for (int64_t i = 0; i < block->type; i++) {
        int64_t offset_s = read_be(types + i * 6, 4);
        if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S)
            return false;
    }
    zone->first_s = (int32_t)read_be(types, 4);
    for (size_t i = 0; i < zone->changes; i++) {
        int64_t type = (unsigned char)indexes[i];
        zone->at_s[i] = read_be(p + i * 8, 8);
        if (type >= block->type ||
            (i > 0 && zone->at_s[i] <= zone->at_s[i - 1]))
            return false;
        zone->offset_s[i] = (int32_t)read_be(types + type * 6, 4);
    }
    return true;
}

/* "\n<rule>\n"; an empty one is no rule. */
static bool
read_footer(struct zone *zone, struct str footer)
{
    if (footer.n < 2 || footer.p[0] != '\n')
        return false;
    struct str rest;
    struct str text = str_cut(str_skip(footer, 1), '\n', &rest);
    if (!rest.p)
        return false;
    zone->ruled = text.n > 0;
    return text.n == 0 || zone_rule_parse(text, &zone->rule);
}

enum status
zone_parse(struct str bytes, struct zone **ret, struct error *err)
{
    struct zone *zone = xcalloc(1, sizeof *zone);
    struct block block;

    if (!read_header(bytes, &block) || bytes.p[4] < '2')
        goto bad;
    bytes = str_skip(bytes, HEADER_LEN + block_len(&block, 4));
    /* Leap seconds are for clocks that count them; POSIX ones do not. */
    if (!read_header(bytes, &block) || block.type == 0 || block.leap > 0)
        goto bad;
    bytes = str_skip(bytes, HEADER_LEN);
    size_t len = block_len(&block, 8);
    if (bytes.n < len || !read_tables(zone, &block, bytes.p) ||
        !read_footer(zone, str_skip(bytes, len)))
        goto bad;
    *ret = zone;
    return ST_OK;
bad:
    zone_free(zone);
    return error_set(err, ST_INVALID, "it is no TZif file of version 2");
}

void
zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->at_s);
    free(zone->offset_s);
    free(zone);
}

/* ---- finding ---- */

/* "Europe/Berlin", "Etc/GMT+5": nothing that could leave the folder, and no
 * variant that counts leap seconds. */
static bool
name_valid(struct str name)
{
    if (name.n == 0 || name.n > ZONE_NAME_MAX ||
        str_starts(name, STR("right/")) || name.p[0] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-' ||
              (c == '/' && name.p[i - 1] != '/')))
            return false;
    }
    return true;
}

static const char *
folder(void)
{
    const char *dir = getenv("TZDIR");

    return dir && *dir ? dir : "/usr/share/zoneinfo";
}

/* The whole of a file; -1 with errno. */
static ssize_t
read_file(const char *path, char *dst, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -1;
    while (n != 0 && len < size) {
        n = read(fd, dst + len, size - len);
        if (n < 0 && errno != EINTR)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? -1 : (ssize_t)len;
}

static enum status
refuse(struct str name, struct error *err)
{
    enum { SHOWN_MAX = 64 };

    return error_set(err, ST_INVALID,
                     "there is no time zone \"%.*s\" in %s: give an IANA name "
                     "such as \"Europe/Berlin\" or \"UTC\"",
                     name.n < SHOWN_MAX ? (int)name.n : SHOWN_MAX, name.p,
                     folder());
}

static enum status
load(struct str name, struct zone **ret, struct error *err)
{
    char path[4096];
    struct error why;

    int n = snprintf(path, sizeof path, "%s/%.*s", folder(), STR_ARG(name));
    if (n < 0 || (size_t)n >= sizeof path)
        return refuse(name, err);
    char *bytes = xcalloc(1, FILE_MAX);
    ssize_t len = read_file(path, bytes, FILE_MAX);
    enum status st = ST_OK;
    if (len >= 0)
        st = zone_parse(str_from(bytes, (size_t)len), ret, &why);
    else if (str_eq(name, STR("UTC")) || str_eq(name, STR("Etc/UTC")))
        *ret = xcalloc(1, sizeof **ret); /* no changes, offset 0 */
    else if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR)
        st = access(folder(), X_OK) == 0
                 ? refuse(name, err)
                 : error_set(err, ST_FAILED,
                             "%s is not there: install the package tzdata",
                             folder());
    else
        st = error_set_sys(err, ST_FAILED, errno, "%s", path);
    free(bytes);
    if (len >= 0 && st != ST_OK)
        return refuse(name, err); /* tzdata's folder holds other files too */
    if (st == ST_OK)
        str_copy_to(name, (*ret)->name, sizeof(*ret)->name);
    return st;
}

/* What was found, for the life of the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct zone *known[ZONES_MAX];
static size_t known_len;

enum status
zone_find(struct str name, const struct zone **ret, struct error *err)
{
    enum status st = ST_OK;

    if (!name_valid(name))
        return refuse(name, err);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < known_len; i++)
        if (str_eq_c(name, known[i]->name)) {
            *ret = known[i];
            goto out;
        }
    if (known_len == ZONES_MAX) {
        st = error_set(err, ST_LIMIT, "more than %d time zones are in use",
                       ZONES_MAX);
        goto out;
    }
    st = load(name, &known[known_len], err);
    if (st == ST_OK)
        *ret = known[known_len++];
out:
    pthread_mutex_unlock(&lock);
    return st;
}
