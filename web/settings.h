/* settings.h - what pit-web can be told, by flag, environment or file.
 *
 * One struct, filled by base/config.h before anything is forked, and only read
 * afterwards; a reload fills another one from the same source. Its strings live
 * as long as it. */
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
    const char *app;    /* NULL: none, the API alone */
    const char *listen; /* NULL: see sockets_open() */
    const char *log_level;
    const char *access_log; /* NULL: none; "-": standard output; or a file */
    bool log_json;
    const char *trusted_proxy; /* NULL: none */
    const char *tls_cert;      /* NULL: no TLS */
    const char *tls_key;
    const char *proxy_header;
    bool reload;       /* look at the files, and reload by oneself */
    int64_t processes; /* 1..SETTINGS_PROCESSES_MAX once checked */
    int64_t max_body;
    int64_t max_batch_body;
    int64_t view_timeout;
    int64_t threads;       /* of one process, for awaits */
    int64_t sync_threads;  /* of one process, for sync views */
    int64_t sync_queue;    /* requests that wait for one of those */
    const char *smtp;      /* NULL: no mail */
    const char *mail_from; /* NULL: each mail says */
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
    int64_t body_rate;
    int64_t write_rate;
    int64_t max_unread;
    int64_t heartbeat;
    int64_t recycle_after; /* requests of a process; 0: never */
    enum log_level level;  /* what log_level says */
};

/* The table that flags, environment, file and --help are made of. */
extern const struct config_program settings_program;

/* The command line, kept for reloads: the words themselves are written over by
 * process_set_name(). */
struct settings_source {
    int argc;
    char **argv; /* owned, ends with NULL */
};
void settings_source_init(struct settings_source *source, int argc,
                          char **argv);
void settings_source_clear(struct settings_source *source);

/* Reads flags, environment and file, and checks what the table cannot: the log
 * level, words that are no options, and the number of processes (0 becomes one
 * for each CPU that this process may use). Errors: ST_INVALID, one line. */
CHECK enum status settings_load(const struct settings_source *source,
                                struct settings *ret, struct error *err);
/* Frees what settings_load() made; zeroed settings are fine. */
void settings_clear(struct settings *settings);
/* The file of settings, or NULL. Borrowed from the source or environment. */
const char *settings_file(const struct settings_source *source);
/* The limits of the front; `access` is left NULL. */
struct front_options settings_front(const struct settings *settings);

#endif
