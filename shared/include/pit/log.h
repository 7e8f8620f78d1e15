/* pit/log.h - lines in the log of the process that runs the application.
 *
 * Each goes to standard error at once, with time, level and process, or as JSON
 * with --log-json; control characters in it are escaped, so that no input can
 * forge a line. What is below --log-level (info) is dropped. From views, tasks
 * and threads; never suspends. */
#ifndef PIT_LOG_H
#define PIT_LOG_H

enum pit_log_level {
    PIT_LOG_DEBUG,
    PIT_LOG_INFO,
    PIT_LOG_WARN,
    PIT_LOG_ERROR,
};

/* One line of at most 4 KiB, cut above; without a newline at its end. */
__attribute__((format(printf, 2, 3))) void
pit_log_line(enum pit_log_level level, const char *fmt, ...);

#define pit_log_debug(...) pit_log_line(PIT_LOG_DEBUG, __VA_ARGS__)
#define pit_log_info(...) pit_log_line(PIT_LOG_INFO, __VA_ARGS__)
#define pit_log_warn(...) pit_log_line(PIT_LOG_WARN, __VA_ARGS__)
#define pit_log_error(...) pit_log_line(PIT_LOG_ERROR, __VA_ARGS__)

#endif
