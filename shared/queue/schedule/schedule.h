/* schedule.h - a schedule: a job that is enqueued again and again.
 *
 * When (a cron line in a time zone, an interval, or one moment), what (a job's
 * spec), and what happens when a time was missed or the job before is still
 * under way. A value: whoever holds one owns nothing but `owner`; all slices
 * are borrowed from there or from the caller. How schedules lie in Redis is
 * queue/schedule/schedules.h's business, when they fire
 * queue/schedule/schedule_times.h's. */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cron.h"
#include "base/error.h"
#include "base/str.h"
#include "base/zone.h"
#include "queue/job/job.h"

enum {
    SCHEDULE_NAME_MAX = 64,
    SCHEDULE_NOTE_MAX = 500,       /* bytes */
    SCHEDULE_ARGS_MAX = 64 * 1024, /* bytes; they are read at each fire */
    SCHEDULE_JSON_MAX = 512 * 1024,
    SCHEDULE_MISSED_MAX = 100, /* fired at once by misfire "all" */
};

#define SCHEDULE_EVERY_MIN_MS INT64_C(1000)
#define SCHEDULE_EVERY_MAX_MS INT64_C(31622400000) /* 366 days */
#define SCHEDULE_JITTER_MAX_MS INT64_C(86400000)   /* a day */
/* By how much misfire "skip" lets a fire be late. */
#define SCHEDULE_GRACE_MS INT64_C(60000)

enum schedule_when { SCHEDULE_CRON, SCHEDULE_EVERY, SCHEDULE_AT };

/* What becomes of times that passed while nobody could fire. */
enum schedule_misfire {
    SCHEDULE_MISFIRE_SKIP, /* the last one, if it is a minute late at most */
    SCHEDULE_MISFIRE_ONCE, /* the last one, however late */
    SCHEDULE_MISFIRE_ALL,  /* each, the last SCHEDULE_MISSED_MAX of them */
};

/* What becomes of a fire while the job of the one before has not ended. */
enum schedule_overlap {
    SCHEDULE_OVERLAP_ALLOW,
    SCHEDULE_OVERLAP_SKIP,
    SCHEDULE_OVERLAP_BUFFER, /* one waits for the end, more are skipped */
};

struct schedule {
    struct str name; /* as a task's */
    enum schedule_when when;
    struct str cron_text; /* CRON */
    struct cron cron;
    struct str timezone; /* CRON; empty: UTC */
    /* CRON: of the above. NULL when this machine's tzdata does not know it. */
    const struct zone *zone;
    int64_t every_ms; /* EVERY: from anchor_ms on */
    int64_t at_ms;    /* AT */
    enum schedule_misfire misfire;
    enum schedule_overlap overlap;
    int64_t jitter_ms; /* each fire is late by 0 to that, the same every time */
    bool paused;
    struct str note; /* one line for people */
    /* Without delay, run_at, expires_at and kin. */
    struct job_spec spec;

    /* Kept with it; not the caller's to set but for `app`. */
    int64_t anchor_ms; /* EVERY: the first fire is one interval later */
    int64_t created_ms;
    int64_t updated_ms;
    int64_t version; /* changes with every change */
    struct str app;  /* the application whose table it stands in; or empty */
    struct str declared; /* JSON: what that table says */
    bool modified;       /* by hand: it differs from what the table says */
    json_t *owner;       /* of what was decoded, or NULL */
};

/* Empty: UTC, misfire skip, overlap allow, the spec's standard values. */
void schedule_init(struct schedule *s);
/* Frees what schedule_decode() made. NULL is fine. */
void schedule_clear(struct schedule *s);

bool schedule_name_valid(struct str name);
/* Reads the line into cron_text and cron. Errors: ST_INVALID, pointer /cron. */
CHECK enum status schedule_set_cron(struct schedule *s, struct str text,
                                    struct error *err);
/* Errors: ST_INVALID with the pointer /timezone; ST_FAILED when tzdata cannot
 * be read. */
CHECK enum status schedule_set_timezone(struct schedule *s, struct str name,
                                        struct error *err);
/* "skip", "once", "all"; "allow", "skip", "buffer". False for another word. */
CHECK bool schedule_misfire_parse(struct str word, enum schedule_misfire *ret);
CHECK bool schedule_overlap_parse(struct str word, enum schedule_overlap *ret);
const char *schedule_misfire_name(enum schedule_misfire misfire);
const char *schedule_overlap_name(enum schedule_overlap overlap);
/* Ranges, and what fits together. Errors: ST_INVALID or ST_TOO_LARGE with the
 * pointer of the field; as job_spec_check(). */
CHECK enum status schedule_check(const struct schedule *s, struct error *err);

/* Appends the JSON object that is stored, without its opening brace and the
 * version, which the script that stores it puts before. */
void schedule_encode(const struct schedule *s, struct buf *dst);
/* Appends what a table says, for `declared`: a JSON object. */
void schedule_declare(const struct schedule *s, struct buf *dst);
/* Reads what is stored in @queue (empty: which one, it says itself) under
 * @name. *ret must be cleared; it lends from @json too. Errors: ST_INVALID for
 * what is no schedule. */
CHECK enum status schedule_decode(struct str queue, struct str name,
                                  struct str json, struct schedule *ret,
                                  struct error *err);

/* Takes over into *s, which is what is stored, what @table says now: each field
 * that nobody has changed by hand since @s->declared. Lends from @table. The
 * caller declares the result anew. False: nothing changed. */
bool schedule_merge(struct schedule *s, const struct schedule *table);

#endif
