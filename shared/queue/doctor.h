/* doctor.h - is this Redis fit to be trusted with jobs?
 *
 * Looks at what decides whether an acknowledged job is still there tomorrow:
 * version, role, eviction, append-only file, memory, persistence errors, clock,
 * schema. Each finding says what is wrong and what to do. Used by `pit doctor`
 * and by /readyz, so both say the same. A Redis that forbids CONFIG (as hosted
 * ones do) is judged by what INFO tells. */
#ifndef QUEUE_DOCTOR_H
#define QUEUE_DOCTOR_H

#include "queue/queue.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_NOTE,    /* good to know */
    DOCTOR_WARNING, /* jobs can be lost, or will be refused before long */
    DOCTOR_ERROR,   /* jobs are lost, or refused now */
};

enum { DOCTOR_FINDINGS_MAX = 12, DOCTOR_TEXT_SIZE = 200 };

struct doctor_finding {
    enum doctor_level level;
    const char *check;           /* "eviction": stable, for machines */
    char text[DOCTOR_TEXT_SIZE]; /* what was found */
    char fix[DOCTOR_TEXT_SIZE];  /* what to do; "" when there is nothing */
};

/* One finding for each check, also for those that are fine. */
struct doctor {
    size_t len;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* Four commands; may suspend. Errors: Redis' status when it cannot be asked at
 * all; *ret is untouched then. */
CHECK enum status doctor_run(struct co *co, struct queues *queues,
                             struct doctor *ret, struct error *err);

/* What doctor_run() judges by; for tests. Slices empty: could not be asked. */
struct doctor_facts {
    struct str info;        /* the text of INFO */
    struct str appendfsync; /* "always", "everysec", "no" */
    int64_t skew_ms;        /* Redis' clock minus ours */
    int64_t schema;         /* as schema_read() */
};
void doctor_judge(const struct doctor_facts *facts, struct doctor *ret);

/* The worst level among the findings. */
enum doctor_level doctor_worst(const struct doctor *doctor);
/* "ok", "note", "warning", "error" */
const char *doctor_level_name(enum doctor_level level);

#endif
