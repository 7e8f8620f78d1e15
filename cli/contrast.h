/* contrast.h - the same work awaited, detached and queued: what each costs, and
 * what each loses. `pit bench contrast` prints it. */
#ifndef CLI_CONTRAST_H
#define CLI_CONTRAST_H

#include "contrast_servers.h"

enum { CONTRAST_LANES = 3, CONTRAST_IDLE_REQUESTS = 40 };

struct contrast_options {
    struct contrast_work work;
    int64_t requests; /* of the throughput; 1..CONTRAST_REQUESTS_MAX */
    int64_t clients;  /* at once then; 1..CONTRAST_CLIENTS_MAX */
    int64_t burst;    /* requests at once; 2..CONTRAST_CLIENTS_MAX */
};

struct contrast_lane {
    const char *name; /* "awaited" */
    const char *path;
    /* One client alone. */
    double answer_p50_ms, answer_p99_ms;
    /* Many clients, until the last piece of work is done. */
    double done_per_s;
    uint32_t refused; /* answered with 503: too much at once */
    /* What a bystander saw from a burst until its work was done. */
    double others_p50_ms, others_p99_ms, others_max_ms;
    /* kill -9 when half of a burst's work was done. */
    uint32_t asked, answered, done;
    uint32_t lost;  /* answered with 2xx, and never done */
    uint32_t twice; /* done more than once */
};

struct contrast {
    double quiet_p50_ms, quiet_p99_ms; /* a bystander without a burst */
    struct contrast_lane lanes[CONTRAST_LANES];
};

/* Starts servers of its own, measures, and ends them. @tell (may be NULL) is
 * called with what comes next. Errors: those of contrast_servers_start();
 * ST_TIMEOUT work was not done in time. */
CHECK enum status contrast_measure(const struct contrast_options *options,
                                   void (*tell)(const char *what),
                                   struct contrast *ret, struct error *err);

#endif
