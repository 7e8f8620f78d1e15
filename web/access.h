/* access.h - one line for each answered request.
 *
 * Lines are gathered and written once a turn of the loop, so that the log costs
 * no system call a request. Control characters and quotes are escaped, so that
 * no request can forge a line. A log that cannot be written (full disk, slow
 * pipe) drops lines and counts them; it never blocks a request. */
#ifndef WEB_ACCESS_H
#define WEB_ACCESS_H

#include <stdint.h>

#include "async/loop.h"
#include "base/str.h"

enum access_format {
    ACCESS_COMMON, /* host - - [time] "GET /path HTTP/1.1" 200 12 0.123 id */
    ACCESS_JSON,   /* one object a line */
};

struct access_log;

/* @fd is borrowed; set it O_APPEND for a file. Never NULL. */
struct access_log *access_new(struct loop *loop, int fd,
                              enum access_format format);
/* Writes what is left. NULL is fine. */
void access_free(struct access_log *log);

/* Everything is borrowed for the call. */
struct access_entry {
    const char *peer;
    const char *method; /* "-" for a message that was no request */
    struct str path;    /* as it came, percent-encoded */
    struct str query;   /* p is NULL: none */
    int version_minor;
    int status;    /* 499: the client vanished before the answer */
    int64_t bytes; /* of the answer's body */
    int64_t duration_us;
    const char *request_id;
    /* For JSON only; p NULL or empty: left out. */
    struct str traceparent; /* as it came; one that is none is left out */
    const char *scheme;     /* "http", "https" */
    struct str host;
};
void access_add(struct access_log *log, const struct access_entry *entry);
/* Lines dropped so far. */
uint64_t access_dropped(const struct access_log *log);

#endif
