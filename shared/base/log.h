/* log.h - one line per event on standard error, for people or as JSON.
 *
 * Libraries return errors, programs log them once. Each line carries time,
 * level, process name and pid, then the message; control characters in it are
 * escaped, so that no input can forge a line. A line is one write(), at most
 * LOG_LINE_MAX bytes, so lines of several processes do not mix. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};
enum { LOG_LINE_MAX = 4096 };

/* @name is borrowed for the life of the process ("pit-web"). @json: one JSON
 * object a line instead of text. */
void log_init(const char *name, enum log_level least, bool json);
/* Whose work is under way; "" for none. Lent for the line. */
struct log_tag {
    const char *job;     /* its id */
    const char *request; /* the id of the request that it works for */
};
/* @tag is asked for each line: what it says stands in front of the message, in
 * JSON as {"job": ..., "request": ...}. */
void log_tag_from(struct log_tag (*tag)(void));
/* For tests: messages go to @line instead of standard error, whatever thread
 * they come from, one at a time. NULL: no more. */
void log_divert(void (*line)(enum log_level level, const char *message));
bool log_enabled(enum log_level level);
PRINTF(2, 3) void log_line(enum log_level level, const char *fmt, ...);
PRINTF(2, 0)
void log_line_va(enum log_level level, const char *fmt, va_list ap);

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Logs and aborts: for what must not happen and leaves no way on, such as no
 * memory for a small fixed allocation. */
__attribute__((noreturn)) PRINTF(1, 2) void log_fatal(const char *fmt, ...);

/* calloc() and strdup() that log_fatal() instead of returning NULL: for small
 * fixed sizes only, never for a size that comes from input. */
__attribute__((malloc)) void *xcalloc(size_t n, size_t size);
__attribute__((malloc)) char *xstrdup(const char *s);

#endif
