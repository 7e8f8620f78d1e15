/* Log: a line is built on the stack and written at once, without malloc and
 * without stdio, so that it can be used with no memory left and after fork().
 *
 *   2026-11-23T09:00:00.000Z warn  pit-web[4711] message
 *   {"time":"...","level":"warn","process":"pit-web","pid":4711,"message":"."}
 *
 * Escaping works on whole characters: a line that is too long is cut before
 * the first that does not fit. In text, control characters, C1 controls (a
 * terminal obeys U+009B as it does ESC [) and bytes that are not UTF-8 show as
 * \n, \t or \xHH. errno survives a call, and %m shows the caller's. */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

static struct {
    const char *name;
    enum log_level least;
    bool json;
} settings = {"pit", LOG_LEVEL_INFO, false};

/* Threads read it while the first loop of a process sets it. */
static struct log_tag (*_Atomic tag_of)(void);
enum { TAG_MAX = 160 };

static void (*_Atomic diverted)(enum log_level level, const char *message);
static pthread_mutex_t divert_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* What ends a line, and what marks a cut, always fit behind the message. */
static const char cut_mark[] = "...";
static const char json_tail[] = "\"}";
enum { TAIL_MAX = sizeof cut_mark + sizeof json_tail + 1 };

struct line {
    char bytes[LOG_LINE_MAX];
    size_t len;
};

void
log_init(const char *name, enum log_level least, bool json)
{
    assert(name && least <= LOG_LEVEL_ERROR);
    settings.name = name;
    settings.least = least;
    settings.json = json;
}

void log_tag_from(struct log_tag (*tag)(void))
{
    if (atomic_load_explicit(&tag_of, memory_order_relaxed) != tag)
        atomic_store_explicit(&tag_of, tag, memory_order_relaxed);
}

void
log_divert(void (*line)(enum log_level level, const char *message))
{
    pthread_mutex_lock(&divert_lock);
    atomic_store_explicit(&diverted, line, memory_order_release);
    pthread_mutex_unlock(&divert_lock);
}

bool
log_enabled(enum log_level level)
{
    return level >= settings.least;
}

/* How the character of @n bytes at @p is shown (n == 0: a bad byte). Returns
 * the length; *ret_text points at @scratch or at @p. */
static size_t
show(const char *p, size_t n, char scratch[8], const char **ret_text)
{
    unsigned char c = (unsigned char)p[0];
    int shown;

    if (n == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0)
        c = (unsigned char)p[1]; /* C1: the tail is the code point */
    else if (n > 1 || (c >= ' ' && c < 0x7f && c != '"' && c != '\\')) {
        *ret_text = p;
        return n;
    }
    *ret_text = scratch;
    if (c == '\n')
        shown = snprintf(scratch, 8, "\\n");
    else if (c == '\t')
        shown = snprintf(scratch, 8, "\\t");
    else if (c == '"' || c == '\\')
        shown = snprintf(scratch, 8, settings.json ? "\\%c" : "%c", c);
    else if (!settings.json)
        shown = snprintf(scratch, 8, "\\x%02x", c);
    else if (n == 0)
        shown = snprintf(scratch, 8, "\xef\xbf\xbd"); /* U+FFFD */
    else
        shown = snprintf(scratch, 8, "\\u%04x", c);
    return (size_t)shown;
}

/* Returns false when not all of it fitted. */
static bool
add_escaped(struct line *line, const char *p, size_t size)
{
    const char *end = p + size;
    char scratch[8];
    const char *text;

    while (p < end) {
        size_t n = utf8_length(p, end);
        size_t shown = show(p, n, scratch, &text);
        if (shown > sizeof line->bytes - TAIL_MAX - line->len)
            return false;
        memcpy(line->bytes + line->len, text, shown);
        line->len += shown;
        p += n ? n : 1;
    }
    return true;
}

PRINTF(2, 3)
static void
add(struct line *line, const char *fmt, ...)
{
    size_t room = sizeof line->bytes - line->len;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(line->bytes + line->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        line->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* False: there is none. */
static bool
add_tag(struct line *line, const char *json_name, const char *tag)
{
    if (!*tag)
        return false;
    if (settings.json)
        add(line, ",\"%s\":\"", json_name);
    add_escaped(line, tag, strnlen(tag, TAG_MAX));
    if (settings.json)
        add(line, "\"");
    return true;
}

static void
add_tags(struct line *line)
{
    struct log_tag (*of)(void) =
        atomic_load_explicit(&tag_of, memory_order_relaxed);

    if (!of)
        return;
    struct log_tag tag = of();
    bool job = add_tag(line, "job", tag.job);
    if (job && *tag.request && !settings.json)
        add(line, " ");
    bool request = add_tag(line, "request", tag.request);
    if ((job || request) && !settings.json)
        add(line, ": ");
}

static void
start_line(struct line *line, enum log_level level)
{
    char time[CLOCK_TIME_LEN + 1];

    clock_format(clock_wall_ms(), time);
    add(line,
        settings.json ? "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\""
                      : "%s %-5s ",
        time, level_names[level]);
    add_escaped(line, settings.name, strnlen(settings.name, 64));
    add(line, settings.json ? "\",\"pid\":%ld" : "[%ld] ", (long)getpid());
    add_tags(line);
    add(line, "%s", settings.json ? ",\"message\":\"" : "");
}

static void
write_line(const struct line *line)
{
    size_t done = 0;

    /* A short write is rare (a full pipe, a signal); there is nobody to tell
     * about any other failure. */
    while (done < line->len) {
        ssize_t n = write(STDERR_FILENO, line->bytes + done, line->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

static bool
divert_line(enum log_level level, const char *message)
{
    if (!atomic_load_explicit(&diverted, memory_order_acquire))
        return false;
    pthread_mutex_lock(&divert_lock);
    void (*to)(enum log_level, const char *) = diverted;
    if (to)
        to(level, message);
    pthread_mutex_unlock(&divert_lock);
    return to != NULL;
}

PRINTF(2, 0)
static void
log_va(enum log_level level, const char *fmt, va_list ap)
{
    int saved = errno;
    char message[LOG_LINE_MAX];
    struct line line;

    line.len = 0;
    start_line(&line, level);
    errno = saved; /* for %m */
    int n = vsnprintf(message, sizeof message, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    bool cut = len >= sizeof message;
    if (cut)
        len = utf8_floor(message, sizeof message - 1);
    if (!divert_line(level, message)) {
        if (!add_escaped(&line, message, len) || cut)
            add(&line, "%s", cut_mark);
        add(&line, "%s\n", settings.json ? json_tail : "");
        write_line(&line);
    }
    errno = saved;
}

void
log_line_va(enum log_level level, const char *fmt, va_list ap)
{
    if (log_enabled(level))
        log_va(level, fmt, ap);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line_va(level, fmt, ap);
    va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_va(LOG_LEVEL_ERROR, fmt, ap);
    va_end(ap);
    abort();
}

void *
xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        log_fatal("out of memory: %zu x %zu bytes", n, size);
    return p;
}

char *
xstrdup(const char *s)
{
    char *copy = strdup(s);

    if (!copy)
        log_fatal("out of memory: %zu bytes", strlen(s) + 1);
    return copy;
}
