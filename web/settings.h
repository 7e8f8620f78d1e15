/* settings.h - what pit-web can be told, by flag, environment or file.
 *
 * One struct, filled once by base/config.h before anything is forked, and only
 * read afterwards. Its strings live as long as it. */
#ifndef WEB_SETTINGS_H
#define WEB_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "http/front.h"

enum { SETTINGS_PROCESSES_MAX = 256 };

struct settings {
    const char *redis;
    const char *app; /* NULL: none, the API alone */
    const char *listen;
    const char *log_level;
    const char *access_log; /* NULL: none; "-": standard output; or a file */
    bool log_json;
    int64_t processes; /* 1..SETTINGS_PROCESSES_MAX once checked */
    int64_t max_body;
    int64_t max_batch_body;
    int64_t view_timeout;
    int64_t grace;
    int64_t redis_timeout;
    int64_t max_request_line;
    int64_t max_head;
    int64_t max_fields;
    int64_t max_requests;
    int64_t max_in_flight;
    int64_t max_connections;
    int64_t head_timeout;
    int64_t body_timeout;
    int64_t idle_timeout;
    int64_t write_timeout;
};

/* The table that flags, environment, file and --help are made of. */
extern const struct config_program settings_program;

/* Looks at what config_load() could not: the log level, and the number of
 * processes (0 becomes one for each CPU that this process may use).
 * Errors: ST_INVALID, one line. */
CHECK enum status settings_check(struct settings *settings,
                                 enum log_level *ret_level, struct error *err);
/* The limits of the front; `access` is left NULL. */
struct front_options settings_front(const struct settings *settings);

#endif
