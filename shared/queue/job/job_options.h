/* job_options.h - what a job can ask for beyond running: to be the only one of
 * its kind, to share a limit, to wait for others, to tell others of its end.
 *
 * Plain data within struct job_spec. Each is one word of the record and costs
 * nothing where it is not used. docs/protocol.md has the words,
 * docs/limits-and-uniqueness.md what they promise. Pure functions. */
#ifndef QUEUE_JOB_OPTIONS_H
#define QUEUE_JOB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    JOB_KEY_MAX = 128, /* bytes of a unique or a limit key, 0x21 to 0x7e */
    JOB_CONCURRENCY_MAX = 100000,
    JOB_RATE_MAX = 1000000,             /* jobs a period */
    JOB_URL_MAX = 1024,                 /* bytes of a callback's URL */
    JOB_PARENTS_MAX = 1000,             /* that one job waits for */
    JOB_CHILDREN_MAX_BYTES = 64 * 1024, /* of a record's list of children */
};
#define JOB_RATE_PERIOD_MAX_MS INT64_C(86400000) /* a day */

/* Until when a job holds its unique key. */
enum unique_while {
    UNIQUE_NEVER,   /* it has none */
    UNIQUE_WAITING, /* until it is claimed the first time */
    UNIQUE_RUNNING, /* until it has ended */
    UNIQUE_ENDED,   /* until ttl_ms after its end */
};

/* What becomes of an enqueue whose key is held. */
enum unique_conflict {
    UNIQUE_REJECT,  /* it is refused, naming the holder */
    UNIQUE_RETURN,  /* the holder is the answer */
    UNIQUE_REPLACE, /* a holder that waits is cancelled; else as REJECT */
};

struct job_unique {
    enum unique_while hold;
    enum unique_conflict on_conflict; /* not part of the record */
    int64_t ttl_ms; /* ENDED: after the end, > 0; else from the enqueue on, the
                       longest that the key is held, 0: no bound */
    struct str key;
};

/* The queue's jobs of one key, over all workers; the key is also what queue
 * time is shared between. */
struct job_limit {
    int32_t concurrency;    /* at once; 0: any number */
    int32_t rate;           /* starts in rate_period_ms; 0: any number */
    int64_t rate_period_ms; /* > 0 with a rate */
    struct str key;         /* empty: no limit */
};

/* A webhook at the job's end. */
struct job_callback {
    bool on_succeeded;
    bool on_dead;
    struct str url; /* empty: none */
};

/* Its place among other jobs. */
struct job_kin {
    int32_t parents;     /* how many it waits for */
    bool go_on;          /* it runs even if one of them did not succeed */
    struct str children; /* full ids that hear of its end, comma-separated */
    struct str flow;     /* full id of the flow that it belongs to, or empty */
};

struct job_spec;

/* Ranges and characters. Errors: ST_INVALID with the pointer of the field. */
CHECK enum status job_options_check(const struct job_spec *spec,
                                    struct error *err);
/* Must the scripts look at the record? (its flag is '+' then) */
bool job_options_used(const struct job_spec *spec);
/* Appends the words of what is used, each with a space before it. */
void job_options_encode(const struct job_spec *spec, struct buf *dst);
/* Reads one word's value into *spec; false when it is damaged. *ret_known says
 * whether the letter is one of these options. */
CHECK bool job_options_decode(char letter, struct str value,
                              struct job_spec *spec, bool *ret_known);

/* "100/m", "5/10s": so many in a period of s, m, h, d or a duration. Errors:
 * false, and the outputs are untouched. */
CHECK bool job_rate_parse(struct str text, int32_t *ret_rate,
                          int64_t *ret_period_ms);
/* 1 to JOB_KEY_MAX visible ASCII characters. */
bool job_key_valid(struct str key);
/* "waiting", "running", "ended"; "reject", "return", "replace". False for
 * another word. */
CHECK bool job_unique_while(struct str word, enum unique_while *ret);
CHECK bool job_unique_conflict(struct str word, enum unique_conflict *ret);

#endif
