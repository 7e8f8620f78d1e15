/* options.h - what pit-worker was told at start; main.c has the table. Read
 * only afterwards, by every process of the worker. */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OPTIONS_SLOTS_MAX = 256,
    OPTIONS_QUEUES_MAX = 64,
    OPTIONS_WEIGHT_MAX = 1000,
};

struct options {
    const char *redis;
    const char *app;
    const char *queues; /* "a:3,b:1"; NULL: the application's, and "default" */
    int64_t slots;      /* 0: the CPUs that are online */
    int64_t async;      /* async tasks at once; 0: none are run */
    int64_t lease_ms;
    int64_t grace_ms;           /* of a drain */
    int64_t kill_grace_ms;      /* from a cancellation to SIGKILL */
    int64_t max_jobs;           /* of one child, 0: no limit */
    int64_t max_rss;            /* bytes of one child, 0: no limit */
    const char *webhook_secret; /* webhook.h has what they look like */
    const char *webhook_secret_file;
    const char *webhook_allow;
    const char *smtp;      /* as async/curl/mail.h has it; NULL: no mails */
    const char *mail_from; /* the usual sender; NULL: none */
    const char *log_level;
    bool log_json;
};

#endif
