/* Access: lines gathered in one buffer, written by a before-sleep hook.
 *
 * The time stamp is made once a second. Paths come from the parser, which has
 * let through visible ASCII only; a quote or a backslash is escaped here. */
#include "access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    PENDING_MAX = 256 * 1024, /* bytes of lines; more are dropped */
    FLUSH_AT = 32 * 1024,     /* not waiting for the end of the turn */
};

struct access_log {
    struct loop_hook hook;
    int fd;
    enum access_format format;
    struct buf lines;
    uint64_t lines_len; /* of them, so that a loss can be counted */
    uint64_t dropped;
    time_t stamped_at;
    char stamp[64];
};

static void
flush(struct access_log *log)
{
    struct buf *lines = &log->lines;
    size_t done = 0;

    while (done < lines->len) {
        ssize_t n = write(log->fd, lines->p + done, lines->len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    if (done < lines->len)
        log->dropped += log->lines_len;
    log->lines_len = 0;
    buf_reset(lines);
}

static void
on_before_sleep(struct loop_hook *hook)
{
    flush(LIST_ENTRY(hook, struct access_log, hook));
}

struct access_log *
access_new(struct loop *loop, int fd, enum access_format format)
{
    struct access_log *log = xcalloc(1, sizeof *log);

    log->fd = fd;
    log->format = format;
    log->hook.fn = on_before_sleep;
    buf_init(&log->lines, PENDING_MAX);
    loop_hook_add(loop, &log->hook);
    return log;
}

void
access_free(struct access_log *log)
{
    if (!log)
        return;
    flush(log);
    loop_hook_remove(&log->hook);
    buf_clear(&log->lines);
    free(log);
}

/* The common format's "[23/Nov/2026:09:00:00 +0000]", or RFC 3339. */
static const char *
stamp(struct access_log *log)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;

    if (log->format == ACCESS_JSON) {
        clock_format(now_ms, log->stamp);
        return log->stamp;
    }
    if (now == log->stamped_at)
        return log->stamp;
    log->stamped_at = now;
    gmtime_r(&now, &tm);
    snprintf(log->stamp, sizeof log->stamp,
             "[%02d/%.3s/%04d:%02d:%02d:%02d +0000]", tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    return log->stamp;
}

static void
add_escaped(struct buf *dst, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            buf_addf(dst, "\\x%02x", c);
        else
            buf_add_char(dst, (char)c);
    }
}

static void
add_common(struct access_log *log, const struct access_entry *e)
{
    struct buf *dst = &log->lines;

    buf_addf(dst, "%s - - %s \"%s ", e->peer, stamp(log), e->method);
    add_escaped(dst, e->path);
    if (e->query.p) {
        buf_add_char(dst, '?');
        add_escaped(dst, e->query);
    }
    buf_addf(dst, " HTTP/1.%d\" %d %" PRId64 " %" PRId64 ".%03" PRId64 " %s\n",
             e->version_minor, e->status, e->bytes, e->duration_us / 1000,
             e->duration_us % 1000, e->request_id);
}

/* 00-<32 hex>-<16 hex>-<2 hex>, W3C Trace Context section 3.2. A later version
 * may be longer: its first part is what we know. */
static bool
is_traceparent(struct str s)
{
    if (s.n < 55 || s.n > 128 || s.p[2] != '-' || s.p[35] != '-' ||
        s.p[52] != '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdef-", s.p[i]) || s.p[i] == '\0')
            return false;
    return true;
}

static void
add_optional(struct buf *dst, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_addf(dst, ",\"%s\":", name);
    buf_add_json_string(dst, value);
}

static void
add_json(struct access_log *log, const struct access_entry *e)
{
    struct buf *dst = &log->lines;

    buf_addf(dst,
             "{\"time\":\"%s\",\"peer\":\"%s\",\"method\":\"%s\",\"path\":",
             stamp(log), e->peer, e->method);
    buf_add_json_string(dst, e->path);
    if (e->query.p) {
        buf_add_c(dst, ",\"query\":");
        buf_add_json_string(dst, e->query);
    }
    buf_addf(dst,
             ",\"version\":\"1.%d\",\"status\":%d,\"bytes\":%" PRId64
             ",\"duration_ms\":%" PRId64 ".%03" PRId64 ",\"request_id\":\"%s\"",
             e->version_minor, e->status, e->bytes, e->duration_us / 1000,
             e->duration_us % 1000, e->request_id);
    if (is_traceparent(e->traceparent))
        add_optional(dst, "traceparent", e->traceparent);
    add_optional(dst, "scheme", str_c(e->scheme));
    add_optional(dst, "host", e->host);
    buf_add_c(dst, "}\n");
}

void
access_add(struct access_log *log, const struct access_entry *entry)
{
    size_t before = log->lines.len;

    if (log->format == ACCESS_JSON)
        add_json(log, entry);
    else
        add_common(log, entry);
    if (log->lines.failed) { /* no half lines */
        log->lines.len = before;
        log->lines.failed = false;
        log->dropped++;
        return;
    }
    log->lines_len++;
    if (log->lines.len >= FLUSH_AT)
        flush(log);
}

uint64_t
access_dropped(const struct access_log *log)
{
    return log->dropped;
}
